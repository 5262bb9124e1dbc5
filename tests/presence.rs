//! The main job in one world: someone publishes, someone watches, links fail and come back.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::World;
use sip_presence::agent::{Cause, ConnectionState, Event, FailureCode, Watching};
use sip_presence::presence::Status;
use sip_presence::server::{Decision, Rule};
use sip_presence::sip::auth::Secret;
use sip_presence::sip::{Method, Name};
use sip_presence::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn alice_publishes_and_bob_sees_it() {
    // 3856-7.3-b 3903-4-a 6665-4.2.2-b 3856-6.7-d
    let mut world = World::new(1);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.seconds(1);
    assert_eq!(world.sees(bob, watch), (Status::Offline, None));
    let request = world.publish(alice, Status::Busy, "In a meeting");
    world.seconds(1);
    assert_eq!(world.published(alice, request), Some(Ok(())));
    assert_eq!(world.sees(bob, watch), (Status::Busy, Some("In a meeting".to_owned())));
    let causes: Vec<Cause> = world.seats[bob].views.iter().map(|view| view.cause).collect();
    assert_eq!(causes.last(), Some(&Cause::Change));
    assert!(causes.contains(&Cause::Initial));
}

#[test]
fn every_status_crosses() {
    let mut world = World::new(2);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Unknown) {
        world.publish(alice, status, "a < b & \"c\" ]]> é 🎉");
        world.seconds(6);
        assert_eq!(world.sees(bob, watch), (status, Some("a < b & \"c\" ]]> é 🎉".to_owned())));
    }
}

#[test]
fn the_flow_of_rfc_3856_section_8() {
    // 3856-8-F1 3856-8-F2 3856-8-F3 3856-8-F4 3856-8-U 3856-8-F5 3856-8-F6
    let mut world = World::new(3);
    let (alice, bob) = (world.seat("alice"), world.seat_with("bob", |config| config.expires = 600));
    world.publish(alice, Status::Available, "");
    world.seconds(1);
    world.log.clear();
    let watch = world.watch(bob, "alice");
    world.seconds(2);
    let challenged = world.log.iter().position(|crossing| crossing.message.status() == Some(401)).unwrap();
    let flow: Vec<_> = world.log.drain(..).skip(challenged + 1).collect();
    let [f1, f2, f3, f4] = flow.as_slice() else { panic!("{} messages", flow.len()) };
    // F1 SUBSCRIBE
    let (f1, f2, f3, f4) = (&f1.message, &f2.message, &f3.message, &f4.message);
    assert_eq!(f1.method(), Method::Subscribe);
    assert_eq!(f1.request_uri().unwrap().to_string(), f1.to().unwrap().uri.to_string());
    assert!(f1.to().unwrap().tag().is_none() && f1.from().unwrap().tag().is_some());
    assert_eq!(f1.header(&Name::Event), Some("presence"));
    assert_eq!(f1.expires(), Some(600));
    assert_eq!(f1.header(&Name::MaxForwards), Some("70"));
    assert!(f1.accepts("application/pidf+xml", ""));
    // F2 200
    assert_eq!(f2.status(), Some(200));
    for name in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
        assert_eq!(f1.header(&name), f2.header(&name));
    }
    let tag = f2.to().unwrap().tag().unwrap().to_owned();
    assert!(f2.expires().unwrap() <= 600 && f2.contact().is_ok());
    assert!(f2.header(&Name::Event).is_none() && f2.body.is_empty());
    // F3 NOTIFY
    assert_eq!(f3.method(), Method::Notify);
    assert_eq!(f3.request_uri(), Some(&f1.contact().unwrap().uri));
    assert_eq!(f3.from().unwrap().tag(), Some(tag.as_str()));
    assert_eq!(f3.from().unwrap().uri, f1.to().unwrap().uri);
    assert_eq!(f3.to().unwrap(), f1.from().unwrap());
    assert_eq!(f3.call_id(), f1.call_id());
    assert_eq!(f3.header(&Name::Event), Some("presence"));
    let state = f3.subscription_state().unwrap().unwrap();
    assert!(state.expires.unwrap() <= f2.expires().unwrap());
    // Both sides know partial documents (RFC 5263 §4.4).
    assert_eq!(f3.content_type().unwrap().unwrap().essence, "application/pidf-diff+xml");
    assert!(String::from_utf8_lossy(&f3.body).contains("<p:pidf-full"));
    assert!(f3.contact().is_ok());
    // F4 200
    assert_eq!(f4.status(), Some(200));
    for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
        assert_eq!(f3.header(&name), f4.header(&name));
    }
    // The update; F5 NOTIFY, F6 200
    world.seconds(50);
    world.publish(alice, Status::Away, "");
    world.seconds(1);
    let notify = world.log.iter().position(|crossing| crossing.message.method() == Method::Notify).unwrap();
    let f5 = &world.log[notify].message;
    assert_eq!(f5.cseq().unwrap().number, f3.cseq().unwrap().number + 1);
    assert_ne!(f5.via().unwrap().branch(), f3.via().unwrap().branch());
    assert_eq!((f5.call_id(), f5.from().unwrap()), (f3.call_id(), f3.from().unwrap()));
    let left = f5.subscription_state().unwrap().unwrap().expires.unwrap();
    assert!(left < state.expires.unwrap() && left > 540);
    assert!(String::from_utf8_lossy(&f5.body).contains("<p:pidf-"));
    let f6 = world
        .log
        .iter()
        .skip(notify + 1)
        .find(|crossing| crossing.message.method() == Method::Notify)
        .unwrap();
    assert_eq!(f6.message.status(), Some(200));
    assert_eq!(f6.message.header(&Name::Via), f5.header(&Name::Via));
    assert_eq!(world.sees(bob, watch).0, Status::Away);
}

