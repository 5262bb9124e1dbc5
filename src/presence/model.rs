//! The presence data model (RFC 4479): a presentity has services (tuples), at most one person, and devices.

use crate::time::Instant;

/// A presence document (RFC 3863 §4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whose presence it is: the `entity` attribute, empty if it was missing.
    pub entity: String,
    /// Services, in document order.
    pub tuples: Vec<Tuple>,
    /// Persons; more than one means ambiguity (RFC 4479 §3.2).
    pub persons: Vec<Person>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Notes of the whole document.
    pub notes: Vec<Note>,
    /// Elements of other namespaces directly under `presence`.
    pub extensions: Vec<Extension>,
}

/// Whether a service takes communication (RFC 3863 §4.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Basic {
    Open,
    Closed,
}

/// One service of the presentity (RFC 3863 §4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuple {
    /// Unique in the document; empty if it was missing.
    pub id: String,
    /// `open`, `closed`, or nothing said.
    pub basic: Option<Basic>,
    /// How the service is reached.
    pub contact: Option<Contact>,
    /// Human-readable notes.
    pub notes: Vec<Note>,
    /// When this was true.
    pub timestamp: Option<Instant>,
    /// RPID activities put under the tuple or its status by older publishers (RFC 4479 §3.7).
    pub activities: Vec<Activity>,
    /// RPID user-input (RFC 4480 §3.14).
    pub user_input: Option<UserInput>,
    /// The vendor presence of Asterisk: `type` and `subtype` attributes of `digium_presence`, and its text.
    pub digium: Option<(String, String, String)>,
    /// Devices this service runs on (RFC 4479 §3.4).
    pub device_ids: Vec<String>,
    /// Elements that have no field above.
    pub extensions: Vec<Extension>,
}

/// Where a service is reached (RFC 3863 §4.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The URI, of any scheme.
    pub uri: String,
    /// 0 to 1000 thousandths; `None` when absent or malformed, which is the lowest.
    pub priority: Option<u16>,
}

/// Text for people, never a status (RFC 3863 §4.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The language by `xml:lang`, inherited where the element has none.
    pub lang: Option<String>,
    /// The text, as plain text.
    pub text: String,
}

/// The human being (RFC 4479 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Unique in the document; empty if it was missing.
    pub id: String,
    /// What the person does, with the time for which it holds.
    pub activities: Vec<Activity>,
    /// RPID user-input.
    pub user_input: Option<UserInput>,
    /// Notes about the person.
    pub notes: Vec<Note>,
    /// When this was true.
    pub timestamp: Option<Instant>,
    /// Elements that have no field above: mood, place, …
    pub extensions: Vec<Extension>,
}

/// A physical device (RFC 4479 §3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Unique in the document; empty if it was missing.
    pub id: String,
    /// The URN of the device.
    pub device_id: Option<String>,
    /// RPID user-input.
    pub user_input: Option<UserInput>,
    /// Notes about the device.
    pub notes: Vec<Note>,
    /// When this was true.
    pub timestamp: Option<Instant>,
    /// Elements that have no field above.
    pub extensions: Vec<Extension>,
}

/// One activity (RFC 4480 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The RPID token: `busy`, `on-the-phone`, …; for `other` and foreign elements [`Self::other`] tells more.
    pub name: String,
    /// The text of `other`, or the namespace of a foreign element.
    pub other: Option<String>,
    /// Start of the time for which it holds.
    pub from: Option<Instant>,
    /// End of that time.
    pub until: Option<Instant>,
    /// A note inside `activities`.
    pub note: Option<Note>,
}

/// Whether someone used the device lately (RFC 4480 §3.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInput {
    /// `idle`, not `active`.
    pub idle: bool,
    /// Time of the last input.
    pub last_input: Option<Instant>,
    /// Seconds without input after which the publisher calls it idle.
    pub threshold: Option<u32>,
}

/// An element this library gives no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its namespace.
    pub namespace: String,
    /// Its local name.
    pub name: String,
    /// Its text, children's text included, trimmed.
    pub text: String,
}
