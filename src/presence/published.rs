//! What a user says of themselves, and the document that says it.

use super::{Presence, Status};
use crate::time::Instant;

/// The arguments of `publish()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedState {
    /// The word; [`Status::Unknown`] publishes a tuple without basic.
    pub status: Status,
    /// RPID activity tokens beyond the one that the status implies; any other word is written as `other`.
    pub activities: Vec<String>,
    /// A note.
    pub note: Option<String>,
    /// When the activity ends.
    pub until: Option<Instant>,
    /// The device has not been used for a while.
    pub idle: bool,
}

impl PublishedState {
    /// The document for `entity`, with element ids made from `device` (letters and digits, unique to this device, the
    /// same in each document: RFC 3903 §10.4) and the time `now`.
    #[must_use]
    pub fn document(&self, entity: &str, device: &str, now: Instant) -> Presence {
        let _ = (entity, device, now);
        todo!()
    }
}