#[test]
fn the_link_is_cut_and_the_view_is_right_again() {
    let mut world = World::new(4);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.publish(alice, Status::Busy, "before");
    world.seconds(10);
    world.cut(bob);
    assert!(world.view(bob, watch).stale);
    assert_eq!(world.sees(bob, watch).0, Status::Busy, "the last known state stays visible");
    world.publish(alice, Status::Away, "after");
    world.seconds(60);
    assert!(world.view(bob, watch).stale);
    world.restore(bob);
    world.seconds(35);
    assert_eq!(world.sees(bob, watch), (Status::Away, Some("after".to_owned())));
    let view = world.view(bob, watch);
    assert!(!view.stale && view.cause == Cause::Resync);
}

#[test]
fn the_publication_comes_back_after_the_server_lost_it() {
    // 3903-5-b 3903-5-c 3903-4.2-b
    let mut world = World::new(5);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.publish(alice, Status::Busy, "still here");
    world.seconds(10);
    world.restart_server();
    assert!(world.view(bob, watch).stale);
    world.seconds(20);
    assert_eq!(world.sees(bob, watch), (Status::Busy, Some("still here".to_owned())));
    assert!(!world.view(bob, watch).stale);
    assert!(
        world.log.iter().any(|crossing| crossing.message.status() == Some(481)),
        "the old dialog was tried"
    );
    let errors = world.seats[bob].events.iter().filter(|event| matches!(event, Event::Error(_)));
    assert_eq!(errors.count(), 0, "a subscription that begins again has not failed");
}

