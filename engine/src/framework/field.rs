//! What a path takes.

/// A field of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// What it is for, as a sentence.
    pub description: &'static str,
    /// Whether it does nothing any more. Its description says what to use; whoever sends it is
    /// warned with the same words.
    pub is_deprecated: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Text that nobody else may see.
    Secret,
    /// A time: a number of seconds, or a text such as `1h`.
    Duration,
    /// True or false.
    Boolean,
}

impl Field {
    /// A field of this kind.
    #[must_use]
    pub const fn new(name: &'static str, kind: FieldKind, description: &'static str) -> Self {
        Self { name, kind, description, is_deprecated: false }
    }

    /// The same field, which does nothing any more.
    #[must_use]
    pub const fn deprecated(self) -> Self {
        Self { is_deprecated: true, ..self }
    }
}

impl FieldKind {
    /// The name that help shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "string",
            Self::Duration => "duration (sec)",
            Self::Boolean => "bool",
        }
    }

    /// Type and format in `OpenAPI`, with Vault's own format for times.
    #[must_use]
    pub fn open_api_type(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Text | Self::Secret => ("string", None),
            Self::Duration => ("integer", Some("seconds")),
            Self::Boolean => ("boolean", None),
        }
    }
}
