//! What the agent answers to requests of others (RFC 3261 §8.2, §9.2, §11.2).
#![allow(clippy::unwrap_used)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::Watching;
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Method, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

/// A request of this method, in the dialog of `subscribe` or outside.
fn request(subscribe: &Message, method: Method, inside: bool) -> Message {
    let mut request = Message::request(method.clone(), subscribe.contact().unwrap().uri);
    request.push(Name::Via, "SIP/2.0/WSS p.example.com;branch=z9hG4bKa;x=\"y\"");
    request.push(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb");
    request.push(Name::MaxForwards, "70");
    request.push(Name::From, "\"Bob\" <sip:bob@example.com>;tag=server-tag");
    request.push(
        Name::To,
        if inside { subscribe.header(&Name::From).unwrap() } else { "<sip:alice@example.com>" },
    );
    request.push(Name::CallId, if inside { subscribe.call_id() } else { "outside" });
    request.push(Name::CSeq, format!("900 {method}"));
    request.push(Name::Contact, "<sip:other.example.com>");
    request
}

/// All that was sent for `request`.
fn answers(page: &mut Page, request: &Message) -> Vec<Message> {
    page.receive(&request.to_bytes());
    let mut sent = Vec::new();
    while !page.is_silent() {
        sent.push(page.next_sent());
    }
    sent
}

#[track_caller]
fn answer(page: &mut Page, request: &Message) -> Message {
    let sent = answers(page, request);
    let [answer] = sent.as_slice() else { panic!("{sent:?}") };
    answer.clone()
}

// 3261-8.2.1-a 3261-8.2.6.1-a 4320-4.1-a 3261-8.2.6.2-a
#[test]
fn a_method_that_is_not_taken_is_refused_at_once_and_for_good() {
    let (mut page, id, subscribe) = Page::watching();
    for (method, status) in [
        (Method::Bye, 405),
        (Method::Info, 405),
        (Method::Invite, 405),
        (Method::Message, 405),
        (Method::Prack, 405),
        (Method::Publish, 405),
        (Method::Refer, 405),
        (Method::Register, 405),
        (Method::Subscribe, 405),
        (Method::Update, 405),
        (Method::Other("FOO".into()), 501),
        (Method::Other("notify".into()), 501),
    ] {
        for inside in [true, false] {
            let request = request(&subscribe, method.clone(), inside);
            let answer = answer(&mut page, &request);
            assert_eq!(
                (answer.status(), answer.header(&Name::Allow)),
                (Some(status), Some("NOTIFY, OPTIONS")),
                "{method}"
            );
            for name in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
                assert!(answer.rows(&name).eq(request.rows(&name)), "{method}: {name}");
            }
            let (asked, answered) = (request.to().unwrap(), answer.to().unwrap());
            assert_eq!(answered.uri, asked.uri);
            assert!(answered.tag().is_some() && (asked.tag().is_none() || asked.tag() == answered.tag()));
        }
    }
    assert_eq!(page.view(id).subscription.state, Watching::Active);
}

// 3261-11.2-a 3261-11.2-b
#[test]
fn options_are_told_inside_a_dialog_and_outside_and_change_nothing() {
    let (mut page, id, subscribe) = Page::watching();
    for inside in [true, false] {
        let answer = answer(&mut page, &request(&subscribe, Method::Options, inside));
        assert_eq!(answer.status(), Some(200));
        for (name, value) in [
            (Name::Allow, "NOTIFY, OPTIONS"),
            (Name::Accept, "application/pidf+xml"),
            (Name::AcceptEncoding, "identity"),
            (Name::AcceptLanguage, "*"),
            (Name::Supported, "gruu"),
        ] {
            assert!(answer.header(&name).is_some_and(|text| text.contains(value)), "{name}");
        }
    }
    // Neither its number nor its Contact is that of the dialog.
    let notify = notification(&subscribe, "server-tag", 200, "active;expires=100", &pidf(BOB, "busy", ""));
    assert_eq!(page.deliver(&notify), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    page.seconds(50);
    assert_eq!(page.next_sent().request_uri().unwrap().to_string(), "sip:pa.example.com");
}

// 3261-9.2-a 6665-4.6-c
#[test]
fn a_cancel_comes_too_late_for_anything_and_changes_nothing() {
    let (mut page, id, subscribe) = Page::watching();
    let notify = notification(&subscribe, "server-tag", 200, "active;expires=600", &pidf(BOB, "busy", ""));
    assert_eq!(page.deliver(&notify), 200);
    let mut cancel = notify.clone();
    cancel.start = Message::request(Method::Cancel, subscribe.contact().unwrap().uri).start.clone();
    cancel.set(Name::CSeq, "200 CANCEL");
    cancel.body.clear();
    let answer = answer(&mut page, &cancel);
    assert_eq!((answer.status(), answer.header(&Name::WwwAuthenticate)), (Some(481), None));
    assert_eq!(
        (page.view(id).subscription.state, page.view(id).summary.status),
        (Watching::Active, Status::Busy)
    );
}

// 3261-17.1.1.3-a
#[test]
fn an_ack_is_never_answered() {
    let (mut page, _, subscribe) = Page::watching();
    let invite = request(&subscribe, Method::Invite, false);
    assert_eq!(answer(&mut page, &invite).status(), Some(405));
    for inside in [true, false] {
        assert!(answers(&mut page, &request(&subscribe, Method::Ack, inside)).is_empty());
    }
    assert!(page.failures().is_empty());
}

// 6665-4.4.4-c 6665-4.1.3-c
#[test]
fn only_packages_and_no_templates_are_named_as_what_is_known() {
    let (mut page, _, subscribe) = Page::watching();
    let mut notify = notification(&subscribe, "server-tag", 200, "active;expires=600", "");
    notify.set(Name::Event, "presence.winfo");
    let answer = answer(&mut page, &notify);
    assert_eq!((answer.status(), answer.header(&Name::AllowEvents)), (Some(489), Some("presence")));
}

// 3856-5-b
#[test]
fn an_address_that_is_learnt_is_that_of_one_subscription() {
    let mut page = Page::online();
    page.watch("pres:bob@example.com");
    let subscribe = page.next_sent();
    page.respond(&subscribe, 200, &[(Name::Expires, "600"), (Name::Contact, "<sip:bob@host.example.com>")]);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    assert_eq!(page.notify(&subscribe, "terminated;reason=deactivated", ""), 200);
    page.seconds(1);
    assert_eq!(page.next_sent().request_uri().unwrap().to_string(), "pres:bob@example.com");
}
