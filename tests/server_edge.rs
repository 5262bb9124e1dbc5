//! Pages that answer those who watch their user, at a server that would do it otherwise: every row of the table in
//! docs/server.md, and what becomes of watchers when such a page comes and goes.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::{Scene, World};
use sip_presence::agent::{Audience, Config, Event, FailureCode, Identities, WatchId, Watching};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Method, Name, Reason, StartLine, Substate, Uri};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A page that is the presence agent of its user, as `identities` says who watches.
fn page(identities: Identities) -> impl FnOnce(&mut Config) {
    |config| {
        config.register = true;
        config.audience = Some(Audience::new(identities));
    }
}

/// Alice's page is one, and allows Bob, who is not registered. The server would allow everybody.
fn world(seed: u8) -> (World, usize, usize) {
    let mut world = World::with(seed, |config| config.rules.otherwise = Decision::Allow);
    let alice = world.seat_with("alice", page(Identities::From));
    let bob = world.seat("bob");
    world.set_policy(alice, "bob", Decision::Allow);
    world.publish(alice, Status::Busy, "here");
    world.seconds(5);
    (world, alice, bob)
}

fn state(world: &World, seat: usize, watch: WatchId) -> Watching {
    world.view(seat, watch).subscription.state
}

fn asked(world: &World, seat: usize) -> Vec<String> {
    let events = world.seats[seat].events.iter();
    let asked = events.filter_map(|event| match event {
        Event::Asked { uri, .. } => Some(uri.clone()),
        _ => None,
    });
    asked.collect()
}

fn failures(world: &World, seat: usize) -> Vec<FailureCode> {
    let events = world.seats[seat].events.iter();
    let failures = events.filter_map(|event| match event {
        Event::Error(failure) => Some(failure.code),
        _ => None,
    });
    failures.collect()
}

/// What the server sent to the page of `seat`, of `method`.
fn sent(world: &World, seat: usize, method: &Method) -> usize {
    let connection = world.seats[seat].connection;
    let of = |c: &&common::world::Crossing| {
        c.from_server && Some(c.connection) == connection && c.message.method() == *method
    };
    world.log.iter().filter(|c| c.message.is_request()).filter(of).count()
}

#[test]
fn the_page_is_asked_and_decides() {
    // 3856-6.11.2-b 3856-6.11.2-e 3856-6.11.1-c
    let (mut world, alice, bob) = world(110);
    let request = world.publish(alice, Status::Busy, "here");
    let carol = world.seat("carol");
    let (of_bob, of_carol) = (world.watch(bob, "alice"), world.watch(carol, "alice"));
    world.seconds(10);
    assert_eq!(world.published(alice, request), Some(Ok(())), "the page is its own presence agent");
    assert!(!failures(&world, alice).contains(&FailureCode::NotAsked));
    assert_eq!(world.sees(bob, of_bob), (Status::Busy, Some("here".to_owned())));
    assert_eq!(
        (asked(&world, alice), state(&world, carol, of_carol)),
        (vec!["sip:carol@example.com".to_owned()], Watching::Pending)
    );
    world.set_policy(alice, "carol", Decision::Allow);
    world.publish(alice, Status::Away, "out");
    world.seconds(10);
    for (seat, watch) in [(bob, of_bob), (carol, of_carol)] {
        assert_eq!(world.sees(seat, watch), (Status::Away, Some("out".to_owned())));
    }
    // Refreshes go to the page, the end too, and a fetch finds it.
    world.seconds(4000);
    assert_eq!(state(&world, bob, of_bob), Watching::Active);
    world.unwatch(bob, of_bob);
    world.seconds(10);
    assert_eq!(world.seats[alice].agent.watchers().len(), 1);
    world.fetch(bob, "alice");
    world.seconds(10);
    let fetched =
        world.seats[bob].events.iter().any(|event| matches!(event, Event::Fetched { result: Ok(_), .. }));
    assert!(fetched);
}

#[test]
fn the_user_may_watch_the_own_page() {
    let (mut world, alice, _) = world(111);
    let own = world.watch(alice, "alice");
    let other = world.seat("alice");
    let watch = world.watch(other, "alice");
    world.seconds(10);
    assert_eq!(world.sees(alice, own), (Status::Busy, Some("here".to_owned())));
    assert_eq!(world.sees(other, watch), (Status::Busy, Some("here".to_owned())));
}

