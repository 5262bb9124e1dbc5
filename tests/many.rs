//! Many watches at once: as one list in a request (RFC 5367), where the test plays the list server; and a thousand
//! subscriptions at a real server, paced.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{FailureCode, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name, Uri};

const BOB: &str = "sip:bob@example.com";
const CAROL: &str = "sip:carol@example.com";
const DAVE: &str = "sip:dave@example.com";
const SERVER: &str = "sip:rls@example.com";

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap()
}

fn with_server() -> Page {
    Page::online_with(|config| config.list_server = Some(uri(SERVER)))
}

fn watch_all(page: &mut Page, uris: &[&str]) -> Vec<WatchId> {
    let targets: Vec<Uri> = uris.iter().map(|text| uri(text)).collect();
    let ids = page.agent.watch_all(&targets, page.now);
    page.seconds(0);
    ids
}

/// A NOTIFY of the list server; rows are an address and its activity.
fn notify(page: &mut Page, subscribe: &Message, version: u32, rows: &[(&str, &str)]) -> u16 {
    let mut list = String::new();
    let mut parts = String::new();
    for (uri, activity) in rows {
        list.push_str(&format!(
            "<resource uri=\"{uri}\"><instance id=\"1\" state=\"active\" cid=\"{uri}\"/></resource>"
        ));
        parts.push_str(&format!(
            "--b\r\nContent-ID: <{uri}>\r\nContent-Type: application/pidf+xml\r\n\r\n{}\r\n",
            pidf(uri, activity, "")
        ));
    }
    let body = format!(
        "--b\r\nContent-Type: application/rlmi+xml\r\n\r\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"{SERVER}\" \
         version=\"{version}\" fullState=\"true\">{list}</list>\r\n{parts}--b--\r\n"
    );
    let mut notify = notification(subscribe, "server-tag", version + 1, "active;expires=600", "");
    notify.push(Name::Require, "eventlist");
    notify.set_body("multipart/related;boundary=b;type=\"application/rlmi+xml\"", body.into_bytes());
    page.deliver(&notify)
}

/// The addresses in the body of a SUBSCRIBE.
fn entries(subscribe: &Message) -> Vec<String> {
    let text = String::from_utf8(subscribe.body.clone()).unwrap();
    text.split("<entry uri=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn target(request: &Message) -> String {
    request.request_uri().unwrap().to_string()
}

#[test]
fn many_addresses_are_one_list_in_the_request() {
    // 5367-3-a 5367-3-b 5367-3.2-a 5367-4-a 4662-4.1-a
    let mut page = with_server();
    let ids = watch_all(&mut page, &[BOB, CAROL, "pres:bob@example.com"]);
    assert_eq!(ids[0], ids[2]);
    let subscribe = page.next_sent();
    assert!(page.is_silent());
    assert_eq!(target(&subscribe), SERVER);
    assert_eq!(subscribe.header(&Name::Require), Some("recipient-list-subscribe"));
    assert_eq!(subscribe.header(&Name::ContentDisposition), Some("recipient-list"));
    assert_eq!(subscribe.header(&Name::ContentType), Some("application/resource-lists+xml"));
    assert!(subscribe.list(&Name::Supported).any(|tag| tag == "eventlist"));
    assert!(subscribe.accepts("application/rlmi+xml", "") && subscribe.accepts("multipart/related", ""));
    assert_eq!(entries(&subscribe), [BOB, CAROL]);
    // Credentials do not lose the list.
    page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"")]);
    let again = page.next_sent();
    assert_eq!((entries(&again).len(), again.header(&Name::ContentDisposition)), (2, Some("recipient-list")));
    page.accept(&again, 600);
    assert_eq!(notify(&mut page, &again, 0, &[(BOB, "busy"), (CAROL, "away")]), 200);
    assert_eq!(page.view(ids[0]).summary.status, Status::Busy);
    assert_eq!(page.view(ids[1]).summary.status, Status::Away);
    // The watches are told under their own numbers, and nothing else is told.
    assert!(page.told().iter().all(|view| view.uri != SERVER));
    assert!(page.events.iter().all(|event| !format!("{event:?}").starts_with("Member")));
    // A refresh in the dialog does not repeat the list.
    page.seconds(300);
    let refresh = page.next_sent();
    assert_eq!((refresh.body.len(), refresh.header(&Name::Require)), (0, None));
    assert_eq!(refresh.header(&Name::ContentDisposition), None);
    // A new dialog does.
    page.respond(&refresh, 481, &[]);
    page.seconds(2);
    let anew = page.next_sent();
    assert_ne!(anew.call_id(), subscribe.call_id());
    assert_eq!(entries(&anew), [BOB, CAROL]);
}

