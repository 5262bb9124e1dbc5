//! Lists: what a NOTIFY says of the resources in one (RFC 4662 §5), and the list a SUBSCRIBE brings along
//! (RFC 5367 §4, RFC 4826 §3.1). May use: `pidf`, `xml`.

use super::pidf::{Limits, escape};
use super::xml::{self, Element};
use super::{DocumentError, multipart};
use crate::decimal::small_number;

/// The media type of [`List`] (RFC 4662 §8.2).
pub const RLMI: &str = "application/rlmi+xml";
/// The media type of what [`write`] writes (RFC 4826 §3.1).
pub const RESOURCE_LISTS: &str = "application/resource-lists+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:rlmi";

/// Resource list meta-information: one document about one list (RFC 4662 §5.2).
#[derive(Debug)]
pub struct List<'a> {
    /// One higher with each document.
    pub version: u32,
    /// Whether all resources are named; otherwise only those that changed.
    pub full: bool,
    root: Element<'a>,
}

impl List<'_> {
    /// The list.
    #[must_use]
    pub fn uri(&self) -> String {
        self.root.attribute("uri").unwrap_or_default()
    }

    /// The resources that are named (RFC 4662 §5.3): the address of each, of any scheme, and what the server knows of it;
    /// without an instance, nothing yet. One without an address is left out.
    pub fn resources(&self) -> impl Iterator<Item = (String, Vec<Instance>)> {
        self.root.elements().filter(|child| child.name == "resource").filter_map(|resource| {
            let uri = resource.attribute("uri").filter(|uri| !uri.is_empty())?;
            let instances = resource.elements().filter(|child| child.name == "instance");
            Some((uri, instances.map(instance).collect()))
        })
    }
}

/// The subscription of the list server to a resource (RFC 4662 §5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// How that subscription stands.
    pub state: State,
    /// Why it is terminated.
    pub reason: Option<String>,
    /// Which part has the state, without `<>`.
    pub cid: Option<String>,
}

/// The state of an [`Instance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Active,
    /// Also any word that is not known.
    Pending,
    Terminated,
}

/// Reads a document.
///
/// # Errors
/// [`DocumentError`]: it is no XML, another document, or without a version or `fullState` that can be read.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<List<'a>, DocumentError> {
    let root = xml::read(bytes, limits, &mut Vec::new())?;
    if root.name != "list" || root.namespace != NAMESPACE {
        return Err(DocumentError::Root);
    }
    let full = match root.attribute("fullState").as_deref() {
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        Some(_) | None => return Err(DocumentError::Attribute("fullState")),
    };
    let version = root.attribute("version").and_then(|text| small_number(&text));
    Ok(List { version: version.ok_or(DocumentError::Attribute("version"))?, full, root })
}

fn instance(element: &Element<'_>) -> Instance {
    let owned = |name| element.attribute(name).map(|text| multipart::bare(&text).to_owned());
    let state = match element.attribute("state").as_deref() {
        Some("active") => State::Active,
        Some("terminated") => State::Terminated,
        Some(_) | None => State::Pending,
    };
    Instance { state, reason: owned("reason"), cid: owned("cid") }
}

