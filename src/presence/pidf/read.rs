//! The tree of a document to the values of the model, in any order of elements, whatever prefixes it uses.

use super::{Limits, timestamp};
use crate::decimal::small_number;
use crate::pieces::cut;
use crate::presence::model::{
    Attribute, AttributeName, Basic, Component, Contact, Extension, Note, Presence, UserInput, Value,
};
use crate::presence::vocabulary::{Shape, Vocabulary};
use crate::presence::xml::{self, Element, unescaped};
use crate::presence::{DocumentError, Warning};
use crate::time::Instant;
use litemap::LiteMap;

/// Reads a document: strictly, and where that fails laxly with a warning (never a DOCTYPE, never an entity but XML's
/// five and character references; the declared encoding is ignored, SIP bodies are UTF-8).
///
/// # Errors
/// [`DocumentError`]: nothing could be read.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<(Presence, Vec<Warning>), DocumentError> {
    let mut warnings = Vec::new();
    let root = xml::read(bytes, limits, &mut warnings)?;
    check_root(&root, &mut warnings)?;
    let presence = from_tree(&root, &mut warnings);
    Ok((presence, warnings))
}

/// Whether `root` is the root of a PIDF document.
pub(in crate::presence) fn check_root(
    root: &Element<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(), DocumentError> {
    if root.name != "presence" || root.vocabulary != Vocabulary::Pidf {
        return Err(DocumentError::Root);
    }
    if root.namespace != "urn:ietf:params:xml:ns:pidf" {
        warnings.push(Warning::Namespace);
    }
    Ok(())
}

/// What a document says whose root this is, whatever it is called.
pub(in crate::presence) fn from_tree(root: &Element<'_>, warnings: &mut Vec<Warning>) -> Presence {
    Documents { warnings }.presence(root)
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

    fn presence(&mut self, root: &Element<'_>) -> Presence {
        let mut presence =
            Presence { entity: root.attribute("entity").unwrap_or_default(), ..Presence::default() };
        if presence.entity.is_empty() {
            self.warn(Warning::NoEntity);
        }
        for child in root.elements() {
            match (child.vocabulary, child.name) {
                (Vocabulary::Pidf, "tuple") => presence.tuples.push(self.component(child)),
                (Vocabulary::Pidf | Vocabulary::DataModel, "note") => presence.notes.push(note(child)),
                (Vocabulary::DataModel, "person") => presence.persons.push(self.component(child)),
                (Vocabulary::DataModel, "device") => presence.devices.push(self.component(child)),
                _ => presence.extensions.push(extension(child)),
            }
        }
        self.check_ids(&presence.tuples);
        self.check_ids(&presence.persons);
        presence
    }

    fn check_ids(&mut self, components: &[Component]) {
        let mut seen = LiteMap::new_vec();
        for component in components {
            let id = component.id.as_str();
            if id.is_empty() || seen.insert(id, ()).is_some() {
                self.warn(Warning::Id);
            }
        }
    }

    fn component(&mut self, element: &Element<'_>) -> Component {
        let mut component =
            Component { id: element.attribute("id").unwrap_or_default(), ..Component::default() };
        for child in element.elements() {
            self.child(child, false, &mut component);
        }
        component
    }

    /// What stands in a component, or in the `status` of one.
    fn child(&mut self, element: &Element<'_>, in_status: bool, component: &mut Component) {
        let vocabulary = element.vocabulary;
        match (vocabulary, element.name) {
            // Of a person it is from the days of Asterisk's chan_sip.
            (Vocabulary::Pidf | Vocabulary::DataModel | Vocabulary::Rpid, "status") if !in_status => {
                for child in element.elements() {
                    self.child(child, true, component);
                }
            }
            (Vocabulary::Pidf, "basic") => component.basic = self.basic(element),
            (Vocabulary::Pidf, "contact") => component.contact = Some(self.contact(element)),
            (Vocabulary::Pidf | Vocabulary::DataModel, "note") => component.notes.push(note(element)),
            (Vocabulary::Pidf | Vocabulary::DataModel, "timestamp") => {
                component.timestamp = self.time(&element.text(), "timestamp");
            }
            (Vocabulary::DataModel, "deviceID") => component.device_ids.push(element.text()),
            (Vocabulary::Rpid, "user-input") => component.user_input = Some(self.user_input(element)),
            (Vocabulary::Caps, "servcaps" | "devcaps") => {
                for child in element.elements() {
                    if let Some(name) = AttributeName::find(Vocabulary::Caps, child.name) {
                        component.attributes.push(self.attribute(child, name));
                    }
                }
            }
            // A capability stands inside of those; a timed status in no status (RFC 4481 §3).
            (Vocabulary::Caps, _) | (Vocabulary::Timed, _) if in_status || vocabulary == Vocabulary::Caps => {
            }
            (_, name) => {
                let known = if in_status && name == AttributeName::DIGIUM.as_str() {
                    // In whatever namespace stands around it.
                    Some(AttributeName::DIGIUM)
                } else {
                    AttributeName::find(vocabulary, name)
                };
                // One that must be understood and is not, is not processed (RFC 3863 §4.2.3).
                if in_status && (known.is_none() && demands(element) || element.elements().any(demands)) {
                    return;
                }
                match known {
                    Some(name) => component.attributes.push(self.attribute(element, name)),
                    None => component.extensions.push(extension(element)),
                }
            }
        }
    }

    fn basic(&mut self, element: &Element<'_>) -> Option<Basic> {
        match element.text().as_str() {
            "open" => Some(Basic::Open),
            "closed" => Some(Basic::Closed),
            _ => {
                self.warn(Warning::Value("basic"));
                None
            }
        }
    }

    fn contact(&mut self, element: &Element<'_>) -> Contact {
        let text = element.attribute("priority");
        let priority = text.as_deref().and_then(priority);
        if text.is_some() && priority.is_none() {
            self.warn(Warning::Value("priority"));
        }
        Contact { uri: element.text(), priority }
    }

    fn attribute(&mut self, element: &Element<'_>, name: AttributeName) -> Attribute {
        let mut attribute = Attribute::new(name);
        attribute.from = self.time_attribute(element, "from");
        attribute.until = self.time_attribute(element, "until");
        let shape = name.shape();
        if name == AttributeName::DIGIUM {
            let part = |name| element.attribute(name).unwrap_or_default();
            attribute.values.push(Value { name: part("type"), text: part("subtype"), ..Value::default() });
        }
        if name == AttributeName::TIME_OFFSET
            && let Some(text) = element.attribute("description")
        {
            attribute.notes.push(Note { lang: None, text });
        }
        for child in element.elements() {
            let vocabulary = child.vocabulary;
            let own = vocabulary != Vocabulary::Other;
            match (shape, child.name) {
                (Shape::Supported | Shape::SupportedTexts(_), word) => {
                    for item in child.elements() {
                        attribute.values.push(supported(item, word == "notsupported", shape));
                    }
                }
                (_, "note") if own => attribute.notes.push(note(child)),
                (Shape::Tokens, name) => {
                    let text = if own && name == "other" { child.text() } else { String::new() };
                    let namespace = if own { String::new() } else { unescaped(child.namespace) };
                    attribute.values.push(Value { name: name.to_owned(), namespace, text, excluded: false });
                }
                (Shape::Media, name) => {
                    let text = child.elements().next().map_or_else(|| child.text(), |e| e.name.to_owned());
                    attribute.values.push(Value { name: name.to_owned(), text, ..Value::default() });
                }
                (Shape::Timed, "basic") => attribute.basic = self.basic(child),
                (Shape::Timed, "activities") if vocabulary == Vocabulary::Rpid => {
                    attribute.values.append(&mut self.attribute(child, AttributeName::ACTIVITIES).values);
                }
                (Shape::Text | Shape::Timed, _) => {}
            }
        }
        // What is supported and not, is (RFC 5196 §4.1).
        if let Shape::Supported | Shape::SupportedTexts(_) = shape {
            let mut supported = Vec::new();
            for value in attribute.values.iter().filter(|value| !value.excluded) {
                supported.push(value.name.clone());
            }
            attribute.values.retain(|value| !value.excluded || !supported.contains(&value.name));
        } else if attribute.values.is_empty() || name == AttributeName::DIGIUM {
            attribute.text =
                Some(note(element)).filter(|note| shape != Shape::Timed && !note.text.is_empty());
        }
        attribute
    }

    fn user_input(&mut self, element: &Element<'_>) -> UserInput {
        UserInput {
            idle: element.text() == "idle",
            last_input: self.time_attribute(element, "last-input"),
            threshold: element.attribute("idle-threshold").and_then(|text| small_number(&text)),
        }
    }

    fn time_attribute(&mut self, element: &Element<'_>, name: &'static str) -> Option<Instant> {
        self.time(&element.attribute(name)?, name)
    }

    /// A time of RFC 3339. One without an offset is taken for UTC.
    fn time(&mut self, text: &str, element: &'static str) -> Option<Instant> {
        let (at, has_offset) = timestamp::read(text).unzip();
        if has_offset != Some(true) {
            self.warn(Warning::Value(element));
        }
        at
    }
}

/// A value of a capability.
fn supported(element: &Element<'_>, excluded: bool, shape: Shape) -> Value {
    let mut value = Value { name: element.name.to_owned(), excluded, ..Value::default() };
    if let Shape::SupportedTexts(_) = shape {
        value.name = element.text();
    }
    // Of priority: `range` has two of them.
    for number in &["minvalue", "maxvalue", "value"] {
        if let Some(number) = element.attribute(number) {
            if !value.text.is_empty() {
                value.text.push(' ');
            }
            value.text.push_str(&number);
        }
    }
    value
}

/// Whether `element` says that it must be understood.
fn demands(element: &Element<'_>) -> bool {
    let mut attributes = element.attributes.iter();
    attributes.any(|a| a.name == "mustUnderstand" && matches!(a.value.trim_ascii(), "true" | "1"))
}

fn note(element: &Element<'_>) -> Note {
    Note { lang: element.lang.map(unescaped), text: element.text() }
}

fn extension(element: &Element<'_>) -> Extension {
    Extension { namespace: unescaped(element.namespace), name: element.name.to_owned(), text: element.text() }
}

/// `qvalue` in thousandths: 0 to 1 with at most three decimals (RFC 3863 §4.1.5).
pub(in crate::presence) fn priority(text: &str) -> Option<u16> {
    let (whole, decimals) = cut(text, b'.').unwrap_or((text, ""));
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
