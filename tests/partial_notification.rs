//! Partial notification (RFC 5263) as the agent takes it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{Event, FailureCode, WatchId};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

struct Partial {
    page: Page,
    id: WatchId,
    subscribe: Message,
    cseq: u32,
}

impl Partial {
    /// An active subscription in which nothing has come yet.
    fn new() -> Self {
        let (mut page, id, subscribe) = Page::trying();
        page.accept(&subscribe, 3600);
        Self { page, id, subscribe, cseq: 0 }
    }

    /// One with version 3 of the document: open, busy.
    fn known() -> Self {
        let mut partial = Self::new();
        partial.full(3);
        assert_eq!(partial.sees(), (Status::Busy, Some("three")));
        partial.page.seconds(10);
        partial
    }

    fn take(&mut self, kind: &str, body: &str) {
        self.cseq += 1;
        let mut notify = notification(&self.subscribe, "server-tag", self.cseq, "active;expires=3000", "");
        notify.set_body(kind, body.as_bytes().to_vec());
        assert_eq!(self.page.deliver(&notify), 200);
    }

    fn full(&mut self, version: u32) {
        let number = ["zero", "one", "two", "three"].get(version as usize).copied().unwrap_or("more");
        let body = pidf(BOB, "busy", number)
            .replace("<presence ", "<p:pidf-full xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" ")
            .replace("</presence>", "</p:pidf-full>")
            .replace("entity=", &format!("version=\"{version}\" entity="));
        self.take("application/pidf-diff+xml", &body);
    }

    fn diff(&mut self, version: u32, operations: &str) {
        let body = format!(
            "<p:pidf-diff xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             version=\"{version}\">{operations}</p:pidf-diff>"
        );
        self.take("application/pidf-diff+xml", &body);
    }

    fn note(&mut self, version: u32, note: &str) {
        self.diff(version, &format!("<p:replace sel=\"*/tuple[@id='t1']/note/text()\">{note}</p:replace>"));
    }

    fn sees(&self) -> (Status, Option<&'static str>) {
        let view = self.page.view(self.id);
        let note = view.summary.note.clone().map(|note| &*note.leak());
        (view.summary.status, note)
    }

    /// The refresh that is asked for at once, and its answer.
    #[track_caller]
    fn refreshes(&mut self) -> Message {
        let refresh = self.page.next_sent();
        assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"));
        self.page.accept(&refresh, 3600);
        assert!(self.page.is_silent(), "one in flight");
        refresh
    }
}

fn takes_partial(subscribe: &Message) -> bool {
    subscribe.list(&Name::Accept).any(|media| media == "application/pidf-diff+xml")
}

const BAD: &str = "<p:remove sel=\"*/tuple[@id='none']\"/>";

// 5263-4.2-a 5263-4.1-a
#[test]
fn a_subscription_says_that_it_takes_changes_and_whole_documents() {
    let (_, _, subscribe) = Page::trying();
    assert!(takes_partial(&subscribe));
    // As a value without parameters, which some servers compare whole.
    assert_eq!(subscribe.list(&Name::Accept).next(), Some("application/pidf+xml"));
}

// 5263-4.5-a 5263-4.5-c 5263-4.5-d
#[test]
fn changes_are_applied_to_what_is_known() {
    let mut partial = Partial::known();
    partial.note(4, "four");
    assert_eq!(partial.sees(), (Status::Busy, Some("four")));
    partial.diff(5, "<p:replace sel=\"*/tuple/status/basic/text()\">closed</p:replace>");
    assert_eq!(partial.sees(), (Status::Offline, Some("four")));
    partial.full(9);
    assert_eq!(partial.sees(), (Status::Busy, Some("more")));
    partial.note(10, "ten");
    assert_eq!(partial.sees(), (Status::Busy, Some("ten")));
    assert!(partial.page.is_silent() && partial.page.failures().is_empty());
}

// 5263-4.5-b
#[test]
fn what_is_not_newer_is_discarded() {
    let mut partial = Partial::known();
    let before = partial.page.view(partial.id);
    partial.page.told();
    for version in [3, 2, 0] {
        partial.note(version, "old");
        partial.full(version);
    }
    assert_eq!(partial.page.view(partial.id).presence, before.presence);
    assert!(partial.page.told().iter().all(|view| view.as_of == before.as_of));
    assert!(partial.page.is_silent() && partial.page.failures().is_empty());
}

// 5263-4.5-e 6665-5.3.2-b 3856-6.8-d
#[test]
fn after_a_gap_the_whole_is_asked_for_once() {
    let mut partial = Partial::known();
    partial.note(5, "five");
    assert_eq!(partial.sees(), (Status::Busy, Some("three")), "not applied");
    partial.note(6, "six");
    let refresh = partial.refreshes();
    assert!(takes_partial(&refresh));
    partial.note(7, "seven");
    assert!(partial.page.is_silent());
    partial.full(8);
    partial.note(9, "nine");
    assert_eq!(partial.sees(), (Status::Busy, Some("nine")));
    assert!(partial.page.is_silent() && partial.page.failures().is_empty());
}

// 5263-4.5-a
#[test]
fn a_change_to_nothing_asks_for_the_whole() {
    let mut partial = Partial::new();
    partial.page.seconds(10);
    partial.note(1, "one");
    assert_eq!(partial.sees(), (Status::Unknown, None));
    partial.refreshes();
    partial.full(2);
    assert_eq!(partial.sees(), (Status::Busy, Some("two")));
}

// 5263-4.5-f
#[test]
fn a_patch_that_fails_is_told_and_mended_and_the_second_ends_partial_documents() {
    let mut partial = Partial::known();
    partial.diff(4, BAD);
    assert_eq!(partial.sees(), (Status::Busy, Some("three")));
    let failure = partial.page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.uri.as_deref()), (FailureCode::BadDocument, Some(BOB)));
    assert!(failure.reason.unwrap().contains("unlocated-node"));
    assert!(takes_partial(&partial.refreshes()));
    partial.full(5);
    partial.page.seconds(10);
    partial.diff(6, BAD);
    let refresh = partial.refreshes();
    assert!(!takes_partial(&refresh) && refresh.accepts("application/pidf+xml", ""));
    partial.take("application/pidf+xml", &pidf(BOB, "away", "whole"));
    assert_eq!(partial.sees(), (Status::Away, Some("whole")));
    partial.page.seconds(1500);
    assert!(!takes_partial(&partial.page.next_sent()), "nor later");
}

