//! The presence agent and the compositor of the server, request by request (RFC 3856 §6, RFC 6665 §4.2, RFC 3903 §6).
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::{Scene, pidf};
use sip_presence::presence::Status;
use sip_presence::server::{Decision, Rule};
use sip_presence::sip::{Message, Method, Name, Reason, StartLine, Substate};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CAROL: &str = "sip:carol@example.com";

/// A scene in which Carol gets `decision` about Alice.
fn scene(seed: u8, decision: Decision) -> Scene {
    Scene::with(seed, |config| {
        let presentity = Some("alice".to_owned());
        config.rules.watchers.push(Rule { presentity, watcher: "carol".to_owned(), decision, show: None });
    })
}

/// A SUBSCRIBE of Carol's.
fn subscribe(scene: &mut Scene, to: &str, expires: Option<u32>) -> Message {
    let mut request = scene.request(Method::Subscribe, to);
    if let Some(expires) = expires {
        request.push(Name::Expires, expires.to_string());
    }
    scene.signed(request)
}

/// A SUBSCRIBE in the dialog that `first` and its answer made.
fn again(scene: &mut Scene, first: &Message, answer: &Message, expires: u32) -> Message {
    let mut request = scene.request(Method::Subscribe, "alice");
    request.set(Name::To, answer.header(&Name::To).unwrap());
    request.set(Name::CallId, first.call_id());
    request.push(Name::Expires, expires.to_string());
    scene.signed(request)
}

fn state(notify: &Message) -> (Substate, Option<u32>, Option<Reason>) {
    let state = notify.subscription_state().unwrap().unwrap();
    (state.state, state.expires, state.reason)
}

/// Carol takes every NOTIFY in `sent`.
fn take(scene: &mut Scene, sent: &[Message]) {
    for notify in sent.iter().filter(|message| message.is_request()) {
        scene.send(&Message::response(notify, 200, Some("carol")));
    }
}

/// What the server has sent to Carol since the log had `from` entries.
fn to_carol(scene: &Scene, from: usize) -> Vec<Message> {
    let mine = |c: &&common::world::Crossing| c.from_server && c.connection == scene.carol.connection;
    scene.world.log[from..].iter().filter(mine).map(|c| c.message.clone()).collect()
}

/// Alice publishes something new; what Carol is told within ten seconds.
fn change(scene: &mut Scene, note: &str) -> Vec<Message> {
    let from = scene.world.log.len();
    scene.world.publish(scene.alice, Status::Away, note);
    scene.world.seconds(10);
    to_carol(scene, from)
}

#[test]
fn a_subscribe_is_answered_and_notified_at_once_whatever_is_decided() {
    // 6665-4.2.1.2-a 6665-4.2.1.2-b 6665-4.2.2-a 6665-4.2.1.1-a 6665-4.2.1.1-e 6665-4.2.1.3-c 6665-8.3.1-b 6665-3.1.1-c
    // 3856-4-c 3856-6.5-c 3856-6.5-f 6665-3.2.1-c
    for (decision, substate, has_body) in [
        (Decision::Allow, Substate::Active, true),
        (Decision::PoliteBlock, Substate::Active, true),
        (Decision::Confirm, Substate::Pending, false),
    ] {
        let mut scene = scene(20, decision);
        let request = subscribe(&mut scene, "alice", Some(600));
        let sent = scene.send(&request);
        let [answer, notify] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((answer.status(), answer.expires()), (Some(200), Some(600)));
        assert_eq!((notify.method(), notify.call_id()), (Method::Notify, request.call_id()));
        assert_eq!(notify.to().unwrap().tag(), request.from().unwrap().tag());
        assert_eq!(notify.from().unwrap().tag(), answer.to().unwrap().tag());
        assert_eq!(state(notify), (substate, Some(600), None));
        assert_eq!(notify.header(&Name::ContentType), has_body.then_some("application/pidf+xml"));
    }
    // An automatic refusal needs no subscription.
    // 6665-4.2.1.3-b 2779-5.1.13-a
    let mut scene = scene(21, Decision::Block);
    let request = subscribe(&mut scene, "alice", Some(600));
    let sent = scene.send(&request);
    assert_eq!(sent.iter().map(Message::status).collect::<Vec<_>>(), [Some(403)]);
    assert!(change(&mut scene, "secret").is_empty());
}

