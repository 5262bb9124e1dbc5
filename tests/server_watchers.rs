//! Who watches the users of the server: watcher information (RFC 3857), policies that change while somebody watches, and
//! what is not told twice (RFC 5839).
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Scene;
use sip_presence::presence::winfo::{self, WatcherInfo};
use sip_presence::presence::{Status, pidf};
use sip_presence::server::Decision;
use sip_presence::sip::{Message, Method, Name, Reason, Substate};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A SUBSCRIBE of Carol's for an event of `to`.
fn subscribe(scene: &mut Scene, to: &str, event: &str, expires: u32) -> Message {
    let mut request = scene.request(Method::Subscribe, to);
    request.set(Name::Event, event);
    request.push(Name::Expires, expires.to_string());
    scene.signed(request)
}

/// One in the dialog that `first` and its answer made; Carol takes what is told.
fn again(
    scene: &mut Scene,
    first: &Message,
    answer: &Message,
    adjust: impl FnOnce(&mut Message),
) -> Vec<Message> {
    let sent = refresh(scene, first, answer, adjust);
    take(scene, &sent);
    sent
}

/// The same, where nobody answers what is told.
fn refresh(
    scene: &mut Scene,
    first: &Message,
    answer: &Message,
    adjust: impl FnOnce(&mut Message),
) -> Vec<Message> {
    let mut request = scene.request(Method::Subscribe, "alice");
    for name in [Name::CallId, Name::Event, Name::Expires, Name::Accept] {
        if let Some(value) = first.header(&name) {
            request.set(name, value);
        }
    }
    let uri = first.request_uri().unwrap().clone();
    request.start = sip_presence::sip::StartLine::Request { method: Method::Subscribe, uri };
    request.set(Name::To, answer.header(&Name::To).unwrap());
    adjust(&mut request);
    let request = scene.signed(request);
    scene.send(&request)
}

/// Carol takes every NOTIFY in `sent`.
fn take(scene: &mut Scene, sent: &[Message]) {
    for notify in sent.iter().filter(|message| message.is_request()) {
        scene.send(&Message::response(notify, 200, Some("carol")));
    }
}

/// The NOTIFYs to Carol from now on, while `act` and ten seconds pass.
fn told(scene: &mut Scene, act: impl FnOnce(&mut Scene)) -> Vec<Message> {
    let from = scene.world.log.len();
    act(scene);
    scene.world.seconds(10);
    let connection = scene.carol.connection;
    let mine = |c: &&common::world::Crossing| c.from_server && c.connection == connection;
    let sent: Vec<Message> = scene.world.log[from..].iter().filter(mine).map(|c| c.message.clone()).collect();
    take(scene, &sent);
    sent
}

fn document(notify: &Message) -> WatcherInfo {
    assert_eq!(notify.header(&Name::ContentType), Some("application/watcherinfo+xml"));
    winfo::read(&notify.body, &pidf::Limits::default()).unwrap()
}

/// Address, status and event of each row.
fn rows(notify: &Message) -> Vec<(String, String, String)> {
    document(notify).watchers.into_iter().map(|row| (row.uri, row.status, row.event)).collect()
}

fn row(uri: &str, status: &str, event: &str) -> (String, String, String) {
    (uri.to_owned(), status.to_owned(), event.to_owned())
}

#[test]
fn a_user_sees_who_watches() {
    // 3856-6.11.1-f 3857-4.6-b 3857-4.3-b 3857-4.7.2-b 3857-4.5-b 3858-3-d 3857-4.10-a
    let mut scene = Scene::with(60, |config| config.rules.otherwise = Decision::Allow);
    let watch = scene.world.watch(scene.bob, "carol");
    scene.world.seconds(10);
    let request = subscribe(&mut scene, "carol", "presence.winfo", 600);
    let sent = scene.send(&request);
    take(&mut scene, &sent);
    let [answer, notify] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((answer.status(), notify.header(&Name::Event)), (Some(200), Some("presence.winfo")));
    assert_eq!(rows(notify), [row("sip:bob@example.com", "active", "subscribe")]);
    let all = document(notify);
    assert_eq!((all.head.version, all.head.full), (0, true));
    assert_eq!(all.watchers[0].resource, "sip:carol@example.com");
    // Only what changes is told then.
    let more = told(&mut scene, |scene| {
        scene.world.watch(scene.alice, "carol");
    });
    assert_eq!(rows(&more[0]), [row("sip:alice@example.com", "active", "subscribe")]);
    assert_eq!((document(&more[0]).head.version, document(&more[0]).head.full), (1, false));
    let less = told(&mut scene, |scene| scene.world.unwatch(scene.bob, watch));
    assert_eq!(rows(&less[0]), [row("sip:bob@example.com", "terminated", "timeout")]);
    // A connection that is lost is an end too.
    let less = told(&mut scene, |scene| scene.world.cut(scene.alice));
    assert_eq!(rows(&less[0])[0], row("sip:alice@example.com", "terminated", "timeout"));
    let whole = again(&mut scene, &request, answer, |_| {});
    assert!(document(&whole[1]).head.full);
}

