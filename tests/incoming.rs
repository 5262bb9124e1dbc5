//! Requests that an agent does not take, and bodies that it does not read.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::FailureCode;
use sip_presence::presence::Status;
use sip_presence::sip::{Limits, Message, Method, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

/// A request from outside any dialog, of `method`, with more header lines.
fn arriving(method: &str, lines: &str) -> Message {
    let text = format!(
        "{method} sip:alice@host.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/WSS s.example.com;branch=z9hG4bK{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>\r\nCall-ID: {method}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:bob@s.example.com>\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn who_only_publishes_and_watches_takes_no_subscribe() {
    // 3856-3-a 6665-4.4.4-c
    let mut page = Page::online();
    for (method, lines, status) in [
        ("SUBSCRIBE", "Event: presence\r\n", 405),
        ("SUBSCRIBE", "Event: presence.winfo\r\n", 405),
        ("OPTIONS", "", 200),
    ] {
        page.receive(&arriving(method, lines).to_bytes());
        let answer = page.next_sent();
        assert_eq!(answer.status(), Some(status), "{method}");
        let allowed: Vec<&str> = answer.list(&Name::Allow).collect();
        assert!(allowed.contains(&"NOTIFY") && !allowed.contains(&"SUBSCRIBE"), "{allowed:?}");
        assert_eq!(answer.header(&Name::AllowEvents), None, "it notifies of nothing, and so of no template");
    }
    assert!(page.is_silent());
}

#[test]
fn an_encrypted_body_is_refused_and_told_and_changes_nothing() {
    // 6665-6.6-a
    let (mut page, id, subscribe) = Page::watching();
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "")), 200);
    let mut notify = notification(&subscribe, "server-tag", 500, "active;expires=600", "\u{1}\u{2}MIIB");
    notify.set(Name::ContentType, "application/pkcs7-mime;smime-type=enveloped-data;name=smime.p7m");
    notify.push(Name::ContentDisposition, "attachment;filename=smime.p7m;handling=required");
    page.receive(&notify.to_bytes());
    let answer = page.next_sent();
    assert_eq!(answer.status(), Some(415));
    assert!(answer.list(&Name::Accept).any(|media| media == "application/pidf+xml"));
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::BadDocument);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    page.seconds(301);
    assert_eq!(page.next_sent().method(), Method::Subscribe, "the subscription lives");
}
