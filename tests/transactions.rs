//! Transactions of both sides by themselves (RFC 3261 §17), and timers of a page that wakes late.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::{Page, START, pidf};
use sip_presence::agent::{FailureCode, Watching};
use sip_presence::sip::{Limits, Message, Method, Name, Uri};
use sip_presence::time::Duration;
use sip_presence::transaction::{Arrival, ClientTransactions, Response, ServerTransactions, T1};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A request that arrives over this Via.
fn arriving(method: &str, via: &str, cseq: u32) -> Message {
    let text = format!(
        "{method} sip:alice@example.com SIP/2.0\r\nVia: {via}\r\nFrom: <sip:bob@example.com>;tag=b\r\n\
         To: <sip:alice@example.com>;tag=a\r\nCall-ID: c\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn a_request_again_is_discarded_until_it_is_answered_and_then_forgotten() {
    // 3261-17.2.2-a 3261-17.2.2-b
    let mut server = ServerTransactions::default();
    let request = arriving("MESSAGE", "SIP/2.0/WSS bob.invalid;branch=z9hG4bK1", 1);
    assert_eq!(server.handle_request(&request, START), Ok(Arrival::New));
    for _ in 0..3 {
        assert_eq!(server.handle_request(&request, START), Ok(Arrival::Retransmission));
    }
    server.handle_answered(&request);
    assert_eq!(server.poll_timeout(), None, "Timer J is 0: nothing is kept of it");
    assert_eq!(server.handle_request(&request, START), Ok(Arrival::New));
    let late = START + T1.times(64);
    assert_eq!(server.poll_timeout(), Some(late));
    server.handle_timeout(late);
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn a_request_is_known_by_branch_sender_and_method() {
    // 3261-17.2.3-a
    let mut server = ServerTransactions::default();
    let first = "SIP/2.0/WSS bob.invalid;branch=z9hG4bK1";
    assert_eq!(server.handle_request(&arriving("MESSAGE", first, 1), START), Ok(Arrival::New));
    for (method, via, arrival) in [
        ("MESSAGE", "SIP/2.0/WSS BOB.invalid;branch=z9hG4bK1;rport", Arrival::Retransmission),
        ("MESSAGE", "SIP/2.0/WSS bob.invalid;branch=z9hG4bK2", Arrival::New),
        ("MESSAGE", "SIP/2.0/WSS carol.invalid;branch=z9hG4bK1", Arrival::New),
        ("MESSAGE", "SIP/2.0/WSS bob.invalid:5061;branch=z9hG4bK1", Arrival::New),
        ("INFO", first, Arrival::New),
    ] {
        assert_eq!(server.handle_request(&arriving(method, via, 1), START), Ok(arrival), "{method} {via}");
    }
}

#[test]
fn a_response_is_known_by_our_own_branch_sender_and_method() {
    // 3261-17.1.3-a 7118-B.1-b
    let mut client = ClientTransactions::new("page.invalid".to_owned(), true, T1);
    let mut request = arriving("OPTIONS", "SIP/2.0/WSS below.invalid;branch=z9hG4bK0", 7);
    request.remove(&Name::Via);
    client.start(&mut request, "token", "owner", START);
    let good = Message::response(&request, 200, Some("t"));
    let text = String::from_utf8(good.to_bytes()).unwrap();
    for (from, to) in [
        ("page.invalid", "other.invalid"),
        ("z9hG4bKtoken", "z9hG4bKtokem"),
        ("7 OPTIONS", "7 MESSAGE"),
        ("\r\nFrom:", "\r\nVia: SIP/2.0/WSS second.invalid;branch=z9hG4bK3\r\nFrom:"),
    ] {
        assert!(text.contains(from), "{text}");
        let wrong = Message::parse(text.replace(from, to).as_bytes(), &Limits::default()).unwrap();
        assert_eq!(client.handle_response(&wrong), Response::Stray, "{to}");
    }
    assert_eq!(client.handle_response(&Message::response(&request, 183, None)), Response::Provisional);
    assert_eq!(client.handle_response(&good), Response::Final("owner"));
    assert_eq!(client.handle_response(&good), Response::Stray, "once");
    assert!(client.is_empty() && client.poll_timeout().is_none());
}

#[test]
fn what_was_due_while_a_page_slept_is_done_at_once_in_the_order_it_was_due() {
    // 3261-17-x
    let mut page = Page::online();
    let waits = [("bob", 300), ("carol", 100), ("dave", 200)];
    for (name, wait) in waits {
        page.watch(&format!("sip:{name}@example.com"));
        let subscribe = page.next_sent();
        page.respond(&subscribe, 503, &[(Name::RetryAfter, &wait.to_string())]);
    }
    let asked = page.agent.fetch(&Uri::parse("sip:erin@example.com").unwrap(), page.now);
    page.seconds(0);
    assert_eq!(page.next_sent().method(), Method::Subscribe);
    // No timer fires for an hour: then one call does it all.
    page.now = page.now + Duration::from_secs(3600);
    page.seconds(0);
    let again: Vec<String> =
        (0..page.pending()).map(|_| page.next_sent().request_uri().unwrap().to_string()).collect();
    assert_eq!(again, ["sip:carol@example.com", "sip:dave@example.com", "sip:bob@example.com"]);
    // What was sent before the sleep has a moment more for its answer.
    page.seconds(1);
    let fetched = |event: &sip_presence::agent::Event| matches!(event, sip_presence::agent::Event::Fetched { request, result: Err(_) } if *request == asked);
    assert_eq!(page.events.iter().filter(|event| fetched(event)).count(), 1, "Timer F of the fetch");
    page.seconds(0);
    assert!(page.is_silent(), "once");
}

#[test]
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::disallowed_types)]
fn very_many_transactions_end_at_once() {
    let mut client = ClientTransactions::new("page.invalid".to_owned(), true, T1);
    let uri = Uri::parse("sip:alice@example.com").unwrap();
    let later = START + T1;
    for number in 0..100_000_u64 {
        let mut request = Message::request(Method::Notify, uri.clone());
        let at = if number < 50_000 { START } else { later };
        client.start(&mut request, &number.to_string(), [number; 8], at);
    }
    // In a time that grows with their number, not with its square: that would take many seconds.
    let begin = std::time::Instant::now();
    let mut first = client.handle_timeout(START + T1.times(64));
    let mut rest = client.handle_disconnected();
    assert!(begin.elapsed().as_secs() < 2, "{:?}", begin.elapsed());
    first.sort_unstable();
    rest.sort_unstable();
    assert!(first.into_iter().map(|[number, ..]| number).eq(0..50_000));
    assert!(rest.into_iter().map(|[number, ..]| number).eq(50_000..100_000));
    assert!(client.is_empty());
}

