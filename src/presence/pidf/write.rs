//! The model to a document that every known server and client reads: default namespace PIDF, prefixes literally
//! `dm:` and `rpid:`, elements in the order of the schema, all text escaped, no `mustUnderstand`.

use super::timestamp;
use crate::decimal::decimal;
use crate::pieces::pieces;
use crate::presence::model::{
    Attribute, AttributeName, Basic, Component, Extension, Note, Presence, UserInput, Value,
};
use crate::presence::vocabulary::{Shape, Vocabulary};
use crate::time::Instant;

/// Writes a document.
#[must_use]
pub fn write(presence: &Presence) -> String {
    let mut out = Writer { text: String::with_capacity(1024), path: Vec::new() };
    out.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.open("presence");
    // Readers in the field know these prefixes, not their namespaces.
    out.namespace(Vocabulary::Pidf);
    out.namespace(Vocabulary::DataModel);
    out.namespace(Vocabulary::Rpid);
    out.attribute("entity", &presence.entity);
    for tuple in &presence.tuples {
        out.tuple(tuple);
    }
    out.notes("note", &presence.notes);
    for person in &presence.persons {
        out.component("dm:person", person);
    }
    for device in &presence.devices {
        out.component("dm:device", device);
    }
    out.extensions(&presence.extensions);
    out.close();
    out.text
}

struct Writer {
    text: String,
    /// Prefix and name of the open elements, and whether the start tag has its end.
    path: Vec<(&'static str, &'static str, bool)>,
}

impl Writer {
    fn open(&mut self, name: &'static str) {
        self.open_named("", name);
    }

    fn open_named(&mut self, prefix: &'static str, name: &'static str) {
        self.end_tag();
        self.text.push('<');
        self.name(prefix, name);
        self.path.push((prefix, name, false));
    }

    fn name(&mut self, prefix: &str, name: &str) {
        if !prefix.is_empty() {
            self.text.push_str(prefix);
            self.text.push(':');
        }
        self.text.push_str(name);
    }

    /// Ends the start tag of the innermost element if it is still open.
    fn end_tag(&mut self) {
        if let Some((_, _, ended)) = self.path.last_mut().filter(|(_, _, ended)| !*ended) {
            *ended = true;
            self.text.push('>');
        }
    }

    fn close(&mut self) {
        let Some((prefix, name, ended)) = self.path.pop() else { return };
        if ended {
            self.text.push_str("</");
            self.name(prefix, name);
            self.text.push('>');
        } else {
            self.text.push_str("/>");
        }
    }

    fn namespace(&mut self, vocabulary: Vocabulary) {
        let (prefix, name) = vocabulary.prefix();
        self.text.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
        self.text.push_str(prefix);
        self.text.push_str("=\"urn:ietf:params:xml:ns:");
        self.text.push_str(name);
        self.text.push('"');
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        escape(value, &mut self.text);
        self.text.push('"');
    }

    fn content(&mut self, text: &str) {
        self.end_tag();
        escape(text, &mut self.text);
    }

    fn leaf(&mut self, name: &'static str, text: &str) {
        self.open(name);
        self.content(text);
        self.close();
    }

    fn tuple(&mut self, tuple: &Component) {
        self.open("tuple");
        self.attribute("id", &tuple.id);
        self.open("status");
        self.basic("basic", tuple.basic);
        self.close();
        self.said(tuple);
        for id in &tuple.device_ids {
            self.leaf("dm:deviceID", id);
        }
        if let Some(contact) = &tuple.contact {
            self.open("contact");
            if let Some(priority) = contact.priority {
                self.attribute("priority", &fraction(priority));
            }
            self.content(&contact.uri);
            self.close();
        }
        self.notes("note", &tuple.notes);
        self.time("timestamp", tuple.timestamp);
        self.close();
    }

    /// A person or a device.
    fn component(&mut self, name: &'static str, component: &Component) {
        self.open(name);
        self.attribute("id", &component.id);
        self.said(component);
        for id in &component.device_ids {
            self.leaf("dm:deviceID", id);
        }
        self.notes("dm:note", &component.notes);
        self.time("dm:timestamp", component.timestamp);
        self.close();
    }

