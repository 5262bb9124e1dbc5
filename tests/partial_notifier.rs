//! Partial notification (RFC 5263) from end to end: agents and the server, with links that are lost in between.
#![cfg(all(feature = "server", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::World;
use sip_presence::agent::{Event, WatchId};
use sip_presence::presence::Status;
use sip_presence::time::Duration;

/// Alice watches Bob, who has three devices; each message that reaches Alice is in her trace.
fn watching() -> (World, usize, usize, WatchId) {
    let mut world = World::with(7, |config| config.notify_interval = 0);
    let [bob, phone, tablet] = ["bob"; 3].map(|name| world.seat(name));
    let alice = world.seat_with("alice", |config| config.trace = true);
    world.seconds(2);
    world.publish(phone, Status::Available, "a phone that lies on the desk");
    world.publish(tablet, Status::Available, "a tablet that lies in the kitchen");
    world.seconds(2);
    let id = world.watch(alice, "bob");
    world.seconds(2);
    (world, alice, bob, id)
}

/// What the NOTIFYs were that came since the last call: `full 1`, `diff 2`, …
fn notified(world: &mut World, seat: usize) -> Vec<String> {
    let events = core::mem::take(&mut world.seats[seat].events);
    let mut kinds = Vec::new();
    for event in events {
        let Event::Trace { text, .. } = event else { continue };
        if !text.starts_with("NOTIFY") {
            continue;
        }
        let text = text.split_once("?>").map_or(text.as_str(), |(_, document)| document);
        let version = text.split_once(" version=\"").map_or("?", |(_, rest)| rest.split('"').next().unwrap());
        let kind = ["pidf-full", "pidf-diff ", "<presence"].into_iter().find(|kind| text.contains(kind));
        kinds.push(match kind {
            Some("pidf-full") => format!("full {version}"),
            Some("pidf-diff ") => format!("diff {version}"),
            Some(_) => "plain".to_owned(),
            None => "none".to_owned(),
        });
    }
    kinds
}

// 5263-4.4-a 5263-4.4-b 5263-4.4-c 6665-5.3.2-a
#[test]
fn after_the_whole_only_changes_are_sent() {
    let (mut world, alice, bob, id) = watching();
    assert_eq!(notified(&mut world, alice), ["full 1"]);
    for (round, note) in ["one", "two", "three"].iter().enumerate() {
        world.publish(bob, Status::Busy, note);
        world.seconds(6);
        assert_eq!(world.sees(alice, id), (Status::Busy, Some((*note).to_owned())));
        let kinds = notified(&mut world, alice);
        assert_eq!(kinds, [format!("diff {}", round + 2)]);
    }
}

// 5263-4.4-e
#[test]
fn what_changes_while_an_answer_is_due_is_told_together_afterwards() {
    let (mut world, alice, bob, id) = watching();
    world.publish(bob, Status::Busy, "zero");
    world.seconds(6);
    notified(&mut world, alice);
    // More changes than can be told one by one.
    for step in 0..40 {
        world.publish(bob, Status::Busy, &step.to_string());
        world.run(Duration::from_millis(3));
    }
    world.seconds(20);
    assert_eq!(world.sees(alice, id), (Status::Busy, Some("39".to_owned())));
    let kinds = notified(&mut world, alice);
    let numbers: Vec<u32> =
        kinds.iter().map(|kind| kind.split(' ').next_back().unwrap().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{kinds:?}");
}

// 5263-4.4-a 5263-4.5-e
#[test]
fn a_link_that_is_lost_loses_no_change() {
    let (mut world, alice, bob, id) = watching();
    for round in 0..6 {
        world.publish(bob, Status::Busy, &format!("before {round}"));
        world.seconds(if round % 2 == 0 { 0 } else { 6 });
        world.cut(alice);
        world.publish(bob, Status::Away, &format!("during {round}"));
        world.seconds(3);
        world.restore(alice);
        world.seconds(40);
        assert_eq!(world.sees(alice, id), (Status::Away, Some(format!("during {round}"))));
        assert!(!world.view(alice, id).stale);
        world.publish(bob, Status::OnThePhone, &format!("after {round}"));
        world.seconds(6);
        assert_eq!(world.sees(alice, id), (Status::OnThePhone, Some(format!("after {round}"))));
    }
    world.restart_server();
    world.seconds(60);
    world.publish(bob, Status::Available, "again");
    world.seconds(6);
    assert_eq!(world.sees(alice, id), (Status::Available, Some("again".to_owned())));
}
