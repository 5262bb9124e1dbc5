//! What FreeSWITCH sends, and the reader must bear: bytes written after a description of it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{FailureCode, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::auth::DigestCredentials;
use sip_presence::sip::{Message, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

/// A NOTIFY's number is the time in its handle: some hundred millions.
const CLOCK: u32 = 139_263_041;

/// 202, whatever happens next; Subscription-State in it, a shorter time than asked for, a Contact without transport.
fn accept(page: &mut Page, subscribe: &Message) {
    let head = "SIP/2.0 202 Accepted
Via: {via};received=127.0.0.1;rport=41264
From: <sip:alice@example.com>;tag={tag}
To: <sip:bob@example.com>;tag=fs-1
Call-ID: {call}
CSeq: {cseq}
Contact: <sip:mod_sofia@192.0.2.30:5066>
Expires: 3387
User-Agent: FreeSWITCH-mod_sofia
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE
Supported: timer, path, replaces
Allow-Events: talk, hold, conference, presence, as-feature-event, dialog, line-seize, call-info
Subscription-State: active;expires=3387
Content-Length: 0";
    page.wire(subscribe, head, "");
}

fn trying() -> (Page, WatchId, Message) {
    let (mut page, id, subscribe) = Page::trying();
    accept(&mut page, &subscribe);
    (page, id, subscribe)
}

fn notify(page: &mut Page, subscribe: &Message, number: u32, state: &str, body: &str) -> Option<u16> {
    let content_type = if body.is_empty() { "" } else { "\nContent-Type: application/pidf+xml" };
    let expires = if state.starts_with("terminated") { "\nExpires: 0" } else { "" };
    let head = format!(
        "NOTIFY sip:{{user}}@127.0.0.1:41264;transport=ws;ob SIP/2.0
Via: SIP/2.0/WSS 192.0.2.30:7443;rport;branch=z9hG4bK{number}
Max-Forwards: 70
From: <sip:bob@example.com>;tag=fs-1
To: <sip:alice@example.com>;tag={{tag}}
Call-ID: {{call}}
CSeq: {number} NOTIFY
Contact: <sip:mod_sofia@192.0.2.30:5066>{expires}
User-Agent: FreeSWITCH-mod_sofia
Event: presence
Allow-Events: talk, hold, conference, presence
Subscription-State: {state}{content_type}
Content-Length: {{length}}"
    );
    page.wire(subscribe, &head, body)
}

/// Single quotes and double, line ends of both kinds, ids that never change; note and activity are put in as they are.
fn pidf(basic: &str, activity: &str, note: &str) -> String {
    format!(
        "<?xml version='1.0' encoding='ISO-8859-1'?>\r\n<presence xmlns='urn:ietf:params:xml:ns:pidf' \n\
         xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \r\nxmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \n\
         xmlns:c='urn:ietf:params:xml:ns:pidf:cipid' entity='sip:bob@example.com'>\n\
         <tuple id='t6a5ed77e'>\r\n<status>\r\n<basic>{basic}</basic>\n</status>\r\n</tuple>\n\
         <dm:person id='p06360c4a'>\r\n<rpid:activities>\r\n<rpid:{activity}/>\n</rpid:activities>\r\n\
         <dm:note>{note}</dm:note></dm:person>\r\n</presence>"
    )
}

#[test]
fn mixed_quotes_and_line_ends_and_utf_8_declared_as_latin_1_are_read() {
    let (mut page, id, subscribe) = trying();
    let body = pidf("open", "busy", "Besprechung über Mittag");
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &body), Some(200));
    let view = page.view(id);
    assert_eq!(view.summary.status, Status::Busy);
    assert_eq!(view.summary.note.as_deref(), Some("Besprechung über Mittag"));
    let presence = view.presence.as_ref().unwrap();
    assert_eq!((presence.tuples[0].id.as_str(), presence.persons[0].id.as_str()), ("t6a5ed77e", "p06360c4a"));
    assert!(page.failures().is_empty());
}

#[test]
fn a_note_that_is_not_escaped_is_read_as_far_as_it_can_be_or_told_and_nothing_changed() {
    for (note, status, seen, told) in [
        ("R&D until five", Status::Offline, "R&D until five", false),
        ("me <3 you", Status::Offline, "me", false),
        ("<unclosed", Status::Offline, "", false),
        // What looks like an entity is never guessed at.
        ("Q&A; back soon", Status::Away, "good", true),
    ] {
        let (mut page, id, subscribe) = trying();
        let good = pidf("open", "away", "good");
        assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=99", &good), Some(200));
        let body = pidf("closed", "busy", note);
        assert_eq!(notify(&mut page, &subscribe, CLOCK + 1, "active;expires=99", &body), Some(200));
        let view = page.view(id);
        assert_eq!(
            (view.summary.status, view.summary.note.as_deref().unwrap_or("")),
            (status, seen),
            "{note}"
        );
        let codes: Vec<FailureCode> = page.failures().iter().map(|failure| failure.code).collect();
        assert_eq!(codes, if told { vec![FailureCode::BadDocument] } else { Vec::new() }, "{note}");
    }
}