/// Carol watches herself so often, with a name as long as names get.
fn watched_often(times: usize) -> Scene {
    let mut scene = Scene::with(66, |config| config.rules.otherwise = Decision::Allow);
    let name = "&".repeat(128);
    for _ in 0..times {
        let mut request = subscribe(&mut scene, "carol", "presence", 600);
        request.set(Name::From, format!("\"{name}\" <sip:carol@example.com>;tag=carol"));
        let sent = scene.send(&request);
        take(&mut scene, &sent);
    }
    scene
}

#[test]
fn one_document_has_all_rows_that_a_page_takes_at_once() {
    let mut scene = watched_often(250);
    let all = |sent: &[Message]| {
        let [_, notify] = sent else { panic!("{} messages", sent.len()) };
        let document = document(notify);
        assert!(document.head.full && notify.to_bytes().len() < 256 * 1024);
        document.watchers.len()
    };
    let fetch = subscribe(&mut scene, "carol", "presence.winfo", 0);
    let sent = scene.send(&fetch);
    take(&mut scene, &sent);
    assert_eq!(all(&sent), 250);
    let request = subscribe(&mut scene, "carol", "presence.winfo", 600);
    let sent = scene.send(&request);
    take(&mut scene, &sent);
    assert_eq!(all(&sent), 250);
    for expires in ["600", "0"] {
        let sent = again(&mut scene, &request, &sent[0], |next| next.set(Name::Expires, expires));
        assert_eq!(all(&sent), 250);
    }
    assert_eq!(told(&mut scene, |_| {}).len(), 0);
    scene.is_well();
}

#[test]
fn what_is_too_much_for_one_document_follows_when_that_was_taken() {
    let mut scene = watched_often(600);
    let request = subscribe(&mut scene, "carol", "presence.winfo", 600);
    let first = scene.send(&request);
    let mut table = winfo::Table::default();
    for refreshed in [false, true] {
        let mut sent = match refreshed {
            false => first[1..].to_vec(),
            true => refresh(&mut scene, &request, &first[0], |_| {}).split_off(1),
        };
        let mut rows = Vec::new();
        while let [notify] = sent.as_slice() {
            assert!(notify.to_bytes().len() < 256 * 1024);
            let document = document(notify);
            assert_eq!(document.head.full, rows.is_empty());
            rows.push(document.watchers.len());
            assert_eq!(table.handle(document, scene.world.now), Ok(winfo::Merged::Done));
            sent = scene.send(&Message::response(notify, 200, Some("carol")));
        }
        assert!(sent.is_empty() && rows.len() == 3, "{rows:?}");
        assert_eq!((rows.iter().sum::<usize>(), table.watchers().count()), (600, 600));
    }
    assert_eq!(told(&mut scene, |_| {}).len(), 0, "nothing is left over");
    // One document is all that a fetch gets: it does not say that nothing is missing.
    let fetch = subscribe(&mut scene, "carol", "presence.winfo", 0);
    let sent = scene.send(&fetch);
    take(&mut scene, &sent);
    assert_eq!((sent.len(), document(&sent[1]).head.full), (2, false));
    // Who wants to hear of no changes gets none of the rest either.
    let quiet = again(&mut scene, &request, &first[0], |next| next.push(Name::SuppressIfMatch, "*"));
    assert_eq!((quiet.len(), quiet[1].body.len()), (2, 0));
    assert_eq!(told(&mut scene, |_| {}).len(), 0);
    scene.is_well();
}