    fn basic(&mut self, name: &'static str, basic: Option<Basic>) {
        match basic {
            Some(Basic::Open) => self.leaf(name, "open"),
            Some(Basic::Closed) => self.leaf(name, "closed"),
            None => {}
        }
    }

    /// Attributes, user input and extensions.
    fn said(&mut self, component: &Component) {
        let is_capability = |a: &&Attribute| a.name.vocabulary() == Vocabulary::Caps;
        for attribute in component.attributes.iter().filter(|a| !is_capability(a)) {
            self.presence_attribute(attribute);
        }
        self.user_input(component.user_input.as_ref());
        if component.attributes.iter().any(|attribute| is_capability(&attribute)) {
            let of_device = self.path.last().is_some_and(|(_, name, _)| *name == "dm:device");
            self.open(if of_device { "caps:devcaps" } else { "caps:servcaps" });
            self.namespace(Vocabulary::Caps);
            // In the order of their schema, which is that of the list of all.
            for name in AttributeName::all().filter(|name| name.vocabulary() == Vocabulary::Caps) {
                for attribute in component.attributes.iter().filter(|attribute| attribute.name == name) {
                    self.presence_attribute(attribute);
                }
            }
            self.close();
        }
        self.extensions(&component.extensions);
    }

    fn presence_attribute(&mut self, attribute: &Attribute) {
        let name = attribute.name;
        if attribute.text.is_none() && attribute.values.is_empty() && name.shape() != Shape::Timed {
            return;
        }
        let vocabulary = name.vocabulary();
        if vocabulary == Vocabulary::Other {
            // Ours to read, not to write.
            return;
        }
        let prefix = vocabulary.prefix().0;
        self.open_named(prefix, name.as_str());
        let places = if name == AttributeName::PLACE_TYPE { Vocabulary::Places } else { Vocabulary::Rpid };
        if let Vocabulary::Timed | Vocabulary::Cipid = vocabulary {
            self.namespace(vocabulary);
        } else if places == Vocabulary::Places {
            self.namespace(places);
        }
        for (name, at) in [("from", attribute.from), ("until", attribute.until)] {
            if let Some(at) = at {
                self.attribute(name, &timestamp::write(at));
            }
        }
        match name.shape() {
            Shape::Text => {
                if let (AttributeName::TIME_OFFSET, Some(note)) = (name, attribute.notes.first()) {
                    self.attribute("description", &note.text);
                }
            }
            Shape::Timed => {
                self.basic("ts:basic", attribute.basic);
                self.notes("ts:note", &attribute.notes);
                if !attribute.values.is_empty() {
                    self.open("rpid:activities");
                    self.values("rpid", &attribute.values, &|_| true);
                    self.close();
                }
            }
            Shape::Tokens => {
                self.notes("rpid:note", &attribute.notes);
                // Privacy has an order.
                let media: &[&str] =
                    if name.as_str() == "privacy" { &["audio", "text", "video"] } else { &[] };
                for medium in media {
                    self.values(places.prefix().0, &attribute.values, &|name| name == *medium);
                }
                self.values(places.prefix().0, &attribute.values, &|name| !media.contains(&name));
            }
            Shape::Media => {
                self.notes("rpid:note", &attribute.notes);
                for medium in &["audio", "video", "text"] {
                    if let Some(value) = attribute.values.iter().find(|value| value.name == *medium) {
                        self.open_named(prefix, medium);
                        self.empty(prefix, &value.text);
                        self.close();
                    }
                }
            }
            Shape::Supported | Shape::SupportedTexts(_) => {
                for (element, excluded) in [("caps:supported", false), ("caps:notsupported", true)] {
                    if attribute.values.iter().any(|value| value.excluded == excluded) {
                        self.open(element);
                        for value in &attribute.values {
                            if value.excluded == excluded {
                                self.capability(name.shape(), value);
                            }
                        }
                        self.close();
                    }
                }
            }
        }
        if let Some(text) = &attribute.text {
            if let Some(lang) = text.lang.as_deref().filter(|_| name.as_str() == "description") {
                self.attribute("xml:lang", lang);
            }
            self.content(&text.text);
        }
        self.close();
    }