#[test]
fn rules_that_forbid_count_before_the_page_and_while_it_answers() {
    let (mut world, alice, bob) = world(112);
    world.decide("alice", "bob", Decision::Block);
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    assert_eq!(
        (state(&world, bob, watch), sent(&world, alice, &Method::Subscribe)),
        (Watching::Terminated, 0)
    );
    world.unwatch(bob, watch);
    world.decide("alice", "bob", Decision::PoliteBlock);
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    assert_eq!(
        (world.sees(bob, watch), sent(&world, alice, &Method::Subscribe)),
        ((Status::Offline, None), 0)
    );
    world.unwatch(bob, watch);
    world.decide("alice", "bob", Decision::Allow);
    world.seconds(40);
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    assert_eq!(world.sees(bob, watch).0, Status::Busy);
    // Who watches the page is taken away from it.
    world.decide("alice", "bob", Decision::PoliteBlock);
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Offline, None));
    world.publish(alice, Status::Away, "out");
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Offline, None));
}

#[test]
fn watchers_go_over_to_a_page_that_comes() {
    // 3856-6.11.2-a 3856-6.11.2-g
    let mut world = World::with(113, |config| config.rules.otherwise = Decision::Confirm);
    let (bob, carol) = (world.seat("bob"), world.seat("carol"));
    world.decide("alice", "carol", Decision::PoliteBlock);
    let (of_bob, of_carol) = (world.watch(bob, "alice"), world.watch(carol, "alice"));
    world.seconds(10);
    assert_eq!(state(&world, bob, of_bob), Watching::Pending);
    let alice = world.seat_with("alice", page(Identities::Asserted));
    world.set_policy(alice, "bob", Decision::Allow);
    world.publish(alice, Status::Busy, "here");
    let from = world.log.len();
    world.seconds(10);
    assert_eq!(world.sees(bob, of_bob), (Status::Busy, Some("here".to_owned())));
    assert_eq!(world.sees(carol, of_carol).0, Status::Offline);
    let ends = world.log[from..].iter().filter(|c| c.from_server && c.message.method() == Method::Notify);
    let ends: Vec<Reason> = ends
        .filter_map(|c| c.message.subscription_state().ok().flatten())
        .filter(|state| state.state == Substate::Terminated)
        .filter_map(|state| state.reason)
        .collect();
    assert_eq!(ends, [Reason::Deactivated], "whom the server blocks politely is not told");
}

#[test]
fn where_several_devices_publish_the_server_puts_them_together() {
    // 3856-6.11.2-f
    let mut world = World::with(114, |config| config.rules.otherwise = Decision::Allow);
    let (phone, bob) = (world.seat("alice"), world.seat("bob"));
    world.publish(phone, Status::Busy, "phone");
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    let alice = world.seat_with("alice", page(Identities::From));
    world.publish(alice, Status::Available, "desk");
    world.seconds(10);
    assert!(failures(&world, alice).contains(&FailureCode::NotAsked), "the page is told");
    assert_eq!((state(&world, bob, watch), sent(&world, alice, &Method::Subscribe)), (Watching::Active, 0));
    // When nothing is published any more, the page is the presence agent.
    world.unpublish(phone);
    world.unpublish(alice);
    world.set_policy(alice, "bob", Decision::Allow);
    world.seconds(10);
    assert_eq!(sent(&world, alice, &Method::Subscribe), 1);
    // A device without a presence agent is told that it is not heard then.
    let refused = world.publish(phone, Status::Busy, "phone");
    world.publish(alice, Status::Away, "desk");
    world.seconds(10);
    let failure = world.published(phone, refused).unwrap().unwrap_err();
    assert_eq!((failure.code, failure.status), (FailureCode::UnsupportedEvent, Some(405)));
    assert_eq!(world.sees(bob, watch), (Status::Away, Some("desk".to_owned())));
}

