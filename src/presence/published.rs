//! What a user says of themselves, and the document that says it.

use super::vocabulary::is_one_of;
use super::{Attribute, AttributeName, Basic, Component, Contact, Note, Presence, Status, UserInput, Value};
use crate::pieces::concat;
use crate::time::Instant;

/// The text of `other` that says do-not-disturb; RPID has no token for it (it goes with `busy`, so that
/// a reader that knows only RPID shows busy).
pub(super) const DO_NOT_DISTURB: &str = "do-not-disturb";

/// The activities of RPID (RFC 4480 §3.2; `lunch` is in its prose only).
const ACTIVITIES: &str = "appointment away breakfast busy dinner holiday in-transit looking-for-work lunch meal meeting \
    on-the-phone performance permanent-absence playing presentation shopping sleeping spectator \
    steering travel tv unknown vacation working worship";

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
    /// Whether the user is at the device (RFC 4480 §3.14); nothing where nobody looks.
    pub input: Option<UserInput>,
}

impl PublishedState {
    /// The document for `entity`, with element ids made from `device` (letters and digits, unique to this device, the
    /// same in each document: RFC 3903 §10.4) and the time `now`.
    #[must_use]
    pub fn document(&self, entity: &str, device: &str, now: Instant) -> Presence {
        let notes: Vec<Note> =
            self.note.iter().map(|text| Note { lang: None, text: text.trim_ascii().to_owned() }).collect();
        let mut activities = Attribute::new(AttributeName::ACTIVITIES);
        activities.until = self.until;
        let more = self.activities.iter().map(|word| word.trim_ascii()).filter(|word| !word.is_empty());
        for word in self.implied().iter().copied().chain(more) {
            let value = value(word);
            if !activities.values.contains(&value) {
                activities.values.push(value);
            }
        }
        let basic = match self.status {
            Status::Unknown => None,
            Status::Offline => Some(Basic::Closed),
            Status::Available | Status::Away | Status::Busy | Status::OnThePhone | Status::DoNotDisturb => {
                Some(Basic::Open)
            }
        };
        let tuple = Component {
            id: concat(&["t", device]),
            basic,
            contact: Some(Contact { uri: entity.to_owned(), priority: None }),
            notes: notes.clone(),
            timestamp: Some(now),
            ..Component::default()
        };
        let person = Component {
            id: concat(&["p", device]),
            attributes: if activities.values.is_empty() { Vec::new() } else { vec![activities] },
            user_input: self.input.clone(),
            notes,
            timestamp: Some(now),
            ..Component::default()
        };
        Presence {
            entity: entity.to_owned(),
            tuples: vec![tuple],
            persons: vec![person],
            ..Presence::default()
        }
    }

    /// The activities that say the status to a reader that knows RPID.
    const fn implied(&self) -> &'static [&'static str] {
        match self.status {
            Status::Unknown | Status::Offline | Status::Available => &[],
            Status::Away => &["away"],
            Status::Busy => &["busy"],
            Status::OnThePhone => &["on-the-phone"],
            Status::DoNotDisturb => &["busy", DO_NOT_DISTURB],
        }
    }
}

/// The value for an activity: any word that RPID does not know is the text of `other`.
fn value(word: &str) -> Value {
    let (name, text) = if is_one_of(word, ACTIVITIES) { (word, "") } else { ("other", word) };
    Value { name: name.to_owned(), text: text.to_owned(), ..Value::default() }
}
