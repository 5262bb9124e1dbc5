//! PIDF with the data model, RPID, timed status, CIPID and capabilities: read and write (RFC 3863, RFC 4479 to 4482,
//! RFC 5196).

mod read;
mod timestamp;
mod write;

pub use read::read;
pub(super) use read::{check_root, from_tree, priority};
#[cfg(feature = "full")]
pub(super) use timestamp::read as read_time;
pub(super) use write::escape;
pub use write::write;

/// How large a document may be. Each bound has its own [`super::DocumentError::Limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document.
    pub bytes: usize,
    /// Nesting of elements.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Bytes of a namespace or a language tag: every element below gets a copy.
    pub inherited: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 256 * 1024, depth: 32, elements: 10_000, attributes: 64, inherited: 512 }
    }
}
