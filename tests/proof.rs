//! NOTIFYs that have to prove who sends them, and documents that were told before (RFC 3856 §9.4).
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::{Page, notification};
use sip_presence::agent::{FailureCode, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::auth::{DigestCredentials, Protected, Secret};
use sip_presence::sip::{Limits, Message, Name};
use sip_presence::time::Duration;

const BOB: &str = "sip:bob@example.com";

fn document(minute: u32, basic: &str) -> String {
    format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"{BOB}\"><tuple id=\"t\"><status><basic>{basic}</basic></status>\
         <timestamp>2026-01-01T00:{minute:02}:00Z</timestamp></tuple></presence>"
    )
}

/// Alice watches Bob, whose presence agent shares a secret with her.
struct Scene {
    page: Page,
    id: WatchId,
    subscribe: Message,
    sequence: u32,
}

impl Scene {
    fn new() -> Self {
        Self::with(&["bob"])
    }

    /// All of `notifiers` have the same secret.
    fn with(notifiers: &[&str]) -> Self {
        let secret = |name: &&str| ((*name).to_owned(), Secret::Password("shared".to_owned()));
        let mut page =
            Page::online_with(|config| config.notifiers = Some(notifiers.iter().map(secret).collect()));
        let id = page.watch(BOB);
        let subscribe = page.next_sent();
        page.accept(&subscribe, 3600);
        Self { page, id, subscribe, sequence: 0 }
    }

    fn notify(&mut self, body: &str) -> Message {
        self.sequence += 1;
        notification(&self.subscribe, "server-tag", self.sequence, "active;expires=3600", body)
    }

    /// Delivers a NOTIFY; its answer.
    fn deliver(&mut self, notify: &Message) -> Message {
        self.page.receive(&notify.to_bytes());
        let answer = self.page.next_sent();
        assert_eq!(answer.call_id(), notify.call_id());
        answer
    }

    /// Delivers a NOTIFY and the answer to the challenge to it; the status of the last answer.
    fn prove(&mut self, body: &str, username: &str, password: &str) -> u16 {
        let challenge = {
            let notify = self.notify(body);
            self.deliver(&notify)
        };
        assert_eq!(challenge.status(), Some(401));
        let mut again = self.notify(body);
        sign(&mut again, &challenge, username, password, 1);
        self.deliver(&again).status().unwrap()
    }

    fn status(&self) -> Status {
        self.page.view(self.id).summary.status
    }
}

fn sign(notify: &mut Message, challenge: &Message, username: &str, password: &str, count: u32) {
    let challenge = challenge.challenges(&Name::WwwAuthenticate).remove(0);
    let uri = notify.request_uri().unwrap().to_string();
    let protected = Protected { method: "NOTIFY", uri: &uri, body: &notify.body };
    let secret = Secret::Password(password.to_owned());
    let row = DigestCredentials::answer(&challenge, username, &secret, protected, "cnonce", count).unwrap();
    notify.set(Name::Authorization, row.to_string());
}

#[test]
fn a_notify_without_proof_is_challenged_and_changes_nothing() {
    // 3856-9.4-e 3856-9.4-d
    let mut scene = Scene::new();
    let notify = scene.notify(&document(1, "open"));
    let answer = scene.deliver(&notify);
    assert_eq!(answer.status(), Some(401));
    for challenge in answer.challenges(&Name::WwwAuthenticate) {
        assert_eq!(
            (challenge.realm.as_str(), challenge.to_string().contains("qop=\"auth-int\"")),
            ("example.com", true)
        );
    }
    assert_eq!(scene.status(), Status::Unknown);
    assert_eq!(scene.page.view(scene.id).subscription.state, Watching::Trying);
}

#[test]
fn who_shares_the_secret_is_believed() {
    // 3856-9.4-e
    let mut scene = Scene::new();
    assert_eq!(scene.prove(&document(1, "open"), "bob", "shared"), 200);
    assert_eq!(scene.status(), Status::Available);
    assert_eq!(scene.page.view(scene.id).subscription.state, Watching::Active);
    assert!(scene.page.failures().is_empty());
}

#[test]
fn why_nobody_is_believed_is_told() {
    // 3856-9.4-e
    let mut scene = Scene::new();
    assert_eq!(scene.prove(&document(1, "open"), "bob", "guessed"), 401);
    scene.page.seconds(33);
    let failure = scene.page.view(scene.id).subscription.failure.clone().unwrap();
    assert_eq!(failure.code, FailureCode::NoNotify);
    assert_eq!(failure.reason.as_deref(), Some("no NOTIFY proved who sent it"));
    assert_eq!(scene.page.failures().pop().unwrap(), *failure);
    // Where none came at all, that is not what happened.
    let mut silent = Scene::new();
    silent.page.seconds(33);
    assert_eq!(silent.page.failures().pop().unwrap().reason, None);
}

