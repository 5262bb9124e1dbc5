//! Worlds in which a page is the presence agent of its user, and the server only a proxy, or leaves watchers to the page:
//! with all that can go wrong on the way, no watcher is sent what its policy forbids; and when nothing goes wrong any more,
//! each sees what its policy gives.
//!
//! A world follows from its seed: see `tests/simulation.rs`, whose variables count here too.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::World;
use common::relay::Relay;
use sip_presence::agent::{Audience, Config, Event, Identities, WatchId, Watching};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::random::Random;
use sip_presence::sip::{Method, Substate};
use sip_presence::time::Duration;
use std::collections::BTreeSet;

const SEEDS: u32 = 60;
/// Seconds that subscriptions and registrations live.
const EXPIRES: u32 = 120;
/// Within this all must be well when the faults are over: the longest waits before another REGISTER (RFC 5626 §4.5) and
/// another SUBSCRIBE.
const LIMIT: u64 = 1800 + 600;

/// Alice's page is the presence agent; the others watch her.
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const ALICE: usize = 0;
const DECISIONS: [Decision; 5] =
    [Decision::Allow, Decision::Allow, Decision::PoliteBlock, Decision::Confirm, Decision::Block];

struct Simulation {
    seed: u32,
    dice: Random,
    world: World,
    /// What Alice wished last to be published.
    wish: Option<(Status, String)>,
    /// What she has said of each user.
    policies: [Decision; 4],
    watches: [Option<WatchId>; 4],
    asleep: BTreeSet<usize>,
    cut: BTreeSet<usize>,
    /// NOTIFYs that showed what is true.
    shown: usize,
    steps: Vec<String>,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SIMULATION_SEED={} failed after:\n  {}", self.seed, self.steps.join("\n  "));
        }
    }
}

fn adjust(seat: usize) -> impl FnOnce(&mut Config) {
    move |config| {
        config.expires = EXPIRES;
        config.instance = format!("urn:uuid:00000000-0000-4000-8000-00000000000{seat}");
        config.register = seat == ALICE;
        config.audience = (seat == ALICE).then(|| Audience::new(Identities::Asserted));
    }
}

impl Simulation {
    fn new(seed: u32) -> Self {
        let mut bytes = [0xa5; 32];
        bytes[..4].copy_from_slice(&seed.to_le_bytes());
        let mut dice = Random::new(bytes);
        let mut world = World::grown_from(dice.seed(), |_| {});
        // Half of them have a mere proxy, the others the server of the package.
        world.relay = seed.is_multiple_of(2).then(Relay::default);
        world.latency = [(1, 1), (5, 50), (1, 900), (200, 4000)][usize::try_from(dice.below(4)).unwrap()];
        for (seat, name) in USERS.iter().enumerate() {
            world.seat_with(name, adjust(seat));
        }
        world.set_policy(ALICE, "bob", Decision::Allow);
        Self {
            seed,
            dice,
            world,
            wish: None,
            policies: [Decision::Confirm, Decision::Allow, Decision::Confirm, Decision::Confirm],
            watches: [None; 4],
            asleep: BTreeSet::new(),
            cut: BTreeSet::new(),
            shown: 0,
            steps: Vec::new(),
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.dice.below(u64::try_from(sides).unwrap())).unwrap()
    }

    fn note(&mut self, text: String) {
        let at = self.world.now.since(common::START).as_millis();
        self.steps.push(format!("{at:>7} ms  {text}"));
    }

    fn decide(&mut self, user: usize, decision: Decision) {
        self.policies[user] = decision;
        self.world.set_policy(ALICE, USERS[user], decision);
    }

