//! The form of the admin API's answers.

use serde::Deserialize;

use super::Ulid;

/// One resource.
#[derive(Clone, Debug, Deserialize)]
pub struct Resource<T> {
    /// Its id.
    pub id: Ulid,
    /// What it is.
    pub attributes: T,
    #[serde(default)]
    meta: Option<ResourceMeta>,
}

/// An answer with one resource.
#[derive(Deserialize)]
pub struct SingleResponse<T> {
    /// The resource.
    pub data: Resource<T>,
}

/// An answer with a page of a list.
#[derive(Deserialize)]
pub struct Page<T> {
    /// What is on the page.
    pub data: Option<Vec<Resource<T>>>,
    #[serde(default)]
    links: PageLinks,
}

#[derive(Clone, Debug, Deserialize)]
struct ResourceMeta {
    #[serde(default)]
    page: Option<ResourcePage>,
}

#[derive(Clone, Debug, Deserialize)]
struct ResourcePage {
    cursor: String,
}

#[derive(Default, Deserialize)]
struct PageLinks {
    #[serde(default)]
    next: Option<String>,
}

impl<T> Resource<T> {
    /// The `page[after]` of the page that begins behind this resource.
    pub(super) fn cursor(&self) -> &str {
        let page = self.meta.as_ref().and_then(|meta| meta.page.as_ref());
        page.map_or(self.id.as_str(), |page| &page.cursor)
    }
}

impl<T> Page<T> {
    /// Whether there are more pages behind this one.
    pub(super) fn has_next(&self) -> bool {
        self.links.next.is_some()
    }
}
