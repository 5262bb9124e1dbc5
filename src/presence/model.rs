//! The presence data model (RFC 4479): a presentity has services (tuples), at most one person, and devices, each with
//! attributes of RPID (RFC 4480), timed status (RFC 4481), CIPID (RFC 4482) and capabilities (RFC 5196).

pub use super::vocabulary::AttributeName;
use crate::time::Instant;

/// A presence document (RFC 3863 §4.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whose presence it is: the `entity` attribute, empty if it was missing.
    pub entity: String,
    /// Services, in document order.
    pub tuples: Vec<Component>,
    /// Persons; more than one means ambiguity (RFC 4479 §3.2).
    pub persons: Vec<Component>,
    /// Devices.
    pub devices: Vec<Component>,
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

/// A service of the presentity (`tuple`, RFC 3863 §4.1.2), the human being (`person`, RFC 4479 §3.2) or a physical device
/// (`device`, RFC 4479 §3.4): which one, the list says that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// Unique in the document; empty if it was missing.
    pub id: String,
    /// Of a service: `open`, `closed`, or nothing said.
    pub basic: Option<Basic>,
    /// Of a service: how it is reached.
    pub contact: Option<Contact>,
    /// Of a device its own URN; of a service the devices it runs on (RFC 4480 §3.4).
    pub device_ids: Vec<String>,
    /// What is said of it, in document order. An attribute may stand several times, for different times.
    pub attributes: Vec<Attribute>,
    /// RPID user-input.
    pub user_input: Option<UserInput>,
    /// Human-readable notes.
    pub notes: Vec<Note>,
    /// When this was true.
    pub timestamp: Option<Instant>,
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

/// A presence attribute (RFC 4479 §3.6): activities, mood, homepage, methods, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Which one.
    pub name: AttributeName,
    /// Its text, of an attribute that is text: a URI, minutes, a boolean; of `sphere` one that is no token.
    pub text: Option<Note>,
    /// Its values, of an attribute that is a choice of tokens.
    pub values: Vec<Value>,
    /// Start of the time for which it holds.
    pub from: Option<Instant>,
    /// End of that time.
    pub until: Option<Instant>,
    /// Notes inside it; of time-offset its description.
    pub notes: Vec<Note>,
    /// The basic status that a timed status announces.
    pub basic: Option<Basic>,
}

impl Attribute {
    /// An attribute about which nothing is said yet.
    #[must_use]
    pub const fn new(name: AttributeName) -> Self {
        Self { name, text: None, values: Vec::new(), from: None, until: None, notes: Vec::new(), basic: None }
    }
}

/// One value of an attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The token: `busy`, `happy`, `INVITE`, …; of place-is the medium.
    pub name: String,
    /// The namespace of a token that is not of the attribute's own vocabulary; else empty.
    pub namespace: String,
    /// The text of `other`; of place-is how the place is for the medium; of the capability `priority` its numbers.
    pub text: String,
    /// Of a capability: it is expressly not supported.
    pub excluded: bool,
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
