//! What flexisip and OpenSIPS send, and the reader must bear: bytes written after a description of it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Method, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn accept(page: &mut Page, subscribe: &Message, line: &str) {
    let head = format!(
        "SIP/2.0 200 Ok
Via: {{via}};received=127.0.0.1
From: <sip:alice@example.com>;tag={{tag}}
To: <sip:bob@example.com>;tag=peer
Call-ID: {{call}}
CSeq: {{cseq}}
Contact: <sip:192.0.2.40:5065;transport=tcp>{line}
Content-Length: 0"
    );
    page.wire(subscribe, &head, "");
}

fn trying() -> (Page, WatchId, Message) {
    let (mut page, id, subscribe) = Page::trying();
    accept(&mut page, &subscribe, "\nExpires: 600");
    (page, id, subscribe)
}

/// `lines` are the headers of the event.
fn notify(page: &mut Page, subscribe: &Message, number: u32, lines: &str, body: &str) -> Option<u16> {
    let content_type = if body.is_empty() { "" } else { "\nContent-Type: application/pidf+xml" };
    let head = format!(
        "NOTIFY sip:{{user}}@127.0.0.1:41264;transport=ws;ob SIP/2.0
Via: SIP/2.0/TCP 192.0.2.40:5065;branch=z9hG4bK.{number}
From: <sip:bob@example.com>;tag=peer
To: <sip:alice@example.com>;tag={{tag}}
CSeq: {number} NOTIFY
Call-ID: {{call}}
Max-Forwards: 70
Contact: <sip:192.0.2.40:5065;transport=tcp>
{lines}{content_type}
Content-Length: {{length}}"
    );
    page.wire(subscribe, &head, body)
}

/// Prefixes that a generator has counted up, and a person whose id is an address.
const GENERATED: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<p1:presence xmlns:p1="urn:ietf:params:xml:ns:pidf" xmlns:p2="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:p3="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:bob@example.com">
<p1:tuple id="5iyf2y"><p1:status><p1:basic>open</p1:basic></p1:status><p1:contact priority="0.8">sip:bob@example.com;gr=urn:uuid:1
</p1:contact><p1:timestamp>2026-01-01T00:00:00Z</p1:timestamp></p1:tuple>
<p2:person id="sip:bob@example.com"><p3:activities><p3:away/></p3:activities></p2:person></p1:presence>"#;

#[test]
fn flexisip_writes_the_event_with_a_capital_letter() {
    let (mut page, id, subscribe) = trying();
    let lines = "Event: Presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, GENERATED), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Away);
}

#[test]
fn a_notify_without_an_event_is_for_the_dialog_it_came_in() {
    let (mut page, id, subscribe) = trying();
    let lines = "Subscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, GENERATED), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Away);
    // Two of them are still none.
    let lines = "Event: presence\nEvent: presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 2, lines, GENERATED), Some(489));
    // And once the subscription is over it is for nobody.
    let lines = "Subscription-State: terminated;reason=rejected";
    assert_eq!(notify(&mut page, &subscribe, 3, lines, ""), Some(200));
    let lines = "Subscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 4, lines, GENERATED), Some(481));
}

#[test]
fn generated_prefixes_and_an_address_as_an_id_are_read() {
    let (mut page, id, subscribe) = trying();
    let lines = "Event: presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, GENERATED), Some(200));
    let view = page.view(id);
    let presence = view.presence.as_ref().unwrap();
    assert_eq!(presence.persons[0].id, "sip:bob@example.com");
    assert_eq!(presence.tuples[0].contact.as_ref().unwrap().priority, Some(800));
    assert!(page.failures().is_empty());
}

#[test]
fn only_a_note_is_unknown_and_not_offline() {
    let (mut page, id, subscribe) = trying();
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com">
<note>No presence information available yet</note></presence>"#;
    let lines = "Event: Presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, body), Some(200));
    let view = page.view(id);
    assert_eq!(view.summary.status, Status::Unknown);
    assert_eq!(view.summary.note.as_deref(), Some("No presence information available yet"));
    assert!(view.presence.is_some());
}

