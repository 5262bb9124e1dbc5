//! A presence agent whose connection is gone, or that goes away itself: what watchers are told afterwards, and what becomes
//! of questions and answers (RFC 3856 §6.7, RFC 6665 §4.2.2).
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Presentity;
use common::presentity::{BOB, shows, state};
use sip_presence::agent::{Event, Identities, QuestionId};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name, Reason, Substate};
use sip_presence::time::Duration;

const CAROL: &str = "sip:carol@example.com";

/// The connection is lost, something happens, and it is back; what is told then.
fn while_away(scene: &mut Presentity, act: impl FnOnce(&mut Presentity)) -> Vec<Message> {
    scene.seconds(10);
    scene.page.disconnect();
    act(scene);
    scene.seconds(5);
    scene.page.connect();
    scene.outcome().notifies
}

fn question(scene: &Presentity) -> QuestionId {
    match scene.asked.last() {
        Some(Event::Asked { question, .. }) => *question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_without_a_connection_is_told_over_the_next_and_so_is_the_next_change() {
    for accept in ["application/pidf+xml", "application/pidf-diff+xml, application/pidf+xml"] {
        let mut scene = Presentity::new();
        scene.decide(BOB, Decision::Allow);
        let mut request = scene.subscribe(BOB, 3000);
        request.set(Name::Accept, accept);
        scene.send(&request);
        let told = while_away(&mut scene, |scene| {
            assert!(scene.publish(Status::Busy, "one").notifies.is_empty());
            assert!(scene.publish(Status::Busy, "while away").notifies.is_empty());
        });
        assert_eq!(told.len(), 1, "{accept}");
        assert!(String::from_utf8(told[0].body.clone()).unwrap().contains("while away"));
        scene.seconds(10);
        assert_eq!(scene.publish(Status::Available, "later").notifies.len(), 1, "{accept}");
    }
}

#[test]
fn who_is_refused_without_a_connection_is_told_over_the_next() {
    // 6665-4.2.1.3-d
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    let told = while_away(&mut scene, |scene| {
        assert!(scene.decide(BOB, Decision::Block).notifies.is_empty());
        scene.publish(Status::Busy, "not for Bob");
    });
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (state(told), shows(told).as_str()),
        ((Substate::Terminated, None, Some(Reason::Rejected)), "")
    );
    // Alice's other device is told everything anew, and Bob is not there.
    scene.assert_rows(BOB, &[]);
    // Once.
    assert!(while_away(&mut scene, |_| {}).is_empty());
    // Whose time is over knows that itself.
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    assert!(while_away(&mut scene, |scene| scene.page.seconds(700)).is_empty());
}

#[test]
fn a_refusal_that_was_lost_with_the_connection_is_told_once_more() {
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    scene.takes = None;
    let lost = scene.decide(BOB, Decision::Block).notifies;
    let told = while_away(&mut scene, |_| {});
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(state(told), (Substate::Terminated, None, Some(Reason::Rejected)));
    assert_eq!(told.cseq().unwrap().number, lost[0].cseq().unwrap().number + 1);
    // It may be why the server hangs up.
    assert!(while_away(&mut scene, |_| {}).is_empty());
}

#[test]
fn as_many_ends_wait_for_a_connection_as_there_may_be_watchers() {
    let mut scene = Presentity::with(Identities::Asserted, |_, audience| audience.limits.watchers = 3);
    let names: Vec<String> = (0..3).map(|n| format!("sip:friend{n}@example.com")).collect();
    for name in &names {
        scene.decide(name, Decision::Allow);
        assert_eq!(scene.watched_by(name, 600).1.status, 200);
    }
    let told = while_away(&mut scene, |scene| {
        for name in &names {
            scene.decide(name, Decision::Block);
        }
    });
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|notify| state(notify).0 == Substate::Terminated));
}