#[test]
fn who_is_politely_blocked_cannot_tell_it() {
    // 6665-6.2-a 6665-6.2-b
    let mut scene = scene(22, Decision::PoliteBlock);
    // Of Dave nothing is published, and everybody may watch him.
    let seen = ["alice", "dave"].map(|name| {
        let request = subscribe(&mut scene, name, Some(600));
        let sent = scene.send(&request);
        let plain = |message: &Message| {
            let mut text = String::from_utf8(message.to_bytes()).unwrap().replace("dave", "alice");
            for (header, name) in [(Name::To, "T"), (Name::From, "F")] {
                text = text.replace(message.header(&header).unwrap_or("-"), name);
            }
            let changing = ["Via:", "Call-ID:", "CSeq:", "To:", "From:", "Content-Length:", "SIP-ETag:"];
            let lines = text.lines().filter(|line| !changing.iter().any(|name| line.starts_with(name)));
            lines.collect::<Vec<_>>().join("\n")
        };
        sent.iter().map(plain).collect::<Vec<_>>()
    });
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0][1].contains("closed"));
    assert!(change(&mut scene, "secret").is_empty(), "and when something changes he does not hear of it");
}

#[test]
fn the_time_is_what_was_asked_for_or_less() {
    // 6665-3.1.1-b 6665-3.1.1-d 6665-4.2.1.1-d 6665-4.2.1.1-f 3856-6.4-a
    let mut scene = scene(23, Decision::Allow);
    for (asked, granted) in
        [(None, 3600), (Some(100_000), 3600), (Some(u32::MAX), 3600), (Some(3600), 3600), (Some(11), 11)]
    {
        let request = subscribe(&mut scene, "alice", asked);
        let sent = scene.send(&request);
        assert_eq!((sent[0].status(), sent[0].expires()), (Some(200), Some(granted)), "{asked:?}");
        assert_eq!(state(&sent[1]).1, Some(granted));
    }
    let request = subscribe(&mut scene, "alice", Some(9));
    let sent = scene.send(&request);
    assert_eq!((sent.len(), sent[0].status(), sent[0].min_expires()), (1, Some(423), Some(10)));
    // An hour is never too brief, nor is asking once.
    let mut scene = Scene::with(24, |config| (config.min_expires, config.max_expires) = (7200, 10_000));
    for (asked, status) in [(3600, 200), (0, 200), (3599, 423)] {
        let request = subscribe(&mut scene, "alice", Some(asked));
        assert_eq!(scene.send(&request)[0].status(), Some(status), "{asked}");
    }
}

#[test]
fn asking_once_brings_one_notify_that_is_the_last() {
    // 6665-4.4.3-b 3856-4-i 6665-4.2.1.4-e
    for (decision, has_body) in [(Decision::Allow, true), (Decision::Confirm, false)] {
        let mut scene = scene(25, decision);
        let request = subscribe(&mut scene, "alice", Some(0));
        let sent = scene.send(&request);
        let [answer, notify] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((answer.status(), answer.expires()), (Some(200), Some(0)));
        assert_eq!(state(notify), (Substate::Terminated, None, Some(Reason::Timeout)));
        assert_eq!(!notify.body.is_empty(), has_body);
        assert!(change(&mut scene, "later").is_empty());
    }
}

