//! Dialog information: the calls of somebody (RFC 4235). Documents to values and back, the table that a watcher keeps, and
//! what a busy lamp shows.
//!
//! ```text
//!   full document ──────> the table is made anew
//!   partial document ───> dialogs changed and added; after a gap a refresh is wanted
//!   terminated dialog ──> not in the table any more
//! ```
//!
//! Servers leave much of the standard out; what they write is read: no namespace and a version with blanks (Kamailio),
//! `pvalue` for `pval` (FreeSWITCH), `display-name` for `display` (the schema). May use: `pidf`, `table`, `xml`.

use super::DocumentError;
use super::pidf::{Limits, escape};
use super::table::Version;
pub use super::table::{Head, Merged};
use super::xml::{self, Element, push_attribute};
use super::{Attribute, AttributeName, Basic, Component, Presence, Value};

/// The media type (RFC 4235 §6.1).
pub const DIALOG_INFO: &str = "application/dialog-info+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:dialog-info";

/// Dialogs of a table at most.
const MOST_DIALOGS: usize = 1_000;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogInfo {
    /// Its version, and whether it is full.
    pub head: Head,
    /// Whose dialogs: a URI, empty if it was missing.
    pub entity: String,
    /// In the order of the document.
    pub dialogs: Vec<Dialog>,
}

/// A dialog, or an attempt at one (RFC 4235 §4.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialog {
    /// Names it among all of the entity.
    pub id: String,
    /// Of the dialog identifier.
    pub call_id: Option<String>,
    /// Of the dialog identifier.
    pub local_tag: Option<String>,
    /// Of the dialog identifier.
    pub remote_tag: Option<String>,
    /// `initiator` or `recipient`: what the entity is.
    pub direction: Option<String>,
    /// `trying`, `proceeding`, `early`, `confirmed`, `terminated`, or a word that we do not know.
    pub state: String,
    /// What ended it: `cancelled`, `rejected`, `replaced`, `local-bye`, `remote-bye`, `error`, `timeout`.
    pub event: Option<String>,
    /// The status code that did it.
    pub code: Option<u16>,
    /// Seconds since it began.
    pub duration: Option<u64>,
    /// Call-ID, local and remote tag of the dialog that it replaced.
    pub replaces: Option<(String, String, String)>,
    /// Who had it made.
    pub referred_by: Option<Identity>,
    /// The route set.
    pub route_set: Vec<String>,
    /// The entity's side.
    pub local: Participant,
    /// The other side.
    pub remote: Participant,
}

/// A side of a dialog (RFC 4235 §4.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// Its addresses.
    pub identities: Vec<Identity>,
    /// The URI of its device, and the parameters of its Contact.
    pub target: Option<(String, Vec<(String, String)>)>,
    /// The type of its session description, and the description.
    pub session: Option<(String, String)>,
    /// Its CSeq.
    pub cseq: Option<u32>,
}

/// An address, with a name for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The URI.
    pub uri: String,
    /// The name.
    pub display: Option<String>,
}

/// Reads a document.
///
/// # Errors
/// [`DocumentError`]: it is no XML, another document, or a version or a state is missing.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<DialogInfo, DocumentError> {
    let root = xml::read(bytes, limits, &mut Vec::new())?;
    if root.name != "dialog-info" || !is_ours(&root) {
        return Err(DocumentError::Root);
    }
    let mut info = DialogInfo {
        head: Head::read(&root)?,
        entity: root.attribute("entity").unwrap_or_default(),
        dialogs: Vec::new(),
    };
    for child in root.elements().filter(|child| child.name == "dialog" && is_ours(child)) {
        info.dialogs.push(dialog(child));
    }
    Ok(info)
}

fn is_ours(element: &Element<'_>) -> bool {
    matches!(element.namespace, "" | NAMESPACE)
}

