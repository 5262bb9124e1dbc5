//! The tree of a document to the values of the model, in any order of elements, whatever prefixes it uses.

use super::tree::{self, Element};
use super::{DM_NS, Limits, PIDF_NS, RPID_NS, timestamp};
use crate::presence::model::{
    Activity, Basic, Contact, Device, Extension, Note, Person, Presence, Tuple, UserInput,
};
use crate::presence::{DocumentError, Warning};
use crate::time::Instant;
use litemap::LiteMap;

/// A note of `activities` is copied to so many of them: a small document must not become a large one.
const MOST_COPIES: usize = 32;

/// Reads a document: strictly, and where that fails laxly with a warning (never a DOCTYPE, never an entity but XML's
/// five and character references; the declared encoding is ignored, SIP bodies are UTF-8).
///
/// # Errors
/// [`DocumentError`]: nothing could be read.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<(Presence, Vec<Warning>), DocumentError> {
    let mut warnings = Vec::new();
    let root = tree::read(bytes, limits, &mut warnings)?;
    let presence = Documents { warnings: &mut warnings }.presence(&root)?;
    Ok((presence, warnings))
}

/// Which vocabulary an element belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vocabulary {
    Pidf,
    DataModel,
    Rpid,
    Other,
}

fn vocabulary(namespace: &str) -> Vocabulary {
    match namespace {
        // RFC 3863 §4.1.1 prints a trailing colon once; no namespace at all is read with a warning.
        PIDF_NS | "urn:ietf:params:xml:ns:pidf:" | "" => Vocabulary::Pidf,
        DM_NS | "urn:ietf:params:xml:ns:pidf:person" | "dm" => Vocabulary::DataModel,
        RPID_NS
        | "urn:ietf:params:xml:ns:pidf:rpid:rpid-person"
        | "urn:ietf:params:xml:ns:pidf:status:rpid"
        | "urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status"
        | "urn:ietf:params:xml:ns:pidf:rpid:rpid-status"
        | "rpid" => Vocabulary::Rpid,
        _ => Vocabulary::Other,
    }
}

struct Documents<'a> {
    warnings: &'a mut Vec<Warning>,
}