#[test]
fn the_list_ends_with_its_last_watch() {
    let mut page = with_server();
    let ids = watch_all(&mut page, &[BOB, CAROL]);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 600);
    notify(&mut page, &subscribe, 0, &[(BOB, "busy"), (CAROL, "away")]);
    page.unwatch(ids[0]);
    page.seconds(3);
    assert!(page.is_silent() && page.agent.view(ids[0]).is_none());
    // It is not made again for a row that nobody watches.
    notify(&mut page, &subscribe, 1, &[(BOB, "away"), (CAROL, "busy")]);
    assert!(page.is_silent() && page.agent.view(ids[0]).is_none());
    assert_eq!(page.view(ids[1]).summary.status, Status::Busy);
    page.unwatch(ids[1]);
    page.seconds(3);
    let leave = page.next_sent();
    assert_eq!((leave.expires(), leave.call_id()), (Some(0), subscribe.call_id()));
}

#[test]
fn a_server_that_refuses_lists_gets_single_subscriptions() {
    for status in [420, 404, 405, 489, 501, 403, 603, 400] {
        let mut page = with_server();
        let ids = watch_all(&mut page, &[BOB, CAROL, DAVE]);
        let subscribe = page.next_sent();
        page.respond(&subscribe, status, &[]);
        for wanted in [BOB, CAROL, DAVE] {
            let single = page.next_sent();
            assert_eq!(target(&single), wanted, "{status}");
            assert_eq!((single.header(&Name::Require), single.body.len()), (None, 0));
            page.accept(&single, 600);
            page.notify(&single, "active;expires=600", &pidf(wanted, "busy", ""));
        }
        assert!(ids.iter().all(|id| page.view(*id).summary.status == Status::Busy), "{status}");
        let failures = page.failures();
        assert_eq!(
            (failures.len(), failures[0].code, failures[0].status),
            (1, FailureCode::NoList, Some(status))
        );
        // It is not asked again.
        watch_all(&mut page, &["sip:eve@example.com", "sip:frank@example.com"]);
        assert_eq!((target(&page.next_sent()), page.pending()), ("sip:eve@example.com".to_owned(), 1));
    }
}

#[test]
fn a_server_that_overlooks_the_list_gets_single_subscriptions() {
    let mut page = with_server();
    let ids = watch_all(&mut page, &[BOB, CAROL]);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 600);
    // As Kamailio does for an address that has no list.
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    let mut sent: Vec<Message> = (0..page.pending()).map(|_| page.next_sent()).collect();
    sent.sort_by_key(target);
    let targets: Vec<(String, Option<u32>)> = sent.iter().map(|m| (target(m), m.expires())).collect();
    let leaves = "sip:pa.example.com".to_owned();
    assert_eq!(targets, [(BOB.to_owned(), Some(3600)), (CAROL.to_owned(), Some(3600)), (leaves, Some(0))]);
    assert!(ids.iter().all(|id| page.view(*id).subscription.state == Watching::Trying));
    assert_eq!(page.failures()[0].code, FailureCode::NoList);
}