fn dialog(element: &Element<'_>) -> Dialog {
    let mut dialog = Dialog {
        id: element.attribute("id").unwrap_or_default(),
        call_id: element.attribute("call-id"),
        local_tag: element.attribute("local-tag"),
        remote_tag: element.attribute("remote-tag"),
        direction: element.attribute("direction"),
        ..Dialog::default()
    };
    for child in element.elements().filter(|child| is_ours(child)) {
        match child.name {
            "state" => {
                dialog.state = child.text();
                dialog.event = child.attribute("event");
                dialog.code = child.attribute("code").and_then(|code| code.parse().ok());
            }
            "duration" => dialog.duration = child.text().parse().ok(),
            "replaces" => {
                let part = |name| child.attribute(name).unwrap_or_default();
                dialog.replaces = Some((part("call-id"), part("local-tag"), part("remote-tag")));
            }
            "referred-by" => dialog.referred_by = Some(identity(child)),
            "route-set" => dialog.route_set = child.elements().map(Element::text).collect(),
            "local" => dialog.local = participant(child),
            "remote" => dialog.remote = participant(child),
            _ => {}
        }
    }
    dialog
}

fn identity(element: &Element<'_>) -> Identity {
    let display = element.attribute("display").or_else(|| element.attribute("display-name"));
    Identity { uri: element.text(), display }
}

fn participant(element: &Element<'_>) -> Participant {
    let mut participant = Participant::default();
    for child in element.elements().filter(|child| is_ours(child)) {
        match child.name {
            "identity" => participant.identities.push(identity(child)),
            "target" => {
                let mut params = Vec::new();
                for param in child.elements().filter(|param| param.name == "param") {
                    let value = param.attribute("pval").or_else(|| param.attribute("pvalue"));
                    params.push((param.attribute("pname").unwrap_or_default(), value.unwrap_or_default()));
                }
                participant.target = Some((child.attribute("uri").unwrap_or_default(), params));
            }
            "session-description" => {
                participant.session = Some((child.attribute("type").unwrap_or_default(), child.text()));
            }
            "cseq" => participant.cseq = child.text().parse().ok(),
            _ => {}
        }
    }
    participant
}

/// All dialogs of an entity that one subscription has told of. Those that are over are not in it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    version: Version,
    dialogs: Vec<Dialog>,
}

impl Table {
    /// Takes a document in.
    ///
    /// # Errors
    /// [`DocumentError::Limit`]: the table would have too many dialogs. It is as it was.
    pub fn handle(&mut self, info: DialogInfo) -> Result<Merged, DocumentError> {
        let kept = if info.head.full { 0 } else { self.dialogs.len() };
        if kept + info.dialogs.len() > MOST_DIALOGS {
            return Err(DocumentError::Limit("dialogs"));
        }
        let merged = self.version.handle(info.head);
        if merged == Merged::Discarded {
            return Ok(merged);
        }
        if info.head.full {
            self.dialogs.clear();
        }
        for mut new in info.dialogs {
            let old = self.dialogs.iter().position(|old| old.id == new.id);
            if let Some(old) = old.and_then(|at| self.dialogs.get_mut(at)) {
                // What is not said again is as it was (RFC 4235 §4.1.6).
                complete(&mut new.local, &mut old.local);
                complete(&mut new.remote, &mut old.remote);
                *old = new;
            } else {
                self.dialogs.push(new);
            }
        }
        self.dialogs.retain(|dialog| dialog.state != "terminated");
        Ok(merged)
    }

    /// The dialogs, the oldest first.
    #[must_use]
    pub fn dialogs(&self) -> &[Dialog] {
        &self.dialogs
    }
}

fn complete(new: &mut Participant, old: &mut Participant) {
    if new.identities.is_empty() {
        new.identities.append(&mut old.identities);
    }
    new.target = new.target.take().or_else(|| old.target.take());
    new.session = new.session.take().or_else(|| old.session.take());
}

/// What a busy lamp shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Lamp {
    Idle,
    Ringing,
    Busy,
}

/// What a lamp shows for `dialogs`: one confirmed is enough for busy, held or not.
#[must_use]
pub fn lamp(dialogs: &[Dialog]) -> Lamp {
    let mut lamp = Lamp::Idle;
    for dialog in dialogs {
        lamp = lamp.max(match dialog.state.as_str() {
            "confirmed" => Lamp::Busy,
            "trying" | "proceeding" | "early" => Lamp::Ringing,
            _ => Lamp::Idle,
        });
    }
    lamp
}