impl Documents<'_> {
    fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn presence(&mut self, root: &Element) -> Result<Presence, DocumentError> {
        if root.name != "presence" || vocabulary(&root.namespace) != Vocabulary::Pidf {
            return Err(DocumentError::Root);
        }
        if root.namespace != PIDF_NS {
            self.warn(Warning::Namespace);
        }
        let mut presence = Presence {
            entity: root.attribute("entity").unwrap_or_default().trim().to_owned(),
            ..Presence::default()
        };
        if presence.entity.is_empty() {
            self.warn(Warning::NoEntity);
        }
        for child in &root.children {
            match (vocabulary(&child.namespace), child.name.as_str()) {
                (Vocabulary::Pidf, "tuple") => presence.tuples.push(self.tuple(child)),
                (Vocabulary::Pidf | Vocabulary::DataModel, "note") => presence.notes.push(note(child)),
                (Vocabulary::DataModel, "person") => presence.persons.push(self.person(child)),
                (Vocabulary::DataModel, "device") => presence.devices.push(self.device(child)),
                (Vocabulary::Pidf | Vocabulary::DataModel | Vocabulary::Rpid | Vocabulary::Other, _) => {
                    presence.extensions.push(extension(child));
                }
            }
        }
        self.check_ids(presence.tuples.iter().map(|tuple| tuple.id.as_str()));
        self.check_ids(presence.persons.iter().map(|person| person.id.as_str()));
        Ok(presence)
    }

    fn check_ids<'i>(&mut self, mut ids: impl Iterator<Item = &'i str>) {
        let mut seen = LiteMap::new_vec();
        if !ids.all(|id| !id.is_empty() && seen.insert(id, ()).is_none()) {
            self.warn(Warning::Id);
        }
    }

    fn tuple(&mut self, element: &Element) -> Tuple {
        let mut tuple =
            Tuple { id: element.attribute("id").unwrap_or_default().to_owned(), ..Tuple::default() };
        for child in &element.children {
            match (vocabulary(&child.namespace), child.name.as_str()) {
                (Vocabulary::Pidf, "status") => self.status(child, &mut tuple),
                (Vocabulary::Pidf, "contact") => tuple.contact = Some(self.contact(child)),
                (Vocabulary::Pidf | Vocabulary::DataModel, "note") => tuple.notes.push(note(child)),
                (Vocabulary::Pidf, "timestamp") => {
                    tuple.timestamp = self.time(&child.all_text(), "timestamp")
                }
                (Vocabulary::Rpid, "activities") => self.activities(child, &mut tuple.activities),
                (Vocabulary::Rpid, "user-input") => tuple.user_input = Some(self.user_input(child)),
                (Vocabulary::DataModel, "deviceID") => tuple.device_ids.push(child.all_text()),
                (Vocabulary::Pidf | Vocabulary::DataModel | Vocabulary::Rpid | Vocabulary::Other, _) => {
                    tuple.extensions.push(extension(child));
                }
            }
        }
        tuple
    }

    fn status(&mut self, element: &Element, tuple: &mut Tuple) {
        for child in &element.children {
            match (vocabulary(&child.namespace), child.name.as_str()) {
                (Vocabulary::Pidf, "basic") => {
                    tuple.basic = match child.all_text().as_str() {
                        "open" => Some(Basic::Open),
                        "closed" => Some(Basic::Closed),
                        _ => {
                            self.warn(Warning::Value("basic"));
                            None
                        }
                    };
                }
                (Vocabulary::Rpid, "activities") => self.activities(child, &mut tuple.activities),
                (_, "digium_presence") => {
                    let attribute = |name| child.attribute(name).unwrap_or_default().to_owned();
                    tuple.digium = Some((attribute("type"), attribute("subtype"), child.all_text()));
                }
                (Vocabulary::Pidf | Vocabulary::DataModel | Vocabulary::Rpid | Vocabulary::Other, _) => {
                    if is_understood(child) {
                        tuple.extensions.push(extension(child));
                    }
                }
            }
        }
    }

    fn contact(&mut self, element: &Element) -> Contact {
        let priority = element.attribute("priority").and_then(|text| {
            let priority = priority(text.trim());
            if priority.is_none() {
                self.warn(Warning::Value("priority"));
            }
            priority
        });
        Contact { uri: element.all_text(), priority }
    }

    fn person(&mut self, element: &Element) -> Person {
        let mut person =
            Person { id: element.attribute("id").unwrap_or_default().to_owned(), ..Person::default() };
        for child in &element.children {
            match (vocabulary(&child.namespace), child.name.as_str()) {
                (Vocabulary::Rpid, "activities") => self.activities(child, &mut person.activities),
                (Vocabulary::Rpid, "user-input") => person.user_input = Some(self.user_input(child)),
                (Vocabulary::DataModel | Vocabulary::Pidf, "note") => person.notes.push(note(child)),
                (Vocabulary::DataModel | Vocabulary::Pidf, "timestamp") => {
                    person.timestamp = self.time(&child.all_text(), "timestamp");
                }
                // Asterisk and FreeSWITCH put activities of chan_sip's days straight under the person.
                (
                    Vocabulary::DataModel | Vocabulary::Pidf | Vocabulary::Rpid | Vocabulary::Other,
                    "status",
                ) => {
                    for inner in &child.children {
                        if vocabulary(&inner.namespace) == Vocabulary::Rpid && inner.name == "activities" {
                            self.activities(inner, &mut person.activities);
                        }
                    }
                }
                (Vocabulary::Pidf | Vocabulary::DataModel | Vocabulary::Rpid | Vocabulary::Other, _) => {
                    person.extensions.push(extension(child));
                }
            }
        }
        person
    }

    fn device(&mut self, element: &Element) -> Device {
        let mut device =
            Device { id: element.attribute("id").unwrap_or_default().to_owned(), ..Device::default() };
        for child in &element.children {
            match (vocabulary(&child.namespace), child.name.as_str()) {
                (Vocabulary::DataModel, "deviceID") => device.device_id = Some(child.all_text()),
                (Vocabulary::Rpid, "user-input") => device.user_input = Some(self.user_input(child)),
                (Vocabulary::DataModel | Vocabulary::Pidf, "note") => device.notes.push(note(child)),
                (Vocabulary::DataModel | Vocabulary::Pidf, "timestamp") => {
                    device.timestamp = self.time(&child.all_text(), "timestamp");
                }
                (Vocabulary::Pidf | Vocabulary::DataModel | Vocabulary::Rpid | Vocabulary::Other, _) => {
                    device.extensions.push(extension(child));
                }
            }
        }
        device
    }

    /// `activities` with its `from` and `until`; several of them are read one after the other (RFC 4480 §3.2).
    fn activities(&mut self, element: &Element, into: &mut Vec<Activity>) {
        let from = element.attribute("from").and_then(|text| self.time(text, "from"));
        let until = element.attribute("until").and_then(|text| self.time(text, "until"));
        let is_note =
            |child: &Element| child.name == "note" && vocabulary(&child.namespace) != Vocabulary::Other;
        let mut notes = element.children.iter().filter(|child| is_note(child)).map(note);
        let shared = notes.next();
        for (count, child) in element.children.iter().filter(|child| !is_note(child)).enumerate() {
            let own = vocabulary(&child.namespace) == Vocabulary::Rpid;
            let other = if !own {
                Some(child.namespace.clone())
            } else if child.name == "other" {
                Some(child.all_text())
            } else {
                None
            };
            let note = shared.as_ref().filter(|_| count < MOST_COPIES).cloned();
            into.push(Activity { name: child.name.clone(), other, from, until, note });
        }
    }

    fn user_input(&mut self, element: &Element) -> UserInput {
        UserInput {
            idle: element.all_text() == "idle",
            last_input: element.attribute("last-input").and_then(|text| self.time(text, "last-input")),
            threshold: element.attribute("idle-threshold").and_then(|text| text.trim().parse().ok()),
        }
    }

    /// A time of RFC 3339. One without an offset is taken for UTC.
    fn time(&mut self, text: &str, element: &'static str) -> Option<Instant> {
        let (at, has_offset) = timestamp::read(text.trim()).unzip();
        if has_offset != Some(true) {
            self.warn(Warning::Value(element));
        }
        at
    }
}

/// An extension of `status` that must be understood and is not, is not processed (RFC 3863 §4.2.3).
fn is_understood(element: &Element) -> bool {
    let demands = |element: &Element| {
        element.attributes.iter().any(|attribute| {
            attribute.name == "mustUnderstand" && matches!(attribute.value.trim(), "true" | "1")
        })
    };
    !demands(element) && !element.children.iter().any(demands)
}

fn note(element: &Element) -> Note {
    Note { lang: element.lang.clone(), text: element.all_text() }
}

fn extension(element: &Element) -> Extension {
    Extension { namespace: element.namespace.clone(), name: element.name.clone(), text: element.all_text() }
}

/// `qvalue` in thousandths: 0 to 1 with at most three decimals (RFC 3863 §4.1.5).
fn priority(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut thousandths: u16 = match whole {
        "0" | "" => 0,
        "1" => 1000,
        _ => return None,
    };
    let mut weight = 100;
    for digit in decimals.bytes() {
        thousandths += u16::from(digit - b'0') * weight;
        weight /= 10;
    }
    (thousandths <= 1000 && !text.is_empty() && text != ".").then_some(thousandths)
}
