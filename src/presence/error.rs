//! What can be wrong with a presence document.

use super::PatchError;
use crate::pieces::concat;
use core::fmt;

/// Why a document gave nothing. The last good state stays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not well-formed XML, even read laxly.
    Malformed,
    /// The bytes are not UTF-8.
    Encoding,
    /// A DOCTYPE, or an entity other than XML's five: never expanded.
    Entity,
    /// Another root element or namespace than the media type says.
    Root,
    /// Larger, deeper or with more attributes than the limits allow; says which.
    Limit(&'static str),
    /// A media type that is not read here.
    MediaType,
    /// An attribute that must be there is missing or cannot be read; says which.
    Attribute(&'static str),
    /// A multipart body without a boundary or parts, or without a part that is named.
    Part,
    /// Documents before this one are missing.
    Version,
    /// It is older than what is known.
    Stale,
    /// A partial document does not fit to what it changes.
    Patch(PatchError),
}

impl DocumentError {
    /// The fault in words. `Display` gives the same and costs a page more.
    pub(crate) fn text(&self) -> String {
        let (text, which) = match self {
            Self::Malformed => ("the document is not well-formed XML", ""),
            Self::Encoding => ("the document is not UTF-8", ""),
            Self::Entity => ("the document has a DOCTYPE or an unknown entity", ""),
            Self::Root => ("the document is not of the kind that its media type says", ""),
            Self::Limit(which) => ("the document exceeds a limit: ", *which),
            Self::MediaType => ("the media type is not supported", ""),
            Self::Attribute(which) => ("an attribute is missing or wrong: ", *which),
            Self::Part => ("a part of the multipart body is missing", ""),
            Self::Stale => ("the document is older than what is known", ""),
            Self::Version => ("documents before this one are missing", ""),
            // Without partial documents nothing makes it, and a page need not download its words.
            Self::Patch(_) if !cfg!(feature = "partial") => ("", ""),
            Self::Patch(error) => ("the changes do not fit to the document: ", error.as_str()),
        };
        concat(&[text, which])
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for DocumentError {}

/// Something wrong that was read over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The XML was repaired: an unescaped `&`, an unmatched end tag, a bad attribute.
    Lax,
    /// `entity` is missing.
    NoEntity,
    /// An `id` is missing or stands twice.
    Id,
    /// A value that its type does not allow was dropped; names the element.
    Value(&'static str),
    /// The root has no namespace, or an old spelling of it.
    Namespace,
}

impl Warning {
    /// A sentence that says what was wrong.
    #[must_use]
    pub fn explain(&self) -> String {
        let (text, which) = match self {
            Self::Lax => ("the XML is not well-formed and was repaired", ""),
            Self::NoEntity => ("entity is missing", ""),
            Self::Id => ("an id is missing or stands twice", ""),
            Self::Value(which) => ("a value was not understood and left out: ", *which),
            Self::Namespace => ("the namespace of the root is missing or an old one", ""),
        };
        concat(&[text, which])
    }
}
