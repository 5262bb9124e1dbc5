//! A server with a bad client: what it sends is refused or ignored, costs little, and the others do not notice.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::mutation::{below, mutilate, pick};
use common::world::address;
use common::{Scene, pidf};
use sip_presence::presence::Status;
#[cfg(not(target_arch = "wasm32"))]
use sip_presence::presence::{Component, Contact, Presence, compose};
use sip_presence::random::Random;
use sip_presence::sip::{Limits, Message, Method, Name, StartLine, Uri};
use sip_presence::time::Duration;
use std::collections::BTreeMap;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_is_not_sip_is_ignored_and_counted() {
    // 3261-x-b
    let mut scene = Scene::with(1, |config| config.limits.malformed = 50);
    let frames: [&[u8]; 5] =
        [b"hello", b"\xff\0", b"SIP/2.0 999 Beyond\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"{}"];
    for frame in frames.iter().cycle().take(50) {
        assert!(scene.arrive(frame).is_empty());
    }
    assert!(scene.world.closed.is_empty());
    scene.arrive(b"once too often");
    assert_eq!(scene.world.closed, [(scene.carol.connection, 1002)]);
    let options = scene.request(Method::Options, "alice");
    assert!(scene.send(&options).is_empty(), "the connection is forgotten");
    scene.arrive(b"and again");
    assert_eq!(scene.world.closed.len(), 1, "closed once");
    scene.is_well();
}

#[test]
fn what_is_malformed_is_forgiven_after_an_hour() {
    // 3261-x-b
    let mut scene = Scene::with(8, |config| config.limits.malformed = 50);
    for _ in 0..3 {
        for _ in 0..50 {
            scene.arrive(b"hello");
            scene.world.seconds(60);
        }
        scene.world.seconds(1000);
    }
    assert!(scene.world.closed.is_empty(), "fifty an hour, for hours");
    for _ in 0..51 {
        scene.arrive(b"hello");
    }
    assert_eq!(scene.world.closed, [(scene.carol.connection, 1002)]);
}

#[test]
fn half_a_message_and_one_of_10_mb_are_refused() {
    // 3261-18.3-c 3261-x-a 3261-8.2.6-b
    let mut scene = Scene::new(2);
    let publish = scene.publish(&pidf("sip:carol@example.com", "busy", ""));
    let whole = scene.signed(publish).to_bytes();
    let half = scene.arrive(&whole[..whole.len() - 100]);
    assert_eq!(half.iter().map(|message| message.status()).collect::<Vec<_>>(), [Some(400)]);
    assert!(scene.arrive(&whole[..60]).is_empty(), "nobody to answer to");
    let large = scene.publish(&"x".repeat(10 * 1024 * 1024));
    assert_eq!(scene.answer(large), 513);
    let document = pidf("sip:carol@example.com", "busy", "");
    let sound = scene.publish(&document);
    assert_eq!(scene.answer(sound), 200);
    scene.is_well();
}

#[test]
fn a_hostile_document_is_refused_and_nothing_is_stored() {
    // 3863-x-a 3903-6-d
    let mut scene = Scene::new(3);
    let root = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:carol@example.com\"";
    let long = "x".repeat(100_000);
    for (body, status) in [
        (format!("<!DOCTYPE presence [<!ENTITY a \"b\">]>{root}>&a;</presence>"), 400),
        (format!("{root}>{}", "<a>".repeat(60_000)), 413),
        (format!("{root}>{}</presence>", "<a/>".repeat(30_000)), 413),
        (format!("{root} xml:lang=\"{long}\"><note>a</note></presence>"), 413),
        ("<presence".to_owned(), 400),
        ("<html/>".to_owned(), 400),
    ] {
        let request = scene.publish(&body);
        assert_eq!(scene.answer(request), status, "{}", &body[..body.len().min(80)]);
    }
    let watch = scene.world.watch(scene.bob, "carol");
    scene.world.seconds(2);
    assert_eq!(scene.world.sees(scene.bob, watch), (Status::Offline, None));
    scene.is_well();
}

/// A document with about this many bytes of notes, like no other `which`.
fn large(bytes: usize, which: usize) -> String {
    pidf("sip:carol@example.com", "busy", &format!("{which}{}", "x".repeat(bytes)))
}

#[test]
fn what_one_user_publishes_never_becomes_too_large_for_a_watcher() {
    // 3903-6-d 3261-x-a
    let mut scene = Scene::new(9);
    let watch = scene.world.watch(scene.bob, "carol");
    let largest = scene.publish(&large(33 * 1024, 0));
    assert_eq!(scene.answer(largest), 413);
    // Small to read, and large to write.
    let namespace = "n".repeat(500);
    let extensions = "<q:a/>".repeat(4000);
    let root = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:carol@example.com\"";
    let growing = scene.publish(&format!("{root} xmlns:q=\"{namespace}\">{extensions}</presence>"));
    assert!(growing.body.len() < 32 * 1024);
    assert_eq!(scene.answer(growing), 413);
    let mut tags = Vec::new();
    let status = loop {
        let publish = scene.publish(&large(30 * 1024, tags.len()));
        let publish = scene.signed(publish);
        let answer = scene.send(&publish).remove(0);
        match answer.status().unwrap() {
            200 => tags.push(answer.header(&Name::SipETag).unwrap().to_owned()),
            status => break status,
        }
    };
    assert_eq!((status, tags.len()), (413, 4), "four of the largest");
    // One in the place of another is not one more.
    let mut instead = scene.publish(&large(31 * 1024, 9));
    instead.push(Name::SipIfMatch, tags[0].as_str());
    assert_eq!(scene.answer(instead), 200);
    // What was refused has changed nothing.
    let mut refused = scene.publish(&large(33 * 1024, 0));
    refused.push(Name::SipIfMatch, tags[1].as_str());
    assert_eq!(scene.answer(refused), 413);
    let mut refresh = scene.publish("");
    refresh.remove(&Name::ContentType);
    refresh.push(Name::SipIfMatch, tags[1].as_str());
    assert_eq!(scene.answer(refresh), 200);
    scene.world.seconds(10);
    let view = scene.world.view(scene.bob, watch);
    assert_eq!(view.presence.as_ref().unwrap().tuples.len(), 4);
    assert_eq!(view.summary.status, Status::Busy);
    scene.is_well();
}

#[test]
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::disallowed_types)]
fn many_equal_ids_do_not_keep_the_server_busy() {
    // 4479-3.5-a
    let contact = |n: u16| Some(Contact { uri: "sip:a@b".to_owned(), priority: Some(n) });
    let tuple = |n| Component { id: "t".to_owned(), contact: contact(n), ..Component::default() };
    let tuples = (0..9000).map(tuple).collect();
    let published = Presence { tuples, ..Presence::default() };
    let tries = (0..3).map(|_| {
        let started = std::time::Instant::now();
        let whole = compose::compose("sip:carol@example.com", &[&published]).0;
        (started.elapsed(), whole)
    });
    // The fastest: a machine may stand still meanwhile.
    let (took, whole) = tries.min_by_key(|(took, _)| *took).unwrap();
    // A hundred times what it takes, and a tenth of what trying each number for each id takes.
    assert!(took.as_secs() < 5, "{took:?}");
    let ids: std::collections::BTreeSet<&str> = whole.tuples.iter().map(|tuple| tuple.id.as_str()).collect();
    assert_eq!(ids.len(), 9000);
}

