//! Keep-alives, and the end of connections over which nobody answers (RFC 5626 §4.4, RFC 6223).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{ConnectionState, Event, Failure, FailureCode};
use sip_presence::sip::{Message, Method, Name};
use sip_presence::time::Duration;

const BOB: &str = "sip:bob@example.com";
const PONG: &[u8] = b"\r\n";

/// Online, with the keep-alives that an application has if it says nothing.
fn usual() -> Page {
    Page::online_with(|config| config.keep_alive = None)
}

/// Online, with pings every so many seconds.
fn pinging(seconds: u32) -> Page {
    Page::online_with(|config| config.keep_alive = Some(seconds))
}

/// Online and registered, where the answer to REGISTER has these rows too, and this value of `keep` in Via.
fn registered(keep_alive: Option<u32>, rows: &[(Name, &str)], keep: Option<&str>) -> Page {
    let mut page = Page::online_with(|config| {
        config.register = true;
        config.instance = "urn:uuid:1".to_owned();
        config.keep_alive = keep_alive;
    });
    let register = page.next_sent();
    accept(&mut page, &register, rows, keep);
    page
}

fn accept(page: &mut Page, register: &Message, rows: &[(Name, &str)], keep: Option<&str>) {
    let mut response = Message::response(register, 200, Some("t"));
    let via = register.header(&Name::Via).unwrap();
    assert!(via.ends_with(";keep"), "willing: {via}");
    if let Some(keep) = keep {
        response.set(Name::Via, format!("{via}={keep}"));
    }
    let contact = register.header(&Name::Contact).unwrap().to_owned();
    response.push(Name::Contact, contact);
    for (name, value) in rows {
        response.push(name.clone(), *value);
    }
    page.receive(&response.to_bytes());
}

/// Lets time pass until a ping is sent: after how many milliseconds. At most `seconds`.
fn next_ping(page: &mut Page, seconds: u64) -> Option<u64> {
    let (start, before) = (page.now, page.pings);
    while page.pings == before && page.now.since(start) < Duration::from_secs(seconds) {
        page.advance(Duration::from_millis(100));
    }
    (page.pings > before).then(|| page.now.since(start).as_millis())
}

/// The OPTIONS that was sent just now, and nothing else.
#[track_caller]
fn options(page: &mut Page) -> Message {
    let message = page.next_sent();
    assert_eq!(message.method(), Method::Options);
    assert!(page.is_silent());
    message
}

/// Lets time pass until the server is asked by OPTIONS, at most `seconds`.
#[track_caller]
fn next_options(page: &mut Page, seconds: u64) -> Message {
    let end = page.now + Duration::from_secs(seconds);
    while page.is_silent() && page.now < end {
        page.seconds(1);
    }
    options(page)
}

/// Why the connection was given up; `None` while it stands.
fn end(page: &Page) -> Option<Box<Failure>> {
    page.events.iter().find_map(|event| match event {
        Event::Connection(ConnectionState::Reconnecting { reason, .. }) => Some(reason.clone()),
        _ => None,
    })
}

#[track_caller]
fn assert_failed(page: &Page) {
    let failure = end(page).expect("the connection stands");
    assert_eq!(failure.code, FailureCode::ConnectionLost);
    assert_eq!(failure.reason.as_deref(), Some("no answer to a keep-alive"));
    assert_eq!(page.closes, 1);
}

// 5626-4.4-a
#[test]
fn pings_come_as_often_as_the_server_asks_and_are_spread() {
    let mut page = registered(None, &[(Name::FlowTimer, "100"), (Name::Expires, "36000")], None);
    let mut waits = Vec::new();
    for _ in 0..50 {
        waits.push(next_ping(&mut page, 101).unwrap());
        page.receive(PONG);
    }
    assert!(waits.iter().all(|wait| (80_000..=100_000).contains(wait)), "{waits:?}");
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(most - least > 10_000, "{waits:?}");
    assert!(end(&page).is_none() && page.is_silent(), "no OPTIONS beside");
}