#[test]
fn nobody_else_sees_it() {
    // 3857-4.6-a 3857-4.6-d 6665-4.1.2.1-d
    let mut scene = Scene::new(61);
    for (to, event, accept, status) in [
        ("alice", "presence.winfo", "application/watcherinfo+xml", 403),
        ("carol", "presence.winfo", "application/pidf+xml", 406),
        ("carol", "presence.winfo.winfo", "application/watcherinfo+xml", 489),
    ] {
        let mut request = subscribe(&mut scene, to, event, 600);
        request.set(Name::Accept, accept);
        let sent = scene.send(&request);
        assert_eq!(sent[0].status(), Some(status), "{to} {event} {accept}");
        if status == 406 {
            assert_eq!(sent[0].header(&Name::Accept), Some("application/watcherinfo+xml"));
        }
    }
}

#[test]
fn a_policy_counts_for_who_watches_already() {
    // 3856-4-f 3856-6.7-e 3856-6.7-f
    let mut scene = Scene::new(62);
    scene.world.decide("alice", "carol", Decision::Confirm);
    let request = subscribe(&mut scene, "alice", "presence", 600);
    let sent = scene.send(&request);
    take(&mut scene, &sent);
    let state = |notify: &Message| notify.subscription_state().unwrap().unwrap();
    assert_eq!(state(&sent[1]).state, Substate::Pending);
    let decide = |decision| move |scene: &mut Scene| scene.world.decide("alice", "carol", decision);
    let now = told(&mut scene, decide(Decision::Allow));
    assert_eq!(state(&now[0]).state, Substate::Active);
    assert!(String::from_utf8(now[0].body.clone()).unwrap().contains("good"));
    let now = told(&mut scene, decide(Decision::PoliteBlock));
    assert!(String::from_utf8(now[0].body.clone()).unwrap().contains("closed"));
    let now = told(&mut scene, decide(Decision::Block));
    assert_eq!(state(&now[0]).reason, Some(Reason::Rejected));
    let request = subscribe(&mut scene, "alice", "presence", 600);
    assert_eq!(scene.send(&request)[0].status(), Some(403));
}

#[test]
fn what_a_watcher_has_is_not_sent_again() {
    // 5839-6.3-a 5839-6.2-a 5839-6.1-a 5839-6.3-c
    let mut scene = Scene::new(63);
    let request = subscribe(&mut scene, "alice", "presence", 600);
    let sent = scene.send(&request);
    take(&mut scene, &sent);
    let tag = sent[1].header(&Name::SipETag).unwrap().to_owned();
    let condition = |tag: &str| {
        let tag = tag.to_owned();
        move |request: &mut Message| request.set(Name::SuppressIfMatch, tag)
    };
    let refreshed = again(&mut scene, &request, &sent[0], condition(&tag));
    assert_eq!((refreshed.len(), refreshed[0].status(), refreshed[0].expires()), (1, Some(204), Some(600)));
    let changed = told(&mut scene, |scene| {
        scene.world.publish(scene.alice, Status::Away, "gone");
    });
    assert_ne!(changed[0].header(&Name::SipETag), Some(tag.as_str()));
    let refreshed = again(&mut scene, &request, &sent[0], condition(&tag));
    assert_eq!((refreshed.len(), refreshed[0].status()), (2, Some(200)));
    // An agent of ours asks so by itself.
    scene.world.log.clear();
    scene.world.seconds(3600);
    assert!(scene.world.log.iter().any(|crossing| crossing.message.status() == Some(204)));
    scene.is_well();
}

#[test]
fn a_refresh_is_answered_with_the_whole() {
    // 5263-4.4-f
    let mut scene = Scene::new(64);
    let mut request = subscribe(&mut scene, "alice", "presence", 600);
    request.set(Name::Accept, "application/pidf-diff+xml, application/pidf+xml");
    let sent = scene.send(&request);
    take(&mut scene, &sent);
    let kind = |notify: &Message| {
        let text = String::from_utf8(notify.body.clone()).unwrap();
        (text.contains("pidf-full"), text.rsplit_once("version=\"").unwrap().1.starts_with('2'))
    };
    assert_eq!(kind(&sent[1]), (true, false));
    let refreshed = again(&mut scene, &request, &sent[0], |_| {});
    assert_eq!(kind(&refreshed[1]), (true, true), "the number goes on");
}