#[test]
fn credentials_are_good_for_what_they_were_made_for() {
    // dig-22.4-f dig-7616-p 6665-6.4-a
    let mut scene = Scene::new(5);
    let publish = scene.publish(&pidf("sip:carol@example.com", "busy", ""));
    let signed = scene.signed(publish);
    let status = |sent: Vec<Message>| sent[0].status().unwrap();
    let altered = |from: &str, to: &str| {
        let mut altered = signed.clone();
        let row = signed.header(&Name::Authorization).unwrap();
        assert!(row.contains(from), "{row}");
        altered.set(Name::Authorization, row.replacen(from, to, 1));
        altered
    };
    for (from, to) in [
        ("username=\"carol\"", "username=\"alice\""),
        ("realm=\"example.com\"", "realm=\"elsewhere\""),
        ("nc=0000000", "nc=f000000"),
        ("uri=\"sip:carol@example.com\"", "uri=\"sip:dave@example.com\""),
        ("nonce=\"1", "nonce=\"2"),
        ("qop=auth", "qop=auth-int"),
    ] {
        assert_eq!(status(scene.send(&altered(from, to))), 401, "{to}");
    }
    assert_eq!(status(scene.send(&signed)), 200);
    let replayed = scene.send(&signed);
    assert_eq!(status(replayed.clone()), 401);
    assert!(replayed[0].challenges(&Name::WwwAuthenticate)[0].stale);
    // Rightly signed, but for another domain.
    let mut elsewhere = scene.publish(&pidf("sip:carol@example.com", "busy", ""));
    let here = elsewhere.start.clone();
    let uri = Uri::parse("sip:carol@elsewhere.example").unwrap();
    elsewhere.start = StartLine::Request { method: Method::Publish, uri };
    let mut elsewhere = scene.signed(elsewhere);
    elsewhere.start = here;
    assert_eq!(status(scene.send(&elsewhere)), 401);
    scene.is_well();
}