#[test]
fn a_day_goes_by_and_everything_is_renewed() {
    // 3903-4.3-a 3903-4.3-b 3903-4.3-c 3903-4.3-d 3903-15-a
    let mut world = World::new(6);
    let (alice, bob) = (world.seat_with("alice", |config| config.register = true), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.publish(alice, Status::Busy, "all day");
    world.seconds(10);
    let told = world.seats[bob].views.len();
    world.seconds(86_400);
    assert_eq!(world.sees(bob, watch), (Status::Busy, Some("all day".to_owned())));
    // Nothing has changed but when the subscription ends, which is told as no change of the presentity.
    let renewals = &world.seats[bob].views[told..];
    assert!(renewals.iter().all(|view| view.cause == Cause::Resync && !view.stale), "{renewals:?}");
    assert!((40..=60).contains(&renewals.len()), "{} renewals", renewals.len());
    let refreshes: Vec<_> = world
        .log
        .iter()
        .filter(|crossing| !crossing.from_server && crossing.message.method() == Method::Publish)
        .filter(|crossing| crossing.message.header(&Name::SipIfMatch).is_some())
        .collect();
    assert!(refreshes.len() >= 47);
    assert!(refreshes.iter().all(|crossing| crossing.message.body.is_empty()));
    assert!(world.seats.iter().all(|seat| !seat.events.iter().any(|event| matches!(event, Event::Error(_)))));
}

#[test]
fn two_quick_publications_are_one_after_the_other_and_the_newest_wins() {
    // 3903-4-h 3903-4.1-b 3903-4.4-a 3903-4.4-b 3903-10.4-a 3863-4.1.7-c
    let mut world = World::new(7);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.seconds(1);
    world.log.clear();
    let requests: Vec<_> = [Status::Busy, Status::Away, Status::Available]
        .map(|status| world.publish(alice, status, ""))
        .to_vec();
    world.seconds(10);
    assert!(requests.iter().all(|request| world.published(alice, *request) == Some(Ok(()))));
    assert_eq!(world.sees(bob, watch).0, Status::Available);
    let bodies: Vec<String> = world
        .log
        .iter()
        .filter(|crossing| !crossing.from_server && crossing.message.method() == Method::Publish)
        .filter(|crossing| crossing.message.credentials(&Name::Authorization).len() == 1)
        .map(|crossing| String::from_utf8_lossy(&crossing.message.body).into_owned())
        .collect();
    assert_eq!(bodies.len(), 2, "the one in between was overtaken");
    let id = |body: &str| body.split("<tuple id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(id(&bodies[0]), id(&bodies[1]));
}

#[test]
fn withdrawing_shows_offline() {
    // 3903-4.5-a 3903-4.5-b 3903-6-p
    let mut world = World::new(8);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.publish(alice, Status::Busy, "");
    world.seconds(10);
    let request = world.unpublish(alice);
    world.seconds(10);
    assert_eq!(world.published(alice, request), Some(Ok(())));
    assert_eq!(world.sees(bob, watch), (Status::Offline, None));
    let again = world.unpublish(alice);
    assert_eq!(world.published(alice, again), Some(Ok(())), "there is nothing to withdraw");
}

#[test]
fn two_devices_of_one_user() {
    // 3856-3-b 3903-10.3-b 3903-10.4-b
    let mut world = World::new(9);
    let (desk, phone, bob) = (world.seat("alice"), world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.publish(desk, Status::Available, "");
    world.publish(phone, Status::OnThePhone, "");
    world.seconds(10);
    let view = world.view(bob, watch);
    assert_eq!(view.presence.as_ref().unwrap().tuples.len(), 2);
    assert_eq!(view.summary.status, Status::OnThePhone);
    world.close(phone);
    world.seconds(10);
    assert_eq!(world.sees(bob, watch).0, Status::Available);
}

#[test]
fn changes_come_at_most_every_five_seconds_and_the_last_one_arrives() {
    // 3856-6.10-a
    let mut world = World::new(10);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.publish(alice, Status::Available, "");
    world.seconds(20);
    world.log.clear();
    for n in 0..10 {
        world.publish(alice, Status::Busy, &n.to_string());
        world.run(Duration::from_millis(100));
    }
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Busy, Some("9".to_owned())));
    let notifies: Vec<_> = world
        .log
        .iter()
        .filter(|c| c.from_server && c.message.is_request() && c.message.method() == Method::Notify)
        .map(|c| c.at)
        .collect();
    assert_eq!(notifies.len(), 2);
    assert!(notifies[1].since(notifies[0]) >= Duration::from_secs(5));
}

#[test]
fn a_wrong_password_is_told_and_not_tried_again() {
    // dig-22.1-f dig-22.1-g
    let mut world = World::new(11);
    let mallory = world.seat_with("alice", |config| {
        let secret = Secret::Password("wrong".to_owned());
        config.credentials = sip_presence::agent::Credentials::Fixed { username: "alice".to_owned(), secret };
    });
    let watch = world.watch(mallory, "bob");
    let request = world.publish(mallory, Status::Busy, "");
    world.seconds(60);
    assert_eq!(world.published(mallory, request).unwrap().unwrap_err().code, FailureCode::Unauthorized);
    let view = world.view(mallory, watch);
    assert_eq!(view.subscription.reason.as_deref(), Some("unauthorized"));
    assert!(world.log.len() < 12, "{} messages", world.log.len());
}

#[test]
fn nobody_reads_or_writes_for_somebody_else() {
    // 3903-14.1-a 3856-6.6.1-a 3856-9.6-a
    let mut world = World::new(12);
    let mallory = world.seat_with("alice", |config| {
        let secret = Secret::Password("pw-dave".to_owned());
        config.credentials = sip_presence::agent::Credentials::Fixed { username: "dave".to_owned(), secret };
    });
    let request = world.publish(mallory, Status::Busy, "");
    let watch = world.watch(mallory, "bob");
    world.seconds(10);
    assert_eq!(world.published(mallory, request).unwrap().unwrap_err().code, FailureCode::Forbidden);
    assert_eq!(world.view(mallory, watch).subscription.reason.as_deref(), Some("forbidden"));
}

#[test]
fn rules_decide_who_sees_what() {
    // 3856-6.6.2-a 3856-6.6.2-e 3856-6.6.2-i 3856-6.6.2-j 2779-5.1.5-a 2779-5.1.15-a 3856-4-d
    let rule = |watcher: &str, decision| Rule {
        presentity: Some("alice".to_owned()),
        watcher: watcher.to_owned(),
        decision,
        show: None,
    };
    let mut world = World::with(13, |config| {
        config.rules.otherwise = Decision::Confirm;
        config.rules.watchers = vec![
            rule("bob", Decision::Allow),
            rule("carol", Decision::PoliteBlock),
            rule("dave", Decision::Block),
        ];
        config.users.insert("eve".to_owned(), sip_presence::server::User::Password("pw-eve".to_owned()));
    });
    let alice = world.seat("alice");
    let seats = ["bob", "carol", "dave", "eve"].map(|name| world.seat(name));
    let watches = seats.map(|seat| world.watch(seat, "alice"));
    world.publish(alice, Status::Busy, "secret");
    world.seconds(20);
    assert_eq!(world.sees(seats[0], watches[0]), (Status::Busy, Some("secret".to_owned())));
    assert_eq!(world.sees(seats[1], watches[1]), (Status::Offline, None));
    assert_eq!(world.view(seats[1], watches[1]).subscription.state, Watching::Active);
    assert_eq!(world.view(seats[2], watches[2]).subscription.reason.as_deref(), Some("forbidden"));
    assert_eq!(world.view(seats[3], watches[3]).subscription.state, Watching::Pending);
    assert_eq!(world.sees(seats[3], watches[3]).0, Status::Unknown);
}

#[test]
fn a_rule_shows_a_part_of_the_document() {
    // 5025-3.3.2-a 5025-3.3.2-b
    let mut world = World::with(13, |config| {
        let rules = r#"{ "domain": "x", "rules": { "default": "block", "watchers": [
            { "watcher": "bob", "decision": "allow", "show": { "services": true, "persons": true, "attributes": ["mood"] } },
            { "watcher": "carol", "decision": "allow" } ] } }"#;
        config.rules = sip_presence::server::Config::from_json(rules).unwrap().rules;
    });
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.seat(name));
    let [bobs, carols] = [bob, carol].map(|seat| world.watch(seat, "alice"));
    world.publish(alice, Status::Busy, "secret");
    world.seconds(20);
    assert_eq!(world.sees(carol, carols), (Status::Busy, Some("secret".to_owned())));
    assert_eq!(world.sees(bob, bobs), (Status::Available, None));
    let view = world.view(bob, bobs);
    let presence = view.presence.as_ref().unwrap();
    assert!(presence.persons[0].attributes.is_empty() && presence.persons[0].notes.is_empty());
    assert!(presence.tuples[0].contact.is_some());
    let wrong = r#"{ "domain": "x", "users": { "bob": "y" }, "rules": { "watchers": [{ "watcher": "bob", "decision": "allow", "show": { "attributes": ["moods"] } }] } }"#;
    assert!(refused(wrong).contains("moods"));
}

