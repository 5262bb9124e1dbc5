//! Faults that other SIP libraries for pages have shown when they were run, and that this one must not have. What is not
//! here stands in other files: the connection that comes back and reasons with their times in `subscriber.rs`, digest in
//! `requests.rs`, closing at a mute server in `hostile.rs`, torture messages in `torture.rs`.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, START, pidf};
use sip_presence::agent::{Event, FailureCode, WatchId, Watching};
use sip_presence::event::subscriber::{Plan, Subscriber};
use sip_presence::presence::{PIDF, PublishedState, Status};
use sip_presence::random::Random;
use sip_presence::sip::{EventType, Message, Name, NameAddr, Substate, Uri};
use std::collections::BTreeSet;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

/// The bytes of `message` with `to` in place of `from`.
fn written(message: &Message, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(message.to_bytes()).unwrap();
    assert!(text.contains(from), "{from} is not in\n{text}");
    text.replace(from, to).into_bytes()
}

/// Delivers bytes; the status code of the answer.
fn deliver(page: &mut Page, bytes: &[u8]) -> Option<u16> {
    page.receive(bytes);
    page.next_sent().status()
}

fn publish(page: &mut Page, note: &str) -> sip_presence::agent::RequestId {
    let note = Some(note.to_owned());
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note, until: None, input: None };
    let id = page.agent.publish(state, page.now);
    page.seconds(0);
    id
}

/// How `id` ended: the failure's code, or nothing.
fn published(page: &Page, id: sip_presence::agent::RequestId) -> Option<Result<(), FailureCode>> {
    page.events.iter().find_map(|event| match event {
        Event::Published { request, result } if *request == id => {
            Some(result.as_ref().map(|_| ()).map_err(|failure| failure.code))
        }
        _ => None,
    })
}

#[test]
fn no_number_is_used_twice_in_a_dialog_after_a_challenge() {
    // SIP.js: 1, 2, 3, 3, 4. 3261-12.2.1.1-c 6665-4.4.3-d
    let (mut page, _, first) = Page::trying();
    let mut numbers = vec![first.cseq().unwrap().number];
    page.accept(&first, 600);
    assert_eq!(page.notify(&first, "active;expires=600", ""), 200);
    for round in 0..4 {
        page.seconds(301);
        let refresh = page.next_sent();
        numbers.push(refresh.cseq().unwrap().number);
        let challenge = format!("Digest realm=\"here\", nonce=\"n{round}\", qop=\"auth\", algorithm=MD5");
        page.respond(&refresh, 401, &[(Name::WwwAuthenticate, &challenge)]);
        let again = page.next_sent();
        numbers.push(again.cseq().unwrap().number);
        assert_eq!(again.call_id(), first.call_id());
        page.accept(&again, 600);
        assert_eq!(page.notify(&first, "active;expires=600", ""), 200);
    }
    let expected: Vec<u32> = (0..9).map(|n| numbers[0] + n).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn an_event_with_an_id_is_delivered() {
    // SIP.js compares the whole text with the package. 6665-4.5.2-d 6665-8.2.1-a
    let mut random = Random::new([1; 32]);
    let mut plan = Plan {
        target: Uri::parse(BOB).unwrap(),
        from: NameAddr::new(Uri::parse("sip:alice@example.com").unwrap()),
        event: EventType::new("presence"),
        accept: PIDF,
        expires: 600,
        spread: 0,
    };
    plan.event.id = Some("7".to_owned());
    let mut subscriber = Subscriber::new(plan);
    let mut request = subscriber.next_request(&mut random, START).unwrap();
    assert_eq!(request.header(&Name::Event), Some("presence;id=7"));
    request.push(Name::Contact, "<sip:alice@host.invalid;transport=ws>");
    let mut notify = |number, event: &str| {
        let mut notify = notification(&request, "peer", number, "active;expires=600", "");
        notify.set(Name::Event, event);
        subscriber.handle_notify(&notify, &mut random, START).map(|notified| notified.state)
    };
    assert_eq!(notify(1, "presence"), Err(481));
    assert_eq!(notify(2, "presence;id=8"), Err(481));
    assert_eq!(notify(3, "presence;param=abcd;id=7"), Ok(Substate::Active));
}

#[test]
fn the_wrong_event_is_refused_and_ends_nothing() {
    // JsSIP says 489, and the subscription is gone. 6665-4.1.3-c
    let (mut page, id, subscribe) = Page::watching();
    let mut wrong = notification(&subscribe, "server-tag", 900, "terminated;reason=rejected", "");
    wrong.set(Name::Event, "dialog");
    assert_eq!(page.deliver(&wrong), 489);
    assert_eq!(page.view(id).subscription.state, Watching::Active);
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "")), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
}

