//! What hostile watchers can do to a page that is a presence agent: limits hold, honest watchers are served, each gets a
//! clear answer (RFC 3856 §9, RFC 3857 §4.7.1 and §6.1).
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Presentity;
use common::presentity::{ALICE, BOB, Outcome, shows, state};
use litemap::LiteMap;
use sip_presence::agent::{Event, Identities};
use sip_presence::event::Decision;
use sip_presence::presence::Status;
use sip_presence::sip::auth::{DigestCredentials, Protected, Secret};
use sip_presence::sip::{Message, Name, Substate, Uri};

const EVE: &str = "sip:eve@example.com";

/// Watchers prove who they are by digest.
fn digest() -> Presentity {
    let known = [("bob", "pw-bob"), ("eve", "pw-eve"), ("carol@example.org", "pw-carol")];
    let known = known.map(|(name, password)| (name.to_owned(), Secret::Password(password.to_owned())));
    Presentity::by_digest(Identities::Digest(LiteMap::from_iter(known)))
}

/// `request` with the answer to the challenge that `refused` brought.
fn signed(request: &Message, refused: &Outcome, name: &str, password: &str, count: u32) -> Message {
    let answer = refused.answer.as_ref().unwrap();
    let challenge = answer.challenges(&Name::WwwAuthenticate).remove(0);
    let uri = request.request_uri().unwrap().to_string();
    let secret = Secret::Password(password.to_owned());
    let protected = Protected { method: "SUBSCRIBE", uri: &uri, body: &request.body };
    let row = DigestCredentials::answer(&challenge, name, &secret, protected, "cnonce", count).unwrap();
    let mut next = request.clone();
    next.set(Name::Authorization, row.to_string());
    next
}

/// A SUBSCRIBE by `uri` that carries nothing but its From.
fn bare(scene: &mut Presentity, uri: &str) -> Message {
    let mut request = scene.subscribe(uri, 600);
    request.remove(&Name::from_text("P-Asserted-Identity"));
    request
}

#[test]
fn an_identity_is_what_was_proved_and_not_what_was_said() {
    // 3856-6.6.1-b 3858-3-g dig-22.1-a
    let mut scene = digest();
    scene.decide(BOB, Decision::Allow);
    scene.decide(EVE, Decision::Block);
    let request = bare(&mut scene, BOB);
    let refused = scene.send(&request);
    assert_eq!((refused.status, refused.notifies.len()), (401, 0));
    // Eve says that she is Bob.
    assert_eq!(scene.send(&signed(&request, &refused, "eve", "pw-eve", 1)).status, 403);
    assert_eq!(scene.send(&signed(&request, &refused, "bob", "pw-eve", 2)).status, 401);
    assert_eq!(scene.send(&signed(&request, &refused, "mallory", "pw-eve", 3)).status, 401);
    let accepted = scene.send(&signed(&request, &refused, "bob", "pw-bob", 4));
    assert_eq!((accepted.status, shows(&accepted.notifies[0]).as_str()), (200, "here"));
    // A name with a host is not one of ours.
    let request = bare(&mut scene, BOB);
    let refused = scene.send(&request);
    scene.send(&signed(&request, &refused, "carol@example.org", "pw-carol", 1));
    scene.assert_rows("sip:carol@example.org", &[("pending", "subscribe")]);
    // What a watcher says of itself is believed only if the address is its own.
    let mut request = bare(&mut scene, BOB);
    request.set(Name::From, "\"Bob\" <sip:bob@example.com>;tag=a");
    let refused = scene.send(&request);
    scene.send(&signed(&request, &refused, "carol@example.org", "pw-carol", 1));
    let rows = scene.page.agent.watchers();
    assert!(rows.iter().filter(|row| row.uri.contains("carol")).all(|row| row.display.is_none()));
}

