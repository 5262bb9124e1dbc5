//! PIDF with the data model and RPID activities: read and write (RFC 3863, RFC 4479, RFC 4480).

use super::{DocumentError, Presence, Warning};

/// How large a document may be. Each bound has its own [`DocumentError::Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document.
    pub bytes: usize,
    /// Nesting of elements.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 256 * 1024, depth: 32, elements: 10_000, attributes: 64 }
    }
}

/// Reads a document: strictly, and where that fails laxly with a warning (never a DOCTYPE, never an entity but XML's
/// five and character references; the declared encoding is ignored, SIP bodies are UTF-8).
///
/// # Errors
/// [`DocumentError`]: nothing could be read.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<(Presence, Vec<Warning>), DocumentError> {
    let _ = (bytes, limits);
    todo!()
}

/// Writes a document that every known server and client reads: default namespace PIDF, prefixes `dm:` and `rpid:`,
/// elements in the order of the schema, all text escaped.
#[must_use]
pub fn write(presence: &Presence) -> String {
    let _ = presence;
    todo!()
}
