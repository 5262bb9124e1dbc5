//! Bearer tokens (RFC 8898): which challenges are answered with one, where the next one comes from, and when no more.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::{Page, pidf};
use sip_presence::agent::{Challenged, Config, Credentials, Event, FailureCode};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::auth::Secret;
use sip_presence::sip::{Message, Method, Name};

const BOB: &str = "sip:bob@example.com";
const SERVER: &str = "https://as.example.com";
const BEARER: &str =
    "Bearer realm=\"here\", scope=\"presence watch\", authz_server=\"https://as.example.com\"";
const DIGEST: &str = "Digest realm=\"here\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256";

fn trusting(config: &mut Config) {
    config.authorization_servers = vec!["https://other.example.com/".to_owned(), SERVER.to_owned()];
}

/// Online with this token from the start, and the SUBSCRIBE for Bob.
fn with_token(token: &str) -> (Page, Message) {
    let mut page = Page::online_with(|config| {
        trusting(config);
        config.credentials =
            Credentials::Fixed { username: String::new(), secret: Secret::Token(token.to_owned()) };
    });
    page.watch(BOB);
    let subscribe = page.next_sent();
    (page, subscribe)
}

/// Online, where the application is asked; and the SUBSCRIBE for Bob.
fn asking() -> (Page, Message) {
    let mut page = Page::online_with(|config| {
        trusting(config);
        config.credentials = Credentials::Ask;
    });
    page.watch(BOB);
    let subscribe = page.next_sent();
    (page, subscribe)
}

fn challenge(page: &mut Page, request: &Message, rows: &[&str]) {
    let rows: Vec<(Name, &str)> = rows.iter().map(|row| (Name::WwwAuthenticate, *row)).collect();
    page.respond(request, 401, &rows);
}

/// What the application was asked so far.
fn questions(page: &Page) -> Vec<Challenged> {
    let events = page.events.iter().filter_map(|event| match event {
        Event::Challenged(challenged) => Some(challenged.clone()),
        _ => None,
    });
    events.collect()
}

/// Answers the last question.
fn answer(page: &mut Page, token: &str) {
    let id = questions(page).pop().unwrap().id;
    let token = Secret::Token(token.to_owned());
    page.agent.provide_credentials(id, Some((String::new(), token)), page.now);
    page.seconds(0);
}

fn token(request: &Message) -> Option<&str> {
    request.header(&Name::Authorization)
}

fn reason(page: &Page) -> Option<FailureCode> {
    page.failures().last().map(|failure| failure.code)
}

// 8898-2.1.3-a 8898-2.1.4-a 7118-7-d
#[test]
fn every_request_after_the_challenge_carries_the_token() {
    let mut page = Page::online_with(|config| {
        trusting(config);
        config.register = true;
        config.credentials =
            Credentials::Fixed { username: String::new(), secret: Secret::Token("abc.d-e_f=".to_owned()) };
    });
    let register = page.next_sent();
    assert_eq!(token(&register), None, "not before it is asked for");
    challenge(&mut page, &register, &[BEARER]);
    let again = page.next_sent();
    assert_eq!((again.method(), token(&again)), (Method::Register, Some("Bearer abc.d-e_f=")));
    assert_eq!(again.cseq().unwrap().number, register.cseq().unwrap().number + 1);
    page.watch(BOB);
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note: None, until: None, input: None };
    page.agent.publish(state, page.now);
    page.seconds(0);
    for method in [Method::Subscribe, Method::Publish] {
        let request = page.next_sent();
        assert_eq!((request.method(), token(&request)), (method, Some("Bearer abc.d-e_f=")));
        assert_eq!(request.rows(&Name::Authorization).count(), 1);
    }
}

// 8898-2.1.4-a
#[test]
fn a_proxy_gets_its_token_in_its_own_header() {
    let (mut page, subscribe) = with_token("t1");
    page.respond(&subscribe, 407, &[(Name::ProxyAuthenticate, BEARER)]);
    let again = page.next_sent();
    assert_eq!(again.header(&Name::ProxyAuthorization), Some("Bearer t1"));
    assert_eq!(token(&again), None);
    // Then the server behind it wants one too.
    challenge(&mut page, &again, &[BEARER]);
    let both = page.next_sent();
    assert_eq!(
        (both.header(&Name::ProxyAuthorization), token(&both)),
        (Some("Bearer t1"), Some("Bearer t1"))
    );
    page.accept(&both, 600);
    assert_eq!(page.notify(&both, "active;expires=600", &pidf(BOB, "busy", "")), 200);
    assert!(page.failures().is_empty());
}

// 8898-2.1.2-a
#[test]
fn a_token_goes_to_no_server_of_another_domain() {
    let (mut page, subscribe) = with_token("t1");
    challenge(&mut page, &subscribe, &[BEARER]);
    let again = page.next_sent();
    assert_eq!(token(&again), Some("Bearer t1"));
    page.accept(&again, 600);
    page.watch("sip:eve@evil.example");
    let subscribe = page.next_sent();
    assert_eq!(token(&subscribe), None);
    // Whoever answers there knows which authorization server is trusted.
    challenge(&mut page, &subscribe, &[BEARER]);
    assert!(page.is_silent());
    assert_eq!(reason(&page), Some(FailureCode::Untrusted));
    // The own proxy is on the way there too.
    page.watch("sip:dave@else.example");
    let subscribe = page.next_sent();
    page.respond(&subscribe, 407, &[(Name::ProxyAuthenticate, BEARER)]);
    let again = page.next_sent();
    assert_eq!((again.header(&Name::ProxyAuthorization), token(&again)), (Some("Bearer t1"), None));
}

