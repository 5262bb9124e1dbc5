//! Documents from before PIDF, in the shapes of Asterisk, FreeSWITCH and old clients.
#![allow(clippy::unwrap_used)]

use sip_presence::presence::pidf::Limits;
use sip_presence::presence::{DocumentError, Presence, Status, Warning, status, xpidf};
use sip_presence::time::Instant;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn read(text: &str) -> Result<(Presence, Vec<Warning>), DocumentError> {
    xpidf::read(text.as_bytes(), &Limits::default())
}

/// As Asterisk writes it.
fn asterisk(status: &str, substatus: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence>\n <presentity uri=\"sip:2001@pbx.example.com;method=SUBSCRIBE\"/>\n \
         <atom id=\"2001\">\n  <address uri=\"sip:2001@pbx.example.com;user=ip\" priority=\"0.80000\">\n   <status status=\"{status}\"/>\n   \
         <msnsubstatus substatus=\"{substatus}\"/>\n  </address>\n </atom>\n</presence>\n"
    )
}

/// As FreeSWITCH writes it for Polycom phones: with a DOCTYPE.
fn freeswitch(status: &str, substatus: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE presence\nPUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n<presence>\n\
         <presentity uri=\"sip:1001@fs.example.com;method=SUBSCRIBE\" />\n<atom id=\"1002\">\n\
         <address uri=\"sip:1001@fs.example.com\" priority=\"0.800000\">\n<status status=\"{status}\" />\n\
         <msnsubstatus substatus=\"{substatus}\" />\n</address>\n</atom>\n</presence>"
    )
}

fn status_of(text: &str) -> Status {
    status::summarize(&read(text).unwrap().0, Instant::from_millis(0)).status
}

#[test]
fn the_status_rule_knows_the_words_of_old_documents() {
    for (word, substatus, expected) in [
        ("open", "online", Status::Available),
        ("open", "", Status::Available),
        ("inuse", "onthephone", Status::OnThePhone),
        ("inuse", "online", Status::OnThePhone),
        ("inuse", "busy", Status::OnThePhone),
        ("open", "onthephone", Status::OnThePhone),
        ("open", "busy", Status::Busy),
        ("open", "away", Status::Away),
        ("open", "berightback", Status::Away),
        ("open", "outtolunch", Status::Away),
        ("open", "idle", Status::Away),
        ("open", "dnd", Status::DoNotDisturb),
        ("OPEN", "Away", Status::Away),
        ("inactive", "online", Status::Away),
        ("closed", "offline", Status::Offline),
        ("closed", "away", Status::Offline),
        ("open", "in a workshop", Status::Available),
        ("somewhere", "online", Status::Unknown),
    ] {
        assert_eq!(status_of(&asterisk(word, substatus)), expected, "{word} {substatus}");
        assert_eq!(status_of(&freeswitch(word, substatus)), expected, "{word} {substatus}");
    }
    let (presence, warnings) = read(&freeswitch("open", "in a workshop")).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(presence.entity, "sip:1001@fs.example.com");
    let tuple = &presence.tuples[0];
    assert_eq!((tuple.id.as_str(), tuple.attributes[0].values[0].text.as_str()), ("1002", "in a workshop"));
    let contact = tuple.contact.as_ref().unwrap();
    assert_eq!((contact.uri.as_str(), contact.priority), ("sip:1001@fs.example.com", Some(800)));
}

#[test]
fn several_addresses_and_none_are_borne() {
    let text = "<presence><atom atomid=\"a\"><address uri=\"tel:1\"><status status=\"closed\"/></address>\
        <address uri=\"tel:2\"><status status=\"open\"/></address></atom><atom/><other/></presence>";
    let (presence, warnings) = read(text).unwrap();
    assert_eq!(warnings, [Warning::NoEntity]);
    assert_eq!(presence.tuples.len(), 2);
    assert_eq!(status_of(text), Status::Available);
    assert_eq!(status_of("<presence><presentity uri=\"sip:a@b\"/></presence>"), Status::Unknown);
}

#[test]
fn the_second_type_carries_pidf_too() {
    // 3863-4.1.1-a
    for namespace in [
        "urn:ietf:params:xml:ns:cpim-pidf",
        "urn:ietf:params:xml:ns:cpim-pidf:",
        "urn:ietf:params:xml:ns:pidf",
    ] {
        let text = format!(
            "<presence xmlns=\"{namespace}\" entity=\"pres:a@b\"><tuple id=\"t\"><status><basic>closed</basic></status></tuple></presence>"
        );
        let (presence, _) = read(&text).unwrap();
        assert_eq!(
            (presence.entity.as_str(), status_of(&text)),
            ("pres:a@b", Status::Offline),
            "{namespace}"
        );
    }
}

#[test]
fn a_doctype_is_never_expanded() {
    let document =
        |doctype: &str| format!("<!DOCTYPE {doctype}><presence><atom id=\"1\">&x;</atom></presence>");
    // Its entities do not exist.
    assert_eq!(
        read(&document("presence SYSTEM \"http://evil.example.com/x.dtd\"")),
        Err(DocumentError::Entity)
    );
    for subset in [
        "presence [<!ENTITY x \"y\">]",
        "presence SYSTEM \"x\" [<!ENTITY x SYSTEM \"file:///etc/passwd\">]",
        "p [ ]",
    ] {
        assert_eq!(read(&document(subset)), Err(DocumentError::Entity), "{subset}");
        let without = document(subset).replace("&x;", "");
        assert_eq!(read(&without), Err(DocumentError::Entity), "{subset}");
    }
    // Elsewhere there is none at all.
    let pidf = "<!DOCTYPE presence SYSTEM \"x\"><presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>";
    let error = sip_presence::presence::pidf::read(pidf.as_bytes(), &Limits::default());
    assert_eq!(error, Err(DocumentError::Entity));
}

#[test]
fn what_is_neither_is_an_error() {
    assert_eq!(read("<status/>"), Err(DocumentError::Root));
    assert_eq!(read("<presence xmlns=\"urn:other\"/>"), Err(DocumentError::Root));
    assert_eq!(read("<!DOCTYPE presence>"), Err(DocumentError::Malformed));
    assert_eq!(read(""), Err(DocumentError::Malformed));
    assert_eq!(read(&"<presence>".repeat(10_000)), Err(DocumentError::Limit("depth")));
    assert_eq!(xpidf::read(b"\xff", &Limits::default()), Err(DocumentError::Encoding));
}
