//! What Asterisk sends, with chan_pjsip and with the older chan_sip: bytes written after a description of it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{FailureCode, WatchId, Watching};
use sip_presence::presence::{AttributeName, Status};
use sip_presence::sip::{Message, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const EXTENSION: &str = "sip:2001@pbx.example.com";

/// A page that watches extension 2001: 200, and the Contact of the server where it really is.
fn trying() -> (Page, WatchId, Message) {
    let mut page = Page::online();
    let id = page.watch(EXTENSION);
    let subscribe = page.next_sent();
    let head = "SIP/2.0 200 OK
Via: {via};received=127.0.0.1;rport=41264
Call-ID: {call}
From: <sip:alice@example.com>;tag={tag}
To: <sip:2001@pbx.example.com>;tag=ast-1
CSeq: {cseq}
Expires: 600
Contact: <sip:192.0.2.20:8089;transport=ws>
Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, MESSAGE, REFER
Supported: 100rel, timer, replaces, norefersub
Server: Asterisk PBX
Content-Length:  0";
    page.wire(&subscribe, head, "");
    (page, id, subscribe)
}

/// The WebSocket transport has rewritten the host of our Contact, and says WSS in Via where Contact says ws.
fn notify(page: &mut Page, subscribe: &Message, number: u32, media_type: &str, body: &str) -> Option<u16> {
    let head = format!(
        "NOTIFY sip:{{user}}@127.0.0.1:41264;transport=ws SIP/2.0
Via: SIP/2.0/WSS 192.0.2.20:8089;rport;branch=z9hG4bKPj{number};alias
From: <sip:2001@pbx.example.com>;tag=ast-1
To: <sip:alice@example.com>;tag={{tag}}
Contact: <sip:192.0.2.20:8089;transport=ws>
Call-ID: {{call}}
CSeq: {number} NOTIFY
Event: presence
Subscription-State: active;expires=599
Allow-Events: message-summary, presence, dialog, refer
Max-Forwards: 70
User-Agent: Asterisk PBX
Content-Type: {media_type}
Content-Length:   {{length}}"
    );
    page.wire(subscribe, &head, body)
}

/// The note stands before the tuple, the id is the extension, and the contact is the one who subscribed.
fn pidf(note: &str, basic: &str, person: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<presence entity="sip:2001@pbx.example.com" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid">
 <note>{note}</note>
 <tuple id="2001">
  <status>
   <basic>{basic}</basic>
  </status>
  <contact priority="1">sip:alice@example.com</contact>
 </tuple>
 {person}
</presence>
"#
    )
}

#[test]
fn the_states_of_an_extension_are_read_with_the_note_before_the_tuple() {
    let phone = "<dm:person><rpid:activities><rpid:on-the-phone/></rpid:activities></dm:person>";
    for (note, basic, person, status) in [
        // A person without an id and without anything in it.
        ("Ready", "open", "<dm:person />", Status::Available),
        ("Ringing", "open", phone, Status::OnThePhone),
        ("On the phone", "open", phone, Status::OnThePhone),
        ("On hold", "open", phone, Status::OnThePhone),
        ("Unavailable", "closed", "<dm:person />", Status::Offline),
    ] {
        let (mut page, id, subscribe) = trying();
        let body = pidf(note, basic, person);
        assert_eq!(notify(&mut page, &subscribe, 7, "application/pidf+xml", &body), Some(200), "{note}");
        let view = page.view(id);
        assert_eq!((view.summary.status, view.summary.note.as_deref()), (status, Some(note)));
        let tuple = &view.presence.as_ref().unwrap().tuples[0];
        assert_eq!((tuple.id.as_str(), tuple.contact.as_ref().unwrap().priority), ("2001", Some(1000)));
        assert!(page.failures().is_empty(), "{note}");
    }
}