#[test]
fn a_refresh_begins_the_time_anew_and_an_end_is_told() {
    // 6665-4.2.1.4-a 6665-4.2.1.4-b 6665-4.2.1.4-d 6665-4.2.1.4-e 3856-6.7-g
    let mut scene = scene(26, Decision::Allow);
    let first = subscribe(&mut scene, "alice", Some(600));
    let sent = scene.send(&first);
    take(&mut scene, &sent);
    let answer = sent[0].clone();
    for (asked, granted) in [(300, 300), (900, 900), (100_000, 3600), (60, 60)] {
        let request = again(&mut scene, &first, &answer, asked);
        let sent = scene.send(&request);
        take(&mut scene, &sent);
        assert_eq!((sent[0].status(), sent[0].expires()), (Some(200), Some(granted)), "{asked}");
        assert_eq!(state(&sent[1]).1, Some(granted));
    }
    let brief = again(&mut scene, &first, &answer, 5);
    let sent = scene.send(&brief);
    assert_eq!((sent.len(), sent[0].status(), sent[0].min_expires()), (1, Some(423), Some(10)));
    // Another Accept is for what follows; one that nothing fits is refused, none at all means PIDF.
    let mut other = again(&mut scene, &first, &answer, 60);
    other.push(Name::Accept, "text/plain");
    assert_eq!(scene.send(&other)[0].status(), Some(406));
    let mut any = again(&mut scene, &first, &answer, 60);
    any.push(Name::Accept, "application/*;q=0.5, text/plain");
    let sent = scene.send(&any);
    take(&mut scene, &sent);
    assert_eq!(sent[1].header(&Name::ContentType), Some("application/pidf+xml"));
    // Nobody refreshes it.
    let from = scene.world.log.len();
    scene.world.seconds(61);
    let told = to_carol(&scene, from);
    assert_eq!(
        told.iter().map(state).collect::<Vec<_>>(),
        [(Substate::Terminated, None, Some(Reason::Timeout))]
    );
    assert!(change(&mut scene, "later").is_empty());
    // An un-SUBSCRIBE.
    let first = subscribe(&mut scene, "alice", Some(600));
    let answer = scene.send(&first)[0].clone();
    let last = again(&mut scene, &first, &answer, 0);
    let sent = scene.send(&last);
    assert_eq!(sent[0].status(), Some(200));
    assert_eq!(state(&sent[1]), (Substate::Terminated, None, Some(Reason::Timeout)));
}

#[test]
fn what_is_not_known_or_not_wanted_is_refused_with_what_is() {
    // 6665-4.2.1.1-b 6665-4.2.3-a 6665-4.1.2.1-d 3903-6-f
    let mut scene = scene(27, Decision::Allow);
    for (method, event) in [
        (Method::Subscribe, Some("unheard-of")),
        (Method::Subscribe, None),
        (Method::Publish, Some("unheard-of")),
        (Method::Publish, None),
    ] {
        let to = if method == Method::Publish { "carol" } else { "dave" };
        let mut request = scene.request(method.clone(), to);
        request.remove(&Name::Event);
        if let Some(event) = event {
            request.push(Name::Event, event);
        }
        request.set_body("application/pidf+xml", pidf(CAROL, "busy", "").into_bytes());
        let request = scene.signed(request);
        let sent = scene.send(&request);
        assert_eq!(sent[0].status(), Some(489), "{method} {event:?}");
        assert_eq!(sent[0].list(&Name::AllowEvents).collect::<Vec<_>>(), ["presence", "presence.winfo"]);
    }
    let mut request = scene.request(Method::Subscribe, "alice");
    request.push(Name::Accept, "text/plain, application/x-presence");
    let request = scene.signed(request);
    let sent = scene.send(&request);
    assert_eq!((sent[0].status(), sent[0].header(&Name::Accept)), (Some(406), Some("application/pidf+xml")));
}