#[test]
fn a_page_that_leaves_hands_its_watchers_back() {
    let (mut world, alice, bob) = world(115);
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    world.close(alice);
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Offline, None));
    assert_eq!(state(&world, bob, watch), Watching::Active);
    // The next page takes them over again.
    let alice = world.seat_with("alice", page(Identities::From));
    world.set_policy(alice, "bob", Decision::Allow);
    world.publish(alice, Status::Busy, "back");
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Busy, Some("back".to_owned())));
}

#[test]
fn a_page_that_is_cut_off_and_soon_back_goes_on() {
    let (mut world, alice, bob) = world(116);
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    let before = world.view(bob, watch).subscription.clone();
    world.cut(alice);
    world.restore(alice);
    world.seconds(30);
    assert_eq!(sent(&world, bob, &Method::Notify), 1, "nothing has happened for Bob: {before:?}");
    world.publish(alice, Status::Away, "back");
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Away, Some("back".to_owned())));
}

#[test]
fn a_page_that_is_lost_is_not_seen_for_ever() {
    let (mut world, alice, bob) = world(117);
    let carol = world.seat_with("carol", |config| config.register = true);
    world.set_policy(alice, "carol", Decision::Allow);
    let (of_bob, of_carol) = (world.watch(bob, "alice"), world.watch(carol, "alice"));
    world.seconds(10);
    world.cut(alice);
    world.seconds(9);
    assert_eq!(world.sees(bob, of_bob).0, Status::Busy);
    world.seconds(5);
    for (seat, watch) in [(bob, of_bob), (carol, of_carol)] {
        assert_eq!(
            (world.sees(seat, watch).0, state(&world, seat, watch)),
            (Status::Offline, Watching::Active)
        );
    }
    // It comes back, and with it those who watched it.
    world.restore(alice);
    world.seconds(400);
    world.publish(alice, Status::Away, "back");
    world.seconds(400);
    for (seat, watch) in [(bob, of_bob), (carol, of_carol)] {
        assert_eq!(world.sees(seat, watch), (Status::Away, Some("back".to_owned())));
    }
}

#[test]
fn a_page_that_is_frozen_holds_nobody_up() {
    let (mut world, alice, bob) = world(125);
    world.sleep(alice);
    let watch = world.watch(bob, "alice");
    world.seconds(9);
    assert_eq!(state(&world, bob, watch), Watching::Trying);
    world.seconds(2);
    assert_eq!((state(&world, bob, watch), world.sees(bob, watch).0), (Watching::Active, Status::Offline));
    // The next does not wait for it.
    let carol = world.seat("carol");
    let of_carol = world.watch(carol, "alice");
    world.seconds(1);
    assert_eq!(world.sees(carol, of_carol).0, Status::Offline);
    world.wake(alice, true);
    world.publish(alice, Status::Away, "awake");
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Away, Some("awake".to_owned())));
    assert_eq!(state(&world, carol, of_carol), Watching::Pending, "the page is asked about her");
}

#[test]
fn a_page_that_never_answers_is_not_asked_for_ever() {
    let mut scene = Scene::with(126, |config| config.rules.otherwise = Decision::Allow);
    carol_registers(&mut scene, AGENT);
    let bob = scene.bob;
    let watch = scene.world.watch(bob, "carol");
    for _ in 0..10 {
        scene.world.seconds(15);
        assert_eq!(state(&scene.world, bob, watch), Watching::Active);
        scene.arrive(b"\r\n\r\n");
    }
    assert_eq!(to_carol(&scene).len(), 3);
    assert_eq!(scene.world.sees(bob, watch).0, Status::Offline);
    // It still says that it decides: what it publishes is not for the server to show.
    let publish =
        scene.publish("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:carol@example.com\"/>");
    assert_eq!(scene.answer(publish), 405);
    // An answer that comes too late goes nowhere.
    let request = to_carol(&scene).remove(0);
    scene.send(&Message::response(&request, 200, Some("late")));
    scene.world.seconds(5);
    assert_eq!(
        (state(&scene.world, bob, watch), scene.world.sees(bob, watch).0),
        (Watching::Active, Status::Offline)
    );
    scene.is_well();
}