// 6223-4-a 5626-4.2.1-d 5626-4.4.1-b 5626-4.4.1-c 7118-6-b
#[test]
fn pings_begin_with_what_the_answer_to_register_says() {
    let outbound = [(Name::Require, "outbound")];
    let timer = [(Name::FlowTimer, "50")];
    let nothing: [(Name, &str); 0] = [];
    for (rows, keep, configured, most) in [
        (&nothing[..], Some("30"), None, Some(30)),
        (&nothing[..], Some("0"), None, Some(120)),
        (&outbound[..], None, None, Some(120)),
        (&timer[..], Some("30"), None, Some(50)),
        // The server's wish counts even where the application has none, and the shorter of two.
        (&timer[..], None, Some(0), Some(50)),
        (&timer[..], None, Some(20), Some(20)),
        (&timer[..], None, Some(90), Some(50)),
        (&nothing[..], None, Some(0), None),
        (&nothing[..], None, None, None),
        (&[(Name::FlowTimer, "soon")][..], Some("x"), None, None),
    ] {
        let mut page = registered(configured, rows, keep);
        let wait = next_ping(&mut page, most.unwrap_or(1000) + 1);
        match most {
            Some(most) => {
                assert!((most * 800..=most * 1000 + 100).contains(&wait.unwrap()), "{rows:?} {wait:?}")
            }
            None => assert_eq!(wait, None, "{rows:?}"),
        }
        if let Some(most) = most {
            page.receive(PONG);
            let wait = next_ping(&mut page, most + 1).unwrap();
            assert!(wait >= most * 800, "{rows:?} {wait}, the second time");
            page.receive(PONG);
            assert!(next_ping(&mut page, most + 1).is_some(), "{rows:?}, the third time");
        }
    }
}

// 6223-4-a
#[test]
fn pings_end_when_the_next_answer_to_register_says_nothing_of_them() {
    let mut page = registered(None, &[(Name::FlowTimer, "20"), (Name::Expires, "60")], None);
    assert!(next_ping(&mut page, 21).is_some());
    page.receive(PONG);
    while page.is_silent() {
        page.seconds(1);
        if page.pings > 1 {
            page.receive(PONG);
        }
    }
    let refresh = page.next_sent();
    accept(&mut page, &refresh, &[(Name::Expires, "3600")], None);
    // The question that was due by then is the last.
    next_ping(&mut page, 21);
    page.receive(PONG);
    assert_eq!(next_ping(&mut page, 100), None);
}

// 5626-4.4-a
#[test]
fn refreshes_of_the_registration_do_not_put_the_next_ping_off() {
    let mut page = registered(None, &[(Name::FlowTimer, "100"), (Name::Expires, "60")], None);
    for _ in 0..110 {
        page.seconds(1);
        if !page.is_silent() {
            let refresh = page.next_sent();
            accept(&mut page, &refresh, &[(Name::FlowTimer, "100"), (Name::Expires, "60")], None);
        }
    }
    assert_eq!(page.pings, 1);
}