#[test]
fn a_list_of_nobody_lets_nobody_notify() {
    // 3856-9.4-e
    let mut scene = Scene::with(&[]);
    assert_eq!(scene.prove(&document(1, "open"), "bob", "shared"), 401);
    assert_eq!(scene.status(), Status::Unknown);
}

#[test]
fn a_forged_proof_or_body_is_refused() {
    // 3856-9.4-e
    let mut scene = Scene::new();
    assert_eq!(scene.prove(&document(1, "open"), "bob", "guessed"), 401);
    assert_eq!(scene.prove(&document(1, "open"), "carol", "shared"), 401);
    // Another body under the same proof.
    let notify = scene.notify(&document(1, "open"));
    let challenge = scene.deliver(&notify);
    let mut signed = scene.notify(&document(1, "open"));
    sign(&mut signed, &challenge, "bob", "shared", 1);
    signed.set_body("application/pidf+xml", document(1, "closed").into_bytes());
    assert_eq!(scene.deliver(&signed).status(), Some(401));
    // A proof that does not cover the body.
    let text = String::from_utf8(challenge.to_bytes()).unwrap().replace("auth-int", "auth");
    let weaker = Message::parse(text.as_bytes(), &Limits::default()).unwrap();
    let mut signed = scene.notify(&document(1, "open"));
    sign(&mut signed, &weaker, "bob", "shared", 1);
    assert_eq!(scene.deliver(&signed).status(), Some(401));
    assert_eq!(scene.status(), Status::Unknown);
}

#[test]
fn a_proof_is_good_once() {
    // dig-7616-p
    let mut scene = Scene::new();
    let notify = scene.notify(&document(1, "open"));
    let challenge = scene.deliver(&notify);
    let mut signed = scene.notify(&document(1, "open"));
    sign(&mut signed, &challenge, "bob", "shared", 1);
    assert_eq!(scene.deliver(&signed).status(), Some(200));
    // With the next CSeq, which the proof does not cover.
    let mut replayed = scene.notify(&document(1, "open"));
    replayed.set(Name::Authorization, signed.header(&Name::Authorization).unwrap());
    let answer = scene.deliver(&replayed);
    assert_eq!(answer.status(), Some(401));
    assert!(answer.challenges(&Name::WwwAuthenticate)[0].stale);
    let mut next = scene.notify(&document(2, "closed"));
    sign(&mut next, &challenge, "bob", "shared", 2);
    assert_eq!(scene.deliver(&next).status(), Some(200), "the next count of the same nonce");
    assert_eq!(scene.status(), Status::Offline);
    scene.page.advance(Duration::from_secs(301));
    let mut late = scene.notify(&document(3, "open"));
    sign(&mut late, &challenge, "bob", "shared", 3);
    assert_eq!(scene.deliver(&late).status(), Some(401));
}

#[test]
fn a_document_that_was_told_before_is_no_news() {
    // 3856-9.4-c
    let mut scene = Scene::new();
    assert_eq!(scene.prove(&document(5, "open"), "bob", "shared"), 200);
    assert_eq!(scene.prove(&document(6, "closed"), "bob", "shared"), 200);
    assert_eq!(scene.status(), Status::Offline);
    assert_eq!(scene.prove(&document(5, "open"), "bob", "shared"), 200);
    assert_eq!(scene.status(), Status::Offline, "the last good state stays");
    let failures = scene.page.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].code, FailureCode::BadDocument);
    assert_eq!(failures[0].reason.as_deref(), Some("the document is older than what is known"));
    // Of the same time: nothing has changed.
    assert_eq!(scene.prove(&document(6, "closed"), "bob", "shared"), 200);
    assert_eq!(scene.prove(&document(7, "open"), "bob", "shared"), 200);
    assert_eq!(scene.status(), Status::Available);
    assert_eq!(scene.page.failures().len(), 1);
}

#[test]
fn where_nothing_has_to_be_proved_nothing_is_refused() {
    let (mut page, id, subscribe) = Page::watching();
    for (minute, basic, status) in [(6, "open", Status::Available), (5, "closed", Status::Offline)] {
        assert_eq!(page.notify(&subscribe, "active;expires=3600", &document(minute, basic)), 200);
        assert_eq!(page.view(id).summary.status, status, "a clock may have been set back");
    }
}
