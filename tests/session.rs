//! A page that goes away, comes back, or is loaded again: what is said at once, what is kept, and what is said later.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{Event, FailureCode};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::{Message, Method, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";
const CAROL: &str = "sip:carol@example.com";
const INSTANCE: &str = "urn:uuid:00000000-0000-4000-8000-000000000001";

/// A page whose host keeps sessions, connected; `text` is what it kept.
fn load(text: &str) -> Page {
    let mut page = Page::new(|config| config.instance = INSTANCE.to_owned());
    page.agent.restore(text);
    page.connect();
    page
}

/// Answers a challenge for the next request, which is returned as it was sent the second time.
fn challenged(page: &mut Page) -> Message {
    let request = page.next_sent();
    let row = r#"Digest realm="example.com", nonce="n1", algorithm=SHA-256, qop="auth""#;
    page.respond(&request, 401, &[(Name::WwwAuthenticate, row)]);
    page.next_sent()
}

/// Watches `uri` with an active subscription; the SUBSCRIBE that was accepted.
fn subscribe(page: &mut Page, uri: &str) -> Message {
    page.watch(uri);
    let request = page.next_sent();
    page.accept(&request, 3600);
    assert_eq!(page.notify(&request, "active;expires=3600", ""), 200);
    request
}

fn publish(page: &mut Page) -> Message {
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note: None, until: None, input: None };
    page.agent.publish(state, page.now);
    page.seconds(0);
    page.next_sent()
}