// 5626-4.4.1-a 7118-4.1-e
#[test]
fn a_server_that_has_promised_to_answer_and_does_not_within_ten_seconds_is_gone() {
    let mut page = registered(None, &[(Name::FlowTimer, "100")], None);
    next_ping(&mut page, 101).unwrap();
    page.advance(Duration::from_millis(9_800));
    assert!(end(&page).is_none());
    // A request of its own is no answer to a ping.
    page.receive(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/WSS h;branch=z9hG4bK1\r\nFrom: <sip:h>;tag=1\r\nTo: <sip:x>\r\n\
        Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n");
    page.advance(Duration::from_millis(200));
    assert_failed(&page);
    page.seconds(1);
    assert_eq!(page.connects.len(), 2, "opened again at once");
}

// 5626-4.4.1-a
#[test]
fn an_answered_ping_is_forgotten_and_a_later_one_without_an_answer_is_the_end() {
    let mut page = pinging(30);
    next_ping(&mut page, 31).unwrap();
    page.advance(Duration::from_millis(9_800));
    page.receive(PONG);
    page.seconds(5);
    assert!(end(&page).is_none());
    next_ping(&mut page, 31).unwrap();
    page.seconds(10);
    assert_failed(&page);
    assert!(page.is_silent(), "who has answered once understands: no other question");
}

// 5626-4.4.1-c
#[test]
fn where_pings_are_not_understood_the_server_is_asked_by_options_from_then_on() {
    for outbound in [true, false] {
        let mut page = match outbound {
            true => registered(None, &[(Name::Require, "outbound"), (Name::Expires, "36000")], None),
            false => pinging(120),
        };
        next_ping(&mut page, 121).unwrap();
        page.seconds(9);
        assert!(page.is_silent());
        page.seconds(1);
        let probe = options(&mut page);
        page.respond(&probe, 405, &[]);
        page.seconds(20);
        assert!(end(&page).is_none());
        // Asked as often as before, whatever else comes.
        for _ in 0..3 {
            let start = page.now;
            while page.is_silent() {
                page.receive(b"\r\n\r\n");
                page.seconds(1);
            }
            let wait = page.now.since(start).as_secs();
            assert!((70..=121).contains(&wait), "{wait}");
            let probe = options(&mut page);
            page.respond(&probe, 200, &[]);
        }
        // And so over the next connection.
        page.disconnect();
        page.seconds(1);
        page.connect();
        if outbound {
            let register = page.next_sent();
            accept(&mut page, &register, &[(Name::Require, "outbound")], None);
        }
        page.seconds(121);
        options(&mut page);
        assert_eq!(page.pings, 1);
        page.seconds(10);
        assert!(matches!(
            page.events.last(),
            Some(Event::Connection(
                ConnectionState::Reconnecting { .. } | ConnectionState::Connecting { .. }
            ))
        ));
    }
}

// 5626-4.4-a
#[test]
fn a_promise_counts_more_than_what_was_learnt_before() {
    let mut page = registered(None, &[(Name::Require, "outbound"), (Name::Expires, "300")], None);
    next_ping(&mut page, 121).unwrap();
    page.seconds(10);
    let probe = options(&mut page);
    page.respond(&probe, 200, &[]);
    let refresh = loop {
        page.seconds(1);
        if !page.is_silent() {
            let message = page.next_sent();
            if message.method() == Method::Register {
                break message;
            }
            page.respond(&message, 200, &[]);
        }
    };
    accept(&mut page, &refresh, &[(Name::FlowTimer, "60"), (Name::Expires, "3600")], None);
    assert!(next_ping(&mut page, 61).is_some());
    page.seconds(10);
    assert_failed(&page);
}

#[test]
fn a_server_that_hangs_up_on_a_ping_is_asked_by_options_next_time() {
    let mut page = pinging(60);
    next_ping(&mut page, 61).unwrap();
    page.disconnect();
    page.seconds(1);
    page.connect();
    page.seconds(61);
    options(&mut page);
    assert_eq!(page.pings, 1);
}

// 5626-4.4.1-c
#[test]
fn a_server_that_answers_neither_is_gone_after_twenty_seconds() {
    let mut page = pinging(30);
    next_ping(&mut page, 31).unwrap();
    page.seconds(10);
    options(&mut page);
    page.advance(Duration::from_millis(9_900));
    assert!(end(&page).is_none());
    page.advance(Duration::from_millis(100));
    assert_failed(&page);
}

// 5626-4.4.1-c 5626-4.4.1-b 7118-4.1-e
#[test]
fn without_an_agreement_the_server_is_asked_only_after_two_minutes_of_silence() {
    let mut page = usual();
    // Any bytes are a sign of life, every time.
    for sign in [
        &b"\r\n\r\n"[..],
        b"\r\n",
        b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/WSS h;branch=z9hG4bK1\r\n\
        From: <sip:h>;tag=1\r\nTo: <sip:x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n",
    ] {
        page.seconds(90);
        page.receive(sign);
        while !page.is_silent() {
            assert_eq!(page.next_sent().status(), Some(200));
        }
    }
    page.seconds(95);
    assert!(page.is_silent(), "not before 80 % of it");
    let probe = next_options(&mut page, 26);
    assert_eq!(probe.request_uri().unwrap().to_string(), "sip:example.com");
    assert_eq!((probe.header(&Name::Authorization), probe.body.len()), (None, 0));
    // A challenge is an answer, and is not answered.
    page.respond(&probe, 401, &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"")]);
    assert!(page.is_silent());
    page.seconds(90);
    assert!(end(&page).is_none() && page.failures().is_empty());
    next_options(&mut page, 31);
    page.seconds(10);
    assert_failed(&page);
    assert_eq!(page.pings, 0, "nobody has asked for line ends");
}

#[test]
fn zero_means_that_nobody_is_asked() {
    let mut page = pinging(0);
    page.seconds(100_000);
    page.agent.handle_online(page.now);
    page.agent.handle_awake(page.now);
    page.seconds(100_000);
    assert!(page.is_silent() && page.pings == 0 && page.agent.poll_timeout().is_none());
}

