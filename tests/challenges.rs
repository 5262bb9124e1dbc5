//! Digest as an agent does it over several requests and several askers (RFC 3261 §22, RFC 7616, RFC 8760).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{Challenged, Config, Credentials, Event, FailureCode};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::auth::{Algorithm, DigestCredentials, Protected, Secret};
use sip_presence::sip::{Message, Method, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

fn asking(config: &mut Config) {
    config.credentials = Credentials::Ask;
}

fn challenge(realm: &str, nonce: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256")
}

fn publish(page: &mut Page) {
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note: None, until: None, input: None };
    page.agent.publish(state, page.now);
    page.seconds(0);
}

/// The question that the application was asked last.
fn question(page: &Page) -> Challenged {
    let asked = page.events.iter().rev().find_map(|event| match event {
        Event::Challenged(challenged) => Some(challenged.clone()),
        _ => None,
    });
    asked.expect("nobody was asked")
}

/// Whether `row` proves `password` for its own realm.
fn proves(row: &DigestCredentials, request: &Message, password: &str) -> bool {
    let secret = Secret::Password(password.to_owned());
    let ha1 = secret.ha1(Algorithm::Sha256, "alice", &row.realm).unwrap();
    let uri = request.request_uri().unwrap().to_string();
    row.verify(&ha1, Protected { method: request.method().as_str(), uri: &uri, body: &request.body })
}

#[test]
fn what_a_server_of_another_domain_wants_is_for_that_domain_alone() {
    let mut page = Page::online();
    let mut rows = |uri: &str, nonce: &str| {
        page.watch(uri);
        let mut subscribe = page.next_sent();
        let unasked: Vec<String> = subscribe.rows(&Name::Authorization).map(str::to_owned).collect();
        if unasked.is_empty() {
            page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, &challenge("here", nonce))]);
            subscribe = page.next_sent();
            assert!(subscribe.header(&Name::Authorization).unwrap().contains(nonce));
        }
        page.accept(&subscribe, 600);
        unasked
    };
    assert!(rows(BOB, "n1").is_empty());
    // Whoever answers there says that its realm is the same.
    assert!(rows("sip:eve@evil.example", "n2").is_empty());
    for (uri, nonce) in [("sip:carol@EXAMPLE.com", "n1"), ("sip:mallory@evil.example", "n2")] {
        let unasked = rows(uri, "");
        let [row] = unasked.as_slice() else { panic!("{unasked:?}") };
        let row = DigestCredentials::parse(row).unwrap();
        assert_eq!((row.nonce.as_str(), row.nc), (nonce, Some(2)));
    }
}

#[test]
fn a_proxy_is_answered_in_every_kind_of_request_and_from_the_start_in_the_next() {
    // dig-22.3-a 3856-9.3-a
    let mut page = Page::online_with(|config| config.register = true);
    let register = page.next_sent();
    page.respond(&register, 407, &[(Name::ProxyAuthenticate, &challenge("proxy", "n1"))]);
    let again = page.next_sent();
    assert_eq!((again.method(), again.header(&Name::Authorization)), (Method::Register, None));
    let mut counts = vec![again];
    publish(&mut page);
    counts.push(page.next_sent());
    page.watch(BOB);
    let subscribe = page.next_sent();
    counts.push(subscribe.clone());
    page.accept(&subscribe, 600);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    page.seconds(301);
    let mut later = page.next_sent();
    while later.method() != Method::Subscribe {
        later = page.next_sent();
    }
    assert_eq!(later.call_id(), subscribe.call_id());
    counts.push(later);
    let mut last = 0;
    for request in &counts {
        let rows = request.credentials(&Name::ProxyAuthorization);
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert!(proves(row, request, "wonderland"), "{}", request.method());
        assert!(row.nc.unwrap() > last, "each use counts up");
        last = row.nc.unwrap();
    }
}

#[test]
fn a_registration_proves_who_it_is() {
    // 3856-7.2-d
    let mut page = Page::online_with(|config| config.register = true);
    let first = page.next_sent();
    assert_eq!(first.header(&Name::Authorization), None);
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &challenge("registrar", "n1"))]);
    let second = page.next_sent();
    assert_eq!((second.method(), second.call_id()), (Method::Register, first.call_id()));
    assert!(proves(&second.credentials(&Name::Authorization)[0], &second, "wonderland"));
}