#[test]
fn a_watcher_that_is_cut_off_comes_back_to_the_page() {
    let (mut world, alice, bob) = world(118);
    let watch = world.watch(bob, "alice");
    world.seconds(10);
    world.cut(bob);
    world.publish(alice, Status::Away, "out");
    world.seconds(10);
    world.restore(bob);
    world.seconds(400);
    assert_eq!(world.sees(bob, watch), (Status::Away, Some("out".to_owned())));
    assert_eq!(world.seats[alice].agent.watchers().len(), 1, "nothing is left of what was");
}

/// Carol is registered with this in her contact, as `Scene` has her.
fn carol_registers(scene: &mut Scene, capabilities: &str) {
    let mut register = scene.request(Method::Register, "carol");
    register.start =
        StartLine::Request { method: Method::Register, uri: Uri::parse("sip:example.com").unwrap() };
    register.set(Name::Contact, format!("<sip:carol@carol.invalid;transport=ws>{capabilities};expires=600"));
    assert_eq!(scene.answer(register), 200);
}

const AGENT: &str = ";methods=\"NOTIFY, subscribe\";events=\"dialog,presence\"";

/// The SUBSCRIBEs that the server has handed on to Carol.
fn to_carol(scene: &Scene) -> Vec<Message> {
    let mine = |c: &&common::world::Crossing| {
        c.from_server && c.connection == scene.carol.connection && c.message.is_request()
    };
    let mine = scene.world.log.iter().filter(mine).map(|c| c.message.clone());
    mine.filter(|message| message.method() == Method::Subscribe).collect()
}

#[test]
fn only_who_says_so_is_asked() {
    // 3856-6.11.2-b
    for (capabilities, routed) in [
        (AGENT, 1),
        ("", 0),
        (";methods=\"SUBSCRIBE\"", 0),
        (";events=\"presence\"", 0),
        (";methods=\"NOTIFY\";events=\"presence\"", 0),
        (";methods=\"SUBSCRIBE\";events=\"presence.winfo\"", 0),
        (";methods;events", 0),
    ] {
        let mut scene = Scene::with(119, |config| config.rules.otherwise = Decision::Allow);
        carol_registers(&mut scene, capabilities);
        scene.world.watch(scene.bob, "carol");
        scene.world.seconds(5);
        assert_eq!(to_carol(&scene).len(), routed, "{capabilities}");
        scene.is_well();
    }
}

#[test]
fn a_page_without_a_presence_agent_is_asked_once_in_its_registration() {
    // 3856-6.11.2-c 3856-6.11.2-d
    for status in [405, 489, 501] {
        let mut scene = Scene::with(120, |config| config.rules.otherwise = Decision::Allow);
        carol_registers(&mut scene, AGENT);
        let (bob, alice) = (scene.bob, scene.alice);
        let of_bob = scene.world.watch(bob, "carol");
        scene.world.seconds(5);
        let request = to_carol(&scene).remove(0);
        scene.send(&Message::response(&request, status, Some("carol")));
        scene.world.seconds(5);
        assert_eq!(
            (scene.world.sees(bob, of_bob).0, state(&scene.world, bob, of_bob)),
            (Status::Offline, Watching::Active)
        );
        carol_registers(&mut scene, AGENT);
        let of_alice = scene.world.watch(alice, "carol");
        scene.world.seconds(5);
        assert_eq!((to_carol(&scene).len(), state(&scene.world, alice, of_alice)), (1, Watching::Active));
        scene.is_well();
    }
}

#[test]
fn what_a_page_refuses_is_refused_but_one_that_goes_is_replaced() {
    for (status, watching, sees) in [
        (403, Watching::Terminated, Status::Unknown),
        (480, Watching::Active, Status::Offline),
        (404, Watching::Active, Status::Offline),
    ] {
        let mut scene = Scene::with(121, |config| config.rules.otherwise = Decision::Allow);
        carol_registers(&mut scene, AGENT);
        let bob = scene.bob;
        let watch = scene.world.watch(bob, "carol");
        scene.world.seconds(5);
        let request = to_carol(&scene).remove(0);
        scene.send(&Message::response(&request, status, Some("carol")));
        scene.world.seconds(5);
        assert_eq!(
            (state(&scene.world, bob, watch), scene.world.sees(bob, watch).0),
            (watching, sees),
            "{status}"
        );
        assert_eq!(to_carol(&scene).len(), 1);
        scene.is_well();
    }
    // It is gone before it answers.
    let mut scene = Scene::with(122, |config| config.rules.otherwise = Decision::Allow);
    carol_registers(&mut scene, AGENT);
    let (bob, carol) = (scene.bob, scene.carol.connection);
    let watch = scene.world.watch(bob, "carol");
    scene.world.seconds(5);
    scene.world.tell_server(|server, now| server.handle_disconnected(carol, now));
    scene.world.seconds(5);
    assert_eq!(
        (state(&scene.world, bob, watch), scene.world.sees(bob, watch).0),
        (Watching::Active, Status::Offline)
    );
}