/// The texts that the host was told to keep.
fn kept(page: &Page) -> Vec<String> {
    let texts = page.events.iter().filter_map(|event| match event {
        Event::Session(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

fn suspend(page: &mut Page) {
    page.agent.suspend(page.now);
    page.seconds(0);
}

fn all_sent(page: &mut Page) -> Vec<Message> {
    (0..page.pending()).map(|_| page.next_sent()).collect()
}

fn number(request: &Message) -> u32 {
    request.cseq().unwrap().number
}

#[test]
fn a_page_that_goes_away_ends_everything_without_waiting() {
    // 5626-4.2.2-a
    let mut page = Page::online_with(|config| {
        config.register = true;
        config.instance = INSTANCE.to_owned();
    });
    let register = challenged(&mut page);
    page.respond(&register, 200, &[(Name::Expires, "3600")]);
    let published = publish(&mut page);
    page.respond(&published, 200, &[(Name::SipETag, "tag1"), (Name::Expires, "3600")]);
    let subscribes = [subscribe(&mut page, BOB), subscribe(&mut page, CAROL)];
    suspend(&mut page);
    assert_eq!(page.closes, 1);
    let sent = all_sent(&mut page);
    let methods: Vec<Method> = sent.iter().map(Message::method).collect();
    assert_eq!(methods, [Method::Subscribe, Method::Subscribe, Method::Publish, Method::Register]);
    assert!(sent.iter().all(|request| request.expires() == Some(0)));
    for (end, begin) in sent.iter().zip(&subscribes) {
        assert_eq!((end.call_id(), number(end)), (begin.call_id(), number(begin) + 1));
        assert_eq!(end.to().unwrap().tag(), Some("server-tag"));
        assert!(end.contact().is_ok());
    }
    assert_eq!(sent[2].header(&Name::SipIfMatch), Some("tag1"));
    assert_eq!((sent[3].call_id(), number(&sent[3])), (register.call_id(), number(&register) + 1));
    assert_eq!(sent[3].header(&Name::Contact), register.header(&Name::Contact), "instance and reg-id too");
    // With the last good nonce, each use counted.
    let counts: Vec<String> = sent
        .iter()
        .map(|request| {
            let row = request.header(&Name::Authorization).unwrap();
            assert!(row.contains("nonce=\"n1\""), "{row}");
            row.split("nc=").nth(1).unwrap()[..8].to_owned()
        })
        .collect();
    assert!(counts.is_sorted_by(|a, b| a < b), "{counts:?}");
}

#[test]
fn a_refresh_on_its_way_does_not_hold_up_the_end() {
    let mut page = Page::online();
    let begin = subscribe(&mut page, BOB);
    page.seconds(1800);
    let refresh = page.next_sent();
    suspend(&mut page);
    let end = page.next_sent();
    assert_eq!((end.call_id(), end.expires()), (begin.call_id(), Some(0)));
    assert_eq!(number(&end), number(&refresh) + 1);
}

#[test]
fn a_page_that_comes_back_begins_anew() {
    let mut page = Page::online_with(|config| config.register = true);
    let register = page.next_sent();
    page.respond(&register, 200, &[(Name::Expires, "3600")]);
    let published = publish(&mut page);
    page.respond(&published, 200, &[(Name::SipETag, "tag1"), (Name::Expires, "3600")]);
    let id = page.watch(BOB);
    let begin = page.next_sent();
    page.accept(&begin, 3600);
    page.notify(&begin, "active;expires=3600", &common::pidf(BOB, "busy", ""));
    suspend(&mut page);
    assert!(page.view(id).stale);
    let said = all_sent(&mut page);
    page.agent.handle_online(page.now);
    page.seconds(0);
    assert_eq!(page.connects.len(), 2, "at once");
    page.connect();
    let sent = all_sent(&mut page);
    let methods: Vec<Method> = sent.iter().map(Message::method).collect();
    assert_eq!(methods, [Method::Subscribe, Method::Register, Method::Publish, Method::Subscribe]);
    // Whether the end was heard is not known: it is said again. The registration is not ended, for it is the same contact.
    assert_eq!((sent[0].call_id(), number(&sent[0])), (begin.call_id(), number(&said[0]) + 1));
    assert_eq!(sent[0].expires(), Some(0));
    assert!(sent[1].expires() > Some(0) && number(&sent[1]) > number(&said[2]));
    assert_eq!(sent[2].header(&Name::SipIfMatch), Some("tag1"));
    page.respond(&sent[2], 412, &[]);
    let again = page.next_sent();
    assert_eq!((again.method(), again.header(&Name::SipIfMatch)), (Method::Publish, None));
    assert!(!again.body.is_empty());
    assert_ne!(sent[3].call_id(), begin.call_id());
    assert!(sent[3].to().unwrap().tag().is_none());
    page.accept(&sent[3], 3600);
    page.notify(&sent[3], "active;expires=3600", &common::pidf(BOB, "busy", ""));
    assert!(!page.view(id).stale);
}

#[test]
fn the_next_load_ends_the_dialogs_of_the_last() {
    let mut page = load("");
    let begin = subscribe(&mut page, BOB);
    page.seconds(1);
    let text = kept(&page).pop().unwrap();
    // It crashes: nothing is said.
    let mut page = load(&text);
    let end = challenged(&mut page);
    assert_eq!((end.method(), end.expires(), end.call_id()), (Method::Subscribe, Some(0), begin.call_id()));
    assert_eq!(end.from().unwrap().tag(), begin.from().unwrap().tag());
    assert_eq!(end.to().unwrap().tag(), Some("server-tag"));
    assert_eq!(end.request_uri().unwrap().to_string(), "sip:pa.example.com");
    assert_eq!(number(&end), number(&begin) + 2, "the next, and once more with credentials");
    assert!(end.header(&Name::Authorization).is_some());
    assert_eq!(end.rows(&Name::Via).count(), 1);
    // Without an answer it is said again over the next connection.
    page.disconnect();
    page.seconds(2);
    page.connect();
    let again = page.next_sent();
    assert_eq!((again.call_id(), number(&again)), (begin.call_id(), number(&end) + 1));
    page.respond(&again, 481, &[]);
    page.seconds(2);
    assert_eq!(kept(&page).pop().unwrap(), "", "nothing is left");
    page.disconnect();
    page.seconds(2);
    page.connect();
    assert!(page.is_silent());
}

#[test]
fn the_next_load_removes_the_contact_of_the_last() {
    let mut page = Page::new(|config| {
        config.instance = INSTANCE.to_owned();
        config.register = true;
    });
    page.agent.restore("");
    page.connect();
    let register = page.next_sent();
    page.respond(&register, 200, &[(Name::Expires, "3600")]);
    page.seconds(1);
    let mut page = load(&kept(&page).pop().unwrap());
    let removal = page.next_sent();
    assert_eq!((removal.method(), removal.expires()), (Method::Register, Some(0)));
    assert_eq!((removal.call_id(), number(&removal)), (register.call_id(), number(&register) + 1));
    let (old, contact) = (register.contact().unwrap(), removal.contact().unwrap());
    assert_eq!(contact.uri, old.uri);
    assert!(old.params.contains("reg-id"));
    assert!(!contact.params.contains("reg-id") && !contact.params.contains("+sip.instance"), "{contact}");
}

#[test]
fn the_next_load_takes_the_publication_over() {
    // 3903-4.2-b
    let mut page = load("");
    let published = publish(&mut page);
    page.respond(&published, 200, &[(Name::SipETag, "tag1"), (Name::Expires, "3600")]);
    page.seconds(1);
    let mut page = load(&kept(&page).pop().unwrap());
    assert!(page.is_silent(), "nothing is wished yet");
    let published = publish(&mut page);
    assert_eq!(published.header(&Name::SipIfMatch), Some("tag1"));
    page.respond(&published, 200, &[(Name::SipETag, "tag2"), (Name::Expires, "3600")]);
    page.agent.close(page.now);
    page.seconds(0);
    let removal = page.next_sent();
    assert_eq!((removal.header(&Name::SipIfMatch), removal.expires()), (Some("tag2"), Some(0)));
    page.respond(&removal, 200, &[]);
    assert_eq!(kept(&page).pop().unwrap(), "");
}

#[test]
fn what_cannot_be_read_is_left() {
    let mut page = load("");
    subscribe(&mut page, BOB);
    page.seconds(1);
    let text = kept(&page).pop().unwrap();
    for end in 0..text.len() {
        assert!(load(&text[..end]).is_silent(), "{end}");
        load(&text[end..]);
        load(&text.replace(&text[end..=end], "\u{0}"));
    }
    assert_eq!(load(&text).pending(), 1);
}

#[test]
fn an_end_that_the_connection_swallowed_is_said_over_the_next() {
    let mut page = Page::online_with(|config| config.linger = sip_presence::time::Duration::ZERO);
    let id = page.watch(BOB);
    let begin = page.next_sent();
    page.accept(&begin, 3600);
    page.notify(&begin, "active;expires=3600", "");
    page.unwatch(id);
    let end = page.next_sent();
    page.disconnect();
    page.seconds(2);
    page.connect();
    let again = page.next_sent();
    assert_eq!(
        (again.call_id(), again.expires(), number(&again)),
        (begin.call_id(), Some(0), number(&end) + 1)
    );
}

#[test]
fn closing_without_a_connection_leaves_the_ends_to_the_next_load() {
    let mut page = load("");
    let begin = subscribe(&mut page, BOB);
    page.disconnect();
    page.agent.close(page.now);
    page.seconds(0);
    assert!(matches!(page.events.last(), Some(Event::Closed)));
    let mut next = load(&kept(&page).pop().unwrap());
    assert_eq!(next.next_sent().call_id(), begin.call_id());
}

#[test]
fn the_session_is_told_once_a_second_and_only_to_a_host_that_keeps_it() {
    let mut page = load("");
    for n in 0..100 {
        page.watch(&format!("sip:user{n}@example.com"));
    }
    let mut subscribes = 0;
    while page.pending() > 0 {
        let request = page.next_sent();
        page.accept(&request, 3600);
        page.notify(&request, "active;expires=3600", "");
        subscribes += 1;
    }
    assert_eq!(subscribes, 100);
    assert!(kept(&page).len() <= 1);
    page.seconds(1);
    assert!(kept(&page).len() <= 2);
    let text = kept(&page).pop().unwrap();
    assert_eq!(text.matches("SUBSCRIBE sip:").count(), 100);
    assert!(!text.contains("Authorization") && text.len() < 100 * 500, "{} bytes", text.len());
    // A change of the presentity is none of the session.
    let before = kept(&page).len();
    page.seconds(10);
    assert_eq!(kept(&page).len(), before);
    let mut page = Page::online();
    subscribe(&mut page, BOB);
    page.seconds(10);
    suspend(&mut page);
    assert!(kept(&page).is_empty());
}

#[test]
fn a_session_ends_where_there_is_no_more_room() {
    let mut page = load("");
    let long = "x".repeat(40_000);
    for n in 0..30 {
        subscribe(&mut page, &format!("sip:{long}{n}@example.com"));
    }
    page.seconds(1);
    let text = kept(&page).pop().unwrap();
    assert!(text.len() <= 1 << 20 && text.len() > 900_000, "{}", text.len());
    assert!(load(&text).pending() > 1);
}

#[test]
fn the_ends_of_old_dialogs_leave_room_for_new_ones() {
    let mut page = load("");
    for n in 0..40 {
        subscribe(&mut page, &format!("sip:user{n}@example.com"));
    }
    page.seconds(1);
    let mut page = load(&kept(&page).pop().unwrap());
    page.watch(CAROL);
    let sent = all_sent(&mut page);
    assert_eq!(sent.last().unwrap().request_uri().unwrap().to_string(), CAROL);
    // Nobody answers: each ends by itself and the next follows.
    page.seconds(400);
    assert!(page.failures().iter().all(|failure| failure.code == FailureCode::Timeout));
    let ends = sent.iter().chain(&all_sent(&mut page)).filter(|request| request.expires() == Some(0)).count();
    assert_eq!(ends, 40);
}

#[test]
fn an_end_that_comes_too_late_for_a_closing_page_changes_nothing() {
    let mut page = load("");
    subscribe(&mut page, BOB);
    page.agent.close(page.now);
    page.seconds(0);
    page.next_sent();
    suspend(&mut page);
    assert!(matches!(page.events.last(), Some(Event::Closed)));
    assert_eq!(page.closes, 1);
    page.agent.suspend(page.now);
    page.agent.handle_online(page.now);
    page.seconds(100);
    assert_eq!(page.connects.len(), 1);
}

#[test]
fn an_end_that_makes_the_server_hang_up_is_said_twice_and_no_more() {
    let mut page = load("");
    subscribe(&mut page, BOB);
    suspend(&mut page);
    let text = kept(&page).pop().unwrap();
    let mut page = load(&text);
    for time in 0..2 {
        assert!(all_sent(&mut page).iter().any(|request| request.method() == Method::Subscribe), "{time}");
        page.disconnect();
        page.seconds(3);
        page.connect();
    }
    assert!(all_sent(&mut page).iter().all(|request| request.method() != Method::Subscribe));
}

#[test]
fn a_page_that_comes_back_says_nothing_twice_of_its_own_registration() {
    let mut page = Page::new(|config| {
        config.instance = INSTANCE.to_owned();
        config.register = true;
    });
    page.agent.restore("");
    page.connect();
    let register = page.next_sent();
    page.respond(&register, 200, &[(Name::Expires, "600")]);
    suspend(&mut page);
    let removal = page.next_sent();
    assert_eq!((removal.method(), removal.expires()), (Method::Register, Some(0)));
    let text = kept(&page).pop().unwrap();
    page.agent.restore(&text);
    page.agent.handle_online(page.now);
    page.seconds(2);
    page.connect();
    let sent = all_sent(&mut page);
    let registers: Vec<&Message> =
        sent.iter().filter(|request| request.method() == Method::Register).collect();
    assert_eq!(registers.len(), 1, "{registers:?}");
    assert!(registers[0].expires() != Some(0) && number(registers[0]) > number(&removal));
}
