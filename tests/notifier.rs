//! One subscription at its notifier, by itself: what every NOTIFY carries, and what a SUBSCRIBE in the dialog changes
//! (RFC 6665 §4.2).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::START;
use sip_presence::event::Notifier;
use sip_presence::event::notifier::Standing;
use sip_presence::sip::{Limits, Message, Name, NameAddr, Reason, Substate, Uri};
use sip_presence::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TARGET: &str = "<sip:bob@one.invalid;transport=ws>";

/// A SUBSCRIBE of Bob's, in the dialog from the second on.
fn subscribe(cseq: u32, event: &str, contact: &str) -> Message {
    let tag = if cseq > 1 { ";tag=ours" } else { "" };
    let text = format!(
        "SUBSCRIBE sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/WSS bob.invalid;branch=z9hG4bK{cseq}\r\n\
         Record-Route: <sip:p2.example.com;lr>\r\nRecord-Route: <sip:p1.example.com;lr>\r\n\
         From: \"Bob\" <sip:bob@example.com>;tag=bobs\r\nTo: <sip:alice@example.com>{tag}\r\nCall-ID: call\r\n\
         CSeq: {cseq} SUBSCRIBE\r\nContact: {contact}\r\nEvent: {event}\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn notifier(event: &str) -> Notifier {
    let contact = NameAddr::new(Uri::sip_host("pa.example.com"));
    let (expires, interval) = (Duration::from_secs(600), Duration::from_secs(5));
    Notifier::new(&subscribe(1, event, TARGET), "ours", contact, Standing::Active, expires, interval, START)
        .unwrap()
}

#[test]
fn every_notify_is_in_the_dialog_of_the_subscribe_and_names_its_event() {
    // 6665-3.2.1-a 6665-3.2.1-b 6665-4.5.2-c 6665-4.4.1-f 3261-12.1.1-b
    for event in ["presence", "presence;id=7a"] {
        let mut notifier = notifier(event);
        for number in 1..=3 {
            let notify = match number {
                3 => notifier.terminate(Reason::Deactivated, None, None),
                _ => notifier.notify(None, START),
            };
            assert_eq!(notify.rows(&Name::Event).collect::<Vec<_>>(), [event]);
            assert_eq!(notify.request_uri().unwrap().to_string(), "sip:bob@one.invalid;transport=ws");
            let routes: Vec<&str> = notify.list(&Name::Route).collect();
            assert_eq!(routes, ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]);
            assert_eq!(notify.call_id(), "call");
            assert_eq!(
                (notify.from().unwrap().tag(), notify.to().unwrap().tag()),
                (Some("ours"), Some("bobs"))
            );
            assert_eq!(notify.cseq().unwrap().number, number);
        }
    }
}

#[test]
fn the_state_says_how_long_and_at_the_end_why() {
    // 6665-4.2.2-f 6665-4.2.2-g 6665-4.2.2-h 6665-4.2.2-i 6665-4.2.2-j 6665-4.1.3-v
    let mut notifier = notifier("presence");
    for (standing, substate) in [(Standing::Active, Substate::Active), (Standing::Pending, Substate::Pending)]
    {
        notifier.handle_policy(standing);
        for (after, left) in [(0, 600), (1, 599), (599, 1), (700, 0)] {
            let notify = notifier.notify(None, START + Duration::from_secs(after));
            let state = notify.subscription_state().unwrap().unwrap();
            assert_eq!((state.state, state.expires, state.reason), (substate.clone(), Some(left), None));
        }
    }
    assert!(notifier.is_expired(START + Duration::from_secs(600)));
    for (reason, retry_after) in [(Reason::Timeout, None), (Reason::Probation, Some(30))] {
        let notify = notifier.terminate(reason.clone(), retry_after, None);
        let state = notify.subscription_state().unwrap().unwrap();
        assert_eq!((state.state, state.expires), (Substate::Terminated, None));
        assert_eq!((state.reason, state.retry_after), (Some(reason), retry_after));
    }
}