#[test]
fn nobody_registers_the_contact_of_somebody_else() {
    // RFC 3261 §10.3, step 5
    let mut scene = Scene::new(6);
    let mut query = scene.request(Method::Message, "alice");
    query.remove(&Name::Contact);
    let query = scene.signed(query);
    scene.send(&query);
    // Alice is reached, and what reaches her shows her contact.
    let forwarded =
        scene.world.log.iter().rev().find(|c| c.message.method() == Method::Message && c.from_server);
    let contact = forwarded.unwrap().message.request_uri().unwrap().to_string();
    let mut register = scene.request(Method::Register, "carol");
    register.set(Name::Contact, format!("<{contact}>;expires=600"));
    assert_eq!(scene.answer(register), 403);
    let mut own = scene.request(Method::Register, "carol");
    own.set(Name::Contact, "<sip:carol@carol.invalid;transport=ws>;expires=600");
    assert_eq!(scene.answer(own), 200);
}

#[test]
fn a_request_inside_a_dialog_is_checked_too() {
    // 3261-8.2.2.3-a 3903-14.1-a
    let mut scene = Scene::new(10);
    let mut subscribe = scene.request(Method::Subscribe, "alice");
    subscribe.push(Name::Expires, "600");
    let subscribe = scene.signed(subscribe);
    let sent = scene.send(&subscribe);
    let mut again = scene.request(Method::Subscribe, "alice");
    again.set(Name::To, sent[0].header(&Name::To).unwrap());
    again.set(Name::CallId, subscribe.call_id());
    again.push(Name::Expires, "0");
    again.push(Name::Require, "magic, trick");
    let again = scene.signed(again);
    let sent = scene.send(&again);
    assert_eq!(sent.len(), 1, "the subscription goes on");
    assert_eq!((sent[0].status(), sent[0].header(&Name::Unsupported)), (Some(420), Some("magic, trick")));
    // Between Carol and Alice, who has said where she is reached.
    let first = scene.request(Method::Message, "alice");
    let first = scene.signed(first);
    scene.send(&first);
    let at_alice = |scene: &Scene| {
        let log = scene.world.log.iter();
        let messages = log.filter(|c| c.from_server && c.message.is_request());
        let messages = messages.filter(|c| c.message.method() == Method::Message);
        messages.map(|c| c.message.clone()).collect::<Vec<_>>()
    };
    let target = at_alice(&scene)[0].request_uri().unwrap().clone();
    let inside = |scene: &mut Scene, from: &str| {
        let mut request = scene.request(Method::Message, "alice");
        request.start = StartLine::Request { method: Method::Message, uri: target.clone() };
        request.set(Name::To, "<sip:alice@example.com>;tag=alice");
        request.set(Name::From, format!("<{}>;tag=carol", address(from)));
        request.push(Name::Require, "of-alice");
        scene.send(&request).iter().find_map(Message::status)
    };
    assert_eq!(inside(&mut scene, "bob"), Some(403));
    assert_eq!(at_alice(&scene).len(), 1);
    assert_eq!(inside(&mut scene, "carol"), None);
    let arrived = at_alice(&scene);
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[1].header(&Name::Require), Some("of-alice"), "that is for Alice to know");
    scene.is_well();
}

