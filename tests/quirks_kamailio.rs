//! What Kamailio sends, and the reader must bear: bytes written after a description of it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{FailureCode, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A page that watches Bob at a port of his own; his server knows him without.
fn trying() -> (Page, WatchId, Message) {
    let mut page = Page::online_with(|config| config.display_name = Some("Alice Liddell".to_owned()));
    let id = page.watch("sip:bob@example.com:5061;x=y");
    let subscribe = page.next_sent();
    let head = "SIP/2.0 200 OK
Via: {via};rport=41264;received=127.0.0.1
To: <sip:bob@example.com:5061;x=y>;tag=kam-1
From: \"Alice Liddell\" <sip:alice@example.com>;tag={tag}
CSeq: {cseq}
Call-ID: {call}
Expires: 3590
Contact: <sip:192.0.2.10:443;transport=ws>
Server: kamailio
Content-Length: 0";
    page.wire(&subscribe, head, "");
    (page, id, subscribe)
}

/// Its transaction module puts Content-Length before the headers of the event, and names everybody anew: without
/// display name, port and parameters.
fn notify(page: &mut Page, subscribe: &Message, number: u32, state: &str, body: &str) -> Option<u16> {
    let content_type = if body.is_empty() { "" } else { "\nContent-Type: application/pidf+xml" };
    let head = format!(
        "NOTIFY sip:{{user}}@127.0.0.1:41264;transport=ws SIP/2.0
Via: SIP/2.0/WSS 192.0.2.10:443;branch=z9hG4bKa3f.{number}
To: <sip:alice@example.com>;tag={{tag}}
From: <sip:bob@example.com>;tag=kam-1
CSeq: {number} NOTIFY
Call-ID: {{call}}
Content-Length: {{length}}
User-Agent: kamailio
Max-Forwards: 70
Event: presence
Contact: <sip:192.0.2.10:443;transport=ws>
Subscription-State: {state}{content_type}"
    );
    page.wire(subscribe, &head, body)
}

#[test]
fn an_active_notify_without_a_body_is_no_information_and_not_offline() {
    // Nothing is published, or the watcher is politely blocked: the two look the same.
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", ""), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.subscription.state), (Status::Unknown, Watching::Active));
    assert!(view.presence.is_none() && !view.stale && view.as_of.is_some());
}

#[test]
fn pending_and_terminated_have_no_body_either() {
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "pending;expires=3590", ""), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.subscription.state), (Status::Unknown, Watching::Pending));
    assert_eq!(notify(&mut page, &subscribe, 2, "terminated;reason=rejected", ""), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.subscription.state), (Status::Unknown, Watching::Terminated));
    assert_eq!(view.subscription.reason.as_deref(), Some("rejected"));
    page.seconds(10_000);
    assert!(page.is_silent());
}

#[test]
fn from_and_to_without_name_port_and_parameters_are_of_the_same_dialog() {
    // 3261-12-a 6665-4.4.1-c
    let (mut page, id, subscribe) = trying();
    let body = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com">
<tuple id="one"><status><basic>open</basic></status></tuple></presence>"#;
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", body), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Available);
    page.seconds(1800);
    let refresh = page.next_sent();
    assert_eq!((refresh.call_id(), refresh.to().unwrap().tag()), (subscribe.call_id(), Some("kam-1")));
    assert_eq!(refresh.request_uri().unwrap().to_string(), "sip:192.0.2.10:443;transport=ws");
}

#[test]
fn the_dummy_document_for_somebody_unknown_is_read_as_it_stands() {
    let body = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="bob"><tuple id="61520f5e9c"><status><basic>open</basic></status>
</tuple><dm:person id="61520f5e9d"><rpid:activities/><dm:note>Available</dm:note></dm:person></presence>"#;
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", body), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::Available, Some("Available")));
    assert!(view.summary.activities.is_empty());
    assert!(page.failures().is_empty());
}