#[test]
fn an_activity_that_is_made_of_words_is_read_over() {
    let (mut page, id, subscribe) = trying();
    let body = pidf("open", "In a meeting", "Away from the desk");
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &body), Some(200));
    let view = page.view(id);
    assert_eq!(view.summary.status, Status::Available);
    assert_eq!(view.summary.note.as_deref(), Some("Away from the desk"));
}

#[test]
fn a_document_for_polycom_with_a_doctype_keeps_the_last_good_state() {
    let (mut page, id, subscribe) = trying();
    let body = pidf("open", "busy", "good");
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &body), Some(200));
    let xpidf = "<?xml version=\"1.0\"?>\n<!DOCTYPE presence PUBLIC \"-//IETF//DTD RFCxxxx XPIDF 1.0//EN\" \"xpidf.dtd\">\n\
                 <presence>\n<presentity uri=\"sip:bob@example.com;method=SUBSCRIBE\" />\n<atom id=\"1002\">\n\
                 <address uri=\"sip:bob@example.com;user=ip\" priority=\"0.800000\">\n<status status=\"open\" />\n\
                 <msnsubstatus substatus=\"online\" />\n</address>\n</atom>\n</presence>\n";
    // Whichever type is written over it.
    assert_eq!(notify(&mut page, &subscribe, CLOCK + 9, "active;expires=3387", xpidf), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Busy);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::BadDocument);
}

#[test]
fn numbers_that_jump_are_followed() {
    let (mut page, id, subscribe) = trying();
    let mut number = CLOCK;
    for (step, activity, status) in [
        (0, "busy", Status::Busy),
        (7_201, "away", Status::Away),
        (1_800_000_000, "on-the-phone", Status::OnThePhone),
    ] {
        number += step;
        let body = pidf("open", activity, "");
        assert_eq!(notify(&mut page, &subscribe, number, "active;expires=3387", &body), Some(200));
        assert_eq!(page.view(id).summary.status, status);
    }
}

#[test]
fn numbers_that_go_down_at_new_year_do_not_leave_the_watcher_wrong() {
    let (mut page, id, subscribe) = trying();
    let body = pidf("open", "busy", "last year");
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &body), Some(200));
    page.seconds(90);
    // 3261-12.2.2-b holds: refused, nothing changed.
    let body = pidf("open", "away", "this year");
    for number in [17, 23] {
        assert_eq!(notify(&mut page, &subscribe, number, "active;expires=3387", &body), Some(500));
    }
    assert_eq!(page.view(id).summary.note.as_deref(), Some("last year"));
    page.seconds(5);
    let refresh = page.next_sent();
    assert_eq!((refresh.call_id(), refresh.expires()), (subscribe.call_id(), Some(3600)));
    accept(&mut page, &refresh);
    assert_eq!(notify(&mut page, &subscribe, 29, "active;expires=3387", &body), Some(500));
    assert!(page.is_silent(), "one refresh shows it");
    page.seconds(33);
    assert!(page.view(id).stale);
    let again = page.next_sent();
    assert_ne!(again.call_id(), subscribe.call_id());
    accept(&mut page, &again);
    assert_eq!(notify(&mut page, &again, 63, "active;expires=3387", &body), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::Away, Some("this year")));
    assert!(!view.stale);
}

#[test]
fn a_late_notify_costs_one_refresh_and_a_copy_costs_nothing() {
    let (mut page, id, subscribe) = trying();
    let body = pidf("open", "busy", "");
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &body), Some(200));
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &body), Some(500));
    page.seconds(60);
    assert!(page.is_silent());
    assert_eq!(notify(&mut page, &subscribe, CLOCK - 1, "active;expires=3387", &body), Some(500));
    page.seconds(5);
    let refresh = page.next_sent();
    accept(&mut page, &refresh);
    assert_eq!(notify(&mut page, &subscribe, CLOCK + 1, "active;expires=3387", &body), Some(200));
    page.seconds(600);
    assert!(page.is_silent());
    assert!(!page.view(id).stale && page.failures().is_empty());
}