#[test]
fn a_refresh_that_is_granted_without_a_time_keeps_the_time_that_was() {
    // 6665-4.2.2-k
    let (mut page, _, subscribe) = trying();
    let lines = "Event: Presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, ""), Some(200));
    page.seconds(301);
    let refresh = page.next_sent();
    accept(&mut page, &refresh, "");
    assert_eq!(
        notify(&mut page, &subscribe, 2, "Event: Presence\nSubscription-State: active", ""),
        Some(200)
    );
    // Some 300 s are left by what was said last, so the next refresh comes at half of that and not of the 3600 asked for.
    page.seconds(148);
    assert!(page.is_silent());
    page.seconds(4);
    assert_eq!(page.next_sent().call_id(), subscribe.call_id());
}

#[test]
fn the_end_without_a_reason_is_tried_again_at_once() {
    let (mut page, id, subscribe) = trying();
    let lines = "Event: Presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, GENERATED), Some(200));
    page.seconds(100);
    assert_eq!(
        notify(&mut page, &subscribe, 2, "Event: Presence\nSubscription-State: terminated", ""),
        Some(200)
    );
    let view = page.view(id);
    assert_eq!((view.subscription.state, view.subscription.reason.as_deref()), (Watching::Terminated, None));
    assert!(view.stale && view.summary.status == Status::Away);
    page.seconds(1);
    assert_ne!(page.next_sent().call_id(), subscribe.call_id());
}

#[test]
fn no_coding_is_accepted_so_that_no_body_is_deflated() {
    let (mut page, id, subscribe) = trying();
    assert_eq!(subscribe.header(&Name::AcceptEncoding), None);
    // From one who deflates nevertheless the last good state is kept, and the application hears of it.
    let lines = "Event: Presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, GENERATED), Some(200));
    let lines = "Event: Presence\nSubscription-State: active;expires=600\nContent-Encoding: deflate";
    assert_eq!(notify(&mut page, &subscribe, 2, lines, "x\u{1}"), Some(415));
    assert_eq!(page.view(id).summary.status, Status::Away);
    assert_eq!(page.failures().len(), 1);
}

#[test]
fn opensips_says_202_only_for_pending_and_grants_less_in_the_notify() {
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 202, &[(Name::Expires, "600")]);
    let lines = "Event: presence\nSubscription-State: pending;expires=590";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, ""), Some(200));
    assert_eq!(page.view(id).subscription.state, Watching::Pending);
    let lines = "Event: presence\nSubscription-State: active;expires=560";
    assert_eq!(notify(&mut page, &subscribe, 2, lines, GENERATED), Some(200));
    let view = page.view(id);
    assert_eq!((view.subscription.state, view.summary.status), (Watching::Active, Status::Away));
    assert_eq!(view.subscription.expires, Some(page.now + sip_presence::time::Duration::from_secs(560)));
}

#[test]
fn documents_that_opensips_puts_together_and_its_calls_are_read() {
    let body = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com">
<tuple id="desk"><status><basic>open</basic></status></tuple>
<tuple id="tuple_mixingid"><status><basic>open</basic></status></tuple>
<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p1"><dm:note>Here</dm:note></dm:person>
<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="pers_mixingid"><rpid:activities
 xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><rpid:on-the-phone/></rpid:activities><dm:note>Calling</dm:note></dm:person>
</presence>"#;
    let (mut page, id, subscribe) = trying();
    let lines = "Event: presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, body), Some(200));
    let view = page.view(id);
    // It says so while the phone still rings, too: there is nothing to tell the two apart.
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::OnThePhone, Some("Here")));
    assert_eq!(view.presence.as_ref().unwrap().tuples.len(), 2);
}

#[test]
fn opensips_lets_a_notify_go_when_the_socket_is_lost_so_the_next_connection_asks() {
    let (mut page, id, subscribe) = trying();
    let lines = "Event: presence\nSubscription-State: active;expires=600";
    assert_eq!(notify(&mut page, &subscribe, 1, lines, GENERATED), Some(200));
    page.disconnect();
    assert!(page.view(id).stale);
    page.seconds(3);
    page.connect();
    let refresh = page.next_sent();
    assert_eq!((refresh.method(), refresh.call_id()), (Method::Subscribe, subscribe.call_id()));
    accept(&mut page, &refresh, "\nExpires: 600");
    // The offline document: the body that was, closed.
    let offline = GENERATED.replace("open", "closed");
    assert_eq!(notify(&mut page, &subscribe, 5, lines, &offline), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.stale), (Status::Offline, false));
}