#[test]
fn a_server_that_says_nothing_of_a_watcher_leaves_it_unknown() {
    // 3856-6.6.1-d
    for identities in [Identities::Own, Identities::Digest(LiteMap::new())] {
        let mut scene = Presentity::by_digest(identities);
        scene.decide(BOB, Decision::Allow);
        // It is not trusted to say anything.
        let request = scene.subscribe(BOB, 600);
        assert_eq!(scene.send(&request).status, 401);
    }
    let mut scene = Presentity::by_digest(Identities::From);
    scene.decide(BOB, Decision::Allow);
    let request = bare(&mut scene, BOB);
    assert_eq!(scene.send(&request).status, 200);
}

#[test]
fn what_was_proved_once_proves_nothing_again() {
    // dig-7616-p
    let mut scene = digest();
    scene.decide(BOB, Decision::Allow);
    let request = bare(&mut scene, BOB);
    let refused = scene.send(&request);
    let good = signed(&request, &refused, "bob", "pw-bob", 1);
    assert_eq!(scene.send(&good).status, 200);
    let replayed = scene.send(&good);
    assert_eq!((replayed.status, replayed.notifies.len()), (401, 0));
    assert!(replayed.answer.unwrap().challenges(&Name::WwwAuthenticate)[0].stale);
    assert_eq!(scene.send(&signed(&request, &refused, "bob", "pw-bob", 2)).status, 200);
    // A nonce does not last for ever.
    scene.seconds(301);
    let late = scene.send(&signed(&request, &refused, "bob", "pw-bob", 3));
    assert_eq!(late.status, 401);
    let later = signed(&request, &late, "bob", "pw-bob", 1);
    assert_eq!(scene.send(&later).status, 200);
}