#[test]
fn a_page_is_told_who_watches_by_the_server_alone() {
    let mut scene = Scene::with(123, |config| config.rules.otherwise = Decision::Allow);
    let alice = scene.alice;
    let mut request = scene.request(Method::Message, "alice");
    for name in ["P-Asserted-Identity", "p-asserted-identity"] {
        request.push(Name::from_text(name), "<sip:bob@example.com>");
    }
    let request = scene.signed(request);
    scene.send(&request);
    let of_alice = scene.world.seats[alice].connection;
    let mut forwarded = scene.world.log.iter().filter(|c| c.from_server && Some(c.connection) == of_alice);
    let message = forwarded.find(|c| c.message.method() == Method::Message).unwrap();
    let asserted: Vec<(String, String)> = message
        .message
        .headers()
        .filter(|(name, _)| name.as_str().eq_ignore_ascii_case("P-Asserted-Identity"))
        .map(|(name, value)| (name.as_str().to_owned(), value.to_owned()))
        .collect();
    assert_eq!(asserted, [("P-Asserted-Identity".to_owned(), "<sip:carol@example.com>".to_owned())]);
}

#[test]
fn nobody_else_notifies_the_watchers_of_a_page() {
    let mut scene = Scene::with(124, |config| config.rules.otherwise = Decision::Allow);
    let dave = scene.world.seat_with("dave", page(Identities::From));
    scene.world.set_policy(dave, "bob", Decision::Allow);
    scene.world.publish(dave, Status::Busy, "here");
    let bob = scene.bob;
    scene.world.seconds(5);
    let watch = scene.world.watch(bob, "dave");
    scene.world.seconds(5);
    assert_eq!(scene.world.sees(bob, watch).0, Status::Busy);
    let mine = scene.world.seats[bob].connection;
    let told = scene.world.log.iter().rev().find(|c| {
        c.from_server
            && Some(c.connection) == mine
            && c.message.method() == Method::Notify
            && c.message.is_request()
    });
    let told = told.unwrap().message.clone();
    // Carol knows everything of the dialog, and says that it is hers, or Dave's.
    for from in ["<sip:carol@example.com>", "<sip:dave@example.com>"] {
        let mut notify = scene.request(Method::Notify, "bob");
        notify.start = told.start.clone();
        let tag = told.from().unwrap().tag().unwrap().to_owned();
        notify.set(Name::From, format!("{from};tag={tag}"));
        for name in [Name::To, Name::CallId, Name::Event] {
            notify.set(name.clone(), told.header(&name).unwrap());
        }
        notify.set(Name::CSeq, "77 NOTIFY");
        notify.set(Name::SubscriptionState, "terminated;reason=noresource");
        let status = scene.answer(notify);
        assert!(matches!(status, 403 | 481), "{status}");
    }
    scene.world.publish(dave, Status::Away, "still");
    scene.world.seconds(10);
    assert_eq!(scene.world.sees(bob, watch), (Status::Away, Some("still".to_owned())));
    scene.is_well();
}