#[test]
fn the_presence_of_a_phone_of_digium_is_in_a_tuple_of_its_own() {
    for (kind, text, status) in [
        ("dnd", "Not now", Status::DoNotDisturb),
        ("away", "Lunch", Status::Away),
        ("xa", "Vacation", Status::Away),
        ("available", "Here", Status::Available),
        ("chat", "Come in", Status::Available),
    ] {
        let digium = format!(
            "<tuple id=\"digium-presence\"><status><digium_presence type=\"{kind}\" subtype=\"sub\">{text}\
             </digium_presence></status></tuple>"
        );
        let (mut page, id, subscribe) = trying();
        let body = pidf("Ready", "open", &digium);
        assert_eq!(notify(&mut page, &subscribe, 7, "application/pidf+xml", &body), Some(200));
        let view = page.view(id);
        // The note of the document is about the telephone.
        assert_eq!((view.summary.status, view.summary.note.as_deref()), (status, Some(text)), "{kind}");
        let tuples = &view.presence.as_ref().unwrap().tuples;
        let told = tuples[1].attributes.iter().find(|a| a.name == AttributeName::DIGIUM).unwrap();
        let (value, note) = (&told.values[0], told.text.as_ref().unwrap());
        assert_eq!((value.name.as_str(), value.text.as_str(), note.text.as_str()), (kind, "sub", text));
    }
}

#[test]
fn xpidf_is_read_under_both_of_its_names() {
    let (mut page, id, subscribe) = trying();
    let body = pidf("Ready", "open", "<dm:person />");
    assert_eq!(notify(&mut page, &subscribe, 7, "application/pidf+xml", &body), Some(200));
    let xpidf = r#"<?xml version="1.0"?>
<presence><presentity uri="sip:2001@pbx.example.com;method=SUBSCRIBE"/><atom id="2001"><address uri="sip:alice@example.com;user=ip"
 priority="0.80000"><status status="inuse"/><msnsubstatus substatus="onthephone"/></address></atom></presence>"#;
    for (number, media_type) in [(8, "application/xpidf+xml"), (9, "application/cpim-pidf+xml")] {
        assert_eq!(notify(&mut page, &subscribe, number, media_type, xpidf), Some(200), "{media_type}");
        let view = page.view(id);
        assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::OnThePhone, None));
        assert_eq!((view.subscription.state, view.stale), (Watching::Active, false));
        assert!(page.failures().is_empty());
    }
    let body = pidf("Unavailable", "closed", "");
    assert_eq!(notify(&mut page, &subscribe, 10, "application/pidf+xml", &body), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Offline);
}

#[test]
fn refusals_have_none_of_the_headers_that_would_help() {
    for (status, reason, code) in [
        (489, "Bad Event", FailureCode::UnsupportedEvent),
        (603, "Decline", FailureCode::Rejected),
        (404, "Not Found", FailureCode::NotFound),
    ] {
        let mut page = Page::online();
        let id = page.watch(EXTENSION);
        let subscribe = page.next_sent();
        page.wire(&subscribe, &refusal(status, reason), "");
        let failure = page.failures().pop().unwrap();
        assert_eq!((failure.code, failure.status, failure.retry_at), (code, Some(status), None));
        // Where the package is missing, its name helps more than the phrase.
        let detail = if status == 489 { "presence" } else { reason };
        assert_eq!(failure.reason.as_deref(), Some(detail));
        assert_eq!(page.view(id).subscription.state, Watching::Terminated);
        page.seconds(100_000);
        assert!(page.is_silent(), "{status}");
    }
}

fn refusal(status: u16, reason: &str) -> String {
    format!(
        "SIP/2.0 {status} {reason}
Via: {{via}};received=127.0.0.1;rport=41264
Call-ID: {{call}}
From: <sip:alice@example.com>;tag={{tag}}
To: <sip:2001@pbx.example.com>;tag=z9hG4bK77
CSeq: {{cseq}}
Server: Asterisk PBX
Content-Length:  0"
    )
}

