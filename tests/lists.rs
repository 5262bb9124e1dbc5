//! Lists of presentities: the test plays the resource list server (RFC 4662, RFC 5367).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::mutation::mutilate;
use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{Cause, FailureCode, View, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::random::Random;
use sip_presence::sip::{Message, Method, Name, Uri};
use std::rc::Rc;

const FRIENDS: &str = "sip:friends@example.com";
const BOB: &str = "sip:bob@example.com";
const CAROL: &str = "sip:carol@example.com";
const DAVE: &str = "sip:dave@example.com";
const RELATED: &str = "multipart/related;type=\"application/rlmi+xml\";start=\"<root@x>\";boundary=\"b1\"";

/// One row of a list: its address, the attributes of its instances, and the parts that they name.
struct Row(String, Vec<(String, Option<Part>)>);

/// Content-ID, Content-Type and content.
#[derive(Clone)]
struct Part(String, String, String);

/// A row with one active instance and its document.
fn active(uri: &str, activity: &str) -> Row {
    let part = Part(format!("p.{uri}"), "application/pidf+xml".to_owned(), pidf(uri, activity, ""));
    Row(uri.to_owned(), vec![(format!("id=\"1\" state=\"active\" cid=\"p.{uri}\""), Some(part))])
}

/// A row with one instance that has no part.
fn instance(uri: &str, attributes: &str) -> Row {
    Row(uri.to_owned(), vec![(format!("id=\"1\" {attributes}"), None)])
}

/// A row of which nothing is known yet.
fn nothing(uri: &str) -> Row {
    Row(uri.to_owned(), Vec::new())
}

/// A row that is a list itself.
fn nested(uri: &str, version: u32, full: bool, rows: Vec<Row>) -> Row {
    let kind = "multipart/related; boundary=\"in.1\"; start=\"<root@x>\"; type=\"application/rlmi+xml\"";
    let part = Part(format!("n.{uri}"), kind.to_owned(), body("in.1", uri, version, full, rows));
    Row(uri.to_owned(), vec![(format!("id=\"n\" state=\"active\" cid=\"n.{uri}\""), Some(part))])
}

/// A multipart body in the manner of Kamailio.
fn body(boundary: &str, uri: &str, version: u32, full: bool, rows: Vec<Row>) -> String {
    let mut list = format!(
        "<?xml version=\"1.0\"?>\n<list uri=\"{uri}\" xmlns=\"urn:ietf:params:xml:ns:rlmi\" version=\"{version}\" \
         fullState=\"{full}\">"
    );
    let mut parts = String::new();
    for Row(uri, instances) in rows {
        list.push_str(&format!("<resource uri=\"{uri}\">"));
        for (attributes, part) in instances {
            list.push_str(&format!("<instance {attributes}/>"));
            if let Some(Part(id, kind, content)) = part {
                parts.push_str(&format!(
                    "--{boundary}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{id}>\r\nContent-Type: {kind}\r\n\r\n\
                     {content}\r\n\r\n"
                ));
            }
        }
        list.push_str("</resource>");
    }
    format!(
        "--{boundary}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <root@x>\r\n\
         Content-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n{list}</list>\r\n\r\n{parts}--{boundary}--\r\n"
    )
}

/// The resource list server, and the agent that watches a list there.
struct Lists {
    page: Page,
    list: WatchId,
    /// The SUBSCRIBE that made the dialog.
    subscribe: Message,
    sequence: u32,
}

impl Lists {
    /// The SUBSCRIBE was accepted; no NOTIFY yet.
    fn new() -> Self {
        Self::with(Page::online())
    }

    fn with(mut page: Page) -> Self {
        let list = page.agent.watch_list(&Uri::parse(FRIENDS).unwrap(), page.now);
        page.seconds(0);
        let subscribe = page.next_sent();
        page.accept(&subscribe, 3600);
        Self { page, list, subscribe, sequence: 0 }
    }

    /// A full state of version 1 with these rows has come.
    fn known(rows: Vec<Row>) -> Self {
        let mut lists = Self::new();
        assert_eq!(lists.notify(1, true, rows), 200);
        lists
    }

    fn raw(&mut self, state: &str, kind: &str, body: &str) -> u16 {
        self.sequence += 1;
        let mut notify = notification(&self.subscribe, "server-tag", self.sequence, state, "");
        notify.push(Name::Require, "eventlist");
        if !body.is_empty() {
            notify.set_body(kind, body.as_bytes().to_vec());
        }
        self.page.deliver(&notify)
    }

    fn notify(&mut self, version: u32, full: bool, rows: Vec<Row>) -> u16 {
        self.raw("active;expires=3600", RELATED, &body("b1", FRIENDS, version, full, rows))
    }

    /// The views told since the last call: address, status, state, cause.
    fn told(&mut self) -> Vec<(String, Status, Watching, Cause)> {
        let views = self.page.told();
        let members = views.iter().filter(|view| view.uri != FRIENDS);
        members
            .map(|view| (view.uri.clone(), view.summary.status, view.subscription.state, view.cause))
            .collect()
    }

    /// What is known of the list, then of each member.
    fn views(&self) -> Vec<Rc<View>> {
        self.page.agent.views(self.list)
    }

    #[track_caller]
    fn member(&self, uri: &str) -> Rc<View> {
        self.views().into_iter().find(|view| view.uri == uri).expect("no such member")
    }

    /// Member and status.
    fn members(&self) -> Vec<(String, Status)> {
        self.views().iter().skip(1).map(|view| (view.uri.clone(), view.summary.status)).collect()
    }
}

fn row(uri: &str, status: Status, cause: Cause) -> (String, Status, Watching, Cause) {
    (uri.to_owned(), status, Watching::Active, cause)
}

#[test]
fn a_subscription_to_a_list_says_that_it_takes_lists() {
    // 4662-4.1-a 4662-4.1-b 4662-4.1-c 4662-4.3-a 4662-4.2-a
    let mut lists = Lists::known(vec![]);
    let check = |subscribe: &Message| {
        let accept: Vec<&str> = subscribe.list(&Name::Accept).collect();
        assert_eq!(accept, ["application/pidf+xml", "application/rlmi+xml", "multipart/related"]);
        assert!(subscribe.list(&Name::Supported).any(|tag| tag == "eventlist"));
        assert_eq!((subscribe.header(&Name::Require), subscribe.body.len()), (None, 0));
        assert_eq!(subscribe.header(&Name::Event), Some("presence"));
    };
    check(&lists.subscribe);
    assert_eq!(lists.subscribe.request_uri().unwrap().to_string(), FRIENDS);
    assert_eq!(lists.subscribe.expires(), Some(3600));
    lists.page.seconds(1800);
    let refresh = lists.page.next_sent();
    check(&refresh);
    assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"));
    lists.page.accept(&refresh, 3600);
    // A single watch does not say so.
    lists.page.watch(BOB);
    let single = lists.page.next_sent();
    assert!(single.list(&Name::Accept).all(|media| media != "multipart/related"));
    assert!(single.list(&Name::Supported).all(|tag| tag != "eventlist"));
}

#[test]
fn each_resource_is_told_with_its_own_state() {
    // 4662-4.5-b 4662-4-a 4662-5.1-a 4662-5.5-a
    let mut lists = Lists::new();
    lists.notify(
        0,
        true,
        vec![
            active(BOB, "busy"),
            nothing(CAROL),
            instance(DAVE, "state=\"pending\""),
            instance("sip:eve@example.com", "state=\"terminated\" reason=\"rejected\""),
        ],
    );
    let eve = "sip:eve@example.com".to_owned();
    assert_eq!(
        lists.told(),
        [
            row(BOB, Status::Busy, Cause::Initial),
            row(CAROL, Status::Unknown, Cause::Initial),
            (DAVE.to_owned(), Status::Unknown, Watching::Pending, Cause::Initial),
            (eve, Status::Unknown, Watching::Terminated, Cause::Initial),
        ]
    );
    assert_eq!(lists.member("sip:eve@example.com").subscription.reason.as_deref(), Some("rejected"));
    let own = Rc::clone(&lists.views()[0]);
    assert_eq!((own.uri.as_str(), own.subscription.state), (FRIENDS, Watching::Active));
    // All are told under the number of the list, and so is what they change to.
    lists.notify(1, false, vec![active(BOB, "away")]);
    assert_eq!(lists.told(), [row(BOB, Status::Away, Cause::Change)]);
    let (status, rule, _) = lists.page.agent.explain(lists.list, BOB).unwrap();
    assert_eq!((status, rule == "no-document"), ("away", false));
    assert!(lists.page.is_silent() && lists.page.failures().is_empty());
}

#[test]
fn what_other_servers_send_is_read() {
    // Asterisk: an unquoted boundary of five letters, no `start`, a padded Content-Length in each part, a line end before
    // the first boundary, new ids in every NOTIFY. 4662-mime-a 4662-mime-c
    let asterisk = format!(
        "\r\n--xyzzy\r\nContent-ID: <a1@pbx>\r\nContent-Type: application/rlmi+xml\r\nContent-Length:   615\r\n\r\n\
         <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"{FRIENDS}\" \
         version=\"0\" fullState=\"true\"><name>friends</name><resource uri=\"sip:bob@example.com\"><name>bob</name>\
         <instance id=\"qqwwe\" state=\"active\" cid=\"b2@pbx\"/></resource></list>\r\n--xyzzy\r\nContent-ID: <b2@pbx>\r\n\
         Content-Type: application/pidf+xml\r\nContent-Length:     9\r\n\r\n{}\r\n--xyzzy--\r\n",
        pidf(BOB, "busy", "")
    );
    // flexisip: Content-Id and `start` without `<>`; the instance is always `1`.
    let flexisip = asterisk.replace("Content-ID: <a1@pbx>", "Content-Id: a1@pbx");
    let flexisip = flexisip.replace("Content-ID: <b2@pbx>", "Content-Id: b2@pbx");
    // Kamailio: the part's name holds the address of the resource, with `:` and `@`.
    let kamailio = asterisk.replace("b2@pbx", "1700000000.sip:bob@example.com.1804289383");
    let multipart = "multipart/related;type=\"application/rlmi+xml\";boundary=xyzzy";
    for (kind, body) in [
        (multipart.to_owned(), asterisk),
        (format!("{multipart};start=a1@pbx"), flexisip),
        (format!("{multipart};start=\"<a1@pbx>\""), kamailio),
    ] {
        let mut lists = Lists::new();
        assert_eq!(lists.raw("active;expires=600", &kind, &body), 200);
        assert_eq!(lists.members(), [(BOB.to_owned(), Status::Busy)], "{body}");
        assert!(lists.page.failures().is_empty());
    }
}

#[test]
fn a_list_inside_a_list_is_told_as_its_members() {
    // 4662-4-a 4662-4.6-a 4662-5.2-d
    let inner = "sip:work@example.com";
    let mut lists = Lists::new();
    lists.notify(
        0,
        true,
        vec![active(BOB, "busy"), nested(inner, 7, true, vec![active(CAROL, "away"), nothing(DAVE)])],
    );
    let busy = (BOB.to_owned(), Status::Busy);
    let away = (CAROL.to_owned(), Status::Away);
    assert_eq!(lists.members(), [busy.clone(), away.clone(), (DAVE.to_owned(), Status::Unknown)]);
    // Part of the outer state, the whole of the inner one: Dave has left the inner list.
    lists.notify(1, false, vec![nested(inner, 8, true, vec![active(CAROL, "away")])]);
    lists.page.seconds(1);
    assert_eq!(lists.members(), [busy.clone(), away.clone()]);
    // The inner list counts its own versions.
    lists.notify(2, false, vec![nested(inner, 8, true, vec![active(DAVE, "busy")])]);
    lists.page.seconds(1);
    assert_eq!(lists.members(), [busy.clone(), away]);
    // With the inner list its members go.
    lists.told();
    lists.notify(3, true, vec![active(BOB, "busy")]);
    lists.page.seconds(1);
    assert_eq!(lists.members(), [busy]);
    assert_eq!(lists.told(), [(CAROL.to_owned(), Status::Away, Watching::Terminated, Cause::Change)]);
    assert!(lists.page.is_silent() && lists.page.failures().is_empty());
}

#[test]
fn a_list_inside_a_list_may_be_unknown_or_end() {
    let inner = "sip:work@example.com";
    let rows = || vec![active(BOB, "busy"), nested(inner, 7, true, vec![active(CAROL, "away")])];
    let (busy, away) = ((BOB.to_owned(), Status::Busy), (CAROL.to_owned(), Status::Away));
    let mut lists = Lists::known(rows());
    lists.notify(2, true, vec![active(BOB, "busy"), nothing(inner)]);
    lists.page.seconds(2);
    assert_eq!(lists.members(), [busy.clone(), away.clone()], "nothing is known of it now");
    lists.notify(3, false, vec![instance(inner, "state=\"terminated\" reason=\"noresource\"")]);
    lists.page.seconds(2);
    assert_eq!(lists.members(), [busy.clone(), (inner.to_owned(), Status::Unknown)]);
    assert_eq!(lists.member(inner).subscription.reason.as_deref(), Some("noresource"));
    lists.notify(4, false, rows());
    lists.notify(5, true, rows());
    lists.page.seconds(2);
    assert_eq!(lists.members(), [busy.clone(), away]);
    // A person instead of a list.
    lists.notify(6, true, vec![active(BOB, "busy"), active(inner, "away")]);
    lists.page.seconds(2);
    assert_eq!(lists.members(), [busy, (inner.to_owned(), Status::Away)]);
}

#[test]
fn a_part_of_an_inner_list_is_not_found_from_outside() {
    // 4662-5.2-d
    let inner = nested("sip:work@example.com", 1, true, vec![active(CAROL, "away")]);
    let outer = instance(BOB, &format!("state=\"active\" cid=\"p.{CAROL}\""));
    let lists = Lists::known(vec![inner, outer]);
    assert_eq!(lists.member(BOB).summary.status, Status::Unknown);
    let failure = &lists.page.failures()[0];
    assert_eq!((failure.code, failure.uri.as_deref()), (FailureCode::BadDocument, Some(BOB)));
}

#[test]
fn lists_inside_lists_end_at_a_depth() {
    // 4662-7.4-a
    let mut lists = Lists::new();
    let mut deep = pidf(BOB, "busy", "");
    let mut kind = "application/pidf+xml".to_owned();
    for depth in 0..11 {
        let part = Part("in".to_owned(), kind, deep);
        let row = Row(
            format!("sip:l{depth}@example.com"),
            vec![("id=\"1\" state=\"active\" cid=\"in\"".to_owned(), Some(part))],
        );
        deep = body(&format!("d{depth}"), FRIENDS, 1, true, vec![row]);
        kind = format!("multipart/related;boundary=d{depth}");
    }
    assert_eq!(lists.raw("active;expires=600", &kind, &deep), 200);
    assert_eq!(lists.members(), []);
    let reason = lists.page.failures()[0].reason.clone().unwrap();
    assert!(reason.contains("lists"), "{reason}");
    // It goes on.
    lists.notify(2, true, vec![active(BOB, "busy")]);
    assert_eq!(lists.members(), [(BOB.to_owned(), Status::Busy)]);
}

#[test]
fn part_of_a_state_changes_what_it_names() {
    // 4662-4.6-b 4662-5.6-b 4662-5.6-c
    let mut lists = Lists::known(vec![active(BOB, "busy"), active(CAROL, "busy"), active(DAVE, "busy")]);
    lists.told();
    lists.notify(2, false, vec![active(BOB, "away"), nothing(CAROL), instance(DAVE, "state=\"active\"")]);
    assert_eq!(
        lists.told(),
        [row(BOB, Status::Away, Cause::Change), row(CAROL, Status::Unknown, Cause::Change)]
    );
    assert_eq!(lists.member(DAVE).summary.status, Status::Busy);
    // The end of an instance leaves what was known, as old.
    lists.notify(3, false, vec![instance(BOB, "state=\"terminated\" reason=\"noresource\"")]);
    let bob = lists.member(BOB);
    assert_eq!(
        (bob.summary.status, bob.stale, bob.subscription.state),
        (Status::Away, true, Watching::Terminated)
    );
    assert_eq!(bob.subscription.reason.as_deref(), Some("noresource"));
    lists.notify(4, false, vec![active(BOB, "busy")]);
    assert!(!lists.member(BOB).stale);
    lists.page.seconds(5);
    assert_eq!(lists.members().len(), 3);
    assert!(lists.page.is_silent());
}

#[test]
fn an_old_version_changes_nothing() {
    // 4662-5.6-a 4662-5.6-b
    let mut lists = Lists::new();
    lists.notify(5, true, vec![active(BOB, "busy")]);
    lists.notify(6, false, vec![active(BOB, "away")]);
    lists.told();
    for (version, full) in [(6, false), (6, true), (5, false), (5, true), (0, true)] {
        assert_eq!(lists.notify(version, full, vec![active(BOB, "vacation"), active(CAROL, "busy")]), 200);
    }
    lists.page.seconds(2);
    assert_eq!((lists.told(), lists.members()), (vec![], vec![(BOB.to_owned(), Status::Away)]));
    assert!(lists.page.is_silent());
}

#[test]
fn a_missed_version_makes_the_agent_ask_for_the_whole_state() {
    // 4662-5.6-b 4662-4.5-d 4662-5.2-c
    let mut lists = Lists::known(vec![active(BOB, "busy"), active(CAROL, "busy")]);
    lists.notify(3, false, vec![active(BOB, "away")]);
    assert_eq!(lists.member(BOB).summary.status, Status::Away);
    lists.page.seconds(4);
    let refresh = lists.page.next_sent();
    assert_eq!((refresh.method(), refresh.call_id()), (Method::Subscribe, lists.subscribe.call_id()));
    lists.page.accept(&refresh, 3600);
    // A server that answers with a part again is not asked again.
    lists.notify(5, false, vec![active(BOB, "busy")]);
    lists.page.seconds(60);
    assert!(lists.page.is_silent());
    lists.notify(6, true, vec![active(BOB, "away"), active(CAROL, "away")]);
    assert_eq!(lists.member(CAROL).summary.status, Status::Away);
    assert!(lists.page.is_silent());
}

#[test]
fn a_full_state_replaces_everything() {
    // 4662-4.6-b 4662-5.6-a 4662-5.6-d 4662-4.5-c
    let mut lists = Lists::known(vec![active(BOB, "busy"), active(CAROL, "busy"), active(DAVE, "busy")]);
    lists.told();
    lists.notify(9, true, vec![nothing(BOB), active(CAROL, "busy")]);
    assert_eq!(lists.told(), [row(BOB, Status::Unknown, Cause::Change)]);
    lists.page.seconds(1);
    assert_eq!(lists.told(), [(DAVE.to_owned(), Status::Busy, Watching::Terminated, Cause::Change)]);
    lists.notify(10, true, vec![nothing(BOB), active(CAROL, "busy")]);
    lists.page.seconds(9);
    assert_eq!(lists.told(), [], "it is told once");
    // Who comes back is new.
    lists.notify(11, false, vec![active(DAVE, "away")]);
    assert_eq!(lists.told(), [row(DAVE, Status::Away, Cause::Initial)]);
}

#[test]
fn who_leaves_a_list_is_told_why() {
    let mut lists = Lists::known(vec![active(BOB, "busy")]);
    lists.notify(2, true, vec![]);
    lists.page.told();
    lists.page.seconds(1);
    let view = Rc::clone(&lists.page.told()[0]);
    assert_eq!((view.subscription.reason.as_deref(), view.stale), (Some("removed"), true));
    assert_eq!(lists.members(), []);
}

#[test]
fn a_full_state_that_is_cut_into_several_notifies_is_one() {
    // Kamailio: `max_notify_body_length` gives a full part and then others of the same version. 4662-5.6-b
    let mut lists = Lists::known(vec![active(BOB, "busy"), active(CAROL, "busy"), active(DAVE, "busy")]);
    lists.told();
    lists.notify(2, true, vec![active(BOB, "away")]);
    lists.notify(2, false, vec![active(CAROL, "away")]);
    lists.page.seconds(5);
    lists.notify(2, false, vec![active(DAVE, "away")]);
    lists.page.seconds(5);
    // Dave's part came too late to be one movement, but it came.
    let away = |uri: &str| (uri.to_owned(), Status::Away);
    assert_eq!(lists.members(), [away(BOB), away(CAROL), away(DAVE)]);
    assert!(lists.told().iter().all(|(uri, _, state, _)| uri == DAVE || *state == Watching::Active));
    lists.notify(3, false, vec![active(BOB, "busy")]);
    lists.notify(3, false, vec![active(BOB, "vacation")]);
    assert_eq!(lists.member(BOB).summary.status, Status::Busy, "3 was no full state");
    assert!(lists.page.is_silent());
}

#[test]
fn several_instances_are_one_presence() {
    let part = |id: &str, activity| {
        let text = pidf(BOB, activity, "").replace("t1", id).replace("p1", &format!("p{id}"));
        (
            format!("id=\"{id}\" state=\"active\" cid=\"{id}\""),
            Some(Part(id.to_owned(), "application/pidf+xml".to_owned(), text)),
        )
    };
    let ended = ("id=\"c\" state=\"terminated\" reason=\"timeout\"".to_owned(), None);
    let lists =
        Lists::known(vec![Row(BOB.to_owned(), vec![ended, part("a", "away"), part("b", "on-the-phone")])]);
    let view = lists.member(BOB);
    assert_eq!((view.summary.status, view.subscription.state), (Status::OnThePhone, Watching::Active));
    let ids: Vec<&str> =
        view.presence.as_ref().unwrap().tuples.iter().map(|tuple| tuple.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn what_cannot_be_read_leaves_the_last_state_and_is_told() {
    // 4662-mime-b
    let mut lists = Lists::known(vec![active(BOB, "busy"), active(CAROL, "busy")]);
    lists.told();
    let bob = |kind: &str, text: &str| {
        let part = Part("x".to_owned(), kind.to_owned(), text.to_owned());
        Row(BOB.to_owned(), vec![("id=\"1\" state=\"active\" cid=\"x\"".to_owned(), Some(part))])
    };
    for (version, row) in [
        (2, bob("application/pidf+xml", "<presence")),
        (3, bob("multipart/signed;boundary=q", "--q\r\n\r\n--q--")),
        (4, instance(BOB, "state=\"active\" cid=\"nowhere\"")),
        (5, bob("multipart/related;boundary=q", "no parts")),
    ] {
        lists.page.events.clear();
        assert_eq!(lists.notify(version, version == 4, vec![row, active(CAROL, "busy")]), 200);
        let failures = lists.page.failures();
        assert_eq!((failures.len(), failures[0].code), (1, FailureCode::BadDocument), "{version}");
        assert_eq!(lists.member(BOB).summary.status, Status::Busy, "{version}");
    }
    assert!(lists.page.is_silent());
    // Nothing of it can be read: the whole state is asked for.
    for text in [
        "",
        "garbage",
        "--b1\r\n\r\n<list/>\r\n--b1--",
        "--b1\r\nContent-Type: application/rlmi+xml\r\n\r\n<li",
    ] {
        let mut lists = Lists::known(vec![active(BOB, "busy")]);
        assert_eq!(lists.raw("active;expires=600", RELATED, &format!(" {text}")), 200);
        assert_eq!(lists.page.failures()[0].uri.as_deref(), Some(FRIENDS), "{text}");
        lists.page.seconds(4);
        assert_eq!(lists.page.next_sent().method(), Method::Subscribe);
        assert_eq!(lists.members(), [(BOB.to_owned(), Status::Busy)]);
    }
}

#[test]
fn what_the_server_learns_after_a_new_start_is_no_movement() {
    // Kamailio names all members at first, and their states some seconds later.
    let mut lists = Lists::known(vec![nothing(BOB), nothing(CAROL)]);
    lists.told();
    lists.notify(2, false, vec![active(BOB, "busy")]);
    assert_eq!(lists.told(), [row(BOB, Status::Busy, Cause::Initial)]);
    lists.page.seconds(10);
    lists.notify(3, false, vec![active(CAROL, "busy")]);
    assert_eq!(lists.told(), [row(CAROL, Status::Busy, Cause::Change)]);
    lists.page.disconnect();
    lists.page.seconds(2);
    lists.page.connect();
    lists.told();
    lists.notify(4, true, vec![nothing(BOB), nothing(CAROL)]);
    let unknown = |uri| row(uri, Status::Unknown, Cause::Resync);
    assert_eq!(lists.told(), [unknown(BOB), unknown(CAROL)]);
    lists.notify(5, false, vec![active(BOB, "busy")]);
    assert_eq!(lists.told(), [row(BOB, Status::Busy, Cause::Initial)]);
}

#[test]
fn a_list_of_forked_notifiers_is_one_dialog() {
    // 4662-4.7-a
    let mut lists = Lists::known(vec![active(BOB, "busy")]);
    let mut other = notification(&lists.subscribe, "other", 1, "active;expires=600", "");
    other.push(Name::Require, "eventlist");
    other.set_body(RELATED, body("b1", FRIENDS, 9, true, vec![active(BOB, "away")]).into_bytes());
    assert_eq!(lists.page.deliver(&other), 481);
    assert_eq!(lists.member(BOB).summary.status, Status::Busy);
}

#[test]
fn only_a_list_may_require_lists() {
    // 4662-4.1-e
    let (mut page, _, subscribe) = Page::watching();
    let mut notify = notification(&subscribe, "server-tag", 500, "active;expires=600", "");
    notify.push(Name::Require, "eventlist");
    assert_eq!(page.deliver(&notify), 420);
    let mut lists = Lists::new();
    let mut notify = notification(&lists.subscribe, "server-tag", 500, "active;expires=600", "");
    notify.push(Name::Require, "eventlist, magic");
    assert_eq!(lists.page.deliver(&notify), 420);
}

#[test]
fn a_cut_link_makes_all_members_stale_and_a_full_state_ends_that() {
    // 4662-4.5-d
    let mut lists = Lists::known(vec![active(BOB, "busy"), active(CAROL, "busy")]);
    lists.told();
    lists.page.disconnect();
    assert!(lists.views().iter().all(|view| view.stale && view.subscription.state == Watching::Trying));
    assert_eq!(lists.told().len(), 2);
    lists.page.seconds(2);
    lists.page.connect();
    let refresh = lists.page.next_sent();
    assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"));
    // The server has begun to count anew.
    lists.notify(0, true, vec![active(BOB, "busy"), active(CAROL, "away")]);
    assert_eq!(
        lists.told(),
        [row(BOB, Status::Busy, Cause::Resync), row(CAROL, Status::Away, Cause::Resync)]
    );
    assert!(lists.views().iter().all(|view| !view.stale));
}

#[test]
fn a_list_of_which_nothing_was_told_again_is_still_stale() {
    for body in ["", "no multipart"] {
        let mut lists = Lists::known(vec![active(BOB, "busy")]);
        lists.page.disconnect();
        lists.page.seconds(2);
        lists.page.connect();
        lists.page.next_sent();
        lists.raw("active;expires=600", "multipart/related;boundary=b;type=\"application/rlmi+xml\"", body);
        assert!(lists.views().iter().all(|view| view.stale), "{body}: who knows");
        lists.notify(1, true, vec![active(BOB, "away")]);
        assert!(lists.views().iter().all(|view| !view.stale), "{body}");
    }
}

#[test]
fn the_end_of_the_subscription_is_told_of_each_member() {
    let mut lists = Lists::known(vec![active(BOB, "busy")]);
    lists.raw("terminated;reason=probation;retry-after=60", "", "");
    let bob = lists.member(BOB);
    assert_eq!((bob.stale, bob.subscription.state), (true, Watching::Terminated));
    assert_eq!(bob.subscription.reason.as_deref(), Some("probation"));
    assert!(bob.subscription.retry_at.is_some() && lists.page.failures().is_empty());
    lists.page.seconds(90);
    assert_eq!(lists.member(BOB).subscription.state, Watching::Trying);
    let again = lists.page.next_sent();
    assert_ne!(again.call_id(), lists.subscribe.call_id());
    lists.subscribe = again;
    lists.notify(0, true, vec![active(BOB, "busy")]);
    assert!(!lists.member(BOB).stale);
    // For good: told as a failure too, because a list without members has nobody else to tell.
    lists.raw("terminated;reason=rejected", "", "");
    assert_eq!(lists.member(BOB).subscription.reason.as_deref(), Some("rejected"));
    let failure = lists.page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.uri.as_deref()), (FailureCode::NoList, Some(FRIENDS)));
    assert_eq!(failure.reason.as_deref(), Some("rejected"));
    lists.page.seconds(7200);
    assert!(lists.page.is_silent());
}

#[test]
fn a_server_without_lists_is_told() {
    for (status, code) in [
        (404, FailureCode::NotFound),
        (489, FailureCode::UnsupportedEvent),
        (420, FailureCode::NoList),
        (403, FailureCode::Forbidden),
    ] {
        let mut page = Page::online();
        let list = page.agent.watch_list(&Uri::parse(FRIENDS).unwrap(), page.now);
        page.seconds(0);
        let subscribe = page.next_sent();
        page.respond(&subscribe, status, &[]);
        let failure = page.failures().pop().unwrap();
        assert_eq!((failure.code, failure.uri.as_deref(), failure.retry_at), (code, Some(FRIENDS), None));
        let own = page.view(list);
        assert_eq!(
            (own.subscription.state, own.subscription.reason.as_deref()),
            (Watching::Terminated, Some(code.as_str()))
        );
        // The next who asks makes the agent ask again.
        page.agent.watch_list(&Uri::parse(FRIENDS).unwrap(), page.now);
        page.seconds(0);
        assert_eq!(page.next_sent().request_uri().unwrap().to_string(), FRIENDS);
    }
}

#[test]
fn presence_instead_of_a_list_is_told_and_ended() {
    // 4662-4.5-a; Kamailio without a list of this name: an active NOTIFY without a body.
    for text in ["", "pidf"] {
        let mut lists = Lists::new();
        let mut notify = notification(&lists.subscribe, "server-tag", 1, "active;expires=600", "");
        if text == "pidf" {
            notify.set_body("application/pidf+xml", pidf(FRIENDS, "busy", "").into_bytes());
        }
        assert_eq!(lists.page.deliver(&notify), 200);
        let failures = lists.page.failures();
        assert_eq!((failures.len(), failures[0].code), (1, FailureCode::NoList));
        let leave = lists.page.next_sent();
        assert_eq!((leave.expires(), leave.call_id()), (Some(0), lists.subscribe.call_id()));
        assert_eq!(lists.views()[0].subscription.reason.as_deref(), Some("no-list"));
    }
    // A list that becomes one in the middle.
    let mut lists = Lists::known(vec![active(BOB, "busy")]);
    assert_eq!(lists.raw("active;expires=60", "application/pidf+xml", &pidf(FRIENDS, "busy", "")), 200);
    let bob = lists.member(BOB);
    assert_eq!((bob.subscription.reason.as_deref(), bob.stale), (Some("no-list"), true));
}

#[test]
fn a_list_that_is_pending_waits() {
    let mut lists = Lists::new();
    let notify = notification(&lists.subscribe, "server-tag", 1, "pending;expires=600", "");
    assert_eq!(lists.page.deliver(&notify), 200);
    assert_eq!(lists.views()[0].subscription.state, Watching::Pending);
    assert!(lists.page.failures().is_empty() && lists.page.is_silent());
}

#[test]
fn a_list_and_a_watch_of_one_of_its_members_live_side_by_side() {
    let mut lists = Lists::known(vec![active(BOB, "busy")]);
    let single = lists.page.watch(BOB);
    let subscribe = lists.page.next_sent();
    assert_ne!(subscribe.call_id(), lists.subscribe.call_id());
    lists.page.accept(&subscribe, 600);
    lists.page.notify(&subscribe, "active;expires=600", &pidf(BOB, "away", ""));
    assert_eq!(lists.page.view(single).summary.status, Status::Away);
    assert_eq!(lists.member(BOB).summary.status, Status::Busy);
    // The end of the one is not the end of the other.
    lists.page.agent.unwatch(lists.list, lists.page.now);
    lists.page.seconds(3);
    let leave = lists.page.next_sent();
    assert_eq!((leave.expires(), leave.call_id()), (Some(0), lists.subscribe.call_id()));
    assert_eq!(lists.page.view(single).summary.status, Status::Away);
    assert_eq!(lists.page.watch(BOB), single);
}

#[test]
fn a_list_lingers_and_two_watches_share_it() {
    let mut lists = Lists::known(vec![active(BOB, "busy")]);
    let target = Uri::parse(FRIENDS).unwrap();
    assert_eq!(lists.page.agent.watch_list(&target, lists.page.now), lists.list);
    lists.page.agent.unwatch(lists.list, lists.page.now);
    lists.page.seconds(9);
    lists.page.agent.unwatch(lists.list, lists.page.now);
    lists.page.seconds(1);
    assert_eq!(lists.page.agent.watch_list(&target, lists.page.now), lists.list);
    lists.page.seconds(9);
    assert!(lists.page.is_silent());
    assert_eq!(lists.members().len(), 1);
}

#[test]
fn a_list_has_no_more_members_than_there_may_be_watches() {
    let mut lists = Lists::with(Page::online_with(|config| config.watches = 3));
    lists.notify(0, true, vec![active(BOB, "busy"), active(CAROL, "busy"), active(DAVE, "busy")]);
    assert_eq!(lists.members().len(), 2);
    let failure = lists.page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.uri.as_deref()), (FailureCode::TooManyWatches, Some(DAVE)));
}