#[test]
fn a_server_behind_a_proxy_has_a_row_of_its_own() {
    // dig-22.3-b
    let (mut page, _, first) = Page::trying();
    page.respond(&first, 407, &[(Name::ProxyAuthenticate, &challenge("proxy", "p1"))]);
    let second = page.next_sent();
    page.respond(&second, 401, &[(Name::WwwAuthenticate, &challenge("server", "s1"))]);
    let third = page.next_sent();
    for (name, realm) in [(Name::ProxyAuthorization, "proxy"), (Name::Authorization, "server")] {
        let rows = third.credentials(&name);
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(row.realm, realm);
        assert!(proves(row, &third, "wonderland"));
    }
    // Two proxies that both want one are two rows.
    let (mut page, _, first) = Page::trying();
    page.respond(&first, 407, &[(Name::ProxyAuthenticate, &challenge("one", "n1"))]);
    let second = page.next_sent();
    page.respond(&second, 407, &[(Name::ProxyAuthenticate, &challenge("two", "n2"))]);
    let rows = page.next_sent().credentials(&Name::ProxyAuthorization);
    assert_eq!(rows.iter().map(|row| row.realm.as_str()).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn the_application_hears_the_realm_and_the_algorithms_it_is_asked_for() {
    // dig-22.1-e dig-8760-h
    let mut page = Page::online_with(asking);
    page.watch(BOB);
    let first = page.next_sent();
    let md5 = "Digest realm=\"Presence of Example\", nonce=\"n2\", algorithm=MD5";
    let sha = challenge("Presence of Example", "n1");
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &sha), (Name::WwwAuthenticate, md5)]);
    let asked = question(&page);
    assert_eq!(asked.challenge.realm, "Presence of Example");
    assert_eq!(
        (asked.challenge.scheme.as_str(), asked.algorithms.as_slice()),
        ("digest", ["SHA-256", "MD5"].as_slice())
    );
    // Who does not want MD5 gives a hash of the better one only: nothing else is answered with.
    let ha1 = Secret::Password("wonderland".to_owned())
        .ha1(Algorithm::Sha256, "alice", &asked.challenge.realm)
        .unwrap();
    let only = Secret::Ha1(vec![(Algorithm::Sha256, ha1)]);
    page.agent.provide_credentials(asked.id, Some(("alice".to_owned(), only)), page.now);
    page.seconds(0);
    let second = page.next_sent();
    let row = &second.credentials(&Name::Authorization)[0];
    assert!(proves(row, &second, "wonderland"));
    page.respond(&second, 401, &[(Name::WwwAuthenticate, md5)]);
    assert!(page.is_silent(), "no step down");
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::Algorithm);
}

#[test]
fn of_several_realms_the_topmost_that_is_known_is_answered() {
    // dig-8760-d
    let mut page = Page::online_with(asking);
    page.watch(BOB);
    let first = page.next_sent();
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &challenge("known", "n1"))]);
    let secret = Secret::Password("wonderland".to_owned());
    page.agent.provide_credentials(question(&page).id, Some(("alice".to_owned(), secret)), page.now);
    page.seconds(0);
    let second = page.next_sent();
    page.accept(&second, 600);
    page.watch("sip:carol@example.com");
    let other = page.next_sent();
    let asked = page.events.len();
    let rows = [challenge("stranger", "n2"), challenge("known", "n3"), challenge("another", "n4")];
    let rows: Vec<(Name, &str)> = rows.iter().map(|row| (Name::WwwAuthenticate, row.as_str())).collect();
    page.respond(&other, 401, &rows);
    let answer = page.next_sent();
    let row = &answer.credentials(&Name::Authorization)[0];
    assert_eq!((row.realm.as_str(), row.nonce.as_str()), ("known", "n3"));
    assert!(page.events[asked..].iter().all(|event| !matches!(event, Event::Challenged(_))));
}

#[test]
fn what_cannot_be_answered_is_abandoned_and_told() {
    // dig-8760-e
    for row in [
        "Digest realm=\"here\", nonce=\"n\", algorithm=SHA-3",
        "Negotiate realm=\"here\"",
        "Digest realm=\"here\", nonce=\"n\", qop=\"unheard-of\"",
    ] {
        let (mut page, _, first) = Page::trying();
        page.respond(&first, 401, &[(Name::WwwAuthenticate, row)]);
        assert!(page.is_silent(), "{row}");
        let failure = page.failures().pop().unwrap();
        assert_eq!((failure.code, failure.status), (FailureCode::Algorithm, Some(401)), "{row}");
        page.seconds(10_000);
        assert!(page.is_silent(), "{row}");
    }
    // Without credentials nobody is "anonymous" instead.
    let mut page = Page::online_with(|config| config.credentials = Credentials::None);
    page.watch(BOB);
    let first = page.next_sent();
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &challenge("here", "n"))]);
    assert!(page.is_silent());
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::NoCredentials);
}

#[test]
fn the_next_nonce_that_a_success_brings_is_used_from_its_first_count() {
    // dig-7616-l
    let (mut page, _, first) = Page::trying();
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &challenge("here", "n1"))]);
    let second = page.next_sent();
    let info = (Name::AuthenticationInfo, "nextnonce=\"n2\", qop=auth, nc=00000001");
    page.respond(&second, 200, &[(Name::Expires, "600"), info]);
    for count in 1..=2 {
        page.watch(&format!("sip:friend{count}@example.com"));
        let request = page.next_sent();
        let row = &request.credentials(&Name::Authorization)[0];
        assert_eq!((row.nonce.as_str(), row.nc), ("n2", Some(count)));
        assert!(proves(row, &request, "wonderland"));
    }
}

