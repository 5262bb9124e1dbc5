//! What holds for one subscription whatever happens to it, in any order: responses, NOTIFYs, time, lost connections.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use proptest::collection::vec;
use proptest::prelude::*;
use sip_presence::agent::{ConnectionState, Event, WatchId, Watching};
use sip_presence::sip::{Message, Method, Name};
use sip_presence::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

const BOB: &str = "sip:bob@example.com";

#[derive(Clone, Debug)]
enum Step {
    /// The oldest request that was not answered, or the newest, gets this status code.
    Respond {
        oldest: bool,
        status: u16,
        expires: Option<u32>,
        /// Retry-After, Min-Expires and Contact.
        more: [Option<&'static str>; 3],
    },
    /// A notifier with this tag notifies in the newest attempt, or in the first one.
    Notify {
        newest: bool,
        tag: &'static str,
        cseq: u32,
        state: String,
        body: bool,
        entity_tag: Option<&'static str>,
    },
    Wait(Duration),
    Disconnect,
    Connect,
    /// The application stops watching.
    Leave,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        4 => Just(200),
        2 => Just(204),
        2 => prop::sample::select(vec![302, 416, 423, 503]),
        4 => prop::sample::select(vec![
            100, 202, 300, 301, 302, 305, 400, 401, 403, 404, 407, 408, 410, 415, 416, 420, 423, 480, 481, 489, 500, 503, 603, 604,
        ]),
    ];
    let expires = || prop::sample::select(vec![None, Some(0), Some(1), Some(60), Some(3600), Some(u32::MAX)]);
    let state = (
        prop::sample::select(vec!["active", "active", "active", "pending", "unheard-of", "terminated"]),
        prop::sample::select(vec![
            "",
            "",
            ";reason=deactivated",
            ";reason=probation",
            ";reason=timeout",
            ";reason=giveup;retry-after=9",
            ";reason=noresource",
            ";reason=unheard-of",
        ]),
        expires(),
    );
    let state = state.prop_map(|(state, reason, expires)| {
        let expires = expires.map_or(String::new(), |expires| format!(";expires={expires}"));
        [state, reason, &expires].concat()
    });
    let more = (
        prop::sample::select(vec![None, Some("0"), Some("45 (busy)"), Some("99999999999")]),
        prop::sample::select(vec![None, Some("1"), Some("7200"), Some("4294967295")]),
        prop::sample::select(vec![
            None,
            Some("<sip:pa.example.com>"),
            Some("<sip:bob@example.com>, <sip:one@example.net>;q=0.2, <sip:two@example.net>;q=0.7"),
            Some("<sips:safe@example.net>, <pres:bob@example.com>, <tel:+15550100>, *"),
            Some("no address"),
        ]),
    );
    let more = more.prop_map(|(retry_after, least, contact)| [retry_after, least, contact]);
    let entity_tag = prop::sample::select(vec![None, None, Some("a"), Some("a"), Some("b")]);
    let tag = prop::sample::select(vec!["one", "one", "one", "two"]);
    let newest = prop::bool::weighted(0.9);
    let wait = prop::sample::select(vec![1, 900, 5_000, 32_000, 61_000, 1_800_000, 4_000_000]);
    prop_oneof![
        6 => (any::<bool>(), status, expires(), more)
            .prop_map(|(oldest, status, expires, more)| Step::Respond { oldest, status, expires, more }),
        6 => (newest, tag, 1..40_u32, state, any::<bool>(), entity_tag).prop_map(
            |(newest, tag, cseq, state, body, entity_tag)| Step::Notify { newest, tag, cseq, state, body, entity_tag }
        ),
        4 => wait.prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        1 => Just(Step::Disconnect),
        2 => Just(Step::Connect),
        1 => Just(Step::Leave),
    ]
}

struct Run {
    page: Page,
    id: WatchId,
    watching: bool,
    open: Vec<Message>,
    /// The first SUBSCRIBE of each attempt, by Call-ID.
    attempts: Vec<Message>,
    /// CSeq numbers used, by Call-ID.
    numbers: BTreeMap<String, BTreeSet<u32>>,
    /// The dialog in which the last NOTIFY was accepted: its attempt and the notifier's tag.
    live: Option<(Message, &'static str)>,
    /// The entity-tag of the last NOTIFY that was accepted, by Call-ID.
    entity_tags: BTreeMap<String, Option<&'static str>>,
    /// CSeq of probes, above all others.
    probe: u32,
}

impl Run {
    fn new() -> Self {
        let mut page = Page::online();
        let id = page.watch(BOB);
        let mut run = Self {
            page,
            id,
            watching: true,
            open: Vec::new(),
            attempts: Vec::new(),
            numbers: BTreeMap::new(),
            live: None,
            entity_tags: BTreeMap::new(),
            probe: 1_000_000,
        };
        run.look();
        run
    }