#[test]
fn who_asks_comes_before_what_is_asked() {
    // 3856-4-b 3856-6.6-a 6665-4.2.1.3-a 6665-4.2.1.1-c 6665-6.3-a 3856-6.6.1-b 3856-9.2-a
    let mut scene = scene(28, Decision::Block);
    let mut request = scene.request(Method::Subscribe, "alice");
    request.push(Name::Require, "magic");
    request.push(Name::Accept, "text/plain");
    let sent = scene.send(&request);
    let challenges = sent[0].challenges(&Name::WwwAuthenticate);
    assert_eq!((sent.len(), sent[0].status()), (1, Some(401)), "not 403, 406 or 420");
    assert!(!challenges.is_empty() && challenges.iter().all(|challenge| challenge.scheme == "digest"));
    assert!(sent[0].challenges(&Name::ProxyAuthenticate).is_empty());
    // Then what it requires, then what it wants, then whether it may.
    let signed = scene.signed(request.clone());
    assert_eq!(scene.send(&signed)[0].status(), Some(420));
    request.remove(&Name::Require);
    let signed = scene.signed(request.clone());
    assert_eq!(scene.send(&signed)[0].status(), Some(406));
    request.remove(&Name::Accept);
    let signed = scene.signed(request);
    assert_eq!(scene.send(&signed)[0].status(), Some(403));
}

#[test]
fn no_extension_is_applied_that_was_not_agreed_on() {
    // 3261-8.2.4-a
    for supported in ["", "eventlist, outbound, path, gruu, norefersub"] {
        let mut scene = scene(36, Decision::Allow);
        let subscribe = scene.request(Method::Subscribe, "alice");
        let publish = scene.publish(&pidf(CAROL, "busy", "note"));
        for (mut request, answers) in [(subscribe, 2), (publish, 1)] {
            request.push(Name::Supported, supported);
            let request = scene.signed(request);
            let sent = scene.send(&request);
            assert_eq!((sent.len(), sent[0].status()), (answers, Some(200)));
            assert!(sent.iter().all(|message| message.header(&Name::Require).is_none()));
        }
    }
}

#[test]
fn the_challenge_offers_each_algorithm_once_and_the_best_first() {
    // dig-22.1-c dig-22.1-d dig-22.4-e dig-8760-a
    let mut scene = scene(35, Decision::Allow);
    let request = scene.request(Method::Subscribe, "alice");
    let sent = scene.send(&request);
    let challenges = sent[0].challenges(&Name::WwwAuthenticate);
    let algorithms: Vec<Option<&str>> = challenges.iter().map(|c| c.algorithm.as_deref()).collect();
    assert_eq!(algorithms, [Some("SHA-256"), Some("MD5")]);
    for challenge in &challenges {
        assert_eq!(challenge.realm, "example.com");
        assert!(!challenge.qop.is_empty() && !challenge.nonce.is_empty());
    }
    // An answer cannot be asked for what cannot be answered.
    let ack = scene.request(Method::Ack, "alice");
    assert!(scene.send(&ack).is_empty());
    let cancel = scene.request(Method::Cancel, "alice");
    let sent = scene.send(&cancel);
    assert!(sent[0].challenges(&Name::WwwAuthenticate).is_empty() && sent[0].status() != Some(401));
}

#[test]
fn the_request_uri_says_for_whom_it_is_and_the_route_goes_back() {
    // 3261-8.2.2.1-a 3261-12.1.1-a
    let mut scene = scene(36, Decision::Allow);
    for (uri, status) in [
        ("tel:+15550100", 416),
        ("isbn:2983792873", 416),
        ("sip:alice@elsewhere.example", 404),
        ("sip:nobody@example.com", 404),
    ] {
        let mut request = scene.request(Method::Subscribe, "alice");
        let uri = sip_presence::sip::Uri::parse(uri).unwrap();
        request.start = StartLine::Request { method: Method::Subscribe, uri: uri.clone() };
        let request = scene.signed(request);
        assert_eq!(scene.send(&request)[0].status(), Some(status), "{uri}");
    }
    let mut request = scene.request(Method::Subscribe, "alice");
    request.set(Name::To, "<tel:+15550100>");
    let routes = ["<sip:p3.example.com;lr;x=y>", "<sip:p2.example.com;lr>", "<sip:p1.example.com>"];
    request.push(Name::RecordRoute, routes[0]);
    request.push(Name::RecordRoute, [routes[1], routes[2]].join(", "));
    let request = scene.signed(request);
    let sent = scene.send(&request);
    assert_eq!(sent[0].status(), Some(200), "an odd To is none of our business");
    assert_eq!(sent[0].list(&Name::RecordRoute).collect::<Vec<_>>(), routes);
    assert!(sent[0].contact().is_ok());
    assert_eq!(sent[1].list(&Name::Route).collect::<Vec<_>>(), routes);
}

