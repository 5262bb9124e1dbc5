//! Whoever watches may refuse a NOTIFY with a challenge: who gets an answer, to what, and that nobody else learns anything
//! (RFC 3856 §9.3, §9.4).
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Presentity;
use common::presentity::{ALICE, BOB, Outcome, shows, state};
use sip_presence::agent::{Credentials, Event, Identities};
use sip_presence::event::Decision;
use sip_presence::presence::{Status, pidf, winfo};
use sip_presence::sip::auth::{Algorithm, DigestCredentials, Protected, Qop, Secret};
use sip_presence::sip::{Message, Name, Substate};

const EVE: &str = "sip:eve@evil.example";
const CAROL: &str = "sip:carol@example.com";
const BEARER: &str = "Bearer realm=\"here\", authz_server=\"https://as.example.com\"";
const PROOF: &str = "Digest realm=\"example.com\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256";

fn with_token() -> Presentity {
    Presentity::with(Identities::Asserted, |config, _| {
        config.authorization_servers = vec!["https://as.example.com".to_owned()];
        let secret = Secret::Token("token".to_owned());
        config.credentials = Credentials::Fixed { username: String::new(), secret };
    })
}

/// The server challenges the user's own SUBSCRIBE, and takes the answer.
fn met_by_the_server(scene: &mut Presentity, status: u16, header: &Name, challenge: &str) -> Message {
    scene.page.watch(CAROL);
    let subscribe = scene.page.next_sent();
    scene.page.respond(&subscribe, status, &[(header.clone(), challenge)]);
    let again = scene.page.next_sent();
    scene.page.accept(&again, 3600);
    again
}

/// A proxy challenges requests of the user, NOTIFYs too.
fn behind_a_proxy(scene: &mut Presentity, challenge: &str) {
    met_by_the_server(scene, 407, &Name::ProxyAuthenticate, challenge);
    scene.proxy = Some(challenge.to_owned());
}

