//! A page as presence agent: who gets what, row by row of the table of authorization (RFC 3856 §6.6.2, §6.7; RFC 5025
//! §3.2.1; RFC 3857 §4.7.1; RFC 6665 §4.2). For each: the answer, Subscription-State, the document, and what the user's
//! own subscription to `presence.winfo` says.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Presentity;
use common::presentity::{ALICE, BOB, Outcome, shows, state};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name, Reason, Substate};

/// The only NOTIFY.
#[track_caller]
fn only(outcome: &Outcome) -> &Message {
    let [notify] = outcome.notifies.as_slice() else { panic!("{:?}", outcome.notifies) };
    notify
}

/// The only NOTIFY is the last one, for this reason, and shows this.
#[track_caller]
fn assert_ended(outcome: &Outcome, reason: Reason, document: &str) {
    let notify = only(outcome);
    assert_eq!(state(notify), (Substate::Terminated, None, Some(reason)));
    assert_eq!(shows(notify), document);
}

/// The only NOTIFY says that the subscription goes on like this, and shows this.
#[track_caller]
fn assert_told(outcome: &Outcome, substate: &Substate, expires: u32, document: &str) {
    let notify = only(outcome);
    assert_eq!(state(notify), (substate.clone(), Some(expires), None));
    assert_eq!(shows(notify), document);
}

#[test]
fn a1_an_allowed_watcher_sees_what_is_true() {
    // 3856-4-c 3856-6.6.2-e 3856-6.5-f 6665-4.2.1.2-a 6665-3.1.1-c 3856-3-c 3856-7.1-a 6665-8.3.1-b
    let mut scene = Presentity::new();
    let (request, outcome) = scene.bob(Decision::Allow);
    assert_eq!(outcome.status, 200);
    let answer = outcome.answer.as_ref().unwrap();
    assert_eq!(answer.expires(), Some(600));
    assert!(answer.to().unwrap().tag().is_some());
    assert_eq!(answer.header(&Name::RecordRoute), Some("<sip:example.com;lr>"));
    let notify = only(&outcome);
    assert_told(&outcome, &Substate::Active, 600, "here");
    assert_eq!(notify.from().unwrap().tag(), answer.to().unwrap().tag());
    assert_eq!(notify.request_uri().unwrap().to_string(), request.contact().unwrap().uri.to_string());
    assert_eq!(notify.header(&Name::Route), Some("<sip:example.com;lr>"));
    assert_eq!(notify.header(&Name::Event), Some("presence"));
    assert_eq!(notify.contact().unwrap().uri, answer.contact().unwrap().uri);
    scene.assert_rows(BOB, &[("active", "subscribe")]);
}

#[test]
fn a2_a_politely_blocked_watcher_sees_the_user_offline() {
    // 3856-6.6.2-i 3856-6.6.2-j 6665-6.2-a 6665-6.2-b 3857-4.7.2-a
    let mut scene = Presentity::new();
    let (_, outcome) = scene.bob(Decision::PoliteBlock);
    assert_eq!(outcome.status, 200);
    assert_told(&outcome, &Substate::Active, 600, "offline");
    scene.assert_rows(BOB, &[("active", "subscribe")]);
}

#[test]
fn a3_a_watcher_of_whom_nothing_is_said_is_pending() {
    // 3856-6.6.2-a 3856-6.6.2-c 3856-6.11.1-e 2779-5.1.11-a 3856-4-d 6665-4.2.1.3-c 6665-4.2.1.1-a
    for answer in [None, Some(Decision::Confirm)] {
        let mut scene = Presentity::new();
        scene.answer = answer;
        let (_, outcome) = scene.watched_by(BOB, 600);
        assert_eq!(outcome.status, 200);
        assert_told(&outcome, &Substate::Pending, 600, "");
        assert_eq!(scene.asked.len(), 1);
        scene.assert_rows(BOB, &[("pending", "subscribe")]);
    }
}

#[test]
fn a4_a_blocked_watcher_is_refused_and_leaves_nothing() {
    // 6665-4.2.1.3-b 3856-6.6.2-e
    for said_before in [true, false] {
        let mut scene = Presentity::new();
        scene.answer = Some(Decision::Block);
        if said_before {
            scene.decide(BOB, Decision::Block);
        }
        let (_, outcome) = scene.watched_by(BOB, 600);
        assert_eq!((outcome.status, outcome.notifies.len()), (403, 0));
        assert_eq!(scene.asked.is_empty(), said_before);
        scene.assert_rows(BOB, &[]);
        assert!(scene.page.agent.watchers().is_empty());
    }
}

