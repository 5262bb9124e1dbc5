//! What the server keeps over a restart.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::World;
use sip_presence::agent::Watching;
use sip_presence::presence::Status;
use sip_presence::server::{Decision, Event, Output, Server};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The same server, started anew with what was kept.
fn restart(world: &mut World) {
    let kept = world.server.state().unwrap();
    world.restart_server();
    world.server.restore(&kept, world.now).unwrap();
    assert_eq!(world.server.state().unwrap(), kept);
}

fn ignored(server: &mut Server) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(output) = server.poll() {
        if let Output::Event(Event::Ignored { user }) = output {
            names.push(user);
        }
    }
    names
}

#[test]
fn what_was_decided_counts_after_a_restart() {
    let mut world = World::with(80, |config| config.rules.otherwise = Decision::Confirm);
    let (alice, bob, carol) = (world.seat("alice"), world.seat("bob"), world.seat("carol"));
    world.publish(alice, Status::Busy, "here");
    let (of_bob, of_carol) = (world.watch(bob, "alice"), world.watch(carol, "alice"));
    world.seconds(10);
    assert_eq!(world.view(bob, of_bob).subscription.state, Watching::Pending);
    assert!(world.server.set_policy("alice", "bob", Decision::Allow, world.now));
    assert!(world.server.set_policy("alice", "carol", Decision::PoliteBlock, world.now));
    restart(&mut world);
    world.seconds(60);
    assert_eq!(world.sees(bob, of_bob), (Status::Busy, Some("here".to_owned())));
    assert_eq!(world.sees(carol, of_carol), (Status::Offline, None));
    // The newest word counts.
    assert!(world.server.set_policy("alice", "bob", Decision::Confirm, world.now));
    restart(&mut world);
    world.seconds(60);
    assert_eq!(world.view(bob, of_bob).subscription.state, Watching::Pending);
}

#[test]
fn names_that_are_no_users_are_told_and_kept() {
    let mut world = World::with(81, |_| {});
    let text = r#"{"version":1,"policies":{"zed":{"bob":"allow","yva":"block"},"alice":{"yva":"allow"}}}"#;
    world.server.restore(text, world.now).unwrap();
    assert_eq!(ignored(&mut world.server), ["yva", "zed"]);
    assert!(world.server.set_policy("alice", "bob", Decision::Block, world.now));
    let kept = world.server.state().unwrap();
    let json: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(json["policies"]["alice"], serde_json::json!({"bob": "block", "yva": "allow"}));
    assert_eq!(json["policies"]["zed"], serde_json::json!({"bob": "allow", "yva": "block"}));
    assert!(kept.ends_with("}\n"), "a text file");
}

#[test]
fn what_cannot_be_read_is_refused_as_a_whole() {
    let mut world = World::with(82, |_| {});
    assert!(world.server.set_policy("alice", "bob", Decision::Allow, world.now));
    let before = world.server.state().unwrap();
    let deep = ["{\"version\":", &"[".repeat(10_000)].concat();
    for (text, says) in [
        ("", "EOF"),
        (&before[..before.len() / 2], "EOF"),
        ("{}", "version"),
        ("{\"version\":1}", "policies"),
        ("{\"version\":2,\"policies\":{}}", "version: 2 is none"),
        ("{\"version\":1,\"policies\":{},\"colour\":\"red\"}", "colour"),
        ("{\"version\":1,\"policies\":{\"alice\":{\"bob\":\"perhaps\"}}}", "policies.alice.bob"),
        ("{\"version\":1,\"policies\":{}} {}", "trailing"),
        (&deep, "version"),
    ] {
        let error = world.server.restore(text, world.now).unwrap_err().to_string();
        assert!(error.contains(says), "{text:.40}: {error}");
        assert_eq!(world.server.state().unwrap(), before);
    }
}