#[test]
fn a_subscribe_in_the_dialog_moves_the_target_and_the_end() {
    // 6665-3.1-a
    let mut notifier = notifier("presence");
    let later = START + Duration::from_secs(100);
    let moved = "<sip:bob@two.invalid;transport=ws>";
    let span = Duration::from_secs(300);
    for (cseq, event, status) in [(2, "dialog", 481), (2, "presence;id=1", 481), (1, "presence", 500)] {
        assert_eq!(notifier.handle_subscribe(&subscribe(cseq, event, moved), span, later), Err(status));
        let notify = notifier.notify(None, later);
        assert_eq!(notify.request_uri().unwrap().host, "one.invalid", "{event}: nothing was changed");
        assert_eq!(notify.subscription_state().unwrap().unwrap().expires, Some(500));
    }
    assert_eq!(notifier.handle_subscribe(&subscribe(2, "presence", moved), span, later), Ok(()));
    let notify = notifier.notify(None, later);
    assert_eq!(notify.request_uri().unwrap().host, "two.invalid");
    assert_eq!(notify.subscription_state().unwrap().unwrap().expires, Some(300));
    let routes: Vec<&str> = notify.list(&Name::Route).collect();
    assert_eq!(routes.len(), 2, "the route is that of the first");
}

#[test]
fn a_watcher_hears_as_often_as_it_wishes() {
    // 6446-5.2-b 6446-6.2-a 6446-6.2-b 6446-4.2-a 6446-5.1-b
    let at = |seconds: u64| START + Duration::from_secs(seconds);
    let reflected = |notify: &Message| notify.header(&Name::SubscriptionState).unwrap().to_owned();
    let mut notifier = notifier("presence;max-rate=0.05;min-rate=0.01");
    assert_eq!(reflected(&notifier.notify(None, at(0))), "active;expires=600;max-rate=0.05;min-rate=0.01");
    // The next change waits for 20 seconds after any NOTIFY.
    assert!(!notifier.handle_change(at(7)));
    assert_eq!(notifier.poll_timeout(), Some(at(20)));
    assert!(!notifier.handle_timeout(at(19)) && notifier.handle_timeout(at(20)));
    let _ = notifier.notify(None, at(20));
    // Without a change, one goes out after 100 seconds.
    assert_eq!(notifier.poll_timeout(), Some(at(120)));
    assert!(!notifier.handle_timeout(at(119)) && notifier.handle_timeout(at(120)));
    let _ = notifier.notify(None, at(120));
    // Not while the watcher may see nothing.
    assert!(notifier.handle_policy(Standing::Pending));
    assert!(!notifier.handle_timeout(at(220)));
    assert!(notifier.handle_policy(Standing::Active));
    // A SUBSCRIBE without wishes takes them back.
    notifier.handle_subscribe(&subscribe(2, "presence", TARGET), Duration::from_secs(600), at(300)).unwrap();
    assert_eq!(reflected(&notifier.notify(None, at(300))), "active;expires=600");
    assert_eq!(notifier.poll_timeout(), Some(at(900)));
    assert!(notifier.handle_change(at(301)));
}

#[test]
fn a_watcher_may_wish_for_other_rates_in_its_answer_to_a_notify() {
    // 6446-9.3-b
    let at = |seconds: u64| START + Duration::from_secs(seconds);
    let reflected = |notify: &Message| notify.header(&Name::SubscriptionState).unwrap().to_owned();
    let mut notifier = notifier("presence;id=7;min-rate=0.01");
    let notify = notifier.notify(None, at(0));
    let answer = |event: &str| {
        let mut answer = Message::response(&notify, 200, None);
        answer.push(Name::Event, event);
        answer
    };
    // Of another event, or of none.
    for other in ["presence;id=8;min-rate=0.05", "presence.winfo;id=7;min-rate=0.05"] {
        notifier.handle_taken(&answer(other), at(1));
    }
    notifier.handle_taken(&Message::response(&notify, 200, None), at(1));
    assert_eq!(notifier.poll_timeout(), Some(at(100)));
    // What is no rate is ignored.
    notifier.handle_taken(&answer("presence;id=7;min-rate=0.05;expires=1;x=y"), at(1));
    assert_eq!(notifier.poll_timeout(), Some(at(20)));
    assert!(notifier.handle_timeout(at(20)));
    assert_eq!(reflected(&notifier.notify(None, at(20))), "active;expires=580;min-rate=0.05");
    // All wishes are in it.
    notifier.handle_taken(&answer("presence;id=7"), at(21));
    assert_eq!(reflected(&notifier.notify(None, at(21))), "active;expires=579");
    assert_eq!(notifier.poll_timeout(), Some(at(600)));
}

#[test]
fn a_watcher_that_asks_for_silence_gets_it() {
    let at = |seconds: u64| START + Duration::from_secs(seconds);
    let mut notifier = notifier("presence");
    notifier.hold(Duration::from_secs(30), at(0));
    assert!(!notifier.handle_change(at(1)));
    assert_eq!(notifier.poll_timeout(), Some(at(30)));
    assert!(notifier.handle_timeout(at(30)));
}