#[test]
fn a5_nobody_knows_of_a_watcher_that_does_not_say_who_it_is() {
    // 3856-6.6.1-a 3856-6.6.1-b 3856-9.6-a 3857-6.1-a 6665-4.2.1.3-a 3856-4-b
    let mut scene = Presentity::new();
    scene.decide(BOB, Decision::Block);
    let asserted = Name::Other("P-Asserted-Identity".into());
    for expires in [600, 0] {
        let mut request = scene.subscribe(BOB, expires);
        request.remove(&asserted);
        let outcome = scene.send(&request);
        assert_eq!((outcome.status, outcome.notifies.len()), (401, 0));
        assert_eq!(outcome.answer.unwrap().challenges(&Name::WwwAuthenticate).len(), 2);
    }
    let (first, answer) = scene.bob(Decision::Allow);
    let mut refresh = scene.again(&first, &answer, 600);
    refresh.remove(&asserted);
    assert_eq!(scene.send(&refresh).status, 401);
    assert!(scene.asked.is_empty());
    scene.assert_rows(BOB, &[("active", "subscribe")]);
}

#[test]
fn a6_to_a8_a_fetch_is_answered_once() {
    // 3856-4-i 6665-4.4.3-b 6665-4.2.1.4-e 3857-4.7.2-c 3857-4.7.1-g
    for (decision, document, rows) in [
        (Decision::Allow, "here", &[][..]),
        (Decision::PoliteBlock, "offline", &[]),
        (Decision::Confirm, "", &[("waiting", "timeout")]),
    ] {
        let mut scene = Presentity::new();
        scene.decide(BOB, decision);
        let before = scene.documents.len();
        let (_, outcome) = scene.watched_by(BOB, 0);
        assert_eq!((outcome.status, outcome.answer.as_ref().unwrap().expires()), (200, Some(0)));
        assert_ended(&outcome, Reason::Timeout, document);
        scene.assert_rows(BOB, rows);
        assert_eq!(scene.documents.len() - before, rows.len());
    }
}

#[test]
fn a9_and_a10_a_pending_watcher_is_accepted() {
    // 3856-6.7-e 3856-4-f 3857-4.7.1-a
    for (decision, document) in [(Decision::Allow, "here"), (Decision::PoliteBlock, "offline")] {
        let mut scene = Presentity::new();
        scene.watched_by(BOB, 600);
        scene.assert_rows(BOB, &[("pending", "subscribe")]);
        let outcome = scene.decide(BOB, decision);
        assert_eq!(outcome.status, 0);
        assert_told(&outcome, &Substate::Active, 594, document);
        scene.assert_rows(BOB, &[("active", "approved")]);
    }
}

#[test]
fn a11_a_pending_watcher_is_rejected() {
    // 3856-6.7-f 6665-4.2.1.3-d
    let mut scene = Presentity::new();
    scene.watched_by(BOB, 600);
    let outcome = scene.decide(BOB, Decision::Block);
    assert_ended(&outcome, Reason::Rejected, "");
    scene.assert_rows(BOB, &[("terminated", "rejected")]);
}

#[test]
fn a12_who_goes_while_pending_waits_on() {
    // 3857-4.7.1-b
    for leaves in [true, false] {
        let mut scene = Presentity::new();
        let (request, outcome) = scene.watched_by(BOB, 600);
        let outcome = if leaves {
            let leave = scene.again(&request, &outcome, 0);
            let outcome = scene.send(&leave);
            assert_eq!(outcome.status, 200);
            outcome
        } else {
            scene.seconds(601)
        };
        assert_ended(&outcome, Reason::Timeout, "");
        scene.assert_rows(BOB, &[("waiting", "timeout")]);
    }
}

#[test]
fn a13_nobody_waits_for_ever() {
    // 3857-4.7.1-e
    let mut scene = Presentity::with(sip_presence::agent::Identities::Asserted, |_, audience| {
        audience.limits.giveup = sip_presence::time::Duration::from_secs(100);
    });
    scene.watched_by(BOB, 600);
    assert!(scene.seconds(99).notifies.is_empty());
    assert_ended(&scene.seconds(1), Reason::Giveup, "");
    scene.assert_rows(BOB, &[("terminated", "giveup")]);
}

#[test]
fn a14_a_pending_watcher_hears_of_no_change() {
    let mut scene = Presentity::new();
    scene.watched_by(BOB, 600);
    assert!(scene.publish(Status::Busy, "secret").notifies.is_empty());
    assert!(scene.seconds(60).notifies.is_empty());
    scene.assert_rows(BOB, &[("pending", "subscribe")]);
}