    fn values(&mut self, prefix: &'static str, values: &[Value], wanted: &dyn Fn(&str) -> bool) {
        for value in values.iter().filter(|value| wanted(&value.name)) {
            self.end_tag();
            if !value.namespace.is_empty() {
                self.foreign(&value.namespace, &value.name, "");
            } else if value.name == "other" {
                self.leaf("rpid:other", &value.text);
            } else if is_name(&value.name) {
                self.empty(prefix, &value.name);
            } else {
                self.leaf("rpid:other", &value.name);
            }
        }
    }

    fn capability(&mut self, shape: Shape, value: &Value) {
        if let Shape::SupportedTexts(item) = shape {
            self.open_named("caps", item);
            self.content(&value.name);
            self.close();
            return;
        }
        if !is_name(&value.name) {
            return;
        }
        self.end_tag();
        self.text.push_str("<caps:");
        self.text.push_str(&value.name);
        let mut numbers = pieces(&value.text, b' ').filter(|number| !number.is_empty());
        let names: &[&str] = match value.name.as_str() {
            "lowerthan" => &["maxvalue"],
            "higherthan" | "higherhan" => &["minvalue"],
            "range" => &["minvalue", "maxvalue"],
            "equals" => &["value"],
            _ => &[],
        };
        for name in names {
            self.attribute(name, numbers.next().unwrap_or_default());
        }
        self.text.push_str("/>");
    }

    /// An empty element, if XML allows its name.
    fn empty(&mut self, prefix: &'static str, name: &str) {
        if is_name(name) {
            self.end_tag();
            self.text.push('<');
            self.name(prefix, name);
            self.text.push_str("/>");
        }
    }

    fn user_input(&mut self, input: Option<&UserInput>) {
        let Some(input) = input else { return };
        self.open("rpid:user-input");
        if let Some(threshold) = input.threshold {
            self.attribute("idle-threshold", &decimal(threshold.into()));
        }
        if let Some(at) = input.last_input {
            self.attribute("last-input", &timestamp::write(at));
        }
        self.content(if input.idle { "idle" } else { "active" });
        self.close();
    }

    fn notes(&mut self, name: &'static str, notes: &[Note]) {
        for note in notes {
            self.note(name, note);
        }
    }

    fn note(&mut self, name: &'static str, note: &Note) {
        self.open(name);
        if let Some(lang) = &note.lang {
            self.attribute("xml:lang", lang);
        }
        self.content(&note.text);
        self.close();
    }

    fn time(&mut self, name: &'static str, at: Option<Instant>) {
        if let Some(at) = at {
            self.leaf(name, &timestamp::write(at));
        }
    }

    fn extensions(&mut self, extensions: &[Extension]) {
        for extension in extensions {
            self.end_tag();
            self.foreign(&extension.namespace, &extension.name, &extension.text);
        }
    }

    /// An element of any namespace; one whose name XML does not allow is left out.
    fn foreign(&mut self, namespace: &str, name: &str, text: &str) {
        if !is_name(name) {
            return;
        }
        self.text.push('<');
        self.text.push_str(name);
        self.attribute("xmlns", namespace);
        self.text.push('>');
        escape(text, &mut self.text);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }
}

/// Whether `name` can be the local name of an element; the ASCII part of XML's rule.
fn is_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Text as content or attribute value. Characters that XML forbids are left out (XML 1.0 §2.2).
pub(in crate::presence) fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&apos;"),
            '\r' => into.push_str("&#13;"),
            '\n' => into.push_str("&#10;"),
            '\t' => into.push_str("&#9;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            _ => into.push(c),
        }
    }
}

fn fraction(thousandths: u16) -> String {
    let thousandths = thousandths.min(1000);
    let mut text = String::from(if thousandths == 1000 { "1" } else { "0" });
    let mut rest = thousandths % 1000;
    if rest > 0 {
        text.push('.');
    }
    while rest > 0 {
        text.push_str(&decimal((rest / 100).into()));
        rest = rest % 100 * 10;
    }
    text
}