#[test]
fn requests_to_others_are_bounded_and_none_is_left_without_an_answer() {
    // 3856-9.6-b 4320-4.2-a
    let mut scene = Scene::with(7, |config| config.limits.forwarded = 10);
    // Nothing of this reaches Alice before the end of the test: the clock stands still.
    let mut answers = Vec::new();
    for _ in 0..15 {
        let message = scene.request(Method::Message, "alice");
        let message = scene.signed(message);
        answers.extend(scene.send(&message).iter().filter_map(Message::status));
    }
    assert_eq!(answers, [503; 5]);
    let before = scene.world.log.len();
    scene.world.cut(scene.alice);
    let late: Vec<Option<u16>> = scene.world.log[before..]
        .iter()
        .filter(|crossing| crossing.connection == scene.carol.connection)
        .map(|crossing| crossing.message.status())
        .collect();
    assert_eq!(late, [Some(480); 10]);
    let message = scene.request(Method::Message, "alice");
    assert_eq!(scene.answer(message), 480, "there is room again, and nobody there");
    assert!(scene.world.server.poll_timeout().is_none_or(|(_, why)| !why.contains("request")));
}

#[test]
fn of_two_answers_the_first_counts_and_none_goes_over_another_connection() {
    // 3261-17.2.2-c 3261-17.2.4-a
    let mut scene = Scene::new(11);
    let alice = scene.world.seats[scene.alice].connection.unwrap();
    let forwarded = |scene: &mut Scene| {
        let message = scene.request(Method::Message, "alice");
        let message = scene.signed(message);
        scene.send(&message);
        let at_alice = scene.world.log.iter().rev().find(|c| c.from_server && c.connection == alice);
        at_alice.unwrap().message.clone()
    };
    let arrived = forwarded(&mut scene);
    let before = scene.world.log.len();
    for status in [100, 200, 200, 486] {
        let answer = Message::response(&arrived, status, Some("alice"));
        scene.world.arrive(alice, &answer.to_bytes());
    }
    let statuses: Vec<Option<u16>> = scene.world.log[before..].iter().map(|c| c.message.status()).collect();
    assert_eq!(statuses, [Some(100), Some(200)]);
    let arrived = forwarded(&mut scene);
    scene.world.server.handle_disconnected(scene.carol.connection, scene.world.now);
    scene.carol.connection = scene.world.stranger();
    let before = scene.world.log.len();
    scene.world.arrive(alice, &Message::response(&arrived, 200, Some("alice")).to_bytes());
    assert_eq!(scene.world.log.len(), before, "who asked is gone");
    scene.is_well();
}

#[test]
fn the_same_request_by_another_way_is_merged() {
    // 3261-8.2.2.2-a
    let mut scene = Scene::new(12);
    let message = scene.request(Method::Message, "alice");
    let first = scene.signed(message.clone());
    assert!(scene.send(&first).is_empty(), "it is on its way to Alice");
    let mut other = message.clone();
    other.set(Name::Via, "SIP/2.0/WS carol.invalid;branch=z9hG4bKother");
    assert_eq!(scene.answer(other), 482);
    // With another number it is another request.
    let mut next = message;
    next.set(Name::Via, "SIP/2.0/WS carol.invalid;branch=z9hG4bKnext");
    next.set(Name::CSeq, "77 MESSAGE");
    let next = scene.signed(next);
    assert!(scene.send(&next).is_empty());
}