#[test]
fn a15_a_waiting_watcher_is_decided_without_a_word() {
    // 3857-4.7.1-c
    for (decision, event) in
        [(Decision::Allow, "approved"), (Decision::PoliteBlock, "approved"), (Decision::Block, "rejected")]
    {
        let mut scene = Presentity::new();
        scene.watched_by(BOB, 0);
        scene.assert_rows(BOB, &[("waiting", "timeout")]);
        assert!(scene.decide(BOB, decision).notifies.is_empty());
        scene.assert_rows(BOB, &[("terminated", event)]);
        assert!(scene.page.agent.watchers().is_empty());
    }
}

#[test]
fn a16_who_comes_back_does_not_wait_twice() {
    // 3857-4.7.1-d
    for (decision, rows) in [
        (Decision::Allow, &[("terminated", "giveup"), ("active", "subscribe")]),
        (Decision::PoliteBlock, &[("terminated", "giveup"), ("active", "subscribe")]),
        (Decision::Confirm, &[("terminated", "giveup"), ("pending", "subscribe")]),
    ] {
        let mut scene = Presentity::new();
        scene.watched_by(BOB, 0);
        scene.assert_rows(BOB, &[("waiting", "timeout")]);
        scene.answer = Some(decision);
        // The question is open already: the answer to it comes with the second SUBSCRIBE.
        if let Some(sip_presence::agent::Event::Asked { question, .. }) = scene.asked.first().cloned() {
            scene.page.agent.answer_question(question, Some(Decision::Confirm), scene.page.now);
        }
        let (_, outcome) = scene.watched_by(BOB, 600);
        assert_eq!(outcome.status, 200);
        scene.assert_rows(BOB, rows);
        // Another event is another subscription.
        let mut other = scene.subscribe(BOB, 0);
        other.set(Name::Event, "presence;id=2");
        scene.answer = Some(Decision::Confirm);
        scene.send(&other);
        assert!(scene.rows(BOB).len() >= 2);
    }
}

#[test]
fn a17_who_waits_is_given_up_too() {
    let mut scene = Presentity::with(sip_presence::agent::Identities::Asserted, |_, audience| {
        audience.limits.giveup = sip_presence::time::Duration::from_secs(100);
    });
    scene.watched_by(BOB, 0);
    assert!(scene.seconds(100).notifies.is_empty());
    scene.assert_rows(BOB, &[("terminated", "giveup")]);
}

#[test]
fn a18_and_a19_only_who_may_know_hears_of_a_change() {
    // 3856-6.7-d 3856-4-e 3856-6.7-c
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    let outcome = scene.publish(Status::Busy, "in a meeting");
    assert_told(&outcome, &Substate::Active, 600, "in a meeting");
    scene.assert_rows(BOB, &[("active", "subscribe")]);
    let mut scene = Presentity::new();
    scene.bob(Decision::PoliteBlock);
    assert!(scene.publish(Status::Busy, "in a meeting").notifies.is_empty());
    assert!(scene.seconds(60).notifies.is_empty());
    scene.assert_rows(BOB, &[("active", "subscribe")]);
}

#[test]
fn a20_to_a23_a_policy_changes_what_watchers_see_at_once() {
    // 3856-4-j 2779-5.1.16-a
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    assert_ended(&scene.decide(BOB, Decision::Block), Reason::Rejected, "");
    scene.assert_rows(BOB, &[("terminated", "rejected")]);

    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    assert_told(&scene.decide(BOB, Decision::PoliteBlock), &Substate::Active, 600, "offline");
    scene.assert_rows(BOB, &[("active", "subscribe")]);
    assert_told(&scene.decide(BOB, Decision::Allow), &Substate::Active, 594, "here");
    scene.assert_rows(BOB, &[("active", "subscribe")]);

    assert_told(&scene.decide(BOB, Decision::Confirm), &Substate::Pending, 588, "");
    scene.assert_rows(BOB, &[("pending", "subscribe")]);
    assert!(scene.publish(Status::Away, "gone").notifies.is_empty());
    assert!(scene.seconds(20).notifies.is_empty());
}

#[test]
fn a21_what_looks_like_going_offline_takes_its_time_like_any_change() {
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    assert_eq!(scene.publish(Status::Busy, "in a meeting").notifies.len(), 1);
    scene.seconds(1);
    assert!(scene.decide(BOB, Decision::PoliteBlock).notifies.is_empty());
    assert!(scene.publish(Status::Busy, "secret").notifies.is_empty());
    assert_told(&scene.seconds(5), &Substate::Active, 595, "offline");
}