/// What is said of a configuration that cannot be used.
fn refused(json: &str) -> String {
    let config = sip_presence::server::Config::from_json(json).unwrap();
    let now = sip_presence::time::Instant::from_millis(0);
    sip_presence::server::Server::new(config, [0; 32], now).err().unwrap().to_string()
}

#[test]
fn a_user_without_a_password_is_refused() {
    let error = refused(r#"{ "domain": "x", "users": { "alice": "y", "bob": "" } }"#);
    assert_eq!(error, "users.bob: the password must not be empty");
}

#[test]
fn closing_leaves_nothing_behind() {
    let mut world = World::new(14);
    let (alice, bob) = (world.seat_with("alice", |config| config.register = true), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    world.watch(alice, "bob");
    world.publish(alice, Status::Busy, "");
    world.seconds(10);
    world.close(alice);
    world.run(Duration::from_millis(500));
    assert!(matches!(world.seats[alice].events.last(), Some(Event::Closed)));
    assert_eq!(world.seats[alice].agent.poll_timeout(), None);
    world.seconds(10);
    assert_eq!(world.sees(bob, watch).0, Status::Offline, "the publication was withdrawn");
    world.close(bob);
    world.seconds(1);
    assert_eq!(world.server.poll_timeout(), None, "the server has no timer left");
}

#[test]
fn closing_is_bounded_when_the_server_is_silent() {
    let mut world = World::new(15);
    let bob = world.seat("bob");
    world.watch(bob, "alice");
    world.seconds(5);
    world.silent = true;
    world.close(bob);
    world.run(Duration::from_millis(999));
    assert!(!matches!(world.seats[bob].events.last(), Some(Event::Closed)));
    world.run(Duration::from_millis(1));
    assert!(matches!(world.seats[bob].events.last(), Some(Event::Closed)));
}

#[test]
fn an_unknown_user_and_an_unknown_domain_are_not_found() {
    // 3856-3-d 3903-6-e
    let mut world = World::new(16);
    let bob = world.seat("bob");
    let watch = world.watch(bob, "nobody");
    let away = sip_presence::sip::Uri::parse("sip:alice@elsewhere.example").unwrap();
    let other = world.seats[bob].agent.watch(&away, world.now);
    world.seconds(10);
    for id in [watch, other] {
        assert_eq!(world.view(bob, id).subscription.reason.as_deref(), Some("not-found"));
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_tried_again_and_told() {
    let mut world = World::new(17);
    let bob = world.seat("bob");
    world.cut(bob);
    let request = world.publish(bob, Status::Busy, "");
    let fetch = world.fetch(bob, "alice");
    world.seconds(120);
    let failure = world.published(bob, request).unwrap().unwrap_err();
    assert_eq!(failure.code, FailureCode::ConnectionFailed);
    assert!(failure.retry_at.is_some());
    let fetched = world.seats[bob].events.iter().any(|event| {
        matches!(event, Event::Fetched { request, result: Err(f) }
            if *request == fetch && f.code == FailureCode::ConnectionFailed)
    });
    assert!(fetched);
    let attempts: Vec<u32> = world.seats[bob]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Connection(ConnectionState::Reconnecting { attempt, .. }) => Some(*attempt),
            _ => None,
        })
        .collect();
    assert!(attempts.len() >= 5 && attempts.windows(2).all(|pair| pair[1] == pair[0] + 1));
    world.restore(bob);
    world.seconds(35);
    let carol = world.seat("carol");
    let watch = world.watch(carol, "bob");
    world.seconds(2);
    assert_eq!(world.sees(carol, watch).0, Status::Busy, "the wish was kept");
}
