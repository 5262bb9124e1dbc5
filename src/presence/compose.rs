//! Several publications of one presentity become one document (RFC 3856 §6.11.1, RFC 3903 §10.3).

use super::Presence;

/// The composite of `publications`, oldest first: all tuples, persons, devices and notes; ids that clash between
/// publications are renamed; the document is for `entity`.
#[must_use]
pub fn compose(entity: &str, publications: &[&Presence]) -> Presence {
    let _ = (entity, publications);
    todo!()
}