#[test]
fn a24_a_refresh_brings_everything() {
    // 6665-4.2.1.4-a 3856-6.7-g 6665-3.1-a
    let mut scene = Presentity::new();
    let (request, first) = scene.bob(Decision::Allow);
    scene.seconds(100);
    let mut refresh = scene.again(&request, &first, 300);
    refresh.set(Name::Contact, "<sip:moved@watcher.invalid>");
    let outcome = scene.send(&refresh);
    assert_eq!((outcome.status, outcome.answer.as_ref().unwrap().expires()), (200, Some(300)));
    assert_told(&outcome, &Substate::Active, 300, "here");
    assert_eq!(only(&outcome).request_uri().unwrap().to_string(), "sip:moved@watcher.invalid");
    scene.assert_rows(BOB, &[("active", "subscribe")]);
}

#[test]
fn a25_a_subscription_ends_with_its_time_or_its_watcher() {
    // 6665-4.2.1.4-c 6665-4.2.1.4-d 6665-4.1.2.3-a 6665-4.2.2-i
    let mut scene = Presentity::new();
    let (request, first) = scene.bob(Decision::Allow);
    let leave = scene.again(&request, &first, 0);
    let outcome = scene.send(&leave);
    assert_eq!((outcome.status, outcome.answer.as_ref().unwrap().expires()), (200, Some(0)));
    assert_ended(&outcome, Reason::Timeout, "here");
    scene.assert_rows(BOB, &[("terminated", "timeout")]);
    assert_eq!(scene.send(&scene_again(&leave)).status, 481);

    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    assert!(scene.seconds(599).notifies.is_empty());
    assert_ended(&scene.seconds(1), Reason::Timeout, "");
    scene.assert_rows(BOB, &[("terminated", "timeout")]);
}

/// The same request as a new one.
fn scene_again(request: &Message) -> Message {
    let mut next = request.clone();
    next.set(Name::Via, "SIP/2.0/WSS example.com;branch=z9hG4bKagain");
    next.set(Name::CSeq, "99 SUBSCRIBE");
    next
}

#[test]
fn a26_a_notify_that_fails_ends_the_subscription_without_another() {
    // 6665-4.2.2-c 6665-4.2.2-d 6665-4.2.2-e 3856-9.5-a
    for status in [None, Some(404), Some(410), Some(481), Some(489), Some(604)] {
        for decision in [Decision::Allow, Decision::Confirm] {
            let mut scene = Presentity::new();
            scene.takes = status;
            let (_, outcome) = scene.bob(decision);
            assert_eq!(outcome.notifies.len(), 1);
            scene.takes = Some(200);
            assert!(scene.seconds(33).notifies.is_empty());
            assert!(scene.publish(Status::Busy, "later").notifies.is_empty());
            scene.assert_rows(BOB, &[("terminated", "timeout")]);
        }
    }
    for status in [400, 500, 503] {
        let mut scene = Presentity::new();
        scene.takes = Some(status);
        scene.bob(Decision::Allow);
        scene.takes = Some(200);
        scene.assert_rows(BOB, &[("active", "subscribe")]);
        assert_eq!(scene.publish(Status::Busy, "later").notifies.len(), 1);
    }
}

#[test]
fn a27_who_goes_says_so() {
    // 3856-6.11.2-a
    for close in [true, false] {
        for decision in [Decision::Allow, Decision::Confirm] {
            let mut scene = Presentity::new();
            scene.bob(decision);
            scene.seconds(6);
            if close {
                scene.page.agent.close(scene.page.now);
            } else {
                scene.page.agent.suspend(scene.page.now);
            }
            let outcome = scene.outcome();
            assert_ended(&outcome, Reason::Deactivated, "");
            let [row] = scene.documents.last().unwrap().watchers.as_slice() else { panic!() };
            assert_eq!((row.status.as_str(), row.event.as_str()), ("terminated", "deactivated"));
        }
    }
}

#[test]
fn who_was_told_that_the_page_goes_can_come_back() {
    let mut scene = Presentity::new();
    let (request, first) = scene.bob(Decision::Allow);
    scene.page.agent.suspend(scene.page.now);
    scene.outcome();
    scene.page.agent.handle_online(scene.page.now);
    scene.page.drain_now();
    scene.page.connect();
    scene.outcome();
    let refresh = scene.again(&request, &first, 600);
    assert_eq!(scene.send(&refresh).status, 481);
    let (_, outcome) = scene.watched_by(BOB, 600);
    assert_told(&outcome, &Substate::Active, 600, "here");
}

#[test]
fn the_own_user_may_see_everything() {
    // 3857-4.6-b 3857-4.6-a
    let mut scene = Presentity::new();
    let (_, outcome) = scene.watched_by(ALICE, 600);
    assert_told(&outcome, &Substate::Active, 600, "here");
    let mut other = scene.subscribe(BOB, 600);
    other.set(Name::Event, "presence.winfo");
    scene.decide(BOB, Decision::Allow);
    assert_eq!(scene.send(&other).status, 403);
}
