//! Which paths are of one kind.

use std::fmt::Write;

/// A part of a path that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Its name, which a field with its description has too.
    pub name: &'static str,
    /// Whether it may hold slashes. At most one of a pattern's may, the first.
    pub may_hold_slashes: bool,
}

/// The paths of one kind: those that begin with some text and go on with these captures, a slash
/// between each two. Without captures it is that text alone, with or without the slash at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What all of them begin with, a slash at the end.
    pub prefix: &'static str,
    /// What follows.
    pub captures: &'static [Capture],
}

impl Pattern {
    /// What the captures of a path hold, in their order; `None` if it is of another kind.
    pub fn matches<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        if self.captures.is_empty() {
            let is_this = path == self.prefix || Some(path) == self.prefix.strip_suffix('/');
            return is_this.then(Vec::new);
        }
        let mut rest = Some(path.strip_prefix(self.prefix)?);
        let mut captured = Vec::with_capacity(self.captures.len());
        // From the end on, as the first one takes the slashes that are left.
        for (index, capture) in self.captures.iter().enumerate().rev() {
            let left = rest?;
            let (before, this) = match left.rsplit_once('/') {
                Some((before, this)) if index > 0 => (Some(before), this),
                _ => (None, left),
            };
            if this.is_empty() || (!capture.may_hold_slashes && this.contains('/')) {
                return None;
            }
            captured.push(this);
            rest = before;
        }
        captured.reverse();
        (captured.len() == self.captures.len()).then_some(captured)
    }

    /// The pattern as a regular expression, as the help of every engine shows it.
    #[must_use]
    pub fn regular_expression(&self) -> String {
        if self.captures.is_empty() {
            return format!("^{}/?$", self.prefix.trim_end_matches('/'));
        }
        self.expand("^", "$", |written, capture| {
            let inner = if capture.may_hold_slashes { ".+" } else { "[^/]+" };
            write!(written, "(?P<{}>{inner})", capture.name)
        })
    }

    /// The pattern as a path of `OpenAPI`.
    #[must_use]
    pub fn open_api_path(&self) -> String {
        self.expand("/", "", |written, capture| write!(written, "{{{}}}", capture.name))
    }

    fn expand(
        &self,
        begin: &str,
        end: &str,
        write: impl Fn(&mut String, &Capture) -> std::fmt::Result,
    ) -> String {
        let mut written = format!("{begin}{}", self.prefix);
        for (index, capture) in self.captures.iter().enumerate() {
            if index > 0 {
                written.push('/');
            }
            // Writing into a string never fails.
            let _ = write(&mut written, capture);
        }
        written.push_str(end);
        written
    }
}
