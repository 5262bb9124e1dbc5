//! Anything that watchers, the user and the connection can do, in any order, from a seed: nobody learns what is not meant
//! for them, each dialog is in order, and the user's other device knows what the page knows.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Presentity;
use common::presentity::{Outcome, state};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::random::Random;
use sip_presence::sip::{Message, Name, Reason, Substate};
use std::collections::BTreeMap;

const WATCHERS: [&str; 4] =
    ["sip:bob@example.com", "sip:carol@example.com", "sip:dave@example.com", "sip:eve@example.com"];
const DECISIONS: [Decision; 4] = [Decision::Allow, Decision::PoliteBlock, Decision::Confirm, Decision::Block];

struct Dialog {
    uri: &'static str,
    first: Message,
    outcome: Outcome,
    granted: u32,
    sequence: u32,
    over: bool,
}

struct Run {
    scene: Presentity,
    random: Random,
    /// By Call-ID.
    dialogs: BTreeMap<String, Dialog>,
    decisions: BTreeMap<&'static str, Decision>,
    online: bool,
}

impl Run {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap()
    }

    fn step(&mut self) {
        let uri = WATCHERS[self.below(4)];
        let expires = [600, 60, 3600][self.below(3)];
        let outcome = match self.below(12) {
            0 | 1 if self.online => self.subscribe(uri, expires),
            2 if self.online => self.subscribe(uri, 0),
            3 | 4 if self.online => self.again(),
            5 | 6 => {
                let decision = DECISIONS[self.below(4)];
                self.decisions.insert(uri, decision);
                self.scene.decide(uri, decision)
            }
            7 | 8 => {
                let status = [Status::Busy, Status::Away, Status::Available, Status::Offline][self.below(4)];
                self.scene.publish(status, "secret")
            }
            9 => {
                self.scene.page.agent.unpublish(self.scene.page.now);
                self.scene.outcome()
            }
            10 if self.below(4) == 0 => {
                self.online ^= true;
                if self.online {
                    // The agent connects when it is time, or when the host says so.
                    self.scene.page.agent.handle_online(self.scene.page.now);
                    self.scene.page.drain_now();
                    self.scene.page.connect();
                } else {
                    self.scene.page.disconnect();
                }
                self.scene.outcome()
            }
            _ => {
                let seconds = [1, 2, 7, 70, 700][self.below(5)];
                self.scene.takes =
                    [Some(200), Some(200), Some(200), Some(500), Some(481), None][self.below(6)];
                self.scene.seconds(seconds)
            }
        };
        for notify in &outcome.notifies {
            self.check(notify);
        }
    }

    fn subscribe(&mut self, uri: &'static str, expires: u32) -> Outcome {
        self.scene.answer =
            self.decisions.get(uri).copied().filter(|decision| *decision != Decision::Confirm);
        let mut first = self.scene.subscribe(uri, expires);
        if self.below(3) == 0 {
            first.set(Name::Accept, "application/pidf+xml, application/pidf-diff+xml");
        }
        let outcome = self.scene.send(&first);
        let decision = self.decisions.get(uri).copied().unwrap_or(Decision::Confirm);
        let refused = outcome.status == 403;
        assert!(refused == (decision == Decision::Block) || outcome.status == 503, "{}", outcome.status);
        assert_eq!(outcome.notifies.is_empty(), outcome.status != 200);
        if outcome.status == 200 {
            let notifies = outcome.notifies.clone();
            let granted = outcome.answer.as_ref().unwrap().expires().unwrap();
            assert!(granted <= expires);
            let copy = Outcome { status: 200, answer: outcome.answer, notifies: Vec::new() };
            let dialog =
                Dialog { uri, granted, sequence: 0, over: false, outcome: copy, first: first.clone() };
            self.dialogs.insert(first.call_id().to_owned(), dialog);
            return Outcome { status: 200, answer: None, notifies };
        }
        outcome
    }

    /// A refresh, an end, or a conditional refresh of some dialog.
    fn again(&mut self) -> Outcome {
        let live: Vec<String> =
            self.dialogs.iter().filter(|(_, d)| !d.over).map(|(id, _)| id.clone()).collect();
        if live.is_empty() {
            return self.scene.outcome();
        }
        let id = &live[self.below(live.len())];
        let expires = [600, 60, 0][self.below(3)];
        let dialog = &self.dialogs[id];
        let mut request = self.scene.again(&dialog.first, &dialog.outcome, expires);
        match self.below(6) {
            0 => request.set(Name::SuppressIfMatch, "*"),
            1 => request.set(Name::SuppressIfMatch, "old"),
            _ => {}
        }
        let outcome = self.scene.send(&request);
        let dialog = self.dialogs.get_mut(id).unwrap();
        match outcome.status {
            200 | 204 => {
                let granted = outcome.answer.as_ref().unwrap().expires().unwrap();
                assert!(granted <= expires);
                dialog.granted = granted;
                let conditional = request.header(&Name::SuppressIfMatch).is_some();
                // Partial documents wait for the answer to the one before.
                let may_wait = dialog.first.header(&Name::Accept).is_some();
                assert!(outcome.status == 200 || conditional);
                assert!((outcome.status == 204) == outcome.notifies.is_empty() || may_wait);
                dialog.over |= outcome.status == 204 && expires == 0;
            }
            // A NOTIFY has failed, or its time was over while there was no connection.
            481 => dialog.over = true,
            other => panic!("{other}"),
        }
        outcome
    }

    fn check(&mut self, notify: &Message) {
        let dialog = self.dialogs.get_mut(notify.call_id()).expect("nobody has asked");
        let number = notify.cseq().unwrap().number;
        assert!(number > dialog.sequence);
        dialog.sequence = number;
        let (substate, expires, reason) = state(notify);
        let is_refusal = matches!(reason, Some(Reason::Rejected | Reason::Giveup));
        assert!(!dialog.over || is_refusal, "told after the end");
        dialog.over = substate == Substate::Terminated;
        assert!(expires.unwrap_or(0) <= dialog.granted);
        let decision = self.decisions.get(dialog.uri).copied().unwrap_or(Decision::Confirm);
        let body = String::from_utf8(notify.body.clone()).unwrap();
        if decision != Decision::Allow {
            assert!(!body.contains("secret"), "{decision:?}: {body}");
        }
        if substate == Substate::Pending {
            assert!(body.is_empty());
        }
    }

    /// The user's other device asks for everything, which is what the page says.
    fn compare(&mut self) {
        if !self.online {
            self.online = true;
            self.scene.page.agent.handle_online(self.scene.page.now);
            self.scene.page.drain_now();
            self.scene.page.connect();
        }
        self.scene.takes = Some(200);
        for notify in self.scene.seconds(10).notifies {
            self.check(&notify);
        }
        let mut own = self.scene.subscribe(common::presentity::ALICE, 0);
        own.set(Name::Event, "presence.winfo");
        assert_eq!(self.scene.send(&own).status, 200);
        let told: Vec<(String, String, String)> = self
            .scene
            .documents
            .pop()
            .unwrap()
            .watchers
            .into_iter()
            .map(|row| (row.uri, row.status, row.event))
            .collect();
        let known = self.scene.page.agent.watchers().into_iter();
        let known = known.map(|row| (row.uri, row.status.as_str().to_owned(), row.cause.as_str().to_owned()));
        assert_eq!(told, known.collect::<Vec<_>>());
    }
}

#[test]
fn nobody_learns_what_is_not_meant_for_them() {
    for seed in 0..40 {
        let mut run = Run {
            scene: Presentity::new(),
            random: Random::new([seed; 32]),
            dialogs: BTreeMap::new(),
            decisions: BTreeMap::new(),
            online: true,
        };
        run.scene.publish(Status::Busy, "secret");
        for _ in 0..150 {
            run.step();
        }
        run.compare();
    }
}