#[test]
fn no_resource_is_the_usual_end_of_a_subscription_that_was_left() {
    let (mut page, id, subscribe) = trying();
    assert_eq!(
        notify(&mut page, &subscribe, CLOCK, "active;expires=3387", &pidf("open", "busy", "")),
        Some(200)
    );
    page.unwatch(id);
    page.seconds(3);
    let leave = page.next_sent();
    assert_eq!(leave.expires(), Some(0));
    let head = "SIP/2.0 202 Accepted
Via: {via};received=127.0.0.1;rport=41264
From: <sip:alice@example.com>;tag={tag}
To: <sip:bob@example.com>;tag=fs-1
Call-ID: {call}
CSeq: {cseq}
Contact: <sip:mod_sofia@192.0.2.30:5066>
Expires: 0
Subscription-State: terminated;reason=noresource
Content-Length: 0";
    page.wire(&leave, head, "");
    assert_eq!(notify(&mut page, &subscribe, CLOCK + 3, "terminated;reason=noresource", ""), Some(200));
    assert!(page.failures().is_empty(), "that is no failure");
    assert_eq!(page.agent.poll_timeout(), None);
    // Who comes back later gets a new subscription.
    page.watch(BOB);
    assert_ne!(page.next_sent().call_id(), subscribe.call_id());
}

#[test]
fn a_success_that_tells_the_state_itself_still_waits_for_the_notify() {
    // 6665-8.2.3-a
    let (mut page, id, subscribe) = trying();
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    // A shorter time than granted, at random: half of it is when the refresh goes out, to the Contact of the NOTIFY.
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=3301", ""), Some(200));
    page.seconds(1649);
    assert!(page.is_silent());
    page.seconds(3);
    let refresh = page.next_sent();
    assert_eq!(refresh.request_uri().unwrap().to_string(), "sip:mod_sofia@192.0.2.30:5066");
}

#[test]
fn over_wss_it_may_never_notify_and_that_is_told() {
    let (mut page, id, _) = trying();
    page.seconds(33);
    let failure = page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.uri.as_deref()), (FailureCode::NoNotify, Some(BOB)));
    assert!(failure.retry_at.is_some());
    let view = page.view(id);
    assert_eq!((view.subscription.state, view.summary.status), (Watching::Terminated, Status::Unknown));
}

#[test]
fn the_event_is_written_without_parameters_because_the_whole_text_is_its_key() {
    let (mut page, _, subscribe) = trying();
    assert_eq!(subscribe.header(&Name::Event), Some("presence"));
    assert_eq!(notify(&mut page, &subscribe, CLOCK, "active;expires=100", ""), Some(200));
    page.seconds(51);
    assert_eq!(page.next_sent().header(&Name::Event), Some("presence"));
}

#[test]
fn a_401_without_a_challenge_is_tried_without_credentials_once() {
    let (mut page, id, subscribe) = Page::trying();
    let challenge = "Digest realm=\"example.com\", nonce=\"n-1\", algorithm=MD5, qop=\"auth\"";
    page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, challenge)]);
    let proved = page.next_sent();
    accept(&mut page, &proved);
    assert_eq!(
        notify(&mut page, &proved, CLOCK, "active;expires=3387", &pidf("open", "busy", "")),
        Some(200)
    );
    page.seconds(1694);
    let refresh = page.next_sent();
    assert!(refresh.header(&Name::Authorization).is_some());
    // The nonce has run out, and the server says so without a new one.
    page.respond(&refresh, 401, &[]);
    let bare = page.next_sent();
    assert_eq!((bare.header(&Name::Authorization), bare.call_id()), (None, subscribe.call_id()));
    assert_eq!(bare.cseq().unwrap().number, refresh.cseq().unwrap().number + 1);
    let challenge = "Digest realm=\"example.com\", nonce=\"n-2\", algorithm=MD5, qop=\"auth\"";
    page.respond(&bare, 401, &[(Name::WwwAuthenticate, challenge)]);
    let again = page.next_sent();
    let proof = DigestCredentials::parse(again.header(&Name::Authorization).unwrap()).unwrap();
    assert_eq!((proof.nonce.as_str(), proof.nc), ("n-2", Some(1)));
    accept(&mut page, &again);
    assert_eq!(notify(&mut page, &subscribe, CLOCK + 9, "active;expires=3387", ""), Some(200));
    assert!(!page.view(id).stale && page.failures().is_empty());
    // Where no credentials were sent there is nothing to leave out: it is told.
    let (mut page, _, subscribe) = Page::trying();
    page.respond(&subscribe, 401, &[]);
    assert!(page.is_silent());
    assert_eq!(page.failures().pop().unwrap().status, Some(401));
}