// 8898-2.1.1-a
#[test]
fn a_token_goes_only_where_a_trusted_authorization_server_is_named() {
    for (named, trusted) in [
        ("authz_server=\"https://as.example.com\"", true),
        ("authz_server=\"https://as.example.com/\"", true),
        ("authz_server=\"https://other.example.com\"", true),
        ("authz_server=\"https://as.example.com.evil.example\"", false),
        ("authz_server=\"https://as.example.com/evil\"", false),
        ("authz_server=\"http://as.example.com\"", false),
        ("authz_server=\"\"", false),
        ("scope=\"a\"", false),
    ] {
        let row = format!("Bearer realm=\"here\", {named}");
        let (mut page, subscribe) = with_token("t1");
        challenge(&mut page, &subscribe, &[&row]);
        assert_eq!(!page.is_silent(), trusted, "{named}");
        assert_eq!(reason(&page), if trusted { None } else { Some(FailureCode::Untrusted) }, "{named}");
        let (mut page, subscribe) = asking();
        challenge(&mut page, &subscribe, &[&row]);
        assert_eq!(questions(&page).len(), usize::from(trusted), "{named}: nobody is sent there");
    }
    let mut page = Page::online_with(|config| {
        config.credentials =
            Credentials::Fixed { username: String::new(), secret: Secret::Token("t".to_owned()) };
    });
    page.watch(BOB);
    let subscribe = page.next_sent();
    challenge(&mut page, &subscribe, &[BEARER]);
    assert!(page.is_silent(), "nobody is trusted unless the application says so");
}

// 8898-2.1.2-a
#[test]
fn a_token_never_crosses_a_network_in_the_clear() {
    for (servers, safe) in [
        (&["wss://example.com/ws"][..], true),
        (&["ws://127.0.0.1:8080/ws", "ws://localhost/", "ws://[::1]:80/"], true),
        (&["ws://example.com/ws"], false),
        (&["ws://127.0.0.1.example.com/"], false),
        (&["ws://localhost.example.com"], false),
        (&["ws://127.evil/"], false),
        (&["ws://localhost:x@example.com/"], false),
        (&["ws://alice@10.0.0.1:127/"], false),
        (&["wss://example.com/ws", "ws://192.0.2.1/"], false),
    ] {
        let mut page = Page::online_with(|config| {
            trusting(config);
            config.servers = servers.iter().map(|url| (*url).to_owned()).collect();
            config.credentials =
                Credentials::Fixed { username: String::new(), secret: Secret::Token("t1".to_owned()) };
        });
        page.watch(BOB);
        let subscribe = page.next_sent();
        challenge(&mut page, &subscribe, &[BEARER]);
        assert_eq!(!page.is_silent(), safe, "{servers:?}");
        assert_eq!(reason(&page), if safe { None } else { Some(FailureCode::Untrusted) }, "{servers:?}");
    }
}

// 8898-2.1.1-b 8898-2.1.3-b
#[test]
fn the_application_is_told_what_the_server_wants_and_asked_once_more_after_a_refusal() {
    let (mut page, subscribe) = asking();
    challenge(&mut page, &subscribe, &[BEARER]);
    let asked = questions(&page);
    let wanted = &asked[0].challenge;
    assert_eq!((wanted.realm.as_str(), wanted.scheme.as_str()), ("here", "bearer"));
    assert_eq!(wanted.scope.as_deref(), Some("presence watch"));
    assert_eq!((wanted.authz_server.as_deref(), wanted.error.as_deref()), (Some(SERVER), None));
    assert!(!asked[0].rejected && asked[0].algorithms.is_empty());
    answer(&mut page, "old");
    let first = page.next_sent();
    assert_eq!(token(&first), Some("Bearer old"));
    challenge(&mut page, &first, &[&format!("{BEARER}, error=\"invalid_token\"")]);
    assert!(page.is_silent());
    let asked = questions(&page);
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[1].rejected, asked[1].challenge.error.as_deref()), (true, Some("invalid_token")));
    answer(&mut page, "new");
    let second = page.next_sent();
    assert_eq!(token(&second), Some("Bearer new"));
    challenge(&mut page, &second, &[&format!("{BEARER}, error=\"invalid_token\"")]);
    assert!(page.is_silent());
    assert_eq!(questions(&page).len(), 2, "not for ever");
    assert_eq!(reason(&page), Some(FailureCode::Unauthorized));
}