#[test]
fn the_same_request_over_another_path_is_refused() {
    // 3261-8.2.2.2-a
    let mut scene = scene(37, Decision::Allow);
    let request = scene.request(Method::Message, "alice");
    let first = scene.signed(request.clone());
    assert!(scene.send(&first).is_empty(), "it is on its way to Alice");
    let mut merged = scene.signed(request);
    merged.set(Name::Via, "SIP/2.0/WS carol.invalid;branch=z9hG4bKanother");
    assert_eq!(scene.send(&merged)[0].status(), Some(482));
    scene.is_well();
}

#[test]
fn publications_count_in_the_order_in_which_they_come() {
    // 3903-6-c
    let mut scene = scene(38, Decision::Allow);
    let request = subscribe(&mut scene, "carol", Some(600));
    let sent = scene.send(&request);
    take(&mut scene, &sent);
    let mut tag = None;
    for note in ["one", "two", "three"] {
        let mut request = scene.publish(&pidf(CAROL, "busy", note));
        if let Some(tag) = &tag {
            request.push(Name::SipIfMatch, String::clone(tag));
        }
        let request = scene.signed(request);
        let sent = scene.send(&request);
        let answer = sent.iter().find(|message| message.status() == Some(200)).unwrap();
        tag = answer.header(&Name::SipETag).map(str::to_owned);
        take(&mut scene, &sent);
    }
    let from = scene.world.log.len();
    scene.world.seconds(6);
    let last = to_carol(&scene, from).pop().unwrap();
    assert!(String::from_utf8_lossy(&last.body).contains("three"));
}

#[test]
fn a_notify_that_nobody_wants_ends_the_subscription_without_a_word() {
    // 6665-4.2.2-c 6665-4.2.2-d 6665-4.2.2-e 3856-9.5-a
    for (status, ends) in [
        (404, true),
        (405, true),
        (410, true),
        (416, true),
        (480, true),
        (481, true),
        (482, true),
        (483, true),
        (484, true),
        (485, true),
        (489, true),
        (501, true),
        (604, true),
        (200, false),
        (400, false),
        (403, false),
        (415, false),
        (500, false),
        (503, false),
    ] {
        let mut scene = scene(29, Decision::Allow);
        let request = subscribe(&mut scene, "alice", Some(600));
        let notify = scene.send(&request)[1].clone();
        let told = scene.send(&Message::response(&notify, status, Some("carol")));
        assert!(told.is_empty(), "{status}: {told:?}");
        assert_eq!(change(&mut scene, "later").is_empty(), ends, "{status}");
    }
    let mut scene = scene(30, Decision::Allow);
    let request = subscribe(&mut scene, "alice", Some(600));
    scene.send(&request);
    let from = scene.world.log.len();
    scene.world.seconds(33);
    assert!(to_carol(&scene, from).is_empty(), "Timer F");
    assert!(change(&mut scene, "later").is_empty());
}

#[test]
fn a_change_is_for_those_who_may_see_it() {
    // 3856-4-e 3856-3-c 2779-5.2.3-a
    for (decision, told) in [(Decision::Allow, 1), (Decision::Confirm, 0)] {
        let mut scene = scene(31, decision);
        let request = subscribe(&mut scene, "alice", Some(600));
        let notify = scene.send(&request)[1].clone();
        scene.send(&Message::response(&notify, 200, Some("carol")));
        let sent = change(&mut scene, "for friends");
        assert_eq!(sent.len(), told);
        assert!(sent.iter().all(|notify| String::from_utf8_lossy(&notify.body).contains("for friends")));
        scene.is_well();
    }
}