/// What `dialogs` say as a presence document, to which the status rule applies: a service that is open, and the activity
/// `on-the-phone`, or `ringing` in the words of `other`.
#[must_use]
pub fn presence(entity: &str, dialogs: &[Dialog]) -> Presence {
    let mut tuple = Component { basic: Some(Basic::Open), ..Component::default() };
    let value = match lamp(dialogs) {
        Lamp::Idle => None,
        Lamp::Ringing => Some(("other", "ringing")),
        Lamp::Busy => Some(("on-the-phone", "")),
    };
    if let Some((name, text)) = value {
        let mut activities = Attribute::new(AttributeName::ACTIVITIES);
        activities.values.push(Value { name: name.to_owned(), text: text.to_owned(), ..Value::default() });
        tuple.attributes.push(activities);
    }
    Presence { entity: entity.to_owned(), tuples: vec![tuple], ..Presence::default() }
}

/// Writes a document.
#[must_use]
pub fn write(info: &DialogInfo) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info".to_owned();
    push_attribute("xmlns", NAMESPACE, &mut text);
    push_attribute("version", &info.head.version.to_string(), &mut text);
    push_attribute("state", if info.head.full { "full" } else { "partial" }, &mut text);
    push_attribute("entity", &info.entity, &mut text);
    text.push('>');
    for dialog in &info.dialogs {
        write_dialog(dialog, &mut text);
    }
    text.push_str("</dialog-info>");
    text
}

fn write_dialog(dialog: &Dialog, into: &mut String) {
    into.push_str("<dialog");
    push_attribute("id", &dialog.id, into);
    push_some("call-id", dialog.call_id.as_deref(), into);
    push_some("local-tag", dialog.local_tag.as_deref(), into);
    push_some("remote-tag", dialog.remote_tag.as_deref(), into);
    push_some("direction", dialog.direction.as_deref(), into);
    into.push_str("><state");
    push_some("event", dialog.event.as_deref(), into);
    push_some("code", dialog.code.map(|code| code.to_string()).as_deref(), into);
    into.push('>');
    escape(&dialog.state, into);
    into.push_str("</state>");
    if let Some(duration) = dialog.duration {
        element("duration", &duration.to_string(), into);
    }
    if let Some((call_id, local_tag, remote_tag)) = &dialog.replaces {
        into.push_str("<replaces");
        push_attribute("call-id", call_id, into);
        push_attribute("local-tag", local_tag, into);
        push_attribute("remote-tag", remote_tag, into);
        into.push_str("/>");
    }
    if let Some(by) = &dialog.referred_by {
        write_identity("referred-by", by, into);
    }
    if !dialog.route_set.is_empty() {
        into.push_str("<route-set>");
        for hop in &dialog.route_set {
            element("hop", hop, into);
        }
        into.push_str("</route-set>");
    }
    for (name, participant) in [("local", &dialog.local), ("remote", &dialog.remote)] {
        if *participant != Participant::default() {
            write_participant(name, participant, into);
        }
    }
    into.push_str("</dialog>");
}

fn write_participant(name: &str, participant: &Participant, into: &mut String) {
    into.push('<');
    into.push_str(name);
    into.push('>');
    for identity in &participant.identities {
        write_identity("identity", identity, into);
    }
    if let Some((uri, params)) = &participant.target {
        into.push_str("<target");
        push_attribute("uri", uri, into);
        into.push('>');
        for (name, value) in params {
            into.push_str("<param");
            push_attribute("pname", name, into);
            push_attribute("pval", value, into);
            into.push_str("/>");
        }
        into.push_str("</target>");
    }
    if let Some((kind, description)) = &participant.session {
        into.push_str("<session-description");
        push_attribute("type", kind, into);
        into.push('>');
        escape(description, into);
        into.push_str("</session-description>");
    }
    if let Some(cseq) = participant.cseq {
        element("cseq", &cseq.to_string(), into);
    }
    into.push_str("</");
    into.push_str(name);
    into.push('>');
}

fn write_identity(name: &str, identity: &Identity, into: &mut String) {
    into.push('<');
    into.push_str(name);
    // So the schema; the examples and most servers say `display`.
    push_some("display-name", identity.display.as_deref(), into);
    into.push('>');
    escape(&identity.uri, into);
    into.push_str("</");
    into.push_str(name);
    into.push('>');
}

fn push_some(name: &str, value: Option<&str>, into: &mut String) {
    if let Some(value) = value {
        push_attribute(name, value, into);
    }
}

fn element(name: &str, text: &str, into: &mut String) {
    into.push('<');
    into.push_str(name);
    into.push('>');
    escape(text, into);
    into.push_str("</");
    into.push_str(name);
    into.push('>');
}