#[test]
fn an_address_that_the_server_leaves_out_goes_alone() {
    let mut page = with_server();
    let ids = watch_all(&mut page, &[BOB, CAROL]);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 600);
    notify(&mut page, &subscribe, 0, &[(CAROL, "away")]);
    let single = page.next_sent();
    assert_eq!((target(&single), page.is_silent()), (BOB.to_owned(), true));
    page.accept(&single, 600);
    page.notify(&single, "active;expires=600", &pidf(BOB, "busy", ""));
    assert_eq!(page.view(ids[0]).summary.status, Status::Busy);
    // The list has nothing to say about it any more.
    notify(&mut page, &subscribe, 1, &[(CAROL, "away"), (BOB, "away")]);
    assert_eq!(page.view(ids[0]).summary.status, Status::Busy);
    assert!(page.is_silent() && page.failures().is_empty());
}

#[test]
fn only_two_or_more_new_addresses_make_a_list() {
    let mut page = with_server();
    page.watch(BOB);
    assert_eq!(target(&page.next_sent()), BOB);
    // Bob is watched already, so that Carol is the only one.
    let ids = watch_all(&mut page, &[BOB, CAROL]);
    assert_eq!((target(&page.next_sent()), page.is_silent()), (CAROL.to_owned(), true));
    watch_all(&mut page, &[DAVE]);
    assert_eq!((target(&page.next_sent()), page.is_silent()), (DAVE.to_owned(), true));
    assert_eq!(page.watch(CAROL), ids[1]);
    assert!(page.is_silent());
}

#[test]
fn a_cut_link_leaves_the_list_one_subscription() {
    let mut page = with_server();
    let ids = watch_all(&mut page, &[BOB, CAROL]);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 600);
    notify(&mut page, &subscribe, 0, &[(BOB, "busy"), (CAROL, "away")]);
    page.disconnect();
    assert!(ids.iter().all(|id| page.view(*id).stale));
    page.seconds(2);
    page.connect();
    let refresh = page.next_sent();
    assert_eq!((refresh.call_id(), page.is_silent()), (subscribe.call_id(), true));
    page.accept(&refresh, 600);
    notify(&mut page, &subscribe, 5, &[(BOB, "busy"), (CAROL, "busy")]);
    assert!(ids.iter().all(|id| !page.view(*id).stale && page.view(*id).summary.status == Status::Busy));
    // A server that is away for a while is tried again, as a list.
    let mut page = with_server();
    let ids = watch_all(&mut page, &[BOB, CAROL]);
    let subscribe = page.next_sent();
    page.respond(&subscribe, 503, &[(Name::RetryAfter, "5")]);
    assert!(page.is_silent() && ids.iter().all(|id| page.view(*id).subscription.retry_at.is_some()));
    page.seconds(9);
    assert_eq!(entries(&page.next_sent()).len(), 2);
}

/// A thousand subscriptions at the presence server of this package.
#[cfg(feature = "server")]
mod thousand {
    use super::*;
    use common::World;
    use sip_presence::agent::Event;
    use sip_presence::server;
    use sip_presence::sip::Method;
    use std::collections::BTreeSet;

    const COUNT: usize = 1000;
    const WINDOW: usize = 16;

    fn name(number: usize) -> String {
        format!("u{number}")
    }

    fn world() -> World {
        World::with(7, |config| {
            for number in 0..COUNT {
                config.users.insert(name(number), server::User::Password(format!("pw-u{number}")));
            }
        })
    }

    /// Watches them all in one call.
    fn watch(world: &mut World, seat: usize) -> Vec<WatchId> {
        world.watch_all(seat, (0..COUNT).map(name))
    }

