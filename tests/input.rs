//! Whether a user is at a device: what is published, and what becomes of several devices (RFC 4480 §3.14).
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::World;
use sip_presence::presence::{PublishedState, Status, UserInput, pidf, status};
use sip_presence::time::{Duration, Instant};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ACTIVE: UserInput = UserInput { idle: false, last_input: None, threshold: None };

fn idle(since: Instant) -> UserInput {
    UserInput { idle: true, last_input: Some(since), threshold: None }
}

fn publish(world: &mut World, seat: usize, status: Status, input: UserInput) {
    let state =
        PublishedState { status, activities: Vec::new(), note: None, until: None, input: Some(input) };
    world.publish_state(seat, state);
    world.seconds(10);
}

#[test]
fn the_last_input_crosses() {
    // 4480-3.14-a
    let mut world = World::new(1);
    let (alice, bob) = (world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    publish(&mut world, alice, Status::Available, ACTIVE);
    let view = world.view(bob, watch);
    assert_eq!((view.summary.status, view.summary.idle), (Status::Available, false));
    assert_eq!(view.presence.as_ref().unwrap().persons[0].user_input, Some(ACTIVE));
    let since = world.now;
    world.run(Duration::from_secs(300));
    publish(&mut world, alice, Status::Away, idle(since));
    let view = world.view(bob, watch);
    assert_eq!((view.summary.status, view.summary.idle), (Status::Away, true));
    assert_eq!(view.presence.as_ref().unwrap().persons[0].user_input, Some(idle(since)));
    // Who is busy stays so, and the idle device is told all the same.
    publish(&mut world, alice, Status::Busy, idle(since));
    let view = world.view(bob, watch);
    assert_eq!((view.summary.status, view.summary.idle), (Status::Busy, true));
}

#[test]
fn who_left_one_device_and_is_at_another_is_not_away() {
    let mut world = World::new(2);
    let (desk, phone, bob) = (world.seat("alice"), world.seat("alice"), world.seat("bob"));
    let watch = world.watch(bob, "alice");
    let since = world.now;
    publish(&mut world, desk, Status::Away, idle(since));
    publish(&mut world, phone, Status::Available, ACTIVE);
    let view = world.view(bob, watch);
    assert_eq!(view.presence.as_ref().unwrap().persons.len(), 2);
    assert_eq!((view.summary.status, view.summary.idle), (Status::Available, false));
    assert!(view.summary.activities.is_empty(), "{:?}", view.summary.activities);
    publish(&mut world, phone, Status::Away, idle(since));
    let view = world.view(bob, watch);
    assert_eq!((view.summary.status, view.summary.idle), (Status::Away, true));
    publish(&mut world, desk, Status::Available, ACTIVE);
    assert_eq!(world.sees(bob, watch).0, Status::Available);
}

#[test]
fn an_away_that_somebody_chose_counts_whatever_other_devices_say() {
    let read = |desk: &str| {
        let text = format!(
            "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
             xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"sip:alice@example.test\">\
             <tuple id=\"t\"><status><basic>open</basic></status></tuple>\
             <dm:person id=\"desk\">{desk}</dm:person>\
             <dm:person id=\"phone\"><r:user-input>active</r:user-input></dm:person></presence>"
        );
        let (presence, warnings) = pidf::read(text.as_bytes(), &pidf::Limits::default()).unwrap();
        assert_eq!(warnings, []);
        status::summarize(&presence, Instant::from_millis(0)).status
    };
    let away = "<r:activities><r:away/></r:activities>";
    let idle = "<r:user-input>idle</r:user-input>";
    assert_eq!(read(&[away, idle].concat()), Status::Available);
    assert_eq!(read(away), Status::Away, "nothing says that it came by itself");
    assert_eq!(read(&[away, "<r:user-input>active</r:user-input>"].concat()), Status::Away);
    assert_eq!(read(&["<r:activities><r:vacation/></r:activities>", idle].concat()), Status::Away);
    assert_eq!(read(&["<r:activities><r:away/><r:meeting/></r:activities>", idle].concat()), Status::Busy);
}