#[test]
fn transactions_end_when_they_are_due_and_after_a_sleep_a_moment_later() {
    let mut client = ClientTransactions::new("page.invalid".to_owned(), true, T1);
    let uri = Uri::parse("sip:alice@example.com").unwrap();
    for seconds in [0, 20, 27, 30] {
        let mut request = Message::request(Method::Notify, uri.clone());
        client.start(&mut request, &seconds.to_string(), seconds, START + Duration::from_secs(seconds));
    }
    let at = |seconds| START + Duration::from_secs(seconds);
    assert_eq!((client.handle_timeout(at(31)), client.poll_timeout()), (vec![], Some(at(32))));
    assert_eq!((client.handle_timeout(at(32)), client.poll_timeout()), (vec![0], Some(at(52))));
    // One is long overdue when the machine wakes, one is due, and one is not.
    assert_eq!((client.handle_timeout(at(60)), client.poll_timeout()), (vec![27], Some(at(61))));
    assert_eq!((client.handle_timeout(at(61)), client.poll_timeout()), (vec![20], Some(at(62))));
    assert_eq!((client.handle_timeout(at(90)), client.poll_timeout()), (vec![], Some(at(91))));
    assert_eq!((client.handle_timeout(at(150)), client.poll_timeout()), (vec![30], None), "once");
}

#[test]
fn a_notify_that_came_while_the_machine_slept_is_heard_when_it_wakes() {
    for slept in [40, 600] {
        for retried in [false, true] {
            let (mut page, id, mut subscribe) = Page::trying();
            if retried {
                page.seconds(20);
                page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"")]);
                subscribe = page.next_sent();
            }
            page.throttled(Duration::from_secs(slept));
            page.accept(&subscribe, 3600);
            assert_eq!(
                page.notify(&subscribe, "active;expires=3600", &pidf("sip:bob@example.com", "busy", "")),
                200
            );
            assert_eq!(page.view(id).subscription.state, Watching::Active, "{slept}");
            assert!(page.failures().is_empty());
        }
        // Between the two the timer may fire. It is waited for a moment only.
        for told in [true, false] {
            let (mut page, id, subscribe) = Page::trying();
            page.throttled(Duration::from_secs(slept));
            page.accept(&subscribe, 3600);
            page.throttled(Duration::ZERO);
            assert_eq!(page.view(id).subscription.state, Watching::Trying);
            if told {
                assert_eq!(
                    page.notify(&subscribe, "active;expires=3600", &pidf("sip:bob@example.com", "busy", "")),
                    200
                );
            }
            page.seconds(1);
            let state = if told { Watching::Active } else { Watching::Terminated };
            assert_eq!(page.view(id).subscription.state, state);
        }
    }
    // Who never answers is waited for once more only, also where timers are always late.
    let (mut page, id, _) = Page::trying();
    page.throttled(Duration::from_secs(60));
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    page.throttled(Duration::from_secs(60));
    assert_eq!(page.view(id).subscription.state, Watching::Terminated);
    assert_eq!(page.failures()[0].code, FailureCode::Timeout);
}