#[test]
fn a_realm_is_hashed_without_its_quotes_and_escapes_and_sent_with_them() {
    // dig-7616-o
    let (mut page, _, first) = Page::trying();
    let row = r#"Digest realm="a\"b\\c", nonce="n\"1", qop="auth", algorithm=SHA-256"#;
    page.respond(&first, 401, &[(Name::WwwAuthenticate, row)]);
    let second = page.next_sent();
    let text = second.header(&Name::Authorization).unwrap();
    assert!(text.contains(r#"realm="a\"b\\c""#) && text.contains(r#"nonce="n\"1""#), "{text}");
    let read = &second.credentials(&Name::Authorization)[0];
    assert_eq!((read.realm.as_str(), read.nonce.as_str()), ("a\"b\\c", "n\"1"));
    let hash = |text: &str| Algorithm::Sha256.hash(text.as_bytes());
    let ha1 = hash("alice:a\"b\\c:wonderland");
    let ha2 = hash("SUBSCRIBE:sip:bob@example.com");
    let cnonce = read.cnonce.as_deref().unwrap();
    assert_eq!(read.response, hash(&format!("{ha1}:n\"1:00000001:{cnonce}:auth:{ha2}")));
}

#[test]
fn names_and_passwords_are_hashed_as_utf_8() {
    let mut page = Page::online_with(|config| {
        config.credentials = Credentials::Fixed {
            username: "J\u{e4}s\u{f8}n".to_owned(),
            secret: Secret::Password("p\u{e4}ss".to_owned()),
        };
    });
    page.watch(BOB);
    let first = page.next_sent();
    let row = "Digest realm=\"here\", nonce=\"n\", algorithm=SHA-256, charset=UTF-8";
    page.respond(&first, 401, &[(Name::WwwAuthenticate, row)]);
    let second = page.next_sent();
    let read = &second.credentials(&Name::Authorization)[0];
    let hash = |bytes: &[u8]| Algorithm::Sha256.hash(bytes);
    let ha1 = hash(b"J\xc3\xa4s\xc3\xb8n:here:p\xc3\xa4ss");
    let ha2 = hash(b"SUBSCRIBE:sip:bob@example.com");
    assert_eq!(read.response, hash(format!("{ha1}:n:{ha2}").as_bytes()));
}

#[test]
fn a_server_that_invents_realms_is_not_asked_about_without_end() {
    let mut page = Page::online_with(asking);
    for n in 0..100 {
        page.watch(&format!("sip:friend{n}@example.com"));
        let request = page.next_sent();
        let row = format!(r#"Digest realm="realm{n}", nonce="n", qop="auth""#);
        page.respond(&request, 401, &[(Name::WwwAuthenticate, &row)]);
    }
    let asked = page.events.iter().filter(|event| matches!(event, Event::Challenged(_))).count();
    assert_eq!(asked, 16);
    assert_eq!(
        page.failures().iter().filter(|failure| failure.code == FailureCode::NoCredentials).count(),
        84
    );
}

/// Refuses everything that is sent, and counts how many answers to challenges that takes.
fn refuse_all(page: &mut Page) -> usize {
    let mut answers = 0;
    while page.pending() > 0 {
        let request = page.next_sent();
        answers += usize::from(request.header(&Name::Authorization).is_some());
        page.respond(
            &request,
            401,
            &[(Name::WwwAuthenticate, &challenge("example.com", &answers.to_string()))],
        );
    }
    answers
}

fn watch_many(page: &mut Page, first: usize) {
    for number in first..first + 100 {
        page.watch(&format!("sip:user{number}@example.com"));
    }
}

#[test]
fn a_wrong_password_is_not_sent_for_each_of_many_watches() {
    let mut page = Page::online();
    watch_many(&mut page, 0);
    let answers = refuse_all(&mut page);
    assert!((1..=16).contains(&answers), "{answers} answers: no more than were on their way at once");
    let refused = page.failures().iter().filter(|failure| failure.code == FailureCode::Unauthorized).count();
    assert_eq!(refused, 100, "each watch is told");
    watch_many(&mut page, 100);
    assert_eq!(refuse_all(&mut page), 0, "refused a moment ago");
    page.seconds(61);
    page.watch("sip:later@example.com");
    assert_eq!(refuse_all(&mut page), 1, "by now the server may know better");
}

#[test]
fn one_refusal_of_credentials_that_were_taken_before_is_no_refusal_of_all() {
    let mut page = Page::online();
    page.watch(BOB);
    let subscribe = page.next_sent();
    page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, &challenge("example.com", "a"))]);
    let proved = page.next_sent();
    page.accept(&proved, 3600);
    page.watch("sip:carol@example.com");
    assert!(refuse_all(&mut page) >= 1);
    page.watch("sip:dave@example.com");
    assert!(refuse_all(&mut page) >= 1, "tried all the same");
}