/// Plays a server to a watch for a minute: how many SUBSCRIBEs it sends.
fn subscribes_of_a_minute(mut answer: impl FnMut(&mut Page, &Message)) -> (usize, Page, WatchId) {
    let mut page = Page::online();
    let id = page.watch(BOB);
    let mut count = 0;
    for _ in 0..60 {
        let mut at_once = 0;
        while !page.is_silent() {
            let subscribe = page.next_sent();
            count += 1;
            at_once += 1;
            assert!(at_once < 8, "a storm");
            answer(&mut page, &subscribe);
        }
        page.seconds(1);
    }
    (count, page, id)
}

#[test]
fn tiny_times_are_no_storm() {
    // JsSIP: `Expires: 4` in a 2xx makes 227 SUBSCRIBEs in half a second.
    let (count, page, id) = subscribes_of_a_minute(|page, subscribe| {
        page.accept(subscribe, 4);
        page.notify(subscribe, "active;expires=4", &pidf(BOB, "busy", ""));
    });
    assert!((15..=31).contains(&count), "{count}: one every two seconds");
    assert!(!page.view(id).stale, "it lives, as long as the server wants to be asked so often");
    for expires in [0, 1, 2] {
        for state in [format!("active;expires={expires}"), format!("pending;expires={expires}")] {
            let (count, _, _) = subscribes_of_a_minute(|page, subscribe| {
                page.accept(subscribe, 3600);
                page.notify(subscribe, &state, "");
            });
            assert!((1..=61).contains(&count), "{state}: {count}");
            let (count, _, _) = subscribes_of_a_minute(|page, subscribe| {
                page.accept(subscribe, expires);
                for _ in 0..5 {
                    page.notify(subscribe, &state, "");
                }
            });
            assert!((1..=61).contains(&count), "{state} in everything: {count}");
        }
    }
}

#[test]
fn a_notifier_that_makes_the_watcher_ask_each_time_is_no_storm() {
    let mut number = 1000;
    let (count, _, _) = subscribes_of_a_minute(|page, subscribe| {
        page.accept(subscribe, 3600);
        // A document, and then none: is it still so?
        page.notify(subscribe, "active;expires=3600", &pidf(BOB, "busy", ""));
        page.notify(subscribe, "active;expires=3600", "");
    });
    assert!((10..=16).contains(&count), "{count}");
    let (count, _, _) = subscribes_of_a_minute(|page, subscribe| {
        page.accept(subscribe, 3600);
        // Each answer is followed by one that came too late.
        number += 10;
        let at = |cseq| notification(subscribe, "server-tag", cseq, "active;expires=3600", "");
        let (newer, older) = (at(number), at(number - 5));
        assert_eq!(page.deliver(&newer), 200);
        assert_eq!(page.deliver(&older), 500);
    });
    assert!((10..=16).contains(&count), "{count}");
}

#[test]
fn a_pres_or_tel_address_in_from_or_to_is_read() {
    // SIP.js and JsSIP drop the message without a word. 3856-5-i
    for (from, to) in [
        ("From: <pres:bob@example.com>", "To: <pres:alice@example.com>"),
        ("From: <tel:+15550100;phone-context=example.com>", "To: \"A\" <tel:+15550101>"),
        ("From: tel:+15550100", "To: pres:alice@example.com"),
    ] {
        let (mut page, id, subscribe) = Page::watching();
        let body = pidf(BOB, "busy", "");
        let notify = notification(&subscribe, "server-tag", 900, "active;expires=600", &body);
        let bytes = written(&notify, "From: <sip:bob@example.com>", from);
        let text = String::from_utf8(bytes).unwrap().replace("To: <sip:alice@example.com>", to);
        assert!(text.contains(to), "{text}");
        assert_eq!(deliver(&mut page, text.as_bytes()), Some(200), "{from}");
        assert_eq!(page.view(id).summary.status, Status::Busy);
    }
}