    /// Takes note of what was sent.
    fn look(&mut self) {
        while !self.page.is_silent() {
            let request = self.page.next_sent();
            assert_eq!(request.method(), Method::Subscribe);
            let number = request.cseq().unwrap().number;
            let used = self.numbers.entry(request.call_id().to_owned()).or_default();
            assert!(used.last().is_none_or(|last| *last < number), "CSeq {number} after {used:?}");
            used.insert(number);
            if let Some(condition) = request.header(&Name::SuppressIfMatch) {
                assert!(
                    request.to().unwrap().tag().is_some(),
                    "there is nothing to be known outside a dialog"
                );
                assert_eq!(self.entity_tags.get(request.call_id()), Some(&Some(condition_of(condition))));
            }
            if request.to().unwrap().tag().is_none() && used.len() == 1 {
                self.attempts.push(request.clone());
            }
            self.open.push(request);
        }
    }

    fn is_online(&self) -> bool {
        let state = self.page.events.iter().rev().find_map(|event| match event {
            Event::Connection(state) => Some(state),
            _ => None,
        });
        matches!(state, Some(ConnectionState::Online))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Respond { oldest, status, expires, more } if !self.open.is_empty() && self.is_online() => {
                let at = if oldest { 0 } else { self.open.len() - 1 };
                let request = self.open.remove(at);
                let expires = expires.unwrap_or(600).to_string();
                let mut headers = vec![
                    (Name::Expires, expires.as_str()),
                    (Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\", qop=\"auth\""),
                ];
                let names = [Name::RetryAfter, Name::MinExpires, Name::Contact];
                headers.extend(names.into_iter().zip(more).filter_map(|(name, value)| Some((name, value?))));
                let confirms = status == 204 && request.header(&Name::SuppressIfMatch).is_some();
                let stale = |page: &Page| page.agent.view(self.id).is_some_and(|view| view.stale);
                let before = stale(&self.page);
                self.page.respond(&request, status, &headers);
                assert!(
                    !before || confirms || stale(&self.page) || !self.watching,
                    "a {status} confirms nothing"
                );
            }
            Step::Notify { newest, tag, cseq, state, body, entity_tag } if self.is_online() => {
                let attempt = if newest { self.attempts.last() } else { self.attempts.first() };
                let attempt = attempt.unwrap().clone();
                let body = if body { pidf(BOB, "busy", "") } else { String::new() };
                let mut notify = notification(&attempt, tag, cseq, &state, &body);
                if let Some(entity_tag) = entity_tag {
                    notify.push(Name::SipETag, entity_tag);
                }
                let accepted = self.page.deliver(&notify) == 200;
                if accepted {
                    self.entity_tags.insert(attempt.call_id().to_owned(), entity_tag);
                }
                if accepted && !state.starts_with("terminated") {
                    self.is_the_only_one(&attempt, tag);
                }
            }
            Step::Wait(span) => self.page.advance(span),
            Step::Disconnect => {
                self.page.disconnect();
                self.open.clear();
            }
            Step::Connect => self.page.connect(),
            Step::Leave if self.watching => {
                self.page.unwatch(self.id);
                self.watching = false;
            }
            Step::Respond { .. } | Step::Notify { .. } | Step::Leave => {}
        }
        self.look();
        self.has_a_deadline_or_a_reason();
    }

    /// A NOTIFY was accepted in this dialog: no other one may be alive.
    fn is_the_only_one(&mut self, attempt: &Message, tag: &'static str) {
        let before = self.live.replace((attempt.clone(), tag));
        let Some((other, other_tag)) = before else { return };
        if other.call_id() != attempt.call_id() || other_tag != tag {
            self.probe += 1;
            let probe = notification(&other, other_tag, self.probe, "active;expires=600", "");
            assert_eq!(self.page.deliver(&probe), 481, "two dialogs are alive");
        }
    }

    fn has_a_deadline_or_a_reason(&self) {
        let Some(view) = self.page.agent.view(self.id) else { return };
        let subscription = &view.subscription;
        if subscription.state == Watching::Terminated && subscription.retry_at.is_none() {
            assert!(subscription.reason.is_some() && subscription.failure.is_some(), "{subscription:?}");
            return;
        }
        let (at, _) = self.page.agent.poll_timeout().expect("nothing will ever happen");
        if self.is_online() {
            assert!(subscription.retry_at.is_none_or(|retry_at| at <= retry_at), "{subscription:?}");
        }
    }

    /// The application leaves, the connection is good, and the server says nothing more.
    fn end(mut self) {
        if self.watching {
            self.page.unwatch(self.id);
        }
        for _ in 0..40 {
            self.page.seconds(1);
            if !self.is_online() {
                self.page.connect();
            }
        }
        self.page.seconds(40);
        self.look();
        assert!(self.page.agent.view(self.id).is_none());
        assert_eq!(self.page.agent.poll_timeout(), None, "a timer is left over");
        self.page.agent.close(self.page.now);
        self.page.seconds(0);
        assert!(matches!(self.page.events.last(), Some(Event::Closed)), "a subscription is left over");
    }
}

/// The tag itself, as one of those that a notifier gives here.
fn condition_of(text: &str) -> &'static str {
    if text == "a" { "a" } else { "b" }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    // 3856-6.9-a 3261-12.2.1.1-b 6665-4.1.2.2-b 5839-5.2-a
    #[test]
    fn it_never_has_two_dialogs_nor_a_number_twice_and_always_a_deadline_or_a_reason(steps in vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in steps {
            run.take(step);
        }
        run.end();
    }
}
