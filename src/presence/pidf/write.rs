//! The model to a document that every known server and client reads: default namespace PIDF, prefixes literally
//! `dm:` and `rpid:`, elements in the order of the schema, all text escaped, no `mustUnderstand`.

use super::{DM_NS, PIDF_NS, RPID_NS, timestamp};
use crate::presence::model::{Activity, Basic, Device, Extension, Note, Person, Presence, Tuple, UserInput};
use crate::time::Instant;

/// Writes a document.
#[must_use]
pub fn write(presence: &Presence) -> String {
    let mut out = Writer { text: String::with_capacity(1024), path: Vec::new() };
    out.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.open("presence");
    for (name, namespace) in [("xmlns", PIDF_NS), ("xmlns:dm", DM_NS), ("xmlns:rpid", RPID_NS)] {
        out.attribute(name, namespace);
    }
    out.attribute("entity", &presence.entity);
    for tuple in &presence.tuples {
        out.tuple(tuple);
    }
    out.notes("note", &presence.notes);
    for person in &presence.persons {
        out.person(person);
    }
    for device in &presence.devices {
        out.device(device);
    }
    out.extensions(&presence.extensions);
    out.close();
    out.text
}

struct Writer {
    text: String,
    path: Vec<(&'static str, bool)>,
}

impl Writer {
    fn open(&mut self, name: &'static str) {
        self.end_tag();
        self.text.push('<');
        self.text.push_str(name);
        self.path.push((name, false));
    }

    /// Ends the start tag of the innermost element if it is still open.
    fn end_tag(&mut self) {
        if let Some((_, ended)) = self.path.last_mut().filter(|(_, ended)| !*ended) {
            *ended = true;
            self.text.push('>');
        }
    }

    fn close(&mut self) {
        let Some((name, ended)) = self.path.pop() else { return };
        if ended {
            self.text.push_str("</");
            self.text.push_str(name);
            self.text.push('>');
        } else {
            self.text.push_str("/>");
        }
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

    fn tuple(&mut self, tuple: &Tuple) {
        self.open("tuple");
        self.attribute("id", &tuple.id);
        self.open("status");
        match tuple.basic {
            Some(Basic::Open) => self.leaf("basic", "open"),
            Some(Basic::Closed) => self.leaf("basic", "closed"),
            None => {}
        }
        self.close();
        self.activities(&tuple.activities);
        self.user_input(tuple.user_input.as_ref());
        for id in &tuple.device_ids {
            self.leaf("dm:deviceID", id);
        }
        self.extensions(&tuple.extensions);
        if let Some(contact) = &tuple.contact {
            self.open("contact");
            if let Some(priority) = contact.priority {
                self.attribute("priority", &decimal(priority));
            }
            self.content(&contact.uri);
            self.close();
        }
        self.notes("note", &tuple.notes);
        self.time("timestamp", tuple.timestamp);
        self.close();
    }

    fn person(&mut self, person: &Person) {
        self.open("dm:person");
        self.attribute("id", &person.id);
        self.activities(&person.activities);
        self.user_input(person.user_input.as_ref());
        self.extensions(&person.extensions);
        self.notes("dm:note", &person.notes);
        self.time("dm:timestamp", person.timestamp);
        self.close();
    }

    fn device(&mut self, device: &Device) {
        self.open("dm:device");
        self.attribute("id", &device.id);
        self.user_input(device.user_input.as_ref());
        self.extensions(&device.extensions);
        if let Some(id) = &device.device_id {
            self.leaf("dm:deviceID", id);
        }
        self.notes("dm:note", &device.notes);
        self.time("dm:timestamp", device.timestamp);
        self.close();
    }

    /// One `activities` element for each run of activities that share their time and note.
    fn activities(&mut self, activities: &[Activity]) {
        let same = |a: &Activity, b: &Activity| a.from == b.from && a.until == b.until && a.note == b.note;
        for run in activities.chunk_by(same) {
            let Some(first) = run.first() else { continue };
            self.open("rpid:activities");
            for (name, at) in [("from", first.from), ("until", first.until)] {
                if let Some(at) = at {
                    self.attribute(name, &timestamp::write(at));
                }
            }
            if let Some(note) = &first.note {
                self.note("rpid:note", note);
            }
            for activity in run {
                self.activity(activity);
            }
            self.close();
        }
    }

    fn activity(&mut self, activity: &Activity) {
        self.end_tag();
        match &activity.other {
            Some(text) if activity.name == "other" => self.leaf("rpid:other", text),
            Some(namespace) => self.foreign(namespace, &activity.name, ""),
            None if is_name(&activity.name) => {
                self.text.push_str("<rpid:");
                self.text.push_str(&activity.name);
                self.text.push_str("/>");
            }
            None => self.leaf("rpid:other", &activity.name),
        }
    }

    fn user_input(&mut self, input: Option<&UserInput>) {
        let Some(input) = input else { return };
        self.open("rpid:user-input");
        if let Some(threshold) = input.threshold {
            self.attribute("idle-threshold", &threshold.to_string());
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
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
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

fn decimal(thousandths: u16) -> String {
    let thousandths = thousandths.min(1000);
    let mut text = (thousandths / 1000).to_string();
    let rest = thousandths % 1000;
    if rest > 0 {
        text.push('.');
        for weight in [100, 10, 1] {
            text.push(char::from(b'0' + u8::try_from(rest / weight % 10).unwrap_or(0)));
        }
        while text.ends_with('0') {
            text.pop();
        }
    }
    text
}
