//! Lists: what a NOTIFY says of the resources in one (RFC 4662 §5), and the list a SUBSCRIBE brings along
//! (RFC 5367 §4, RFC 4826 §3.1). May use: `pidf`, `xml`.

use super::pidf::{Limits, escape};
use super::xml::{self, Element};
use super::{DocumentError, multipart};

/// The media type of [`List`] (RFC 4662 §8.2).
pub const RLMI: &str = "application/rlmi+xml";
/// The media type of what [`write`] writes (RFC 4826 §3.1).
pub const RESOURCE_LISTS: &str = "application/resource-lists+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:rlmi";

/// Resource list meta-information: one document about one list (RFC 4662 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The list.
    pub uri: String,
    /// One higher with each document.
    pub version: u32,
    /// Whether all resources are named; otherwise only those that changed.
    pub full: bool,
    /// What is named.
    pub resources: Vec<Resource>,
}

/// A resource in a list (RFC 4662 §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its address, of any scheme.
    pub uri: String,
    /// What the server knows of it; without one, nothing yet.
    pub instances: Vec<Instance>,
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

/// Reads a document. A resource without an address is left out.
///
/// # Errors
/// [`DocumentError`]: it is no XML, another document, or without a version or `fullState` that can be read.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<List, DocumentError> {
    let root = xml::read(bytes, limits, &mut Vec::new())?;
    if root.name != "list" || root.namespace != NAMESPACE {
        return Err(DocumentError::Root);
    }
    let version = root.attribute("version").and_then(|text| text.parse().ok());
    let full = match root.attribute("fullState").as_deref() {
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        Some(_) | None => return Err(DocumentError::Attribute("fullState")),
    };
    let mut list = List {
        uri: root.attribute("uri").unwrap_or_default(),
        version: version.ok_or(DocumentError::Attribute("version"))?,
        full,
        resources: Vec::new(),
    };
    for child in root.elements() {
        let uri = child.attribute("uri").unwrap_or_default();
        if child.name == "resource" && !uri.is_empty() {
            let instances = child.elements().filter(|child| child.name == "instance").map(instance);
            list.resources.push(Resource { uri, instances: instances.collect() });
        }
    }
    Ok(list)
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

    fn list(attributes: &str, inside: &str) -> Result<List, DocumentError> {
        read(document(attributes, inside).as_bytes(), &Limits::default())
    }

    // 4662-5.2-a 4662-5.3-a 4662-5.4-a 4662-5.5-a 4662-5.5-b 4662-5.5-c
    #[test]
    fn resources_have_instances_with_state_reason_and_part() {
        let inside = "<name xml:lang=\"en\">Friends</name><resource uri=\" sip:a@x \"><name>A</name>\
            <instance id=\"1\" state=\"active\" cid=\"p@x\"/><instance id=\"2\" state=\"terminated\" reason=\"rejected\"/>\
            </resource><resource uri=\"pres:b@x\"/><resource><instance id=\"1\" state=\"active\" cid=\"q\"/></resource>\
            <resource uri=\"\"/><other uri=\"sip:o@x\"/><resource uri=\"sip:c@x\"><instance id=\"3\" state=\"odd\"/>\
            <instance cid=\"&lt;1.sip:c@x.2>\" state=\"active\"/><instance state=\"terminated\"/></resource>";
        let list = list("uri=\"sip:friends@x\" version=\"4294967295\" fullState=\"1\"", inside).unwrap();
        assert_eq!((list.uri.as_str(), list.version, list.full), ("sip:friends@x", u32::MAX, true));
        let uris: Vec<&str> = list.resources.iter().map(|resource| resource.uri.as_str()).collect();
        assert_eq!(uris, ["sip:a@x", "pres:b@x", "sip:c@x"]);
        let instance = |state, reason: Option<&str>, cid: Option<&str>| Instance {
            state,
            reason: reason.map(str::to_owned),
            cid: cid.map(str::to_owned),
        };
        assert_eq!(
            list.resources[0].instances,
            [instance(State::Active, None, Some("p@x")), instance(State::Terminated, Some("rejected"), None),]
        );
        assert_eq!(list.resources[1].instances, []);
        // Quirk: `<>` around the identifier.
        assert_eq!(
            list.resources[2].instances,
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
            assert_eq!(list(attributes, ""), Err(DocumentError::Attribute(wrong)), "{attributes}");
        }
        for (word, full) in [("true", true), ("1", true), ("false", false), (" 0 ", false)] {
            let attributes = ["version=\" 7 \" fullState=\"", word, "\""].concat();
            let list = list(&attributes, "").unwrap();
            assert_eq!((list.version, list.full), (7, full), "{word}");
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
        assert_eq!(read(b"\xff", &Limits::default()), Err(DocumentError::Encoding));
        let small = Limits { elements: 2, ..Limits::default() };
        let text =
            document("version=\"0\" fullState=\"1\"", "<resource uri=\"a:b\"/><resource uri=\"a:c\"/>");
        assert_eq!(read(text.as_bytes(), &small), Err(DocumentError::Limit("elements")));
        assert_eq!(read(text.as_bytes(), &Limits { bytes: 9, ..small }), Err(DocumentError::Limit("bytes")));
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
            let _ = read(text.as_bytes(), &Limits::default()).map(|list| assert!(list.resources.len() <= 1));
        }
    }
}