/// The watcher, or a proxy before it, refuses `notify`; what is sent then.
fn refused(scene: &mut Presentity, notify: &Message, status: u16, challenge: &str) -> Vec<Message> {
    let header = if status == 407 { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
    scene.page.respond(notify, status, &[(header, challenge)]);
    scene.outcome().notifies
}

/// Nobody answers NOTIFYs from now on but the test.
fn watched_in_silence(scene: &mut Presentity, uri: &str, decision: Option<Decision>) -> (Message, Outcome) {
    scene.takes = None;
    if let Some(decision) = decision {
        scene.decide(uri, decision);
    }
    scene.watched_by(uri, 600)
}

#[track_caller]
fn carries_nothing(notify: &Message) {
    assert_eq!(notify.header(&Name::Authorization), None);
    assert_eq!(notify.header(&Name::ProxyAuthorization), None);
}

#[test]
fn no_notify_has_credentials_that_nobody_has_asked_for() {
    // 3856-9.3-a
    let digest = "Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\"";
    for (status, header, credentials) in [
        (401, Name::WwwAuthenticate, Name::Authorization),
        (407, Name::ProxyAuthenticate, Name::ProxyAuthorization),
    ] {
        for (mut scene, challenge) in [(with_token(), BEARER), (Presentity::new(), digest)] {
            let again = met_by_the_server(&mut scene, status, &header, challenge);
            assert!(again.header(&credentials).is_some());
            let (_, outcome) = scene.bob(Decision::Allow);
            carries_nothing(&outcome.notifies[0]);
            carries_nothing(&scene.publish(Status::Busy, "later").notifies[0]);
        }
    }
}

#[test]
fn the_last_notify_of_a_page_that_goes_away_has_an_answer_for_its_proxy() {
    let challenge = "Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\"";
    let mut scene = Presentity::new();
    behind_a_proxy(&mut scene, challenge);
    let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
    carries_nothing(&outcome.notifies[0]);
    let again = refused(&mut scene, &outcome.notifies[0], 407, challenge).remove(0);
    scene.page.respond(&again, 200, &[]);
    scene.page.agent.suspend(scene.page.now);
    let last = scene.outcome().notifies.remove(0);
    assert_eq!(state(&last).0, Substate::Terminated);
    assert_eq!(last.header(&Name::Authorization), None);
    assert!(last.header(&Name::ProxyAuthorization).is_some());
    let mut scene = with_token();
    met_by_the_server(&mut scene, 407, &Name::ProxyAuthenticate, BEARER);
    scene.bob(Decision::Allow);
    scene.page.agent.suspend(scene.page.now);
    carries_nothing(&scene.outcome().notifies[0]);
    // Nor where no proxy has wanted any: the watcher would get it.
    let mut scene = Presentity::new();
    met_by_the_server(&mut scene, 407, &Name::ProxyAuthenticate, challenge);
    scene.bob(Decision::Allow);
    scene.page.agent.suspend(scene.page.now);
    carries_nothing(&scene.outcome().notifies[0]);
}

#[test]
fn a_challenge_by_a_watcher_who_plays_the_proxy_gets_no_answer() {
    let met =
        |nonce: &str| format!("Digest realm=\"proxy\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256");
    let mut scene = Presentity::new();
    met_by_the_server(&mut scene, 407, &Name::ProxyAuthenticate, &met("p"));
    for (n, uri) in [EVE, BOB, CAROL].into_iter().enumerate() {
        let (_, outcome) = watched_in_silence(&mut scene, uri, Some(Decision::Allow));
        let [notify] = outcome.notifies.as_slice() else { panic!("{:?}", outcome.notifies) };
        assert_eq!(refused(&mut scene, notify, 407, &met(&format!("chosen {n}"))), [], "{uri}");
        scene.assert_rows(uri, &[("terminated", "timeout")]);
    }
    assert_eq!(scene.probes, 1, "one question for a connection");
    // Another connection may lead to another proxy: it is asked again.
    scene.page.disconnect();
    scene.page.seconds(2);
    scene.page.connect();
    scene.outcome();
    scene.proxy = Some(met("q"));
    let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
    let again = refused(&mut scene, &outcome.notifies[0], 407, &met("q"));
    assert!(again[0].header(&Name::ProxyAuthorization).unwrap().contains("nonce=\"q\""));
    assert_eq!(scene.probes, 2);
}

#[test]
fn notifies_wait_for_what_the_proxy_says_of_itself_and_are_not_lost() {
    let proxy = "Digest realm=\"proxy\", nonce=\"p\", qop=\"auth\"";
    for (silent, lost) in [(false, false), (true, false), (true, true)] {
        let mut scene = Presentity::new();
        met_by_the_server(&mut scene, 407, &Name::ProxyAuthenticate, proxy);
        let notifies: Vec<Message> = [BOB, CAROL]
            .map(|uri| watched_in_silence(&mut scene, uri, Some(Decision::Allow)).1.notifies.remove(0))
            .to_vec();
        for notify in &notifies {
            scene.page.respond(notify, 407, &[(Name::ProxyAuthenticate, proxy)]);
        }
        let probe = scene.page.next_sent();
        assert!(scene.page.is_silent(), "one for both");
        carries_nothing(&probe);
        assert_eq!(probe.request_uri().unwrap().to_string(), ALICE);
        assert!(probe.to().unwrap().tag().is_some(), "as inside a dialog");
        if lost {
            scene.page.disconnect();
            scene.page.seconds(2);
            scene.page.connect();
            assert_eq!(scene.outcome().notifies.len(), 2, "told again");
        } else if silent {
            scene.page.seconds(32);
            scene.outcome();
            scene.assert_rows(BOB, &[("terminated", "timeout")]);
        } else {
            scene.page.respond(&probe, 407, &[(Name::ProxyAuthenticate, proxy)]);
            let again = scene.outcome().notifies;
            assert_eq!(again.len(), 2);
            assert!(again.iter().all(|notify| notify.header(&Name::ProxyAuthorization).is_some()));
        }
    }
}

#[test]
fn a_token_is_for_servers_and_not_for_watchers() {
    // 8898-2.1.2-a
    for (uri, decision) in [(EVE, None), (BOB, Some(Decision::Allow))] {
        for status in [401, 407] {
            let mut scene = with_token();
            let (_, outcome) = watched_in_silence(&mut scene, uri, decision);
            assert_eq!(refused(&mut scene, &outcome.notifies[0], status, BEARER), []);
            scene.assert_rows(uri, &[("terminated", "timeout")]);
        }
    }
    // Nor where the own proxy wants one.
    let mut scene = with_token();
    met_by_the_server(&mut scene, 407, &Name::ProxyAuthenticate, BEARER);
    let (_, outcome) = watched_in_silence(&mut scene, EVE, None);
    assert_eq!(refused(&mut scene, &outcome.notifies[0], 407, BEARER), []);
}

#[test]
fn who_sees_everything_may_want_proof_that_covers_the_document() {
    // 3856-9.4-d 3856-9.4-e
    let mut scene = Presentity::new();
    let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
    let again = refused(&mut scene, &outcome.notifies[0], 401, PROOF);
    let [again] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(again.cseq().unwrap().number, outcome.notifies[0].cseq().unwrap().number + 1);
    let row = DigestCredentials::parse(again.header(&Name::Authorization).unwrap()).unwrap();
    assert_eq!((row.qop, row.nc), (Some(Qop::AuthInt), Some(1)));
    let ha1 = Secret::Password("wonderland".to_owned()).ha1(Algorithm::Sha256, "alice", "example.com");
    let uri = again.request_uri().unwrap().to_string();
    assert!(row.verify(&ha1.unwrap(), Protected { method: "NOTIFY", uri: &uri, body: &again.body }));
    // A proxy on the way that this user has not met gets nothing, and no answer is left over for the next NOTIFY.
    scene.page.respond(again, 200, &[]);
    carries_nothing(&scene.publish(Status::Busy, "later").notifies[0]);
    // Also the last NOTIFY, which is all that a fetch brings.
    let (_, outcome) = scene.watched_by(BOB, 0);
    let again = refused(&mut scene, &outcome.notifies[0], 401, PROOF);
    assert_eq!(state(&again[0]).0, Substate::Terminated);
    assert!(again[0].header(&Name::Authorization).is_some());
}

#[test]
fn watcher_information_that_is_challenged_is_all_told() {
    for (times, fewest) in [(3, 2), (300, 5)] {
        let mut scene = Presentity::with(Identities::Asserted, |_, audience| audience.limits.of_one = 1000);
        scene.takes = Some(200);
        scene.decide(BOB, Decision::Allow);
        for _ in 0..times {
            let mut request = scene.subscribe(BOB, 600);
            let from = request.header(&Name::From).unwrap().to_owned();
            request.set(Name::From, format!("\"{}\" {from}", "&".repeat(128)));
            assert_eq!(scene.send(&request).status, 200);
        }
        scene.seconds(10);
        let mut own = scene.subscribe(ALICE, 600);
        own.set(Name::Event, "presence.winfo");
        scene.page.receive(&own.to_bytes());
        assert_eq!(scene.page.next_sent().status(), Some(200));
        // Each is challenged, and answered one by one; a change is told before the first is taken.
        let mut all = vec![scene.page.next_sent()];
        let another = scene.subscribe(BOB, 600);
        scene.page.receive(&another.to_bytes());
        scene.page.drain_now();
        let mut table = winfo::Table::default();
        let (mut taken, mut numbers) = (0, vec![0]);
        while let Some(notify) = all.pop() {
            numbers.push(notify.cseq().unwrap().number);
            if notify.header(&Name::Authorization).is_none() {
                scene.page.respond(&notify, 401, &[(Name::WwwAuthenticate, PROOF)]);
            } else {
                assert!(!notify.body.is_empty() && notify.header(&Name::SipETag).is_some());
                let document = winfo::read(&notify.body, &pidf::Limits::default()).unwrap();
                assert_eq!(document.head.full, taken == 0);
                assert_eq!(table.handle(document, scene.page.now), Ok(winfo::Merged::Done));
                scene.page.respond(&notify, 200, &[]);
                taken += 1;
            }
            while !scene.page.is_silent() {
                let message = scene.page.next_sent();
                if message.is_request() && message.call_id() == own.call_id() {
                    all.insert(0, message);
                } else if message.is_request() {
                    scene.page.respond(&message, 200, &[]);
                }
            }
        }
        assert!(taken >= fewest && table.watchers().count() == times + 1, "{taken} documents");
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

#[test]
fn a_challenge_to_a_notify_is_answered_once() {
    // dig-22.1-f
    let proxy = "Digest realm=\"proxy\", nonce=\"p\", qop=\"auth\"";
    let mut scene = Presentity::new();
    behind_a_proxy(&mut scene, proxy);
    let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
    let mut notify = outcome.notifies[0].clone();
    // The proxy, and behind it the watcher: both rows are kept (dig-22.1-g).
    for (status, challenge, rows) in [(407, proxy, (0, 1)), (401, PROOF, (1, 1))] {
        let mut again = refused(&mut scene, &notify, status, challenge);
        notify = again.pop().unwrap();
        let count = |name: &Name| notify.rows(name).count();
        assert_eq!((count(&Name::Authorization), count(&Name::ProxyAuthorization)), rows);
    }
    assert!(notify.header(&Name::ProxyAuthorization).unwrap().contains("nc=00000002"));
    assert_eq!(refused(&mut scene, &notify, 401, &PROOF.replace("\"n\"", "\"n2\", stale=true")), []);
    scene.assert_rows(BOB, &[("terminated", "timeout")]);
}

#[test]
fn a_proxy_is_answered_if_it_has_challenged_requests_of_the_user() {
    let with = |form: &str| format!("Digest realm=\"proxy\", nonce=\"p\", {form}");
    let met = with("qop=\"auth\", algorithm=SHA-256");
    for (challenge, answers) in [
        (with("qop=\"auth\", algorithm=SHA-256"), 1),
        // A watcher can send 407 too: neither a weaker algorithm, nor a form without a nonce of ours, nor another realm.
        (with("qop=\"auth\", algorithm=MD5"), 0),
        (with("algorithm=SHA-256"), 0),
        (with("qop=\"auth\", algorithm=SHA-256").replace("\"proxy\"", "\"other\""), 0),
    ] {
        let mut scene = Presentity::new();
        behind_a_proxy(&mut scene, &met);
        let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::PoliteBlock));
        let again = refused(&mut scene, &outcome.notifies[0], 407, &challenge);
        assert_eq!(again.len(), answers, "{challenge}");
    }
    let mut scene = Presentity::new();
    let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
    assert_eq!(refused(&mut scene, &outcome.notifies[0], 407, &met), []);
}

#[test]
fn what_helps_to_guess_the_password_goes_to_no_stranger() {
    let own = |algorithm| {
        format!("Digest realm=\"evil.example\", nonce=\"chosen\", qop=\"auth-int\", algorithm={algorithm}")
    };
    // Who does not see everything.
    for decision in [None, Some(Decision::Confirm), Some(Decision::PoliteBlock)] {
        let mut scene = Presentity::new();
        let (_, outcome) = watched_in_silence(&mut scene, EVE, decision);
        assert_eq!(refused(&mut scene, &outcome.notifies[0], 401, &own("SHA-256")), []);
        scene.assert_rows(EVE, &[("terminated", "timeout")]);
    }
    // Who sees everything, but wants something else: another realm, the document not covered, no nonce of ours.
    for challenge in [
        PROOF.to_owned(),
        own("SHA-256").replace("auth-int", "auth"),
        "Digest realm=\"evil.example\", nonce=\"chosen\", algorithm=MD5".to_owned(),
        own("SHA-1"),
    ] {
        let mut scene = Presentity::new();
        let (_, outcome) = watched_in_silence(&mut scene, EVE, Some(Decision::Allow));
        assert_eq!(refused(&mut scene, &outcome.notifies[0], 401, &challenge), [], "{challenge}");
    }
    // Who saw everything when it was told, and does not any more.
    let mut scene = Presentity::new();
    let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
    scene.decide(BOB, Decision::PoliteBlock);
    assert_eq!(refused(&mut scene, &outcome.notifies[0], 401, PROOF), []);
}

#[test]
fn a_watcher_cannot_make_the_page_ask_its_user_or_forget_a_password() {
    let mut scene = Presentity::with(Identities::Asserted, |config, _| config.credentials = Credentials::Ask);
    let challenged = |scene: &mut Presentity| -> Vec<_> {
        let events = core::mem::take(&mut scene.page.events).into_iter();
        events
            .filter_map(|event| if let Event::Challenged(it) = event { Some(it.id) } else { None })
            .collect()
    };
    scene.page.watch(CAROL);
    let subscribe = scene.page.next_sent();
    scene.page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, PROOF)]);
    let [id] = challenged(&mut scene)[..] else { panic!("not asked") };
    let answer = ("alice".to_owned(), Secret::Password("wonderland".to_owned()));
    scene.page.agent.provide_credentials(id, Some(answer), scene.page.now);
    scene.page.drain_now();
    let again = scene.page.next_sent();
    scene.page.accept(&again, 3600);
    for (n, realm) in [(0, "example.com"), (1, "Alice's bank")] {
        let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
        let challenge = format!("Digest realm=\"{realm}\", nonce=\"{n}\", qop=\"auth-int\"");
        assert_eq!(refused(&mut scene, &outcome.notifies[0], 401, &challenge), []);
    }
    assert_eq!(challenged(&mut scene), []);
    // What the server wants is known as before.
    scene.page.watch("sip:dave@example.com");
    let rows: Vec<String> = scene.page.next_sent().rows(&Name::Authorization).map(str::to_owned).collect();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("nonce=\"n\"") && rows[0].contains("nc=00000002"), "{rows:?}");
}