#[test]
fn options_say_what_there_is() {
    // 3856-3-e 6665-4.4.4-a 3903-7-a
    let mut scene = scene(32, Decision::Allow);
    let mut request = scene.request(Method::Options, "nobody");
    request.remove(&Name::Event);
    request.start =
        StartLine::Request { method: Method::Options, uri: sip_presence::sip::Uri::sip_host("example.com") };
    let sent = scene.send(&request);
    assert_eq!(sent[0].status(), Some(200));
    let allowed: Vec<&str> = sent[0].list(&Name::Allow).collect();
    assert!(allowed.contains(&"SUBSCRIBE") && allowed.contains(&"PUBLISH"), "{allowed:?}");
    assert_eq!(sent[0].list(&Name::AllowEvents).collect::<Vec<_>>(), ["presence", "presence.winfo"]);
}

#[test]
fn publications_are_taken_as_the_standard_says() {
    // 3903-6-a 3903-6-b 3903-6-h 3903-6-j 3903-6-k 3903-6-l 3903-6-n 3903-6-t 3903-6-o 3903-6-r
    let mut scene = scene(33, Decision::Allow);
    let document = pidf(CAROL, "busy", "one");
    let mut request = scene.publish(&document);
    request.push(Name::RecordRoute, "<sip:proxy.example.com;lr>");
    let request = scene.signed(request);
    let sent = scene.send(&request);
    let [answer] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((answer.status(), answer.expires()), (Some(200), Some(600)));
    assert_eq!(answer.header(&Name::RecordRoute), None);
    let tags: Vec<&str> = answer.rows(&Name::SipETag).collect();
    let [tag] = tags.as_slice() else { panic!("{tags:?}") };
    // What is wanted with the publication `tag`: expires, tags, body; and what comes of it.
    let mut tag = (*tag).to_owned();
    for (expires, tags, body, status, granted) in [
        (None, "{}", None, 200, Some(3600)),
        (Some(60), "{}", None, 200, Some(60)),
        (Some(5), "{}", None, 423, None),
        (Some(60), "{}, {}", None, 400, None),
        (Some(60), "somebody-else's", None, 412, None),
        (Some(60), "", None, 400, None),
        (Some(60), "{}", Some("text/plain"), 415, None),
        (Some(100_000), "{}", Some("application/pidf+xml"), 200, Some(3600)),
        (Some(0), "{}", None, 200, Some(0)),
        (Some(60), "{}", None, 412, None),
    ] {
        let mut request = scene.request(Method::Publish, "carol");
        if let Some(expires) = expires {
            request.push(Name::Expires, expires.to_string());
        }
        if !tags.is_empty() {
            request.push(Name::SipIfMatch, tags.replace("{}", &tag));
        }
        if let Some(media) = body {
            request.set_body(media, document.clone().into_bytes());
        }
        let request = scene.signed(request);
        let sent = scene.send(&request);
        assert_eq!(sent[0].status(), Some(status), "{expires:?} {tags} {body:?}");
        assert_eq!(sent[0].expires(), granted, "{expires:?} {tags} {body:?}");
        if status == 200 {
            let next: Vec<&str> = sent[0].rows(&Name::SipETag).collect();
            assert_eq!(next.len(), 1);
            tag = next[0].to_owned();
        }
        if status == 423 {
            assert_eq!(sent[0].min_expires(), Some(10));
        }
    }
}

#[test]
fn too_many_publications_are_pushed_back_with_a_time() {
    // 3903-9-a
    let mut scene = Scene::with(34, |config| config.limits.publications = 2);
    for status in [200, 200, 503] {
        let request = scene.publish(&pidf(CAROL, "busy", "one"));
        let request = scene.signed(request);
        let sent = scene.send(&request);
        assert_eq!(sent[0].status(), Some(status));
        assert_eq!(sent[0].retry_after().is_some(), status == 503);
        let StartLine::Response { reason, .. } = &sent[0].start else { panic!("a request") };
        assert_eq!(reason == "Too many publications of this user", status == 503, "{reason}");
    }
    scene.is_well();
}