#[test]
fn documents_put_together_have_any_order_and_their_namespaces_again_and_again() {
    // The newest document is the base; the others' elements follow whole, whatever stood before them.
    let body = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com">
<tuple id="desk"><status><basic>closed</basic></status></tuple>
<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p1"><dm:note>At the desk</dm:note></dm:person>
<note xmlns="urn:ietf:params:xml:ns:pidf">Later</note>
<tuple xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="walk"><status
 xmlns="urn:ietf:params:xml:ns:pidf"><basic>open</basic></status></tuple>
<x:person xmlns:x="urn:ietf:params:xml:ns:pidf:data-model" xmlns:dm="urn:ietf:params:xml:ns:pidf:rpid" id="p1">
<dm:activities><dm:meeting/></dm:activities></x:person></presence>"#;
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", body), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::Busy, Some("At the desk")));
    let presence = view.presence.as_ref().unwrap();
    assert_eq!((presence.tuples.len(), presence.persons.len(), presence.notes.len()), (2, 2, 1));
}

#[test]
fn the_end_of_the_last_publication_is_its_first_tuple_closed() {
    let body = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com"><tuple id="desk"><status><basic>closed</basic>
</status></tuple></presence>"#;
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", body), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Offline);
    // Where the document had no basic status there is no such NOTIFY, but one without a body: the watcher asks.
    page.seconds(10);
    assert_eq!(notify(&mut page, &subscribe, 2, "active;expires=3580", ""), Some(200));
    assert_eq!(page.next_sent().call_id(), subscribe.call_id());
}

#[test]
fn a_registration_told_as_presence_has_a_pointer_for_an_id_and_an_entity_without_scheme() {
    let body = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" entity="bob@example.com">
<tuple id="0x7f3c5a1e9d40"><status><basic>open</basic></status></tuple></presence>"#;
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", body), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Available);
    assert!(page.failures().is_empty());
}

#[test]
fn a_restart_has_forgotten_the_tag_and_a_new_subscribe_is_sent() {
    let (mut page, id, subscribe) = trying();
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", ""), Some(200));
    page.seconds(1800);
    let refresh = page.next_sent();
    let head = "SIP/2.0 481 Subscription does not exist
Via: {via}
To: <sip:bob@example.com>;tag=kam-1
From: <sip:alice@example.com>;tag={tag}
CSeq: {cseq}
Call-ID: {call}
Content-Length: 0";
    page.wire(&refresh, head, "");
    page.seconds(0);
    let again = page.next_sent();
    assert_ne!(again.call_id(), subscribe.call_id());
    assert_eq!(again.to().unwrap().tag(), None);
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
}

#[test]
fn the_reasons_it_gives_are_followed() {
    for (state, after) in
        [("terminated;reason=timeout", 1), ("terminated;reason=probation;retry-after=20", 20)]
    {
        let (mut page, id, subscribe) = trying();
        assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", ""), Some(200));
        page.seconds(100);
        assert_eq!(notify(&mut page, &subscribe, 2, state, ""), Some(200), "{state}");
        assert_eq!(page.view(id).subscription.state, Watching::Terminated, "{state}");
        page.seconds(after - 1);
        assert_eq!(page.is_silent(), after > 1, "{state}");
        page.seconds(1);
        assert_ne!(page.next_sent().call_id(), subscribe.call_id(), "{state}");
    }
}

#[test]
fn old_versions_answer_202_and_are_taken_at_their_word() {
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 202, &[(Name::Expires, "3590")]);
    page.seconds(33);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::NoNotify);
    assert_eq!(page.view(id).subscription.state, Watching::Terminated);
    page.seconds(3);
    let again = page.next_sent();
    page.respond(&again, 202, &[(Name::Expires, "3590")]);
    assert_eq!(notify(&mut page, &again, 1, "active;expires=3590", ""), Some(200));
    assert_eq!(page.view(id).subscription.state, Watching::Active);
}

#[test]
fn an_empty_notify_that_overtakes_the_answer_to_the_subscribe_is_asked_about_too() {
    let (mut page, id, subscribe) = Page::trying();
    let body = r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com"><tuple id="a"><status>
<basic>open</basic></status></tuple></presence>"#;
    assert_eq!(notify(&mut page, &subscribe, 1, "active;expires=3590", body), Some(200));
    assert_eq!(notify(&mut page, &subscribe, 2, "active;expires=3590", ""), Some(200));
    page.accept(&subscribe, 3590);
    assert_eq!(page.view(id).summary.status, Status::Available);
    page.seconds(4);
    let refresh = page.next_sent();
    assert_eq!(refresh.call_id(), subscribe.call_id());
    page.accept(&refresh, 3590);
    assert_eq!(notify(&mut page, &subscribe, 3, "active;expires=3590", ""), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Unknown);
}