#[test]
fn spoiled_states_do_no_harm() {
    let mut random = Random::new([11; 32]);
    let rows = || {
        let inner = nested("sip:work@example.com", 7, true, vec![active(CAROL, "away"), nothing(DAVE)]);
        vec![active(BOB, "busy"), inner, instance(DAVE, "state=\"terminated\" reason=\"timeout\"")]
    };
    for _ in 0..300 {
        let mut lists = Lists::known(rows());
        for version in 2..5 {
            let text = body("b1", FRIENDS, version, version == 3, rows());
            let spoiled = mutilate(text.as_bytes(), &mut random);
            let spoiled = String::from_utf8_lossy(&spoiled).into_owned();
            assert_eq!(lists.raw("active;expires=600", RELATED, &spoiled), 200);
        }
        assert!(lists.views().len() < 12);
        // A new dialog begins with a whole state, and all is right.
        lists.page.disconnect();
        lists.page.seconds(2);
        lists.page.connect();
        assert_eq!(lists.notify(0, true, vec![active(BOB, "away")]), 200);
        lists.page.seconds(2);
        assert_eq!(lists.members(), [(BOB.to_owned(), Status::Away)]);
    }
}

#[test]
fn a_part_that_many_instances_name_is_taken_once() {
    // 3863-x-a
    let part = Part("p".to_owned(), "application/pidf+xml".to_owned(), pidf("sip:a@x", "busy", ""));
    let mut instances = vec![("id=\"0\" state=\"active\" cid=\"p\"".to_owned(), Some(part))];
    instances.extend((1..1000).map(|n| (format!("id=\"{n}\" state=\"active\" cid=\"p\""), None)));
    let lists = Lists::known(vec![Row("sip:a@x".to_owned(), instances)]);
    assert_eq!(lists.member("sip:a@x").presence.as_ref().map(|presence| presence.tuples.len()), Some(1));
}
