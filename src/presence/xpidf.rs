//! Documents from before PIDF: `application/xpidf+xml`, and what is sent as `application/cpim-pidf+xml`, read into the
//! model, so that the status rule applies.
//!
//! ```text
//!   <presence>
//!     <presentity uri="sip:bob@example.com;method=SUBSCRIBE"/>
//!     <atom id="…"> <address uri="sip:bob@…" priority="0.800000">
//!       <status status="open | inuse | closed | inactive"/>
//!       <msnsubstatus substatus="online | away | busy | onthephone | …"/>
//! ```
//!
//! Asterisk sends this under both names, FreeSWITCH to Polycom phones and with a DOCTYPE; others send PIDF in the namespace
//! of its drafts under the second. A DOCTYPE that only names an external subset is passed over, one that declares
//! anything is refused. May use: `pidf`, `xml`.

use super::pidf::{self, Limits};
use super::vocabulary::is_one_of;
use super::xml::{self, Element};
use super::{
    Attribute, AttributeName, Basic, Component, Contact, DocumentError, Presence, UserInput, Value, Warning,
};

/// The media type of Lucent's format.
pub const XPIDF: &str = "application/xpidf+xml";
/// The media type of the drafts of PIDF.
pub const CPIM_PIDF: &str = "application/cpim-pidf+xml";

/// Reads a document of either type.
///
/// # Errors
/// [`DocumentError`]: nothing could be read.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<(Presence, Vec<Warning>), DocumentError> {
    let mut warnings = Vec::new();
    let root = xml::read_old(bytes, limits, &mut warnings)?;
    if root.name != "presence" || !root.elements().any(|child| matches!(child.name, "presentity" | "atom")) {
        pidf::check_root(&root, &mut warnings)?;
        let presence = pidf::from_tree(&root, &mut warnings);
        return Ok((presence, warnings));
    }
    let mut presence = Presence::default();
    for child in root.elements() {
        match child.name {
            "presentity" => {
                let uri = child.attribute("uri").unwrap_or_default();
                let end = uri.as_bytes().windows(8).position(|text| text == b";method=").unwrap_or(uri.len());
                presence.entity = uri.get(..end).unwrap_or_default().to_owned();
            }
            "atom" => {
                let id = child.attribute("id").or_else(|| child.attribute("atomid")).unwrap_or_default();
                let addresses = child.elements().filter(|child| child.name == "address");
                presence.tuples.extend(addresses.map(|address| tuple(id.clone(), address)));
            }
            _ => {}
        }
    }
    if presence.entity.is_empty() {
        warnings.push(Warning::NoEntity);
    }
    Ok((presence, warnings))
}

fn tuple(id: String, address: &Element<'_>) -> Component {
    let priority = address.attribute("priority");
    // Six decimals are usual.
    let priority = priority.as_deref().and_then(|text| pidf::priority(text.get(..5).unwrap_or(text)));
    let contact = address.attribute("uri").map(|uri| Contact { uri, priority });
    let mut tuple = Component { id, contact, ..Component::default() };
    for child in address.elements() {
        let word = |name| child.attribute(name).unwrap_or_default().to_ascii_lowercase();
        match child.name {
            "status" => {
                let word = word("status");
                tuple.basic = match word.as_str() {
                    "open" | "inuse" | "inactive" => Some(Basic::Open),
                    "closed" => Some(Basic::Closed),
                    _ => None,
                };
                if word == "inuse" || word == "inactive" {
                    say(&mut tuple, &word);
                }
            }
            "msnsubstatus" => say(&mut tuple, &word("substatus")),
            _ => {}
        }
    }
    tuple
}

/// Words of clients, the activity of RPID that they mean, and its text.
const ACTIVITIES: &[(&str, &str, &str)] = &[
    ("inuse onthephone on-the-phone", "on-the-phone", ""),
    ("away berightback brb", "away", ""),
    ("busy", "busy", ""),
    ("outtolunch", "lunch", ""),
    ("dnd donotdisturb do-not-disturb", "other", "do-not-disturb"),
];

/// Adds what `word` says to `tuple`.
fn say(tuple: &mut Component, word: &str) {
    if word.is_empty() || is_one_of(word, "online offline appearoffline") {
        return;
    }
    if is_one_of(word, "inactive idle") {
        tuple.user_input = Some(UserInput { idle: true, last_input: None, threshold: None });
        return;
    }
    let known = ACTIVITIES.iter().find(|(words, _, _)| is_one_of(word, words));
    let (name, text) = known.map_or(("other", word), |(_, name, text)| (*name, *text));
    let value = Value { name: name.to_owned(), text: text.to_owned(), ..Value::default() };
    match tuple.attributes.first_mut() {
        Some(activities) if activities.values.contains(&value) => {}
        Some(activities) => activities.values.push(value),
        None => {
            let mut activities = Attribute::new(AttributeName::ACTIVITIES);
            activities.values.push(value);
            tuple.attributes.push(activities);
        }
    }
}