/// Carol watches Dave's page, which allows her; the dialog as the page's first NOTIFY has it. She answers nothing more
/// than 200, whatever she is told.
fn carol_watches(scene: &mut Scene, longest: u32) -> (usize, Message) {
    let dave = scene.world.seat_with("dave", |config| {
        page(Identities::From)(config);
        let audience = config.audience.as_mut().unwrap();
        (audience.min_expires, audience.max_expires) = (10, longest);
    });
    scene.world.set_policy(dave, "carol", Decision::Allow);
    scene.world.publish(dave, Status::Busy, "here");
    scene.world.seconds(5);
    carol_registers(scene, "");
    let subscribe = scene.request(Method::Subscribe, "dave");
    let subscribe = scene.signed(subscribe);
    scene.send(&subscribe);
    scene.world.seconds(5);
    let notify = told(scene, 0).remove(0);
    scene.send(&Message::response(&notify, 200, None));
    (dave, notify)
}

/// The NOTIFYs that Carol has got, but the first ones.
fn told(scene: &Scene, but: usize) -> Vec<Message> {
    let mine = |c: &&common::world::Crossing| c.from_server && c.connection == scene.carol.connection;
    let mine = scene.world.log.iter().filter(mine).map(|c| c.message.clone());
    mine.filter(|m| m.is_request() && m.method() == Method::Notify).skip(but).collect()
}

#[test]
fn who_is_forbidden_to_watch_a_page_gets_nothing_by_going_on() {
    for decision in [Decision::Block, Decision::PoliteBlock] {
        let mut scene = Scene::with(127, |config| config.rules.otherwise = Decision::Allow);
        let (dave, first) = carol_watches(&mut scene, 3600);
        assert!(first.body.windows(4).any(|word| word == b"here"));
        scene.world.decide("dave", "carol", decision);
        let end = told(&scene, 1).remove(0);
        assert_eq!(end.subscription_state().unwrap().unwrap().state, Substate::Terminated);
        // She says nothing to that, and lets the dialog live.
        let asked = sent(&scene.world, dave, &Method::Subscribe);
        let mut again = scene.request(Method::Subscribe, "dave");
        let contact = first.contact().unwrap().uri;
        again.start = StartLine::Request { method: Method::Subscribe, uri: contact };
        again.set(Name::To, first.header(&Name::From).unwrap());
        again.set(Name::From, first.header(&Name::To).unwrap());
        again.set(Name::CallId, first.call_id());
        assert_eq!(scene.answer(again), 481);
        scene.world.publish(dave, Status::Away, "secret");
        scene.world.seconds(10);
        assert_eq!(sent(&scene.world, dave, &Method::Subscribe), asked, "the page hears nothing of it");
        assert_eq!(told(&scene, 2).len(), 0);
        assert_eq!(scene.world.seats[dave].agent.watchers().len(), 0, "the page knows that it is over");
        scene.is_well();
    }
}

#[test]
fn who_is_forbidden_before_the_page_has_answered_is_not_its_watcher() {
    let mut scene = Scene::with(130, |config| config.rules.otherwise = Decision::Allow);
    carol_registers(&mut scene, AGENT);
    let bob = scene.bob;
    let watch = scene.world.watch(bob, "carol");
    scene.world.seconds(5);
    scene.world.decide("carol", "bob", Decision::PoliteBlock);
    let request = to_carol(&scene).remove(0);
    let mut response = Message::response(&request, 200, Some("carol"));
    response.push(Name::Contact, "<sip:carol@carol.invalid;transport=ws>");
    response.push(Name::Expires, "3600");
    scene.send(&response);
    scene.world.seconds(5);
    assert_eq!(
        (state(&scene.world, bob, watch), scene.world.sees(bob, watch).0),
        (Watching::Active, Status::Offline)
    );
    assert_eq!(to_carol(&scene).len(), 1);
    scene.is_well();
}