#[test]
fn ten_thousand_strangers_take_no_room_from_friends() {
    // 3857-4.7.1-f 3856-9.6-b 3856-9.5-b
    let mut scene = Presentity::new();
    scene.decide(BOB, Decision::Allow);
    let (first, outcome) = scene.watched_by(BOB, 3600);
    assert_eq!(outcome.status, 200);
    let mut refused = 0;
    for n in 0..10_000 {
        let (_, outcome) = scene.watched_by(&format!("sip:stranger{n}@example.com"), 3600);
        match outcome.status {
            200 => assert_eq!(state(&outcome.notifies[0]).0, Substate::Pending),
            503 => {
                assert!(outcome.answer.unwrap().retry_after().is_some());
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 9_500);
    assert_eq!(scene.page.agent.watchers().len(), 501);
    // Friends come in all the same, and are served.
    scene.decide("sip:carol@example.com", Decision::Allow);
    assert_eq!(scene.watched_by("sip:carol@example.com", 600).1.status, 200);
    assert_eq!(scene.publish(Status::Busy, "news").notifies.len(), 2);
    let refresh = scene.again(&first, &outcome, 3600);
    assert_eq!(scene.send(&refresh).status, 200);
}

#[test]
fn more_than_a_thousand_friends_are_too_many() {
    let mut scene = Presentity::new();
    scene.answer = Some(Decision::Allow);
    let accepted = (0..1_500)
        .filter(|n| scene.watched_by(&format!("sip:friend{n}@example.com"), 3600).1.status == 200)
        .count();
    assert_eq!(accepted, 1000);
    assert_eq!(scene.publish(Status::Busy, "news").notifies.len(), 1000);
}

#[test]
fn one_watcher_has_not_the_room_of_all() {
    // 3857-4.7.1-f
    for (answer, most) in [(Decision::Allow, 50), (Decision::Confirm, 20)] {
        let mut scene = Presentity::new();
        scene.answer = Some(answer);
        let accepted = (0..100).filter(|_| scene.watched_by(EVE, 600).1.status == 200).count();
        assert_eq!(accepted, most);
        scene.answer = Some(Decision::Allow);
        assert_eq!(scene.watched_by(BOB, 600).1.status, 200);
    }
}

#[test]
fn who_asks_for_a_second_again_and_again_gets_nothing() {
    let mut scene = Presentity::new();
    scene.answer = Some(Decision::Allow);
    for _ in 0..1000 {
        let (_, outcome) = scene.watched_by(EVE, 1);
        assert_eq!((outcome.status, outcome.notifies.len()), (423, 0));
    }
    assert!(scene.asked.is_empty() && scene.page.agent.watchers().is_empty());
}

#[test]
fn fetches_and_refreshes_without_end_leave_nothing() {
    let mut scene = Presentity::new();
    for _ in 0..1000 {
        let (_, outcome) = scene.watched_by(EVE, 0);
        assert_eq!(outcome.status, 200);
    }
    // Each takes the place of the one before.
    assert_eq!(scene.page.agent.watchers().len(), 1);
    let (first, outcome) = scene.bob(Decision::Allow);
    for _ in 0..1000 {
        let refresh = scene.again(&first, &outcome, 600);
        assert_eq!(scene.send(&refresh).notifies.len(), 1);
    }
    assert_eq!(scene.page.agent.watchers().len(), 2);
}

#[test]
fn what_is_broken_is_refused_and_hurts_nobody() {
    let mut scene = Presentity::new();
    scene.answer = Some(Decision::Allow);
    let faults: [(Name, &str); 10] = [
        (Name::Contact, ""),
        (Name::Contact, "<"),
        (Name::Contact, "*"),
        (Name::From, "<sip:eve@example.com>"),
        (Name::Event, ";;"),
        (Name::Expires, "-1"),
        (Name::Expires, "99999999999999999999"),
        (Name::RecordRoute, "<sip:"),
        (Name::from_text("P-Asserted-Identity"), "<sip:"),
        (Name::SuppressIfMatch, "\"\u{7f}"),
    ];
    for (name, value) in faults {
        let mut request = scene.subscribe(EVE, 600);
        request.set(name.clone(), value);
        scene.send(&request);
    }
    scene.seconds(60);
    assert_eq!(scene.watched_by(BOB, 600).1.status, 200);
    // A reflector: who does not take NOTIFYs gets no more of them.
    scene.takes = Some(481);
    let watching = scene.page.agent.watchers().len();
    assert_eq!(scene.publish(Status::Busy, "news").notifies.len(), watching);
    assert!(scene.publish(Status::Away, "more").notifies.is_empty() && scene.seconds(60).notifies.is_empty());
}

#[test]
fn who_is_blocked_politely_sees_nothing_move_whatever_is_published() {
    // 3857-4.7.2-a 6665-6.2-b
    for by_policy in [true, false] {
        let mut scene = Presentity::new();
        if by_policy {
            scene.decide(BOB, Decision::PoliteBlock);
        } else {
            scene.answer = Some(Decision::PoliteBlock);
        }
        let (first, outcome) = scene.watched_by(BOB, 600);
        let told = |outcome: &Outcome| {
            let notify = &outcome.notifies[0];
            (notify.body.clone(), notify.header(&Name::SipETag).map(str::to_owned))
        };
        let before = told(&outcome);
        for step in 0..4 {
            scene.seconds(20);
            match step {
                0 => drop(scene.publish(Status::Busy, "here")),
                1 => {
                    scene.page.agent.unpublish(scene.page.now);
                    assert!(scene.seconds(1).notifies.is_empty());
                }
                2 if by_policy => drop(scene.decide(BOB, Decision::PoliteBlock)),
                _ => drop(scene.publish(Status::Away, "again")),
            }
            let refresh = scene.again(&first, &outcome, 300 - step);
            assert_eq!(told(&scene.send(&refresh)), before, "step {step}");
        }
        let (_, second) = scene.watched_by(BOB, 600);
        assert_eq!(told(&second), before, "another subscription of the same watcher");
    }
}

#[test]
fn the_address_that_is_told_names_the_watcher() {
    for who in [
        "sip:bob%2541@example.com",
        "sip:bob%40corp.example@example.com",
        "sip:bob%20x@example.com",
        "sip:b%C3%B6b@example.com",
        "sip:b%3ab@example.com",
        "sip:b%3fb@example.com",
        "sip:%FF@example.com",
    ] {
        let mut scene = Presentity::new();
        assert_eq!(scene.watched_by(who, 600).1.status, 200);
        let Event::Asked { uri, .. } = &scene.asked[0] else { panic!("nobody was asked") };
        let told = Uri::parse(uri).unwrap();
        let Some(row) = scene.page.agent.watchers().pop() else { panic!("nobody watches") };
        assert_eq!(row.uri, *uri);
        scene.page.agent.set_policy(&told, Decision::Block, scene.page.now);
        assert_eq!(scene.outcome().notifies.len(), 1, "{who} as {told} hears of it");
        assert_eq!(scene.watched_by(who, 600).1.status, 403, "{who} as {told}");
    }
}

#[test]
fn what_a_watcher_says_of_itself_has_bounds() {
    let mut scene = Presentity::new();
    let name = "ä".repeat(30_000);
    let mut request = scene.subscribe(BOB, 600);
    request.set(Name::From, format!("\"{name}\" <{BOB}>;tag=f"));
    assert_eq!(scene.send(&request).status, 200);
    let kept = scene.page.agent.watchers().pop().unwrap().display.unwrap();
    assert_eq!(kept, "ä".repeat(128));
    let mut request = scene.subscribe(BOB, 600);
    request.set(Name::Event, format!("presence;x={}", "y".repeat(1000)));
    assert_eq!(scene.send(&request).status, 400);
    let long = format!("sip:{}@example.com", "e".repeat(1000));
    let mut request = scene.subscribe(&long, 600);
    request.set(Name::From, format!("<{long}>;tag=f"));
    scene.page.agent.set_policy(&Uri::parse(&long).unwrap(), Decision::Allow, scene.page.now);
    assert_eq!(scene.send(&request).status, 400);
    assert_eq!(scene.page.agent.watchers().len(), 1);
}

#[test]
fn an_offline_user_and_a_polite_refusal_look_the_same() {
    // 6665-6.2-a 6665-6.2-b 3856-6.6.2-j 3857-4.7.2-a
    let messages = |decision: Decision| -> Vec<String> {
        let mut scene = Presentity::new();
        scene.page.agent.unpublish(scene.page.now);
        scene.seconds(10);
        scene.decide(BOB, decision);
        let mut all = Vec::new();
        let mut keep = |outcome: &Outcome| {
            all.extend(outcome.answer.iter().chain(&outcome.notifies).map(|m| (m.to_bytes(), m.clone())));
        };
        let (first, outcome) = scene.watched_by(BOB, 600);
        keep(&outcome);
        let refresh = scene.again(&first, &outcome, 300);
        keep(&scene.send(&refresh));
        let mut conditional = scene.again(&first, &outcome, 300);
        conditional.set(Name::SuppressIfMatch, "*");
        keep(&scene.send(&conditional));
        let rated = scene.again(&first, &outcome, 300);
        keep(&scene.send(&rated));
        keep(&scene.seconds(100));
        keep(&scene.watched_by(BOB, 0).1);
        let leave = scene.again(&first, &outcome, 0);
        keep(&scene.send(&leave));
        all.into_iter().map(|(bytes, _)| without_ids(&String::from_utf8(bytes).unwrap())).collect()
    };
    let (allowed, polite) = (messages(Decision::Allow), messages(Decision::PoliteBlock));
    assert_eq!(allowed.len(), 11);
    assert_eq!(allowed, polite);
}

/// A message without what may differ: tags, branches, entity-tags, contacts, and times in the document.
fn without_ids(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.split("\r\n") {
        let name = line.split(':').next().unwrap();
        let line = match name {
            "Via" | "SIP-ETag" | "Contact" => name,
            "From" | "To" => line.split(";tag=").next().unwrap(),
            _ => line,
        };
        let line = match line.split_once("<timestamp>") {
            Some((before, after)) => [before, after.split_once("</timestamp>").unwrap().1].concat(),
            None => line.to_owned(),
        };
        lines.push(line);
    }
    assert!(lines.len() > 5);
    lines.join("\n")
}

#[test]
fn nothing_is_said_of_the_policy_before_it_is_known_who_asks() {
    // 3856-4-b
    let mut scene = digest();
    for (uri, decision) in [(BOB, Decision::Allow), (EVE, Decision::Block), (ALICE, Decision::Block)] {
        scene.decide(uri, decision);
        let request = bare(&mut scene, uri);
        assert_eq!(scene.send(&request).status, 401);
    }
}