#[test]
fn compact_names_are_the_names_they_stand_for() {
    // SIP.js says 489 to `o:`. 6665-8.4-a 3261-7.3.3-a
    let (mut page, id, subscribe) = Page::watching();
    let body = pidf(BOB, "busy", "");
    let notify = notification(&subscribe, "server-tag", 900, "active;expires=600", &body);
    let mut text = String::from_utf8(notify.to_bytes()).unwrap();
    for (long, compact) in [
        ("\r\nVia:", "\r\nv:"),
        ("\r\nTo:", "\r\nt:"),
        ("\r\nFrom:", "\r\nf:"),
        ("\r\nCall-ID:", "\r\ni:"),
        ("\r\nContact:", "\r\nm:"),
        ("\r\nEvent:", "\r\no:"),
        ("\r\nContent-Type:", "\r\nc:"),
        ("\r\nContent-Length:", "\r\nl:"),
    ] {
        assert!(text.contains(long), "{long:?}");
        text = text.replace(long, compact);
    }
    assert_eq!(deliver(&mut page, text.as_bytes()), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Busy);
}

#[test]
fn a_state_in_capitals_is_the_state() {
    // SIP.js says 489 to the first and passes over the rest; JsSIP says 400 and ends the subscription.
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 600);
    let body = pidf(BOB, "busy", "");
    assert_eq!(page.notify(&subscribe, "Active;Expires=600", &body), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Active);
    assert_eq!(page.notify(&subscribe, "PENDING", &body), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Pending);
    assert_eq!(page.notify(&subscribe, "Terminated;Reason=Rejected", ""), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Terminated);
}

#[test]
fn a_length_counts_bytes_and_what_follows_is_cut_off() {
    // SIP.js and JsSIP count UTF-16 units. 3261-18.3-a
    let (mut page, id, subscribe) = Page::watching();
    let note = "Grüße, 你好, 🦀";
    let body = pidf(BOB, "busy", note);
    let notify = notification(&subscribe, "server-tag", 900, "active;expires=600", &body);
    let bytes = notify.to_bytes();
    assert!(String::from_utf8_lossy(&bytes).contains(&format!("Content-Length: {}\r\n", body.len())));
    let with_junk = [bytes.as_slice(), b"<junk>NOTIFY sip:a@b SIP/2.0\r\n"].concat();
    assert_eq!(deliver(&mut page, &with_junk), Some(200));
    assert_eq!(page.view(id).summary.note.as_deref(), Some(note));
    assert!(page.failures().is_empty());
    publish(&mut page, note);
    let request = page.next_sent();
    // It was read back by its length.
    let text = core::str::from_utf8(&request.body).unwrap();
    assert!(text.contains(note) && text.ends_with("</presence>"), "{text}");
}

#[test]
fn a_publication_that_is_too_brief_again_and_again_is_told() {
    // SIP.js repeats it for ever. 3903-5-d
    let mut page = Page::online_with(|config| config.expires = 60);
    let id = publish(&mut page, "one");
    let first = page.next_sent();
    page.respond(&first, 423, &[(Name::MinExpires, "120")]);
    let second = page.next_sent();
    assert_eq!(second.expires(), Some(120));
    page.respond(&second, 423, &[(Name::MinExpires, "120")]);
    assert!(page.is_silent());
    assert_eq!(published(&page, id), Some(Err(FailureCode::Refused)));
    page.seconds(10_000);
    assert!(page.is_silent());
}