#[test]
fn too_brief_without_saying_how_long_is_asked_for_the_default_once() {
    let mut page = Page::online_with(|config| config.expires = 30);
    page.watch(EXTENSION);
    let subscribe = page.next_sent();
    page.wire(&subscribe, &refusal(423, "Interval Too Brief"), "");
    let again = page.next_sent();
    assert_eq!((again.expires(), again.call_id()), (Some(3600), subscribe.call_id()));
    page.wire(&again, &refusal(423, "Interval Too Brief"), "");
    assert!(page.is_silent());
    assert_eq!(page.failures().pop().unwrap().status, Some(423));
    // Who asked for that much already does not ask again.
    let mut page = Page::online();
    page.watch(EXTENSION);
    let subscribe = page.next_sent();
    page.wire(&subscribe, &refusal(423, "Interval Too Brief"), "");
    assert!(page.is_silent());
}

#[test]
fn an_address_of_another_scheme_is_refused_and_tried_as_sip() {
    let mut page = Page::online();
    page.watch("pres:2001@pbx.example.com");
    let subscribe = page.next_sent();
    page.wire(&subscribe, &refusal(416, "Unsupported URI Scheme"), "");
    assert_eq!(page.next_sent().request_uri().unwrap().to_string(), EXTENSION);
}

/// A NOTIFY of chan_sip: no `expires`, a `sips` Request-URI.
fn old_notify(page: &mut Page, subscribe: &Message, number: u32, body: &[u8]) -> Option<u16> {
    let head = format!(
        "NOTIFY sips:{{user}}@127.0.0.1:41264;transport=ws SIP/2.0
Via: SIP/2.0/WS 192.0.2.20:8088;branch=z9hG4bK5d{number};rport
Max-Forwards: 70
From: <sip:2001@pbx.example.com>;tag=as0f
To: <sip:alice@example.com>;tag={{tag}}
Contact: <sip:2001@192.0.2.20:8088;transport=ws>
Call-ID: {{call}}
CSeq: {number} NOTIFY
User-Agent: Asterisk PBX
Subscription-State: active
Event: presence
Content-Type: application/pidf+xml
Content-Length: {{length}}"
    );
    page.wire_bytes(subscribe, &head, body)
}

const OLD_DOCUMENT: &str = r#"<?xml version="1.0" encoding="ISO-8859-1"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" 
xmlns:pp="urn:ietf:params:xml:ns:pidf:person"
xmlns:es="urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status"
xmlns:ep="urn:ietf:params:xml:ns:pidf:rpid:rpid-person"
entity="sip:alice@example.com">
<pp:person><status>
<ep:activities><ep:away/></ep:activities>
</status></pp:person>
<note>Not online</note>
<tuple id="2001">
<contact priority="1">sip:2001@pbx.example.com</contact>
<status><basic>open</basic></status>
</tuple>
</presence>
"#;

#[test]
fn namespaces_of_chan_sip_and_the_watcher_as_entity_are_read() {
    let (mut page, id, subscribe) = trying();
    assert_eq!(old_notify(&mut page, &subscribe, 102, OLD_DOCUMENT.as_bytes()), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::Away, Some("Not online")));
    assert_eq!(view.uri, EXTENSION);
}

#[test]
fn a_declared_encoding_is_not_believed_and_bytes_in_it_keep_the_last_good_state() {
    let (mut page, id, subscribe) = trying();
    let utf8 = OLD_DOCUMENT.replace("Not online", "Grüße");
    assert_eq!(old_notify(&mut page, &subscribe, 102, utf8.as_bytes()), Some(200));
    assert_eq!(page.view(id).summary.note.as_deref(), Some("Grüße"));
    let latin: Vec<u8> =
        utf8.replace("away", "busy").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(old_notify(&mut page, &subscribe, 103, &latin), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::Away, Some("Grüße")));
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::BadDocument);
}

#[test]
fn a_state_without_expires_does_not_begin_the_time_anew() {
    // 6665-4.2.2-k
    let (mut page, id, subscribe) = trying();
    for number in 0..29 {
        assert_eq!(old_notify(&mut page, &subscribe, 102 + number, OLD_DOCUMENT.as_bytes()), Some(200));
        page.seconds(10);
        assert!(page.is_silent(), "after {number}");
    }
    page.seconds(11);
    let refresh = page.next_sent();
    assert_eq!(refresh.call_id(), subscribe.call_id());
    assert!(refresh.header(&Name::Event).is_some());
    assert_eq!(page.view(id).subscription.state, Watching::Active);
}