// 5263-4.5-g 5263-4.5-h
#[test]
fn a_change_of_type_forgets_the_document_and_not_the_version() {
    let mut partial = Partial::known();
    partial.take("application/pidf+xml", &pidf(BOB, "away", "whole"));
    assert_eq!(partial.sees(), (Status::Away, Some("whole")));
    partial.note(4, "four");
    assert_eq!(partial.sees(), (Status::Away, Some("whole")), "nothing to apply it to");
    partial.refreshes();
    partial.full(3);
    assert_eq!(partial.sees(), (Status::Away, Some("whole")), "3 was before");
    partial.full(4);
    assert_eq!(partial.sees(), (Status::Busy, Some("more")));
}

#[test]
fn a_new_subscription_counts_anew() {
    let mut partial = Partial::known();
    partial.page.seconds(1500);
    let refresh = partial.page.next_sent();
    partial.page.respond(&refresh, 481, &[]);
    partial.page.seconds(1);
    partial.subscribe = partial.page.next_sent();
    assert_eq!(partial.subscribe.to().unwrap().tag(), None);
    partial.page.accept(&partial.subscribe, 3600);
    partial.full(1);
    assert_eq!(partial.sees(), (Status::Busy, Some("one")));
}

#[test]
fn a_fetch_may_be_answered_with_the_full_form() {
    let mut page = Page::online();
    page.agent.fetch(&sip_presence::sip::Uri::parse(BOB).unwrap(), page.now);
    page.seconds(0);
    let subscribe = page.next_sent();
    page.respond(&subscribe, 200, &[(Name::Expires, "0"), (Name::Contact, "<sip:pa.example.com>")]);
    let mut notify = notification(&subscribe, "server-tag", 1, "terminated;reason=timeout", "");
    let body = "<p:pidf-full xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:bob@example.com\" \
        version=\"1\"><tuple id=\"t\"><status><basic>open</basic></status></tuple></p:pidf-full>";
    notify.set_body("application/pidf-diff+xml", body.as_bytes().to_vec());
    assert_eq!(page.deliver(&notify), 200);
    let fetched = page.events.iter().find_map(|event| match event {
        Event::Fetched { result: Ok(view), .. } => Some(view.summary.status),
        _ => None,
    });
    assert_eq!(fetched, Some(Status::Available));
}