#[test]
fn a_page_that_closes_takes_no_watcher() {
    for known in [true, false] {
        let mut scene = Presentity::new();
        if known {
            scene.decide(BOB, Decision::Allow);
        }
        scene.page.watch(CAROL);
        // Nobody answers it, so that closing takes its second.
        let _ = scene.page.next_sent();
        scene.page.agent.close(scene.page.now);
        scene.outcome();
        let (_, outcome) = scene.watched_by(BOB, 600);
        assert_eq!((outcome.status, outcome.notifies.len(), scene.asked.len()), (480, 0, 0));
        assert!(scene.page.agent.watchers().is_empty());
    }
}

#[test]
fn a_page_that_goes_while_it_is_asked_takes_no_watcher() {
    for closes in [true, false] {
        let mut scene = Presentity::new();
        scene.silent = true;
        assert_eq!(scene.watched_by(BOB, 600).1.status, 0);
        match closes {
            true => scene.page.agent.close(scene.page.now),
            false => scene.page.agent.suspend(scene.page.now),
        }
        let outcome = scene.outcome();
        assert_eq!((outcome.status, outcome.notifies.len()), (480, 0));
    }
}

#[test]
fn an_answer_that_comes_after_the_page_was_away_counts_for_the_next_request() {
    let mut scene = Presentity::new();
    scene.watched_by(BOB, 600);
    let question = question(&scene);
    scene.page.agent.suspend(scene.page.now);
    scene.outcome();
    scene.page.agent.handle_online(scene.page.now);
    scene.page.drain_now();
    scene.page.connect();
    scene.outcome();
    scene.page.agent.answer_question(question, Some(Decision::Allow), scene.page.now);
    let (_, outcome) = scene.watched_by(BOB, 600);
    assert_eq!((shows(&outcome.notifies[0]).as_str(), scene.asked.len()), ("here", 1));
}

#[test]
fn an_answer_that_came_late_is_not_used_up_by_a_request_that_cannot_be_served() {
    let mut scene = Presentity::with(Identities::Asserted, |_, audience| audience.limits.watchers = 1);
    scene.watched_by(BOB, 0);
    let late = question(&scene);
    scene.page.agent.answer_question(late, Some(Decision::Allow), scene.page.now);
    scene.outcome();
    scene.decide(CAROL, Decision::Allow);
    let (first, carol) = scene.watched_by(CAROL, 600);
    assert_eq!(scene.watched_by(BOB, 600).1.status, 503);
    let leave = scene.again(&first, &carol, 0);
    scene.send(&leave);
    let (_, outcome) = scene.watched_by(BOB, 600);
    assert_eq!((shows(&outcome.notifies[0]).as_str(), scene.asked.len()), ("here", 1));
    // A refusal is an answer that was used.
    let mut scene = Presentity::new();
    scene.watched_by(BOB, 0);
    let late = question(&scene);
    scene.page.agent.answer_question(late, Some(Decision::Block), scene.page.now);
    assert_eq!(scene.watched_by(BOB, 600).1.status, 403);
    assert_eq!(scene.watched_by(BOB, 600).1.status, 200);
    assert_eq!(scene.asked.len(), 2);
}

#[test]
fn a_pause_counts_for_what_waits_already() {
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    scene.takes = None;
    let told = scene.publish(Status::Busy, "first").notifies;
    // Too soon for another NOTIFY: it waits.
    assert!(scene.publish(Status::Busy, "second").notifies.is_empty());
    scene.page.respond(&told[0], 503, &[(Name::RetryAfter, "30")]);
    scene.takes = Some(200);
    assert!(scene.seconds(29).notifies.is_empty());
    assert_eq!(shows(&scene.seconds(1).notifies[0]), "second");
    // Also for what a watcher likes to hear in any case.
    let mut scene = Presentity::new();
    scene.decide(BOB, Decision::Allow);
    let mut request = scene.subscribe(BOB, 600);
    request.set(Name::Event, "presence;min-rate=0.1");
    scene.takes = None;
    let outcome = scene.send(&request);
    scene.page.respond(&outcome.notifies[0], 503, &[(Name::RetryAfter, "30")]);
    scene.takes = Some(200);
    scene.page.advance(Duration::from_secs(29));
    assert!(scene.outcome().notifies.is_empty());
    assert_eq!(scene.seconds(1).notifies.len(), 1);
}