#[test]
fn nobody_takes_the_place_of_a_page_that_is_cut_off() {
    let mut scene = Scene::with(128, |config| config.rules.otherwise = Decision::Allow);
    let (dave, first) = carol_watches(&mut scene, 12);
    let bob = scene.bob;
    scene.world.set_policy(dave, "bob", Decision::Allow);
    let watch = scene.world.watch(bob, "dave");
    scene.world.seconds(1);
    assert_eq!(scene.world.sees(bob, watch).0, Status::Busy);
    scene.world.cut(dave);
    let mut register = scene.request(Method::Register, "carol");
    register.start =
        StartLine::Request { method: Method::Register, uri: Uri::parse("sip:example.com").unwrap() };
    register.set(Name::Contact, first.header(&Name::Contact).unwrap());
    assert_eq!(scene.answer(register.clone()), 403);
    scene.world.restore(dave);
    scene.world.seconds(10);
    scene.world.publish(dave, Status::Away, "back");
    scene.world.seconds(10);
    assert_eq!(scene.world.sees(bob, watch), (Status::Away, Some("back".to_owned())));
    assert_eq!(to_carol(&scene).len(), 0, "nothing of Bob's was for her");
    // Not for ever.
    scene.world.close(dave);
    scene.world.seconds(3600);
    register.set(Name::CSeq, "9000 REGISTER");
    register.set(Name::Via, "SIP/2.0/WS carol.invalid;branch=z9hG4bKlater");
    assert_eq!(scene.answer(register.clone()), 401);
    assert_eq!(scene.answer(register), 200);
}

#[test]
fn a_page_that_grants_more_than_the_server_keeps_its_watchers() {
    let mut world = World::with(129, |config| config.max_expires = 60);
    let alice = world.seat_with("alice", page(Identities::From));
    let bob = world.seat("bob");
    world.set_policy(alice, "bob", Decision::Allow);
    world.publish(alice, Status::Busy, "here");
    world.seconds(5);
    let watch = world.watch(bob, "alice");
    world.seconds(100);
    world.publish(alice, Status::Away, "later");
    world.seconds(10);
    assert_eq!(world.sees(bob, watch), (Status::Away, Some("later".to_owned())));
}

#[test]
fn who_is_blocked_does_not_learn_by_other_requests_who_is_there() {
    for decision in [Decision::Block, Decision::PoliteBlock] {
        let mut scene = Scene::with(131, |config| config.rules.otherwise = Decision::Allow);
        // Alice is registered, Bob is not.
        for name in ["alice", "bob"] {
            scene.world.decide(name, "carol", decision);
            for method in [Method::Message, Method::Options] {
                let request = scene.request(method, name);
                assert_eq!(scene.answer(request), 480, "{name}");
            }
            let mut request = scene.request(Method::Subscribe, name);
            request.set(Name::Event, "dialog");
            assert_eq!(scene.answer(request), 489, "{name}");
        }
        scene.is_well();
    }
}

#[test]
fn who_is_blocked_politely_gets_what_everybody_gets_of_who_is_not_there() {
    let mut scene = Scene::with(132, |config| config.rules.otherwise = Decision::Allow);
    let dave = scene.world.seat_with("dave", page(Identities::From));
    for name in ["alice", "dave"] {
        scene.world.decide(name, "carol", Decision::PoliteBlock);
    }
    scene.world.publish(dave, Status::Busy, "here");
    scene.world.seconds(5);
    // Alice publishes, Dave has a page, Bob is not there.
    let [of_alice, of_dave, of_bob] = ["alice", "dave", "bob"].map(|name| {
        let from = scene.world.log.len();
        let mut request = scene.request(Method::Subscribe, name);
        request.set(Name::CSeq, "1 SUBSCRIBE");
        request.set(Name::CallId, name);
        let request = scene.signed(request);
        scene.send(&request);
        for seat in [scene.alice, dave] {
            scene.world.publish(seat, Status::Away, name);
            scene.world.seconds(20);
        }
        let mine = |c: &&common::world::Crossing| c.from_server && c.connection == scene.carol.connection;
        // What is by chance, and what follows from the length of the name.
        let is_like =
            |row: &&str| !["Via:", "SIP-ETag:", "Content-Length:"].iter().any(|name| row.starts_with(name));
        let told = scene.world.log[from..].iter().filter(mine).map(|crossing| {
            let text = String::from_utf8(crossing.message.to_bytes()).unwrap();
            let rows = text.lines().filter(is_like).map(|row| row.split(";tag=").next().unwrap());
            let rows: Vec<String> = rows.map(|row| row.replace(name, "somebody")).collect();
            rows.join("\n")
        });
        told.collect::<Vec<String>>()
    });
    assert_eq!(of_bob.len(), 2);
    assert_eq!(of_alice, of_bob);
    assert_eq!(of_dave, of_bob);
}