// 8898-2.1.3-b
#[test]
fn a_token_that_expires_later_is_replaced_and_the_same_again_is_not_sent() {
    let (mut page, subscribe) = asking();
    challenge(&mut page, &subscribe, &[BEARER]);
    answer(&mut page, "one");
    let accepted = page.next_sent();
    page.accept(&accepted, 600);
    assert_eq!(page.notify(&accepted, "active;expires=600", ""), 200);
    for next in ["two", "three"] {
        let before = questions(&page).len();
        page.seconds(300);
        let refresh = page.next_sent();
        assert!(token(&refresh).is_some());
        challenge(&mut page, &refresh, &[&format!("{BEARER}, error=\"invalid_token\"")]);
        assert!(page.is_silent(), "the same token would be refused again");
        let asked = questions(&page);
        assert_eq!((asked.len(), asked[before].rejected), (before + 1, true));
        answer(&mut page, next);
        let again = page.next_sent();
        assert_eq!(token(&again), Some(format!("Bearer {next}").as_str()));
        page.accept(&again, 600);
        assert_eq!(page.notify(&accepted, "active;expires=600", ""), 200);
    }
    page.seconds(300);
    let refresh = page.next_sent();
    challenge(&mut page, &refresh, &[BEARER]);
    answer(&mut page, "three");
    assert_eq!(reason(&page), Some(FailureCode::Unauthorized), "the application has no other");
    assert!(page.is_silent() || token(&page.next_sent()).is_none());
}

// 8898-2.1.3-b
#[test]
fn requests_that_crossed_the_new_token_do_not_ask_for_another() {
    let (mut page, bob) = asking();
    page.watch("sip:carol@example.com");
    let carol = page.next_sent();
    challenge(&mut page, &bob, &[BEARER]);
    answer(&mut page, "one");
    assert_eq!(token(&page.next_sent()), Some("Bearer one"));
    // It went out without a token.
    challenge(&mut page, &carol, &[BEARER]);
    assert_eq!(token(&page.next_sent()), Some("Bearer one"));
    assert_eq!(questions(&page).len(), 1);
}

// 8898-2.1.3-b
#[test]
fn a_fixed_token_that_is_refused_is_not_sent_again_for_this_request() {
    let (mut page, subscribe) = with_token("t1");
    challenge(&mut page, &subscribe, &[BEARER]);
    let again = page.next_sent();
    challenge(&mut page, &again, &[BEARER]);
    assert!(page.is_silent());
    assert_eq!(reason(&page), Some(FailureCode::Unauthorized));
}

// 8898-2.1.1-c
#[test]
fn of_several_schemes_the_topmost_that_the_credentials_fit_is_answered() {
    let (mut page, subscribe) = with_token("t1");
    challenge(&mut page, &subscribe, &[DIGEST, BEARER]);
    assert_eq!(token(&page.next_sent()), Some("Bearer t1"));
    let (mut page, _, subscribe) = Page::trying();
    challenge(&mut page, &subscribe, &[BEARER, DIGEST]);
    assert!(token(&page.next_sent()).unwrap().starts_with("Digest "), "no authorization server is trusted");
    let (mut page, subscribe) = asking();
    challenge(&mut page, &subscribe, &[BEARER, DIGEST]);
    let asked = questions(&page).pop().unwrap();
    assert_eq!((asked.challenge.scheme.as_str(), asked.algorithms), ("bearer", vec!["SHA-256"]));
    let password = Secret::Password("wonderland".to_owned());
    page.agent.provide_credentials(asked.id, Some(("alice".to_owned(), password)), page.now);
    page.seconds(0);
    assert!(token(&page.next_sent()).unwrap().starts_with("Digest username=\"alice\""));
    // A token where only a password will do is no answer.
    let (mut page, subscribe) = asking();
    challenge(&mut page, &subscribe, &[DIGEST]);
    answer(&mut page, "t1");
    assert!(page.is_silent());
    assert_eq!(reason(&page), Some(FailureCode::Algorithm));
}

#[test]
fn a_trace_shows_no_token() {
    let mut page = Page::online_with(|config| {
        trusting(config);
        config.trace = true;
        config.credentials =
            Credentials::Fixed { username: String::new(), secret: Secret::Token("hidden".to_owned()) };
    });
    page.watch(BOB);
    let subscribe = page.next_sent();
    challenge(&mut page, &subscribe, &[BEARER]);
    assert_eq!(token(&page.next_sent()), Some("Bearer hidden"));
    let traces = format!("{:?}", page.events);
    assert!(traces.contains("Authorization: Bearer …") && !traces.contains("hidden"));
}

// dig-8760-b
#[test]
fn of_several_algorithms_the_topmost_is_used() {
    let row =
        |algorithm: &str| format!("Digest realm=\"here\", nonce=\"n\", qop=\"auth\", algorithm={algorithm}");
    let all = ["SHA-512-256", "SHA-256", "MD5"];
    for first in 0..3 {
        let order: Vec<String> = (0..3).map(|n| row(all[(first + n) % 3])).collect();
        let order: Vec<&str> = order.iter().map(String::as_str).collect();
        let (mut page, _, subscribe) = Page::trying();
        challenge(&mut page, &subscribe, &order);
        let answered = page.next_sent().credentials(&Name::Authorization).remove(0);
        assert_eq!(answered.algorithm.as_deref(), Some(all[first]));
    }
}