#[test]
fn a_publication_after_one_that_failed_is_sent() {
    // SIP.js throws "Invalid state transition".
    for (status, code) in
        [(503, FailureCode::Unavailable), (403, FailureCode::Forbidden), (489, FailureCode::UnsupportedEvent)]
    {
        let mut page = Page::online();
        let failed = publish(&mut page, "one");
        let first = page.next_sent();
        assert_eq!(published(&page, failed), None, "not before the server has answered");
        page.respond(&first, status, &[]);
        assert_eq!(published(&page, failed), Some(Err(code)));
        let good = publish(&mut page, "two");
        let second = page.next_sent();
        assert_eq!(second.header(&Name::SipIfMatch), None);
        assert!(String::from_utf8_lossy(&second.body).contains("two"));
        page.respond(&second, 200, &[(Name::SipETag, "e1"), (Name::Expires, "600")]);
        assert_eq!(published(&page, good), Some(Ok(())));
    }
}

#[test]
fn quick_publications_go_one_after_the_other_with_the_newest_tag() {
    // SIP.js sends both at once without a condition, and loses a tag. 3903-4-a 3903-4.2-a 3903-4.2-c 3903-8.2-a
    let mut page = Page::online();
    let ids = [publish(&mut page, "one"), publish(&mut page, "two"), publish(&mut page, "three")];
    let first = page.next_sent();
    assert!(page.is_silent(), "one at a time");
    assert_eq!(first.header(&Name::SipIfMatch), None);
    assert!(!first.body.is_empty());
    page.respond(&first, 200, &[(Name::SipETag, "a.b-c!%*_+"), (Name::Expires, "600")]);
    let second = page.next_sent();
    assert_eq!(second.header(&Name::SipIfMatch), Some("a.b-c!%*_+"));
    assert!(
        String::from_utf8_lossy(&second.body).contains("three"),
        "the newest, what was between is overtaken"
    );
    page.respond(&second, 200, &[(Name::SipETag, "next"), (Name::Expires, "600")]);
    assert!(page.is_silent());
    assert_eq!(ids.map(|id| published(&page, id)), [Some(Ok(())); 3]);
}

#[test]
fn of_two_algorithms_the_last_is_not_the_only_one() {
    // SIP.js and JsSIP keep the last challenge and know MD5 only; sipML5 writes SHA-256 over a response of MD5.
    // dig-8760-b
    let md5 = "Digest realm=\"here\", nonce=\"m\", qop=\"auth\", algorithm=MD5";
    let sha = "Digest realm=\"here\", nonce=\"s\", qop=\"auth\", algorithm=SHA-256";
    let better = "Digest realm=\"here\", nonce=\"t\", qop=\"auth\", algorithm=SHA-512-256";
    for (rows, algorithm, length) in [
        (vec![md5, sha], "algorithm=MD5", 32),
        (vec![sha, md5], "algorithm=SHA-256", 64),
        (vec![sha], "algorithm=SHA-256", 64),
        (vec![better, sha, md5], "algorithm=SHA-512-256", 64),
    ] {
        let (mut page, _, first) = Page::trying();
        let headers: Vec<(Name, &str)> = rows.iter().map(|row| (Name::WwwAuthenticate, *row)).collect();
        page.respond(&first, 401, &headers);
        let second = page.next_sent();
        let row = second.header(&Name::Authorization).unwrap();
        assert!(row.contains(algorithm), "{row}");
        let response = row.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(response.len(), length, "{row}");
    }
}

#[test]
fn leaving_and_coming_back_does_not_use_the_old_dialog() {
    // SIP.js sent what followed a `terminated` in the dialog that was over.
    let (mut page, id, subscribe) = Page::watching();
    let mut dialogs = BTreeSet::from([subscribe.call_id().to_owned()]);
    let mut last = subscribe;
    for _ in 0..3 {
        page.seconds(100);
        assert_eq!(page.notify(&last, "terminated;reason=timeout", ""), 200);
        page.seconds(1);
        last = page.next_sent();
        assert!(dialogs.insert(last.call_id().to_owned()));
        assert_eq!(last.to().unwrap().tag(), None);
        page.accept(&last, 3600);
        assert_eq!(page.notify(&last, "active;expires=3600", ""), 200);
        assert_eq!(page.view(id).subscription.state, Watching::Active);
    }
}