    /// The most SUBSCRIBEs that were on their way at once among the messages from `from` on, and how many there were.
    fn most_in_flight(world: &World, from: usize) -> (usize, usize) {
        let mut open = BTreeSet::new();
        let (mut most, mut count) = (0, 0);
        for crossing in &world.log[from..] {
            let message = &crossing.message;
            if message.method() != Method::Subscribe {
                continue;
            }
            let branch = message.via().unwrap().branch().to_owned();
            if message.is_request() {
                open.insert(branch);
                count += 1;
            } else {
                open.remove(&branch);
            }
            most = most.max(open.len());
        }
        (most, count)
    }

    fn all_are(world: &World, seat: usize, ids: &[WatchId], stale: bool) -> bool {
        ids.iter().all(|id| {
            let view = world.view(seat, *id);
            view.stale == stale && (stale || view.subscription.state == Watching::Active)
        })
    }

    #[test]
    fn a_thousand_watches_are_paced_and_come_back_without_a_storm() {
        let mut world = world();
        let alice = world.seat("alice");
        let seventh = world.seat("u7");
        world.seconds(1);
        let ids = watch(&mut world, alice);
        world.seconds(5);
        assert!(all_are(&world, alice, &ids, false));
        let (most, count) = most_in_flight(&world, 0);
        assert_eq!((most, count >= COUNT), (WINDOW, true), "{count}");
        // The link is lost for half a minute.
        world.cut(alice);
        assert!(all_are(&world, alice, &ids, true));
        world.publish(seventh, Status::Busy, "meanwhile");
        world.seconds(30);
        world.restore(alice);
        let from = world.log.len();
        world.seconds(40);
        assert!(all_are(&world, alice, &ids, false));
        let (most, count) = most_in_flight(&world, from);
        assert_eq!(most, WINDOW);
        assert_eq!(world.sees(alice, ids[7]).0, Status::Busy);
        // The server has ended what hung on the connection: each refresh is refused, and made anew.
        assert!((COUNT..2 * COUNT + 4 * WINDOW).contains(&count), "{count} SUBSCRIBEs for {COUNT} watches");
        // The server forgets everything.
        world.restart_server();
        let from = world.log.len();
        world.seconds(60);
        assert!(all_are(&world, alice, &ids, false));
        let (most, count) = most_in_flight(&world, from);
        assert_eq!(most, WINDOW);
        assert!((COUNT..2 * COUNT + 4 * WINDOW).contains(&count), "{count} SUBSCRIBEs for {COUNT} watches");
        let failed = world.seats[alice].events.iter().any(|event| matches!(event, Event::Error(_)));
        assert!(!failed);
        assert_eq!(world.sees(alice, ids[7]).0, Status::Busy);
    }

    #[test]
    fn refreshes_of_a_thousand_watches_are_spread() {
        let mut world = world();
        let alice = world.seat("alice");
        world.seconds(1);
        let ids = watch(&mut world, alice);
        world.seconds(60);
        let from = world.log.len();
        world.seconds(1800);
        assert!(all_are(&world, alice, &ids, false));
        let (most, count) = most_in_flight(&world, from);
        assert!((COUNT..COUNT + COUNT / 10).contains(&count), "{count}");
        assert!(most <= WINDOW, "{most} at once");
        let times: Vec<u64> = world.log[from..]
            .iter()
            .filter(|crossing| !crossing.from_server && crossing.message.method() == Method::Subscribe)
            .map(|crossing| crossing.at.as_millis())
            .collect();
        let busiest =
            times.iter().map(|at| times.iter().filter(|t| (*at..at + 1000).contains(t)).count()).max();
        assert!(busiest.unwrap() <= 40, "{busiest:?} in one second");
    }

    #[test]
    fn the_window_is_an_option() {
        let mut world = world();
        let alice = world.seat_with("alice", |config| config.window = 3);
        world.seconds(1);
        let ids = watch(&mut world, alice);
        world.seconds(30);
        assert!(all_are(&world, alice, &ids, false));
        assert_eq!(most_in_flight(&world, 0).0, 3);
    }
}
