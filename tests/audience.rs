//! A page as presence agent, request by request: what is refused and how, conditions, rates, changes alone, the address of
//! the page, lost connections (RFC 3856 §6, RFC 6665 §4.2, RFC 5839, RFC 6446, RFC 5263).
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::presentity::{ALICE, BOB, Outcome, shows, state};
use common::{Page, Presentity};
use sip_presence::agent::{Audience, Event, FailureCode, Identities};
use sip_presence::event::Decision;
use sip_presence::presence::{PublishedState, Status, pidf, winfo};
use sip_presence::sip::{Message, Method, Name, Substate, Uri};
use sip_presence::time::Duration;

/// Bob, who may see everything, sends this instead of an ordinary SUBSCRIBE.
fn bob_sends(scene: &mut Presentity, adjust: impl FnOnce(&mut Message)) -> Outcome {
    scene.decide(BOB, Decision::Allow);
    let mut request = scene.subscribe(BOB, 600);
    adjust(&mut request);
    scene.send(&request)
}

#[test]
fn what_cannot_be_served_is_refused_with_what_can() {
    // 3856-6.1-a 6665-4.2.1.1-b 6665-4.2.3-a 6665-4.1.2.1-d 3856-6.6-a 3856-3-d 6665-4.4.4-a 6665-4.2.1.4-b
    type Case = (fn(&mut Message), u16, Option<(Name, &'static str)>);
    let cases: [Case; 10] = [
        (|r| r.set(Name::Event, "dialog"), 489, Some((Name::AllowEvents, "presence, presence.winfo"))),
        (|r| r.set(Name::Event, "Presence"), 489, Some((Name::AllowEvents, "presence, presence.winfo"))),
        (|r| r.set(Name::Event, "presence.winfo.winfo"), 489, None),
        (|r| r.remove(&Name::Event), 489, None),
        (
            |r| r.set(Name::Accept, "text/plain"),
            406,
            Some((Name::Accept, "application/pidf+xml, application/pidf-diff+xml")),
        ),
        (|r| r.set(Name::Expires, "59"), 423, Some((Name::MinExpires, "60"))),
        (|r| r.set(Name::Require, "eventlist"), 420, Some((Name::Unsupported, "eventlist"))),
        (|r| r.set_body("application/simple-filter+xml", b"<filter-set/>".to_vec()), 415, None),
        (|r| r.set(Name::To, "<sip:alice@example.com>;tag=unknown"), 481, None),
        (
            |r| {
                let uri = Uri::parse("sip:eve@example.com").unwrap();
                r.start = sip_presence::sip::StartLine::Request { method: Method::Subscribe, uri };
            },
            404,
            None,
        ),
    ];
    for (adjust, status, header) in cases {
        let mut scene = Presentity::new();
        let outcome = bob_sends(&mut scene, adjust);
        assert_eq!((outcome.status, outcome.notifies.len()), (status, 0));
        if let Some((name, value)) = header {
            assert_eq!(outcome.answer.unwrap().header(&name), Some(value));
        }
        assert!(scene.page.agent.watchers().is_empty());
    }
    // 3856-6.3-b: a filter that may be ignored is.
    let mut scene = Presentity::new();
    let outcome = bob_sends(&mut scene, |r| {
        r.set_body("application/simple-filter+xml", b"<filter-set/>".to_vec());
        r.set(Name::ContentDisposition, "render; handling=optional");
    });
    assert_eq!((outcome.status, outcome.notifies.len()), (200, 1));
}

#[test]
fn no_extension_is_applied_that_was_not_agreed_on() {
    // 3261-8.2.4-a
    for supported in ["", "eventlist, outbound, path, gruu, norefersub"] {
        let mut scene = Presentity::new();
        let outcome = bob_sends(&mut scene, |request| request.set(Name::Supported, supported));
        assert_eq!((outcome.status, outcome.notifies.len()), (200, 1));
        assert_eq!(outcome.answer.unwrap().header(&Name::Require), None);
        assert_eq!(outcome.notifies[0].header(&Name::Require), None);
    }
}

#[test]
fn a_life_is_never_longer_than_what_was_asked_for() {
    // 6665-3.1.1-b 6665-3.1.1-d 6665-4.2.1.1-f 6665-4.2.1.1-d 6665-4.2.2-g 6665-4.2.2-h 3856-6.4-a
    let mut scene = Presentity::new();
    for (asked, granted) in [(None, 3600), (Some("60"), 60), (Some("3600"), 3600), (Some("86400"), 3600)] {
        let outcome = bob_sends(&mut scene, |request| match asked {
            Some(asked) => request.set(Name::Expires, asked),
            None => request.remove(&Name::Expires),
        });
        assert_eq!(outcome.answer.unwrap().expires(), Some(granted));
        assert_eq!(state(&outcome.notifies[0]), (Substate::Active, Some(granted), None));
    }
    let mut scene = Presentity::with(Identities::Asserted, |_, audience| audience.min_expires = 7200);
    // An hour is never too short.
    assert_eq!(bob_sends(&mut scene, |request| request.set(Name::Expires, "3600")).status, 200);
    assert_eq!(bob_sends(&mut scene, |request| request.set(Name::Expires, "3599")).status, 423);
    assert_eq!(bob_sends(&mut scene, |request| request.set(Name::Expires, "0")).status, 200);
}

#[test]
fn it_is_found_by_its_contact_too_and_shows_the_address_that_was_asked_for() {
    let mut scene = Presentity::with(Identities::Asserted, |config, _| config.register = true);
    scene.decide(BOB, Decision::Allow);
    let contact = scene.registered().contact().unwrap();
    // 3856-6.11.2-b
    assert_eq!(contact.params.value("methods"), Some("\"SUBSCRIBE,NOTIFY,OPTIONS\""));
    assert_eq!(contact.params.value("events"), Some("\"presence\""));
    let mut request = scene.subscribe(BOB, 600);
    request.start =
        sip_presence::sip::StartLine::Request { method: Method::Subscribe, uri: contact.uri.clone() };
    request.set(Name::To, "<pres:alice@example.com>");
    let outcome = scene.send(&request);
    assert_eq!(outcome.status, 200);
    let text = String::from_utf8(outcome.notifies[0].body.clone()).unwrap();
    assert!(text.contains("entity=\"pres:alice@example.com\""), "{text}");
}

#[test]
fn its_gruu_is_the_contact_of_its_dialogs() {
    // 6665-4.5.1-a
    let mut scene = Presentity::with(Identities::Asserted, |config, _| {
        config.register = true;
        config.instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned();
    });
    assert_eq!(scene.registered().method(), Method::Register);
    let (_, outcome) = scene.bob(Decision::Allow);
    for message in [outcome.answer.as_ref().unwrap(), &outcome.notifies[0]] {
        assert_eq!(message.header(&Name::Contact), Some("<sip:alice@example.com;gr=here>"));
    }
}

#[test]
fn options_tells_what_it_takes() {
    // 3856-3-e 6665-4.4.4-b
    let mut scene = Presentity::new();
    let mut options = scene.subscribe(BOB, 0);
    options.start =
        sip_presence::sip::StartLine::Request { method: Method::Options, uri: Uri::parse(ALICE).unwrap() };
    options.set(Name::CSeq, "1 OPTIONS");
    let answer = scene.send(&options).answer.unwrap();
    assert_eq!(answer.header(&Name::Allow), Some("NOTIFY, OPTIONS, SUBSCRIBE"));
    assert_eq!(answer.header(&Name::AllowEvents), Some("presence, presence.winfo"));
}

#[test]
fn changes_are_told_every_five_seconds_at_most() {
    // 3856-6.10-a 6446-5.5-c 3856-6.3-c
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    let mut told = scene.publish(Status::Busy, "0").notifies;
    for n in 1..=10 {
        told.extend(scene.publish(Status::Busy, &n.to_string()).notifies);
    }
    assert_eq!(told.len(), 1);
    assert!(scene.seconds(4).notifies.is_empty());
    let told = scene.seconds(1).notifies;
    assert_eq!((told.len(), shows(&told[0]).as_str()), (1, "10"));
    assert!(scene.seconds(60).notifies.is_empty());
}

#[test]
fn a_watcher_that_has_the_document_gets_none() {
    // 5839-6.1-a 5839-6.2-a 5839-6.3-a 5839-6.3-b 5839-6.3-c 5839-4-a 5839-6.1-b
    let mut scene = Presentity::new();
    let (first, outcome) = scene.bob(Decision::Allow);
    let tag = outcome.notifies[0].header(&Name::SipETag).unwrap().to_owned();
    let mut refresh = scene.again(&first, &outcome, 300);
    refresh.set(Name::SuppressIfMatch, tag.clone());
    let refreshed = scene.send(&refresh);
    assert_eq!((refreshed.status, refreshed.notifies.len()), (204, 0));
    assert_eq!(refreshed.answer.unwrap().expires(), Some(300));
    // The next change is told, with another tag.
    let changed = scene.publish(Status::Busy, "other").notifies;
    assert_eq!(state(&changed[0]).1, Some(300));
    assert_ne!(changed[0].header(&Name::SipETag), Some(tag.as_str()));
    let mut refresh = scene.again(&first, &outcome, 300);
    refresh.set(Name::SuppressIfMatch, tag.clone());
    let refreshed = scene.send(&refresh);
    assert_eq!((refreshed.status, shows(&refreshed.notifies[0]).as_str()), (200, "other"));
    let tag = refreshed.notifies[0].header(&Name::SipETag).unwrap().to_owned();
    // Outside the dialog a NOTIFY has to make one.
    let mut anew = scene.subscribe(BOB, 600);
    anew.set(Name::SuppressIfMatch, tag.clone());
    let outcome = scene.send(&anew);
    assert_eq!((outcome.status, shows(&outcome.notifies[0]).as_str()), (200, ""));
    assert_eq!(outcome.notifies[0].header(&Name::SipETag), Some(tag.as_str()));
    assert_eq!(outcome.notifies[0].body.len(), 0);
    // It ends so too.
    let mut leave = scene.again(&anew, &outcome, 0);
    leave.set(Name::SuppressIfMatch, tag);
    assert_eq!((scene.send(&leave).status, scene.seconds(6).notifies.len()), (204, 0));
    scene.assert_rows(BOB, &[("active", "subscribe"), ("terminated", "timeout")]);
}

#[test]
fn a_watcher_that_wants_silence_hears_of_no_change_but_of_its_subscription() {
    // 5839-6.2-a 5839-6.3-c
    let mut scene = Presentity::new();
    let (first, outcome) = scene.bob(Decision::Allow);
    let mut refresh = scene.again(&first, &outcome, 300);
    refresh.set(Name::SuppressIfMatch, "*");
    assert_eq!(scene.send(&refresh).status, 204);
    assert!(scene.publish(Status::Busy, "other").notifies.is_empty());
    let pending = scene.decide(BOB, Decision::Confirm).notifies;
    assert_eq!((state(&pending[0]).0, shows(&pending[0]).as_str()), (Substate::Pending, ""));
    let active = scene.decide(BOB, Decision::Allow).notifies;
    assert_eq!((state(&active[0]).0, shows(&active[0]).as_str()), (Substate::Active, ""));
    let refresh = scene.again(&first, &outcome, 300);
    let refreshed = scene.send(&refresh);
    assert_eq!((refreshed.status, shows(&refreshed.notifies[0]).as_str()), (200, "other"));
}

#[test]
fn rates_are_kept_and_reflected() {
    // 6446-4.2-a 6446-5.2-b 6446-6.2-a
    let mut scene = Presentity::new();
    let outcome =
        bob_sends(&mut scene, |request| request.set(Name::Event, "presence;max-rate=0.1;min-rate=0.02"));
    let state = |notify: &Message| notify.header(&Name::SubscriptionState).unwrap().to_owned();
    assert_eq!(state(&outcome.notifies[0]), "active;expires=600;max-rate=0.1;min-rate=0.02");
    assert!(scene.publish(Status::Busy, "later").notifies.is_empty());
    let told = scene.seconds(10).notifies;
    assert_eq!(shows(&told[0]), "later");
    assert_eq!(scene.seconds(49).notifies.len(), 0);
    let told = scene.seconds(1).notifies;
    assert_eq!(shows(&told[0]), "later");
    // The answer to a NOTIFY may have other wishes.
    scene.takes = None;
    let told = scene.seconds(50).notifies;
    scene.page.respond(&told[0], 200, &[(Name::Event, "presence;min-rate=0.1")]);
    let told = scene.seconds(10).notifies;
    assert_eq!(state(&told[0]), "active;expires=480;min-rate=0.1");
}

#[test]
fn changes_alone_go_to_who_takes_them() {
    // 5263-4.4-a 5263-4.4-b 5263-4.4-e 6446-5.5-a 5839-4-b 3856-6.7-g
    const TYPES: &str = "application/pidf-diff+xml, application/pidf+xml";
    let mut scene = Presentity::new();
    scene.activities =
        vec!["meeting", "travel", "in-transit", "presentation", "looking-for-work", "performance"];
    scene.publish(Status::Busy, "zero");
    let kind = |notify: &Message| {
        let text = String::from_utf8(notify.body.clone()).unwrap();
        let version = text.split_once("version=\"").and_then(|_| text.rsplit_once("version=\"")).unwrap().1;
        (text.contains("pidf-full"), version.split('"').next().unwrap().to_owned())
    };
    let mut first = scene.subscribe(BOB, 600);
    first.set(Name::Accept, TYPES);
    scene.decide(BOB, Decision::Allow);
    let outcome = scene.send(&first);
    assert_eq!(kind(&outcome.notifies[0]), (true, "1".to_owned()));
    let tag = |notify: &Message| notify.header(&Name::SipETag).unwrap().to_owned();
    let before = tag(&outcome.notifies[0]);
    scene.takes = None;
    let told = scene.publish(Status::Busy, "one").notifies;
    assert_eq!(kind(&told[0]), (false, "2".to_owned()));
    assert_ne!(tag(&told[0]), before);
    // One is on its way: the next waits for its answer, and builds on it.
    scene.seconds(6);
    assert!(scene.publish(Status::Busy, "two").notifies.is_empty());
    scene.takes = Some(200);
    scene.page.respond(&told[0], 200, &[]);
    let told = scene.outcome().notifies;
    assert_eq!(kind(&told[0]), (false, "3".to_owned()));
    // A SUBSCRIBE without Accept wants whole ones again.
    let mut refresh = scene.again(&first, &outcome, 600);
    refresh.remove(&Name::Accept);
    let whole = scene.send(&refresh).notifies;
    assert_eq!(
        (shows(&whole[0]).as_str(), whole[0].content_type().unwrap().unwrap().essence.as_str()),
        ("two", "application/pidf+xml")
    );
}

#[test]
fn where_the_changes_are_larger_than_the_whole_that_is_told() {
    // 6446-5.5-b 5263-4.4-c
    let mut scene = Presentity::new();
    scene.decide(BOB, Decision::Allow);
    let mut first = scene.subscribe(BOB, 600);
    first.set(Name::Accept, "application/pidf-diff+xml, application/pidf+xml");
    scene.send(&first);
    let told = scene.publish(Status::Away, "all is new").notifies;
    let text = String::from_utf8(told[0].body.clone()).unwrap();
    assert!(text.contains("pidf-full") && text.contains("version=\"2\""), "{text}");
}

#[test]
fn a_watcher_that_asks_for_a_pause_gets_it() {
    let mut scene = Presentity::new();
    scene.takes = None;
    let (_, outcome) = scene.bob(Decision::Allow);
    scene.page.respond(&outcome.notifies[0], 503, &[(Name::RetryAfter, "30")]);
    scene.takes = Some(200);
    assert!(scene.publish(Status::Busy, "later").notifies.is_empty());
    assert!(scene.seconds(29).notifies.is_empty());
    assert_eq!(shows(&scene.seconds(1).notifies[0]), "later");
}

#[test]
fn what_a_lost_connection_swallowed_is_told_over_the_next() {
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    scene.takes = None;
    assert_eq!(scene.publish(Status::Busy, "on its way").notifies.len(), 1);
    scene.page.disconnect();
    scene.publish(Status::Away, "unsent");
    scene.takes = Some(200);
    scene.seconds(5);
    scene.page.connect();
    let told = scene.outcome().notifies;
    assert_eq!((told.len(), shows(&told[0]).as_str()), (1, "unsent"));
    // Without a loss nothing is told twice.
    scene.page.disconnect();
    scene.seconds(5);
    scene.page.connect();
    assert!(scene.outcome().notifies.is_empty());
}

#[test]
fn a_request_out_of_order_or_for_another_event_changes_nothing() {
    let mut scene = Presentity::new();
    let (first, outcome) = scene.bob(Decision::Allow);
    let mut old = scene.again(&first, &outcome, 300);
    old.set(Name::CSeq, "1 SUBSCRIBE");
    assert_eq!(scene.send(&old).status, 500);
    let mut other = scene.again(&first, &outcome, 300);
    other.set(Name::Event, "presence;id=2");
    assert_eq!(scene.send(&other).status, 481);
    let mut stranger = scene.again(&first, &outcome, 0);
    stranger.set(Name::from_text("P-Asserted-Identity"), "<sip:carol@example.com>");
    assert_eq!(scene.send(&stranger).status, 403);
    assert_eq!(scene.publish(Status::Busy, "still").notifies.len(), 1);
}

#[test]
fn who_publishes_nothing_is_offline_and_shows_no_trace_of_what_was() {
    // 3856-6.6.2-f
    let mut scene = Presentity::new();
    scene.bob(Decision::Allow);
    scene.page.agent.unpublish(scene.page.now);
    let told = scene.outcome().notifies;
    assert_eq!(shows(&told[0]), "offline");
    assert_eq!(shows(&scene.watched_by(BOB, 600).1.notifies[0]), "offline");
}

#[test]
fn nobody_hears_who_has_not_asked() {
    // 6665-3.2-a
    let mut scene = Presentity::new();
    let mut told = scene.decide(BOB, Decision::Allow).notifies;
    told.extend(scene.publish(Status::Busy, "for nobody").notifies);
    told.extend(scene.seconds(600).notifies);
    // Nor who has asked once.
    scene.watched_by(BOB, 0);
    told.extend(scene.publish(Status::Away, "for nobody").notifies);
    told.extend(scene.decide(BOB, Decision::Block).notifies);
    assert!(told.is_empty());
}

#[test]
fn where_no_server_takes_publications_they_are_told_all_the_same() {
    // 3856-7.1-a
    for status in [404, 405, 489, 501] {
        let mut scene = Presentity::new();
        scene.bob(Decision::Allow);
        scene.publishes = status;
        let before = scene.page.failures().len();
        let told = scene.publish(Status::Busy, "mine").notifies;
        assert_eq!(shows(&told[0]), "mine");
        assert_eq!(scene.page.failures().len(), before);
        assert!(scene.page.agent.poll_timeout().is_some());
    }
}

#[test]
fn an_answer_that_comes_late_counts_for_the_next_request_of_who_is_gone() {
    let mut scene = Presentity::new();
    scene.watched_by(BOB, 0);
    let [Event::Asked { question, .. }] = scene.asked.as_slice() else { panic!() };
    let question = *question;
    scene.page.agent.answer_question(question, Some(Decision::Allow), scene.page.now);
    scene.assert_rows(BOB, &[("terminated", "approved")]);
    let (_, outcome) = scene.watched_by(BOB, 0);
    assert_eq!(shows(&outcome.notifies[0]), "here");
    // Once: then the application is asked again.
    scene.watched_by(BOB, 0);
    assert_eq!(scene.asked.len(), 2);
}

#[test]
fn who_has_not_said_anything_by_the_next_timer_is_taken_to_think() {
    let mut scene = Presentity::new();
    scene.silent = true;
    let (_, outcome) = scene.watched_by(BOB, 600);
    assert_eq!(outcome.status, 0);
    scene.page.advance(Duration::ZERO);
    let outcome = scene.outcome();
    assert_eq!((outcome.status, state(&outcome.notifies[0]).0), (200, Substate::Pending));
}

#[test]
fn watcher_information_tells_everything_first_and_then_what_changed() {
    // 3857-4.5-a 3857-4.5-b 3857-4.3-b 3857-4.7.2-b 3857-4.10-a 3858-3-d 3858-3-f 3857-4.7-a 3857-4.7-b
    let mut scene = Presentity::new();
    let mut own = scene.subscribe(ALICE, 600);
    own.set(Name::Event, "presence.winfo");
    own.set(Name::Accept, "application/pidf+xml");
    let refused = scene.send(&own);
    assert_eq!(refused.status, 406);
    assert_eq!(refused.answer.unwrap().header(&Name::Accept), Some("application/watcherinfo+xml"));
    scene.bob(Decision::Allow);
    scene.watched_by("sip:carol@example.com", 600);
    let first = scene.documents.len();
    // Two changes within five seconds: the second waits.
    assert_eq!((scene.documents[0].head.version, scene.documents[0].head.full), (0, true));
    assert_eq!((scene.documents[1].head.version, scene.documents[1].head.full), (1, false));
    assert_eq!((first, scene.documents[1].watchers.len()), (2, 1));
    scene.seconds(6);
    assert_eq!((scene.documents.len(), scene.documents[2].watchers.len()), (3, 1));
    assert_eq!(scene.documents[2].watchers[0].uri, "sip:carol@example.com");
    assert_eq!(scene.documents[2].watchers[0].resource, ALICE);
    assert_eq!(scene.documents[2].watchers[0].expiration, Some(595));
    // Another subscription has versions of its own, and sees all.
    own.remove(&Name::Accept);
    let answer = scene.send(&own);
    assert_eq!((answer.status, scene.documents.len()), (200, 4));
    let all = scene.documents.pop().unwrap();
    assert_eq!((all.head.version, all.head.full, all.watchers.len()), (0, true, 2));
    let refresh = scene.again(&own, &answer, 600);
    scene.send(&refresh);
    let all = scene.documents.pop().unwrap();
    assert_eq!((all.head.version, all.head.full, all.watchers.len()), (1, true, 2));
    let leave = scene.again(&own, &answer, 0);
    assert_eq!(scene.send(&leave).status, 200);
}

/// Bob watches so often, with a name as long as names get; and Alice's SUBSCRIBE for who watches.
fn watched_often(times: usize, expires: u32) -> (Presentity, Message) {
    let mut scene = Presentity::with(Identities::Asserted, |_, audience| audience.limits.of_one = 1000);
    scene.decide(BOB, Decision::Allow);
    for _ in 0..times {
        let mut request = scene.subscribe(BOB, 600);
        let from = request.header(&Name::From).unwrap().to_owned();
        request.set(Name::From, format!("\"{}\" {from}", "&".repeat(128)));
        assert_eq!(scene.send(&request).status, 200);
    }
    scene.seconds(10);
    scene.documents.clear();
    let mut own = scene.subscribe(ALICE, expires);
    own.set(Name::Event, "presence.winfo");
    (scene, own)
}

#[test]
fn watcher_information_is_one_document_where_any_peer_takes_that() {
    for expires in [600, 0] {
        let (mut scene, own) = watched_often(60, expires);
        let answer = scene.send(&own);
        if expires > 0 {
            let refresh = scene.again(&own, &answer, 600);
            scene.send(&refresh);
            let leave = scene.again(&own, &answer, 0);
            scene.send(&leave);
        }
        let told: Vec<(bool, usize)> =
            scene.documents.iter().map(|document| (document.head.full, document.watchers.len())).collect();
        assert_eq!(told, vec![(true, 60); if expires > 0 { 3 } else { 1 }]);
    }
}

#[test]
fn what_is_too_much_for_one_document_follows_when_that_was_taken() {
    let (mut scene, own) = watched_often(300, 600);
    // What is sent is answered one by one.
    scene.page.receive(&own.to_bytes());
    assert_eq!(scene.page.next_sent().status(), Some(200));
    let mut rows = Vec::new();
    while !scene.page.is_silent() {
        let notify = scene.page.next_sent();
        assert!(scene.page.is_silent(), "one at a time");
        assert!(notify.to_bytes().len() < 50_000);
        let document = winfo::read(&notify.body, &pidf::Limits::default()).unwrap();
        assert_eq!((document.head.full, document.head.version as usize), (rows.is_empty(), rows.len()));
        rows.push(document.watchers.len());
        scene.page.respond(&notify, 200, &[]);
    }
    assert!(rows.len() > 4 && rows.iter().sum::<usize>() == 300, "{rows:?}");
    assert!(scene.seconds(10).notifies.is_empty() && scene.documents.is_empty(), "nothing is left over");
    // Who wants to hear of no changes gets none of the rest either.
    let mut quiet = scene.subscribe(ALICE, 600);
    quiet.set(Name::Event, "presence.winfo");
    quiet.push(Name::SuppressIfMatch, "*");
    scene.page.receive(&quiet.to_bytes());
    assert_eq!(scene.page.next_sent().status(), Some(200));
    let notify = scene.page.next_sent();
    scene.page.respond(&notify, 200, &[]);
    assert!(notify.body.is_empty() && scene.page.is_silent());
    // Nothing follows the last: it does not say that it is all.
    let mut fetch = scene.subscribe(ALICE, 0);
    fetch.set(Name::Event, "presence.winfo");
    scene.send(&fetch);
    let [document] = scene.documents.as_slice() else { panic!() };
    assert!(!document.head.full && document.watchers.len() > 50);
}

#[test]
fn too_much_for_one_document_survives_a_lost_connection() {
    let (mut scene, own) = watched_often(300, 600);
    let answer = scene.send(&own);
    scene.page.disconnect();
    scene.decide(BOB, Decision::PoliteBlock);
    scene.decide(BOB, Decision::Confirm);
    scene.page.seconds(5);
    scene.documents.clear();
    scene.page.connect();
    scene.seconds(10);
    let refresh = scene.again(&own, &answer, 600);
    assert_eq!(scene.send(&refresh).status, 200);
    let pending = |document: &winfo::WatcherInfo| {
        document.watchers.iter().filter(|row| row.status == "pending").count()
    };
    // Of two subscriptions, and of one.
    assert_eq!(scene.documents.iter().map(pending).sum::<usize>(), 900);
    assert!(scene.documents.iter().all(|document| winfo::write(document).len() < 50_000));
}

#[test]
fn a_policy_answers_the_question_that_is_open() {
    let asked = |scene: &Presentity| match scene.asked.last() {
        Some(Event::Asked { question, .. }) => *question,
        other => panic!("{other:?}"),
    };
    let mut scene = Presentity::new();
    scene.watched_by(BOB, 600);
    let question = asked(&scene);
    scene.decide(BOB, Decision::Block);
    scene.page.agent.answer_question(question, Some(Decision::Allow), scene.page.now);
    assert!(scene.outcome().notifies.is_empty());
    assert_eq!(scene.watched_by(BOB, 600).1.status, 403);
    // Also where it is said while the application is being asked.
    let mut scene = Presentity::new();
    scene.silent = true;
    scene.watched_by(BOB, 600);
    scene.decide(BOB, Decision::PoliteBlock);
    scene.page.agent.answer_question(asked(&scene), Some(Decision::Allow), scene.page.now);
    let outcome = scene.outcome();
    assert_eq!((outcome.status, shows(&outcome.notifies[0]).as_str()), (200, "offline"));
}

#[test]
fn questions_that_nobody_answers_are_forgotten() {
    let mut scene = Presentity::with(Identities::Asserted, |_, audience| {
        audience.limits.undecided = 1;
        audience.limits.giveup = Duration::from_secs(100);
    });
    scene.watched_by(BOB, 0);
    assert_eq!(scene.watched_by("sip:carol@example.com", 0).1.status, 503);
    scene.seconds(101);
    assert_eq!(scene.watched_by("sip:carol@example.com", 0).1.status, 200);
    assert_eq!(scene.asked.len(), 2);
}

#[test]
fn the_application_hears_who_watches_and_until_when() {
    let mut scene = Presentity::new();
    scene.page.agent.listen();
    scene.outcome();
    let lists = |scene: &mut Presentity| -> Vec<Vec<Option<u64>>> {
        let events = core::mem::take(&mut scene.page.events);
        let list = |event| match event {
            Event::Watchers(rows) => {
                Some(rows.iter().map(|row| Some(row.expires?.since(common::START).as_secs())).collect())
            }
            _ => None,
        };
        events.into_iter().filter_map(list).collect()
    };
    assert_eq!(lists(&mut scene), [Vec::new()]);
    let (first, outcome) = scene.bob(Decision::Allow);
    assert_eq!(lists(&mut scene), [[Some(600)]]);
    scene.seconds(100);
    let refresh = scene.again(&first, &outcome, 600);
    scene.send(&refresh);
    assert_eq!(lists(&mut scene), [[Some(700)]]);
    scene.publish(Status::Busy, "no news of watchers");
    assert!(lists(&mut scene).is_empty());
}

#[test]
fn it_publishes_when_it_is_registered_or_cannot_be() {
    let publish = |page: &mut Page| {
        let (status, activities) = (Status::Busy, Vec::new());
        let state = PublishedState { status, activities, note: None, until: None, input: None };
        page.agent.publish(state, page.now);
        page.drain_now();
    };
    let open = || {
        let mut page = Page::new(|config| {
            config.register = true;
            config.audience = Some(Audience::new(Identities::From));
        });
        page.connect();
        publish(&mut page);
        let register = page.next_sent();
        assert_eq!(
            (register.method(), page.pending()),
            (Method::Register, 0),
            "the server knows nothing of it yet"
        );
        (page, register)
    };
    let (mut page, register) = open();
    page.respond(&register, 200, &[(Name::Expires, "600")]);
    let published = page.next_sent();
    assert_eq!(published.method(), Method::Publish);
    page.respond(&published, 405, &[]);
    // It is tried again, and until then nothing is published; unless that has no sense.
    for (status, publishes) in [(503, false), (405, true), (403, true)] {
        let (mut page, register) = open();
        page.respond(&register, status, &[]);
        assert_eq!(page.pending() > 0, publishes, "{status}");
    }
    // A registration that may have run out is none.
    page.seconds(300);
    let refresh = page.next_sent();
    assert_eq!((refresh.method(), page.pending()), (Method::Register, 0));
    for (seconds, publishes) in [(30, true), (262, false)] {
        page.seconds(seconds);
        while page.pending() > 0 {
            assert_eq!(page.next_sent().method(), Method::Register);
        }
        publish(&mut page);
        assert_eq!(page.pending() > 0, publishes, "{seconds}");
        while page.pending() > 0 {
            let publish = page.next_sent();
            page.respond(&publish, 405, &[]);
        }
    }
}

#[test]
fn who_publishes_does_not_wait_for_a_registrar_without_end() {
    let state = |note: &str| PublishedState {
        status: Status::Busy,
        activities: Vec::new(),
        note: Some(note.to_owned()),
        until: None,
        input: None,
    };
    let mut page = Page::new(|config| {
        config.register = true;
        config.audience = Some(Audience::new(Identities::From));
    });
    page.connect();
    let request = page.agent.publish(state("here"), page.now);
    page.drain_now();
    assert_eq!(page.next_sent().method(), Method::Register);
    page.seconds(33);
    let settled = page.events.iter().find_map(|event| match event {
        Event::Published { request: of, result } if *of == request => Some(result.clone()),
        _ => None,
    });
    let failure = settled.expect("it is told").unwrap_err();
    assert_eq!(failure.code, FailureCode::Timeout);
    assert!(failure.retry_at.is_some());
    // The wish stays.
    while page.pending() > 0 {
        let register = page.next_sent();
        assert_eq!(register.method(), Method::Register);
    }
    page.seconds(11);
    let register = page.next_sent();
    page.respond(&register, 200, &[(Name::Expires, "600")]);
    let published = page.next_sent();
    assert_eq!(published.method(), Method::Publish);
    page.respond(&published, 200, &[(Name::SipETag, "a"), (Name::Expires, "600")]);
    // The registrar falls silent; what is published can be changed and withdrawn.
    page.seconds(595);
    while page.pending() > 0 {
        let request = page.next_sent();
        if request.method() == Method::Publish {
            page.respond(&request, 200, &[(Name::SipETag, "a"), (Name::Expires, "600")]);
        }
    }
    page.agent.unpublish(page.now);
    page.drain_now();
    let methods: Vec<Method> = (0..page.pending()).map(|_| page.next_sent().method()).collect();
    assert!(methods.contains(&Method::Publish), "{methods:?}");
}