    /// Something happens.
    fn step(&mut self) {
        let seat = self.roll(USERS.len());
        let watcher = 1 + self.roll(USERS.len() - 1);
        let awake = !self.asleep.contains(&seat);
        let alice_is_awake = !self.asleep.contains(&ALICE);
        match self.roll(16) {
            0..=2 if alice_is_awake => {
                let status = Status::ALL[1 + self.roll(Status::ALL.len() - 1)];
                let text = format!("secret {}", self.steps.len());
                self.note(format!("alice publishes {} {text:?}", status.as_str()));
                self.world.publish(ALICE, status, &text);
                self.wish = Some((status, text));
            }
            3 if alice_is_awake => {
                self.note("alice withdraws".to_owned());
                self.world.unpublish(ALICE);
                self.wish = None;
            }
            4..=6 if alice_is_awake => {
                let decision = DECISIONS[self.roll(DECISIONS.len())];
                self.note(format!("alice says {decision:?} of {}", USERS[watcher]));
                self.decide(watcher, decision);
            }
            7..=9 if !self.asleep.contains(&watcher) => {
                if let Some(id) = self.watches[watcher].take() {
                    self.note(format!("{} watches no more", USERS[watcher]));
                    self.world.unwatch(watcher, id);
                } else {
                    self.note(format!("{} watches", USERS[watcher]));
                    self.watches[watcher] = Some(self.world.watch(watcher, "alice"));
                }
            }
            10 | 11 => {
                let was_cut = self.cut.remove(&seat);
                self.note(format!(
                    "{} {}",
                    USERS[seat],
                    if was_cut { "has a link again" } else { "loses the link" }
                ));
                if was_cut {
                    self.world.restore(seat);
                } else {
                    self.world.cut(seat);
                    // Often it is there again at once.
                    if self.roll(2) == 0 {
                        self.world.restore(seat);
                    } else {
                        self.cut.insert(seat);
                    }
                }
            }
            12 => {
                self.note("the proxy starts anew".to_owned());
                self.world.restart_server();
            }
            13 => {
                self.note(format!("the proxy {}", if self.world.silent { "hears again" } else { "is deaf" }));
                self.world.silent = !self.world.silent;
            }
            14 if awake => {
                self.note(format!("{} falls asleep", USERS[seat]));
                self.asleep.insert(seat);
                self.world.sleep(seat);
            }
            14 => self.wake(seat),
            15 if awake => self.reload(seat),
            _ => {}
        }
        let span = match self.roll(8) {
            0 => Duration::ZERO,
            1..=5 => Duration::from_millis(self.dice.below(8_000)),
            6 => Duration::from_secs(self.dice.below(40)),
            _ => Duration::from_secs(self.dice.below(u64::from(EXPIRES) * 2)),
        };
        self.world.run(span);
        self.nobody_is_told_too_much();
    }

    fn wake(&mut self, seat: usize) {
        self.note(format!("{} wakes", USERS[seat]));
        self.asleep.remove(&seat);
        let timers_first = self.roll(2) == 0;
        self.world.wake(seat, timers_first);
    }

    /// The page is loaded again. It knows the policies that it has kept, before it connects.
    fn reload(&mut self, seat: usize) {
        self.note(format!("{} loads the page again", USERS[seat]));
        self.world.reload(seat, adjust(seat));
        if seat == ALICE {
            self.wish = None;
            for user in 1..USERS.len() {
                self.decide(user, self.policies[user]);
            }
        } else if self.watches[seat].is_some() {
            self.watches[seat] = Some(self.world.watch(seat, "alice"));
        }
    }

    /// What Alice's page has sent since is what the policies give: they only change before anything else in a step.
    fn nobody_is_told_too_much(&mut self) {
        for crossing in core::mem::take(&mut self.world.log) {
            let message = crossing.message;
            // A server that took it would show it to whom it likes.
            let serves = self.world.relay.is_none() && crossing.from_server;
            let taken = serves && matches!(message.status(), Some(200..=299));
            assert!(
                !taken || message.cseq().unwrap().method != Method::Publish,
                "the server has a publication"
            );
            if crossing.from_server || !message.is_request() || message.method() != Method::Notify {
                continue;
            }
            let to = message.to().unwrap().uri.user.clone().unwrap();
            let user = USERS.iter().position(|name| *name == to).unwrap();
            let body = String::from_utf8(message.body.clone()).unwrap();
            let decision = self.policies[user];
            if body.contains("secret") {
                assert_eq!(decision, Decision::Allow, "{to} is told {body}");
                self.shown += 1;
            }
            let state = message.subscription_state().unwrap().unwrap().state;
            if state != Substate::Active && decision != Decision::PoliteBlock {
                assert!(
                    body.is_empty() || decision == Decision::Allow,
                    "{to}, who waits or has gone: {body}"
                );
            }
        }
    }