#[test]
fn the_network_is_back_the_server_is_asked_at_once() {
    let mut page = usual();
    page.seconds(1);
    page.agent.handle_online(page.now);
    page.seconds(0);
    options(&mut page);
    page.agent.handle_online(page.now);
    page.seconds(0);
    assert!(page.is_silent(), "the question is open");
    page.seconds(10);
    assert_failed(&page);
    let mut page = pinging(60);
    page.agent.handle_online(page.now);
    page.seconds(0);
    assert_eq!((page.pings, page.is_silent()), (1, true));
    // Without a connection there is nobody to ask.
    let mut page = Page::new(|config| config.keep_alive = None);
    page.agent.handle_online(page.now);
    page.disconnect();
    page.agent.handle_online(page.now);
    page.agent.handle_awake(page.now);
    page.seconds(0);
    assert!(page.is_silent() && page.connects.len() == 2);
}

#[test]
fn a_page_that_comes_to_the_front_asks_only_if_it_has_heard_nothing_for_a_while() {
    let mut page = usual();
    page.seconds(9);
    page.agent.handle_awake(page.now);
    page.seconds(0);
    assert!(page.is_silent());
    page.seconds(1);
    page.agent.handle_awake(page.now);
    page.seconds(0);
    let probe = options(&mut page);
    page.respond(&probe, 200, &[]);
    page.agent.handle_awake(page.now);
    page.seconds(0);
    assert!(page.is_silent());
}

// 7118-6-c
#[test]
fn a_page_that_slept_judges_the_open_question_by_the_clock() {
    let mut page = pinging(60);
    next_ping(&mut page, 61).unwrap();
    page.receive(PONG);
    next_ping(&mut page, 61).unwrap();
    // No timer fires for an hour.
    page.now = page.now + Duration::from_secs(3600);
    page.agent.handle_awake(page.now);
    page.seconds(0);
    assert_failed(&page);
    // The answer came while the timers slept.
    let mut page = pinging(60);
    next_ping(&mut page, 61).unwrap();
    page.now = page.now + Duration::from_secs(3600);
    page.receive(PONG);
    page.agent.handle_awake(page.now);
    page.seconds(0);
    assert!(end(&page).is_none());
}

#[test]
fn a_request_that_nobody_answers_has_the_server_asked() {
    let mut page = usual();
    page.watch(BOB);
    page.next_sent();
    page.seconds(31);
    assert!(page.is_silent());
    page.seconds(1);
    options(&mut page);
    page.seconds(10);
    assert_failed(&page);
    // A server that does not answer this request only is there.
    let mut page = usual();
    page.watch(BOB);
    page.next_sent();
    page.seconds(10);
    page.receive(PONG);
    page.seconds(23);
    assert!(page.is_silent() && page.failures().len() == 1);
}

#[test]
fn a_single_line_end_of_the_server_is_never_answered_nor_a_double_one() {
    let mut page = usual();
    for bytes in [&b"\r\n"[..], b"\r\n\r\n", b""] {
        page.receive(bytes);
    }
    assert!(page.is_silent() && page.pings == 0 && page.failures().is_empty());
}

#[cfg(feature = "server")]
mod with_a_server {
    use super::{Duration, Event};
    use crate::common::World;
    use sip_presence::agent::ConnectionState;
    use sip_presence::sip::Method;

    fn reconnects(world: &World, seat: usize) -> usize {
        let events = world.seats[seat].events.iter();
        events.filter(|e| matches!(e, Event::Connection(ConnectionState::Reconnecting { .. }))).count()
    }

    #[test]
    fn our_server_answers_both_kinds_of_questions() {
        for (wanted, options) in [(None, true), (Some(60), false)] {
            let mut world = World::new(1);
            let alice = world.seat_with("alice", |config| config.keep_alive = wanted);
            world.seconds(2000);
            assert_eq!(reconnects(&world, alice), 0);
            let asked =
                world.log.iter().filter(|crossing| crossing.message.method() == Method::Options).count();
            assert_eq!(asked > 10, options, "{asked}");
        }
    }

    #[test]
    fn a_half_open_connection_is_noticed_in_little_more_than_two_minutes() {
        let mut world = World::new(2);
        let alice = world.seat("alice");
        world.seconds(5);
        world.silent = true;
        world.run(Duration::from_secs(131));
        assert!(reconnects(&world, alice) > 0);
    }
}