#[test]
fn a_subscription_keeps_the_way_that_its_request_came() {
    // 3261-12.1.1-a 3261-12.1.1-b 6665-4.4.1-f
    let mut scene = Scene::new(13);
    let mut subscribe = scene.request(Method::Subscribe, "alice");
    let rows = ["<sip:p3.example.com;lr;x=y>, <sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"];
    for row in rows {
        subscribe.push(Name::RecordRoute, row);
    }
    let subscribe = scene.signed(subscribe);
    let sent = scene.send(&subscribe);
    let answer = sent.iter().find(|message| message.status() == Some(200)).expect("no 200");
    assert!(answer.rows(&Name::RecordRoute).eq(rows));
    assert_eq!(answer.rows(&Name::Contact).count(), 1);
    let notify = sent
        .iter()
        .find(|message| message.method() == Method::Notify && message.is_request())
        .expect("no NOTIFY");
    let routes: Vec<&str> = notify.list(&Name::Route).collect();
    assert_eq!(routes, ["<sip:p3.example.com;lr;x=y>", "<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]);
    assert_eq!(notify.request_uri().unwrap().to_string(), "sip:carol@carol.invalid;transport=ws");
    assert_eq!(
        (notify.to().unwrap().tag(), notify.from().unwrap().tag()),
        (Some("carol"), answer.to().unwrap().tag())
    );
}

/// What Carol sends in a good moment: one of each kind.
fn a_message(
    scene: &mut Scene,
    random: &mut Random,
    tag: &mut Option<String>,
    notify: &Option<Message>,
) -> Message {
    let activity = *pick(&["busy", "away", "meeting"], random);
    let document = pidf("sip:carol@example.com", activity, "note");
    match below(random, 10) {
        0 => scene.request(Method::Register, "carol"),
        1 | 2 => {
            let mut publish = scene.publish(&document);
            if let Some(tag) = tag.take() {
                publish.push(Name::SipIfMatch, tag);
            }
            publish
        }
        3 => {
            let mut refresh = scene.request(Method::Publish, "carol");
            refresh.push(Name::SipIfMatch, tag.take().unwrap_or_default());
            refresh.push(Name::Expires, *pick(&["600", "0", "5"], random));
            refresh
        }
        4 | 5 => {
            let to = *pick(&["alice", "bob", "carol", "nobody"], random);
            let mut subscribe = scene.request(Method::Subscribe, to);
            subscribe.push(Name::Expires, *pick(&["600", "0"], random));
            subscribe
        }
        6 => {
            // Inside the dialog of the last NOTIFY.
            let mut again = scene.request(Method::Subscribe, "alice");
            if let Some(notify) = notify {
                again.set(Name::To, notify.header(&Name::From).unwrap());
                again.set(Name::From, notify.header(&Name::To).unwrap());
                again.set(Name::CallId, notify.call_id());
            }
            again.push(Name::Expires, *pick(&["600", "0"], random));
            again
        }
        7 => scene.request(Method::Options, "alice"),
        8 => scene.request(Method::Message, "alice"),
        _ => match notify {
            Some(notify) => Message::response(notify, *pick(&[200, 404, 481, 500, 503], random), None),
            None => scene.request(Method::Invite, "alice"),
        },
    }
}

#[test]
fn a_server_survives_thousands_of_spoiled_messages() {
    // 3261-x-b 3261-8.2.2-a 3903-6-d
    let mut statuses = BTreeMap::new();
    for seed in 0..4 {
        let mut scene = Scene::with(seed, |config| {
            config.limits.malformed = u32::MAX;
            config.limits.subscriptions = 20;
        });
        let mut random = Random::new([seed; 32]);
        let (mut tag, mut notify) = (None, None);
        for round in 0..800 {
            let message = a_message(&mut scene, &mut random, &mut tag, &notify);
            // Spoiled before it is signed, so that it comes in far; or after.
            let early = below(&mut random, 4) > 0;
            let spoiled = mutilate(&message.to_bytes(), &mut random);
            let bytes = match Message::parse(&spoiled, &Limits::default()) {
                Ok(spoiled) if early && spoiled.is_request() => scene.signed(spoiled).to_bytes(),
                _ if early => spoiled,
                _ if message.is_request() => mutilate(&scene.signed(message).to_bytes(), &mut random),
                _ => spoiled,
            };
            let sent = scene.arrive(&bytes);
            // One answer, and a NOTIFY for each of her subscriptions at most.
            assert!(sent.len() <= 21, "{seed}:{round}: {} messages", sent.len());
            for message in sent {
                if let Some(status) = message.status() {
                    *statuses.entry(status).or_insert(0) += 1;
                    tag = message.header(&Name::SipETag).map(str::to_owned).or(tag);
                } else {
                    notify = Some(message);
                }
            }
            if round % 10 == 0 {
                scene.world.run(Duration::from_millis(random.below(3000)));
            }
        }
        scene.is_well();
        scene.world.server.handle_disconnected(scene.carol.connection, scene.world.now);
        for seat in [scene.alice, scene.bob] {
            scene.world.close(seat);
        }
        scene.world.seconds(3601);
        assert_eq!(scene.world.server.poll_timeout(), None, "{seed}: nothing is left of it");
    }
    let many = |status: u16| statuses.get(&status).is_some_and(|count| *count >= 10);
    assert!(
        [200, 400, 401, 404, 415, 423, 481, 489, 503].into_iter().all(many),
        "comes in far enough? {statuses:?}"
    );
}
