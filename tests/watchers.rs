//! The set of watchers by itself: the ends that no page causes, and what a set with several resources keeps apart
//! (RFC 3857 §4.7.1, rows A28 and A29 of the table of authorization).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::START;
use sip_presence::event::Decision;
use sip_presence::event::partial::Forms;
use sip_presence::event::watchers::{Admission, Cause, Content, Limits, Notice, Row, Status, Watchers};
use sip_presence::sip::{self, Message, Name, NameAddr, Reason, Substate, Uri};
use sip_presence::time::Duration;

const FORMS: Forms =
    Forms { whole: "text/whole", changes: "text/changes", full: |_, _| None, produce: |_, _, _| None };

struct Set {
    watchers: Watchers,
    number: u32,
}

impl Set {
    fn new() -> Self {
        Self { watchers: Watchers::new(&FORMS, Limits::default()), number: 0 }
    }

    /// A subscription of `uri` to `resource`; zero seconds are a fetch.
    fn admit(&mut self, resource: &str, uri: &str, decision: Decision, seconds: u64) -> Notice {
        self.number += 1;
        let text = format!(
            "SUBSCRIBE sip:{resource}@h SIP/2.0\r\nVia: SIP/2.0/WSS h;branch=z9hG4bK\r\nFrom: <{uri}>;tag=a\r\n\
             To: <sip:{resource}@h>\r\nCall-ID: {}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <{uri}>\r\nEvent: presence\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.number
        );
        let subscribe = Message::parse(text.as_bytes(), &sip::Limits::default()).unwrap();
        let admission = Admission {
            subscribe: &subscribe,
            tag: "ours",
            contact: NameAddr::new(Uri::sip_host("h")),
            uri: uri.to_owned(),
            display: None,
            resource: resource.to_owned(),
            entity: String::new(),
            decision,
            expires: Duration::from_secs(seconds),
            interval: Duration::from_secs(5),
            connection: self.number,
        };
        self.watchers.admit(admission, START).unwrap()
    }

    fn tell(&mut self, notice: &Notice) -> (u32, Message) {
        let document = (notice.content != Content::Nothing).then(|| "document".to_owned());
        self.watchers.tell(notice, document, None, START).unwrap()
    }

    fn news(&mut self) -> Vec<(String, Status, Cause)> {
        let row = |row: Row| (row.uri, row.status, row.cause);
        self.watchers.news().into_iter().map(row).collect()
    }
}

#[test]
fn a28_and_a29_every_subscription_is_told_its_end() {
    // 3857-4.7.1-a 3856-4-j 6665-4.2.2-j
    for (reason, retry_after, cause) in [
        (Reason::Probation, Some(120), Cause::Probation),
        (Reason::Noresource, None, Cause::Noresource),
        (Reason::Deactivated, None, Cause::Deactivated),
    ] {
        let mut set = Set::new();
        for (uri, decision, seconds) in [
            ("sip:active@h", Decision::Allow, 600),
            ("sip:polite@h", Decision::PoliteBlock, 600),
            ("sip:pending@h", Decision::Confirm, 600),
            ("sip:waiting@h", Decision::Confirm, 0),
        ] {
            let notice = set.admit("alice", uri, decision, seconds);
            set.tell(&notice);
        }
        set.news();
        let notices = set.watchers.end(&reason, retry_after);
        assert_eq!(notices.len(), 3);
        for notice in &notices {
            assert_eq!(notice.content, Content::Nothing);
            let (_, notify) = set.tell(notice);
            let state = notify.subscription_state().unwrap().unwrap();
            assert_eq!((state.state, state.expires), (Substate::Terminated, None));
            assert_eq!((state.reason, state.retry_after), (Some(reason.clone()), retry_after));
            assert!(notify.body.is_empty());
        }
        let ended = ["sip:active@h", "sip:polite@h", "sip:pending@h", "sip:waiting@h"]
            .into_iter()
            // Who waits has no dialog that could end; only an account that is gone ends the wait.
            .filter(|uri| *uri != "sip:waiting@h" || cause == Cause::Noresource)
            .map(|uri| (uri.to_owned(), Status::Terminated, cause));
        assert_eq!(set.news(), ended.collect::<Vec<_>>());
        assert_eq!(set.watchers.len(), usize::from(cause != Cause::Noresource));
    }
}

#[test]
fn a_notify_goes_the_way_of_its_subscription_and_concerns_its_resource() {
    let mut set = Set::new();
    for (resource, uri) in [("alice", "sip:bob@h"), ("carol", "sip:bob@h"), ("alice", "sip:dave@h")] {
        let notice = set.admit(resource, uri, Decision::Allow, 600);
        let (connection, notify) = set.tell(&notice);
        assert_eq!(connection, set.number);
        assert_eq!(notify.header(&Name::ContentType), Some("text/whole"));
    }
    assert_eq!(set.watchers.handle_change("alice", START).len(), 2);
    assert_eq!(set.watchers.handle_change("carol", START).len(), 1);
    assert_eq!(set.watchers.decide("alice", "sip:bob@h", Decision::Block, START).len(), 1);
    assert_eq!(set.watchers.rows("alice").count() + set.watchers.rows("carol").count(), 2);
}

#[test]
fn a_row_has_one_number_for_ever() {
    // 3858-3-h
    let mut set = Set::new();
    let mut numbers = Vec::new();
    for _ in 0..100 {
        let notice = set.admit("alice", "sip:bob@h", Decision::Confirm, 0);
        set.tell(&notice);
        assert!(!numbers.contains(&notice.id));
        numbers.push(notice.id);
    }
    assert_eq!(set.watchers.len(), 1);
}