    /// What is wrong with what a watcher sees; nothing if all is well.
    fn wrong(&self) -> Option<String> {
        for (user, id) in self.watches.iter().enumerate() {
            let Some(id) = id else { continue };
            let view = self.world.view(user, *id);
            let decision = self.policies[user];
            let seen = (view.summary.status, view.summary.note.clone().unwrap_or_default());
            let offline = (Status::Offline, String::new());
            let well = match decision {
                Decision::Allow => !view.stale && seen == self.wish.clone().unwrap_or(offline),
                Decision::PoliteBlock => !view.stale && seen == offline,
                Decision::Confirm => true,
                Decision::Block => view.subscription.retry_at.is_none(),
            };
            let standing = match decision {
                Decision::Allow | Decision::PoliteBlock => Watching::Active,
                Decision::Confirm => Watching::Pending,
                Decision::Block => Watching::Terminated,
            };
            // Without the page the server says that nobody is there, which may happen to be true.
            let address = common::world::address(USERS[user]);
            let mut watchers = self.world.seats[ALICE].agent.watchers().into_iter();
            let by_page = decision == Decision::Block || watchers.any(|row| row.uri == address);
            if !well || !by_page || view.subscription.state != standing {
                return Some(format!(
                    "{}, {decision:?}, where {:?} is true: {view:?}",
                    USERS[user], self.wish
                ));
            }
        }
        None
    }

    /// The faults end. Time goes by until all is well.
    fn settle(&mut self) {
        self.note("all is well from now on".to_owned());
        self.world.silent = false;
        for seat in 0..USERS.len() {
            self.world.restore(seat);
            if self.asleep.contains(&seat) {
                self.wake(seat);
            }
        }
        for user in 1..USERS.len() {
            if self.watches[user].is_none() {
                self.watches[user] = Some(self.world.watch(user, "alice"));
            }
        }
        let mut waited = 0;
        while self.wrong().is_some() && waited < LIMIT {
            self.world.seconds(10);
            waited += 10;
            for user in 1..USERS.len() {
                // A refusal is for good: whoever was refused asks again.
                let Some(id) = self.watches[user] else { continue };
                let subscription = self.world.view(user, id).subscription.clone();
                let is_over = subscription.state == Watching::Terminated && subscription.retry_at.is_none();
                if is_over && self.policies[user] != Decision::Block {
                    self.watches[user] = Some(self.world.watch(user, "alice"));
                    self.world.unwatch(user, id);
                }
            }
        }
        self.nobody_is_told_too_much();
        if let Some(wrong) = self.wrong() {
            panic!("after {waited} s: {wrong}");
        }
        // Each change is told.
        for status in [Status::Busy, Status::Away] {
            self.world.publish(ALICE, status, "secret at last");
            self.wish = Some((status, "secret at last".to_owned()));
            self.world.seconds(20);
            assert_eq!(self.wrong(), None);
        }
        // And it stays so, whatever has run out since.
        self.world.seconds(u64::from(EXPIRES) * 2);
        assert_eq!(self.wrong(), None, "it does not stay so");
        self.nobody_is_told_too_much();
    }

    /// Everybody leaves: no timer is left.
    fn leave(&mut self) {
        for seat in (0..USERS.len()).rev() {
            self.world.close(seat);
            self.world.run(Duration::from_millis(self.dice.below(2_000)));
        }
        self.world.seconds(2);
        for seat in &self.world.seats {
            assert!(matches!(seat.events.last(), Some(Event::Closed)), "{}", seat.name);
            assert_eq!(seat.agent.poll_timeout(), None, "{}", seat.name);
        }
    }
}

/// How often somebody was shown what is true.
fn play(seed: u32) -> usize {
    let mut simulation = Simulation::new(seed);
    let steps = 20 + simulation.roll(40);
    for _ in 0..steps {
        simulation.step();
    }
    simulation.settle();
    simulation.leave();
    simulation.shown
}

#[test]
fn each_watcher_sees_what_its_policy_gives_and_never_more() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if let Some(seed) = number("SIMULATION_SEED") {
        play(seed);
        return;
    }
    let shown: usize = (0..number("SIMULATION_SEEDS").unwrap_or(SEEDS)).map(play).sum();
    assert!(shown > 100, "only {shown}: the way does not work");
}