/// A flat list of addresses (RFC 5367 §4).
#[must_use]
pub fn write<'a>(uris: impl Iterator<Item = &'a str>) -> String {
    let mut text =
        "<?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>"
            .to_owned();
    for uri in uris {
        text.push_str("<entry uri=\"");
        escape(uri, &mut text);
        text.push_str("\"/>");
    }
    text.push_str("</list></resource-lists>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(attributes: &str, inside: &str) -> String {
        [
            "<?xml version=\"1.0\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" ",
            attributes,
            ">",
            inside,
            "</list>",
        ]
        .concat()
    }

    fn list<T>(
        attributes: &str,
        inside: &str,
        look: impl FnOnce(&List<'_>) -> T,
    ) -> Result<T, DocumentError> {
        read(document(attributes, inside).as_bytes(), &Limits::default()).map(|list| look(&list))
    }

    // 4662-5.2-a 4662-5.3-a 4662-5.4-a 4662-5.5-a 4662-5.5-b 4662-5.5-c
    #[test]
    fn resources_have_instances_with_state_reason_and_part() {
        let inside = "<name xml:lang=\"en\">Friends</name><resource uri=\" sip:a@x \"><name>A</name>\
            <instance id=\"1\" state=\"active\" cid=\"p@x\"/><instance id=\"2\" state=\"terminated\" reason=\"rejected\"/>\
            </resource><resource uri=\"pres:b@x\"/><resource><instance id=\"1\" state=\"active\" cid=\"q\"/></resource>\
            <resource uri=\"\"/><other uri=\"sip:o@x\"/><resource uri=\"sip:c@x\"><instance id=\"3\" state=\"odd\"/>\
            <instance cid=\"&lt;1.sip:c@x.2>\" state=\"active\"/><instance state=\"terminated\"/></resource>";
        let attributes = "uri=\"sip:friends@x\" version=\"4294967295\" fullState=\"1\"";
        let (head, rows) = list(attributes, inside, |list| {
            ((list.uri(), list.version, list.full), list.resources().collect::<Vec<_>>())
        })
        .unwrap();
        assert_eq!(head, ("sip:friends@x".to_owned(), u32::MAX, true));
        let (uris, instances): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        assert_eq!(uris, ["sip:a@x", "pres:b@x", "sip:c@x"]);
        let instance = |state, reason: Option<&str>, cid: Option<&str>| Instance {
            state,
            reason: reason.map(str::to_owned),
            cid: cid.map(str::to_owned),
        };
        assert_eq!(
            instances[0],
            [instance(State::Active, None, Some("p@x")), instance(State::Terminated, Some("rejected"), None)]
        );
        assert_eq!(instances[1], []);
        // Quirk: `<>` around the identifier.
        assert_eq!(
            instances[2],
            [
                instance(State::Pending, None, None),
                instance(State::Active, None, Some("1.sip:c@x.2")),
                instance(State::Terminated, None, None),
            ]
        );
    }

    // 4662-5.2-a
    #[test]
    fn version_and_full_state_must_be_there() {
        for (attributes, wrong) in [
            ("fullState=\"true\"", "version"),
            ("version=\"\" fullState=\"true\"", "version"),
            ("version=\"-1\" fullState=\"true\"", "version"),
            ("version=\"4294967296\" fullState=\"true\"", "version"),
            ("version=\"1\"", "fullState"),
            ("version=\"1\" fullState=\"TRUE\"", "fullState"),
        ] {
            assert_eq!(list(attributes, "", |_| ()), Err(DocumentError::Attribute(wrong)), "{attributes}");
        }
        for (word, full) in [("true", true), ("1", true), ("false", false), (" 0 ", false)] {
            let attributes = ["version=\" 7 \" fullState=\"", word, "\""].concat();
            assert_eq!(list(&attributes, "", |list| (list.version, list.full)), Ok((7, full)), "{word}");
        }
    }

    // 4662-5.1-a
    #[test]
    fn another_document_is_an_error() {
        let error = |text: &str| read(text.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error("<list version=\"0\" fullState=\"true\"/>"), DocumentError::Root);
        assert_eq!(error("<presence xmlns=\"urn:ietf:params:xml:ns:rlmi\"/>"), DocumentError::Root);
        assert_eq!(error("<!DOCTYPE list><list/>"), DocumentError::Entity);
        for text in ["", "<", "list", "\u{0}"] {
            assert_eq!(error(text), DocumentError::Malformed, "{text}");
        }
        assert_eq!(read(b"\xff", &Limits::default()).unwrap_err(), DocumentError::Encoding);
        let small = Limits { elements: 2, ..Limits::default() };
        let text =
            document("version=\"0\" fullState=\"1\"", "<resource uri=\"a:b\"/><resource uri=\"a:c\"/>");
        for (limits, wrong) in [(small, "elements"), (Limits { bytes: 9, ..small }, "bytes")] {
            assert_eq!(read(text.as_bytes(), &limits).unwrap_err(), DocumentError::Limit(wrong));
        }
    }

    // 5367-4-a
    #[test]
    fn a_list_for_a_request_is_flat_and_escaped() {
        let text = write(["sip:a@x", "sip:b@x?s=1&t=\"2\""].into_iter());
        let root = xml::read(text.as_bytes(), &Limits::default(), &mut Vec::new()).unwrap();
        assert_eq!((root.name, root.namespace), ("resource-lists", "urn:ietf:params:xml:ns:resource-lists"));
        let lists: Vec<_> = root.elements().collect();
        assert_eq!((lists.len(), lists[0].name), (1, "list"));
        let entries: Vec<_> = lists[0].elements().collect();
        assert!(entries.iter().all(|entry| entry.name == "entry" && entry.children.is_empty()));
        let uris: Vec<_> = entries.iter().filter_map(|entry| entry.attribute("uri")).collect();
        assert_eq!(uris, ["sip:a@x", "sip:b@x?s=1&t=\"2\""]);
    }

    #[cfg(not(target_arch = "wasm32"))]
    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_change_of_a_document_makes_the_reader_panic(
            at in 0..200_usize, length in 0..20_usize,
            splinter in proptest::sample::select(vec!["", "<", ">", "\"", "&", "&#0;", "\u{0}", "é", "</list>", "xmlns=\"x\" "]),
        ) {
            let mut text = document("uri=\"sip:f@x\" version=\"1\" fullState=\"true\"",
                "<resource uri=\"sip:a@x\"><name>é</name><instance id=\"1\" state=\"active\" cid=\"p@x\"/></resource>");
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, splinter);
            }
            let _ = read(text.as_bytes(), &Limits::default()).map(|list| assert!(list.resources().count() <= 1));
        }
    }
}