#[test]
fn nothing_of_what_watchers_say_is_on_later_requests() {
    let mut scene = Presentity::new();
    met_by_the_server(&mut scene, 401, &Name::WwwAuthenticate, PROOF);
    for n in 0..20 {
        let uri = format!("sip:friend@realm{n}.example");
        let (_, outcome) = watched_in_silence(&mut scene, &uri, Some(Decision::Allow));
        let challenge = format!("Digest realm=\"realm{n}.example\", nonce=\"chosen\", qop=\"auth-int\"");
        let again = refused(&mut scene, &outcome.notifies[0], 401, &challenge);
        // The next nonce is for the answers to its own challenge, of which there are no more.
        let next = [(Name::AuthenticationInfo, "nextnonce=\"chosen\"")];
        scene.page.respond(&again[0], 200, &next);
    }
    scene.page.watch("sip:dave@example.com");
    let rows: Vec<String> = scene.page.next_sent().rows(&Name::Authorization).map(str::to_owned).collect();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("realm=\"example.com\"") && rows[0].contains("nonce=\"n\""), "{rows:?}");
}

#[test]
fn a_notify_that_was_challenged_is_made_anew_with_what_is_true_now() {
    for accept in ["application/pidf+xml", "application/pidf-diff+xml, application/pidf+xml"] {
        let mut scene = Presentity::new();
        scene.decide(BOB, Decision::Allow);
        let mut request = scene.subscribe(BOB, 600);
        request.set(Name::Accept, accept);
        scene.send(&request);
        scene.takes = None;
        let told = scene.publish(Status::Busy, "first").notifies;
        // Too soon after it for another.
        assert!(scene.publish(Status::Away, "second").notifies.is_empty());
        let again = refused(&mut scene, &told[0], 401, PROOF);
        let [again] = again.as_slice() else { panic!("{again:?}") };
        let text = String::from_utf8(again.body.clone()).unwrap();
        assert!(text.contains("second") && !text.contains("first"), "{text}");
        assert!(again.header(&Name::Authorization).is_some());
        assert_eq!(again.cseq().unwrap().number, told[0].cseq().unwrap().number + 1);
    }
}

#[test]
fn a_notify_that_was_challenged_is_not_repeated_after_a_newer_one() {
    let proxy = "Digest realm=\"proxy\", nonce=\"p\", qop=\"auth\"";
    for (decision, substate, note) in [
        (Decision::PoliteBlock, Substate::Active, "offline"),
        (Decision::Confirm, Substate::Pending, ""),
        (Decision::Block, Substate::Terminated, ""),
    ] {
        let mut scene = Presentity::new();
        behind_a_proxy(&mut scene, proxy);
        let (_, outcome) = watched_in_silence(&mut scene, BOB, Some(Decision::Allow));
        let newer = scene.decide(BOB, decision).notifies;
        assert_eq!((state(&newer[0]).0, shows(&newer[0]).as_str()), (substate.clone(), note));
        assert_eq!(refused(&mut scene, &outcome.notifies[0], 407, proxy), [], "{decision:?}");
        // The newer one is.
        let again = refused(&mut scene, &newer[0], 407, proxy);
        assert_eq!((state(&again[0]).0, shows(&again[0]).as_str()), (substate.clone(), note));
        assert!(again[0].header(&Name::ProxyAuthorization).is_some());
    }
}
