//! What the agent's requests look like on the wire, and what any response does to any of them: registration, digest,
//! transactions, unknown codes.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{ConnectionState, Event, FailureCode, Watching};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::auth::{Algorithm, Protected, Secret};
use sip_presence::sip::{Message, Method, Name, Uri};
use std::collections::BTreeSet;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

fn registering() -> Page {
    Page::online_with(|config| {
        config.register = true;
        config.instance = "urn:uuid:00000000-0000-4000-8000-00000000a11c".to_owned();
    })
}

fn publish(page: &mut Page) {
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note: None, until: None, input: None };
    page.agent.publish(state, page.now);
    page.seconds(0);
}

fn challenge(realm: &str, nonce: &str, more: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{more}")
}

/// Whether `request` proves that Alice knows her password.
fn is_proved(request: &Message, header: &Name, algorithm: Algorithm) -> bool {
    let rows = request.credentials(header);
    let [row] = rows.as_slice() else { return false };
    let secret = Secret::Password("wonderland".to_owned());
    let ha1 = secret.ha1(algorithm, "alice", &row.realm).unwrap();
    let uri = request.request_uri().unwrap().to_string();
    assert_eq!(row.uri, uri);
    let method = request.method();
    row.verify(&ha1, Protected { method: method.as_str(), uri: &uri, body: &request.body })
}

#[test]
fn requests_of_all_kinds_carry_what_is_theirs_and_nothing_else() {
    // 6665-8.2.1-b 6665-8.2.1-c 6665-8.2.3-a 3261-8.1.1.4-a 3261-8.1.1.5-a 3261-7.4.1-a 2779-5.1.17-a 3856-6.5-a
    // 3261-12.1-c 3261-8.1.2-a
    let mut page = registering();
    publish(&mut page);
    page.watch(BOB);
    let requests: Vec<Message> = (0..page.pending()).map(|_| page.next_sent()).collect();
    let methods: Vec<Method> = requests.iter().map(Message::method).collect();
    assert_eq!(methods, [Method::Register, Method::Publish, Method::Subscribe]);
    let call_ids: BTreeSet<&str> = requests.iter().map(Message::call_id).collect();
    assert_eq!(call_ids.len(), 3);
    for request in &requests {
        let method = request.method();
        assert_eq!(request.rows(&Name::Event).count(), usize::from(method != Method::Register), "{method}");
        assert!(request.header(&Name::SubscriptionState).is_none());
        assert!(request.header(&Name::Route).is_none(), "no proxy is configured: the socket is the next hop");
        let cseq = request.cseq().unwrap();
        assert!(cseq.number < 1 << 31 && cseq.method == method);
        assert_eq!(request.header(&Name::ContentType).is_some(), !request.body.is_empty());
        assert!(request.header(&Name::ContentEncoding).is_none());
        let text = String::from_utf8(request.to_bytes()).unwrap();
        assert!(text.contains(".invalid"), "the host has no address");
        assert!(!text.contains("127.0.0.1") && !text.contains("192.168."));
    }
    assert!(requests[2].accepts("application/pidf+xml", ""));
    assert_eq!(requests[1].header(&Name::ContentType), Some("application/pidf+xml"));
}

#[test]
fn a_registration_is_for_the_own_address_and_one_at_a_time() {
    // 3261-10.2-a 3261-10.2-b 3261-10.2-c 3261-10.2-d 3261-10.2.2-a 5626-4.2.1-b 5626-4.2.1-c 5627-4.1-a 5627-4.1-b
    let mut page = registering();
    let first = page.next_sent();
    assert_eq!(first.request_uri().unwrap().to_string(), "sip:example.com");
    assert_eq!(first.to().unwrap().uri.to_string(), "sip:alice@example.com");
    assert_eq!(first.from().unwrap().uri.to_string(), "sip:alice@example.com");
    let supported: Vec<&str> = first.list(&Name::Supported).collect();
    assert!(["path", "outbound", "gruu"].iter().all(|tag| supported.contains(tag)), "{supported:?}");
    let contact = first.contact().unwrap();
    assert_eq!(contact.params.value("reg-id"), Some("1"));
    let instance = contact.params.value("+sip.instance").unwrap();
    assert!(instance.contains("urn:uuid:00000000-0000-4000-8000-00000000a11c"), "{instance}");
    assert!(contact.params.value("pub-gruu").is_none() && contact.params.value("temp-gruu").is_none());
    page.seconds(20);
    assert!(page.is_silent(), "none before the first is answered");
    let contact = first.header(&Name::Contact).unwrap().to_owned();
    let record_route = (Name::RecordRoute, "<sip:proxy.example.com;lr>");
    page.respond(&first, 200, &[(Name::Contact, &contact), (Name::Expires, "600"), record_route]);
    page.seconds(300);
    let second = page.next_sent();
    assert_eq!((second.method(), second.call_id()), (Method::Register, first.call_id()));
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    assert!(second.header(&Name::Route).is_none());
    page.respond(&second, 200, &[(Name::Contact, &contact), (Name::Expires, "600")]);
    page.agent.close(page.now);
    page.seconds(0);
    let last = page.next_sent();
    let expires = last.contact().unwrap().params.value("expires").map(str::to_owned);
    assert_eq!(
        (last.method(), last.expires().or(expires.and_then(|e| e.parse().ok()))),
        (Method::Register, Some(0))
    );
    assert_ne!(last.header(&Name::Contact), Some("*"), "other devices stay registered");
}

#[test]
fn a_registration_that_times_out_or_is_too_brief() {
    // 3261-10.2.7-a 3261-10.2.8-a
    let mut page = registering();
    let first = page.next_sent();
    page.respond(&first, 423, &[(Name::MinExpires, "7200")]);
    let second = page.next_sent();
    assert!(
        second.contact().unwrap().params.value("expires") == Some("7200") || second.expires() == Some(7200)
    );
    page.seconds(32);
    assert!(page.failures().iter().any(|failure| failure.code == FailureCode::Timeout));
    assert!(page.is_silent(), "not again at once");
    page.seconds(120);
    assert_eq!(page.next_sent().method(), Method::Register);
}

#[test]
fn a_challenge_is_answered_by_the_same_request_with_the_next_number() {
    // dig-22.2-a dig-22.4-a dig-8760-f 3856-9.2-b 3856-9.4-d
    for (status, asks, answers) in [
        (401, Name::WwwAuthenticate, Name::Authorization),
        (407, Name::ProxyAuthenticate, Name::ProxyAuthorization),
    ] {
        let (mut page, _, first) = Page::trying();
        page.respond(
            &first,
            status,
            &[(asks, &challenge("here", "n1", ", qop=\"auth\", algorithm=SHA-256"))],
        );
        let second = page.next_sent();
        assert_eq!(second.call_id(), first.call_id());
        assert_eq!(second.from().unwrap(), first.from().unwrap());
        assert_eq!(second.to().unwrap(), first.to().unwrap());
        assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
        assert_ne!(second.via().unwrap().branch(), first.via().unwrap().branch());
        assert!(is_proved(&second, &answers, Algorithm::Sha256));
        assert_eq!(second.credentials(&answers)[0].nc, Some(1));
        let row = second.header(&answers).unwrap();
        assert!(row.contains(&format!("uri=\"{BOB}\"")) && row.contains("qop=auth"), "{row}");
    }
}

#[test]
fn each_use_of_a_nonce_counts_up_over_all_requests() {
    // dig-7616-h 3903-14.1-b
    let (mut page, _, first) = Page::trying();
    let row = challenge("here", "n1", ", qop=\"auth\", algorithm=SHA-256");
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &row)]);
    let mut counts = vec![page.next_sent().credentials(&Name::Authorization)[0].nc.unwrap()];
    for name in ["carol", "dave", "eve"] {
        page.watch(&format!("sip:{name}@example.com"));
        let request = page.next_sent();
        assert!(is_proved(&request, &Name::Authorization, Algorithm::Sha256));
        counts.push(request.credentials(&Name::Authorization)[0].nc.unwrap());
    }
    publish(&mut page);
    let request = page.next_sent();
    assert!(is_proved(&request, &Name::Authorization, Algorithm::Sha256));
    counts.push(request.credentials(&Name::Authorization)[0].nc.unwrap());
    assert_eq!(counts, [1, 2, 3, 4, 5]);
}

#[test]
fn a_challenge_without_qop_is_answered_without() {
    // dig-22.4-a
    let (mut page, _, first) = Page::trying();
    page.respond(&first, 401, &[(Name::WwwAuthenticate, &challenge("here", "n1", ""))]);
    let second = page.next_sent();
    assert!(is_proved(&second, &Name::Authorization, Algorithm::Md5));
    let row = &second.credentials(&Name::Authorization)[0];
    assert_eq!((row.qop, row.nc, row.cnonce.is_none()), (None, None, true));
}

#[test]
fn of_several_challenges_the_topmost_that_can_be_answered_counts() {
    // dig-8760-f
    let (mut page, _, first) = Page::trying();
    let rows = [
        "Basic realm=\"here\"".to_owned(),
        challenge("here", "n1", ", qop=\"auth\", algorithm=SHA-999"),
        challenge("here", "n2", ", qop=\"auth\", algorithm=SHA-512-256"),
        challenge("here", "n3", ", qop=\"auth\", algorithm=MD5"),
    ];
    let headers: Vec<(Name, &str)> = rows.iter().map(|row| (Name::WwwAuthenticate, row.as_str())).collect();
    page.respond(&first, 401, &headers);
    let second = page.next_sent();
    assert!(is_proved(&second, &Name::Authorization, Algorithm::Sha512_256));
    assert_eq!(second.credentials(&Name::Authorization)[0].nonce, "n2");
}

#[test]
fn basic_is_never_answered() {
    // dig-22-a
    let (mut page, id, first) = Page::trying();
    page.respond(&first, 401, &[(Name::WwwAuthenticate, "Basic realm=\"here\"")]);
    assert!(page.is_silent());
    assert_eq!(page.view(id).subscription.reason.as_deref(), Some("algorithm"));
}

#[test]
fn codes_that_nobody_knows_mean_what_their_class_means() {
    // 3261-8.1.3.2-a
    for (status, code) in [
        (431, FailureCode::Refused),
        (499, FailureCode::Refused),
        (577, FailureCode::ServerError),
        (677, FailureCode::Refused),
    ] {
        let (mut page, id, subscribe) = Page::trying();
        page.respond(&subscribe, status, &[]);
        let view = page.view(id);
        assert_eq!(view.subscription.state, Watching::Terminated, "{status}");
        assert_eq!(page.failures().last().map(|failure| failure.code), Some(code), "{status}");
        assert_eq!(view.subscription.retry_at.is_some(), status == 577, "{status}");
    }
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 299, &[(Name::Expires, "600")]);
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "")), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
}

#[test]
fn provisional_responses_do_not_hold_up_timer_f() {
    // 3261-17.1.2-c 3261-8.1.3.2-a
    let (mut page, id, subscribe) = Page::trying();
    page.seconds(10);
    page.respond(&subscribe, 100, &[]);
    page.seconds(10);
    page.respond(&subscribe, 188, &[]);
    page.seconds(11);
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    page.seconds(1);
    assert_eq!(page.view(id).subscription.reason.as_deref(), Some("timeout"));
}

#[test]
fn a_second_final_response_and_one_for_somebody_else_are_dropped() {
    // 3261-17.1.2-d 3261-18.1.2-a 3261-8.1.3.3-a 7118-5.3-a 3261-7.3.2-a
    let (mut page, id, subscribe) = Page::trying();
    let mut foreign = Message::response(&subscribe, 403, Some("server-tag"));
    let via = subscribe.header(&Name::Via).unwrap().replace(".invalid", ".example");
    foreign.set(Name::Via, via);
    page.receive(&foreign.to_bytes());
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    let mut two = Message::response(&subscribe, 403, Some("server-tag"));
    two.push(Name::Via, "SIP/2.0/WSS other.example.com;branch=z9hG4bKother");
    page.receive(&two.to_bytes());
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    // No `received` in Via; a header that has no business in a response changes nothing.
    page.respond(&subscribe, 200, &[(Name::Expires, "600"), (Name::Event, "dialog")]);
    page.respond(&subscribe, 403, &[]);
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "")), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Active);
    assert!(page.failures().is_empty() && page.is_silent());
}

#[test]
fn a_notify_is_answered_before_the_application_hears_of_it() {
    // 6665-4.1.3-t
    let (mut page, _, subscribe) = Page::watching();
    let notify = notification(&subscribe, "server-tag", 900, "active;expires=600", &pidf(BOB, "busy", ""));
    page.agent.handle_message(&notify.to_bytes(), page.now);
    let order: Vec<&str> = std::iter::from_fn(|| page.agent.poll())
        .map(|output| match output {
            sip_presence::agent::Output::Send(_) => "answer",
            sip_presence::agent::Output::Event(Event::State { .. }) => "state",
            _ => "other",
        })
        .collect();
    assert_eq!(order, ["answer", "state"]);
}

#[test]
fn compressed_bodies_are_refused_with_what_is_taken() {
    // 3261-7.4.1-a 3261-8.2.3-a
    let (mut page, id, subscribe) = Page::watching();
    let mut notify =
        notification(&subscribe, "server-tag", 900, "active;expires=600", &pidf(BOB, "busy", ""));
    notify.set(Name::ContentEncoding, "gzip");
    page.receive(&notify.to_bytes());
    let answer = page.next_sent();
    assert_eq!((answer.status(), answer.header(&Name::AcceptEncoding)), (Some(415), Some("identity")));
    assert_eq!(page.view(id).summary.status, Status::Unknown);
}

#[test]
fn a_secure_address_needs_a_secure_connection() {
    // 7118-9.2-a 3856-6.6.1-e
    let aor = Uri::parse("sip:alice@example.com").unwrap();
    let mut page = Page::online_with(|config| {
        config.servers = vec!["ws://127.0.0.1/".to_owned()];
        config.aor = aor;
    });
    let id = page.watch("sips:bob@example.com");
    assert!(page.is_silent());
    let told = page.told();
    assert_eq!(told.last().unwrap().subscription.reason.as_deref(), Some("secure-only"));
    assert!(page.agent.view(id).is_none(), "it is not watched");
    let mut page = Page::online();
    page.watch("sips:bob@example.com");
    assert_eq!(page.next_sent().request_uri().unwrap().to_string(), "sips:bob@example.com");
}

#[test]
fn a_contact_without_priority_is_the_least_preferred() {
    // 3863-4.1.5-c
    let (mut page, id, subscribe) = Page::watching();
    let document = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"sip:bob@example.com\">\
         <tuple id=\"a\"><status><basic>open</basic></status><rpid:activities><rpid:busy/></rpid:activities>\
         <contact>sip:a@example.com</contact></tuple>\
         <tuple id=\"b\"><status><basic>open</basic></status><rpid:activities><rpid:away/></rpid:activities>\
         <contact priority=\"0\">sip:b@example.com</contact></tuple></presence>";
    assert_eq!(page.notify(&subscribe, "active;expires=600", document), 200);
    assert_eq!(page.view(id).summary.status, Status::Away, "0 is above none");
}

#[test]
fn a_handshake_that_fails_is_a_failure_that_says_what_to_check() {
    // 7118-7-b
    let mut page = Page::new(|_| {});
    page.disconnect();
    let state = page.events.iter().rev().find_map(|event| match event {
        Event::Connection(ConnectionState::Reconnecting { reason, .. }) => Some(reason.clone()),
        _ => None,
    });
    let failure = state.unwrap();
    assert_eq!((failure.code, failure.status), (FailureCode::ConnectionFailed, Some(1006)));
    assert!(failure.code.explain().contains("server URL"));
}

#[test]
fn requests_outside_a_dialog_go_through_the_route_and_those_inside_through_their_own() {
    // 3261-8.1.1.1-b 3261-12.1-c 3903-4-d 3261-8.1.1.9-a
    let mut page = Page::online_with(|config| {
        config.register = true;
        config.route = "<sip:a.example.com;lr>, <sip:b.example.com;transport=ws;lr>".to_owned();
    });
    let route = ["<sip:a.example.com;lr>", "<sip:b.example.com;transport=ws;lr>"];
    let routes = |request: &Message| request.list(&Name::Route).map(str::to_owned).collect::<Vec<_>>();
    let register = page.next_sent();
    assert_eq!(routes(&register), route);
    let supported = |request: &Message| request.list(&Name::Supported).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(supported(&register), ["path", "gruu"], "outbound is for who has an instance");
    page.respond(
        &register,
        200,
        &[(Name::Expires, "3600"), (Name::Contact, register.header(&Name::Contact).unwrap())],
    );
    publish(&mut page);
    let publish = page.next_sent();
    assert_eq!((publish.method(), routes(&publish)), (Method::Publish, route.map(str::to_owned).to_vec()));
    assert_eq!(supported(&publish), ["outbound", "gruu"]);
    page.respond(&publish, 200, &[(Name::SipETag, "e"), (Name::Expires, "3600")]);
    page.watch("sip:bob@example.com");
    let subscribe = page.next_sent();
    assert_eq!(routes(&subscribe), route);
    assert_eq!(subscribe.request_uri().unwrap().to_string(), "sip:bob@example.com");
    // Another try of it has the route once.
    page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, &challenge("r", "n", ""))]);
    let subscribe = page.next_sent();
    assert_eq!(routes(&subscribe), route);
    page.accept(&subscribe, 3600);
    assert_eq!(page.notify(&subscribe, "active;expires=100", ""), 200);
    page.seconds(50);
    let refresh = page.next_sent();
    assert_eq!((refresh.method(), routes(&refresh)), (Method::Subscribe, vec![]));
    assert_eq!(supported(&refresh), ["outbound", "gruu"]);
}

#[test]
fn wished_rates_are_in_each_subscribe_and_in_no_answer() {
    // 6446-4.1-a 6446-4.1-b 6446-5.1-b 6665-8.2.1-c
    let mut page = Page::online_with(|config| config.rates = ";max-rate=0.05".to_owned());
    let id = page.watch("sip:bob@example.com");
    let subscribe = page.next_sent();
    assert_eq!(subscribe.header(&Name::Event), Some("presence;max-rate=0.05"));
    page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, &challenge("r", "n", ""))]);
    let subscribe = page.next_sent();
    assert_eq!(subscribe.header(&Name::Event), Some("presence;max-rate=0.05"));
    page.accept(&subscribe, 3600);
    let mut notify = notification(&subscribe, "server-tag", 7, "active;expires=100;max-rate=0.1", "");
    for event in ["presence", "presence;max-rate=0.05"] {
        notify.set(Name::Event, event);
        notify.set(Name::CSeq, format!("{} NOTIFY", 7 + event.len()));
        page.receive(&notify.to_bytes());
        let answer = page.next_sent();
        assert_eq!((answer.status(), answer.header(&Name::Event)), (Some(200), None));
    }
    page.seconds(50);
    let refresh = page.next_sent();
    assert_eq!(refresh.header(&Name::Event), Some("presence;max-rate=0.05"));
    page.respond(&refresh, 204, &[]);
    page.unwatch(id);
    page.seconds(2);
    assert_eq!(page.next_sent().header(&Name::Event), Some("presence;max-rate=0.05"));

    // A wish that is not made is not there.
    let (mut page, _, subscribe) = Page::trying();
    assert_eq!(subscribe.header(&Name::Event), Some("presence"));
    page.accept(&subscribe, 3600);
    notify = notification(&subscribe, "server-tag", 7, "active;expires=100", "");
    page.receive(&notify.to_bytes());
    assert_eq!(page.next_sent().header(&Name::Event), None);
}

#[test]
fn a_redirection_to_very_many_places_leads_to_eight() {
    // 3261-8.1.3.4-a 3261-8.1.3.4-b
    let (mut page, id, subscribe) = Page::trying();
    let contacts: Vec<String> = (0..6000).map(|n| format!("<sip:{n}@example.net>;q=0.{}", n % 10)).collect();
    page.respond(&subscribe, 300, &[(Name::Contact, &contacts.join(","))]);
    for n in 0..8 {
        let next = page.next_sent();
        assert_eq!(
            next.request_uri().unwrap().to_string(),
            format!("sip:{}9@example.net", if n == 0 { String::new() } else { n.to_string() })
        );
        page.respond(&next, 404, &[]);
    }
    assert_eq!(page.view(id).subscription.reason.as_deref(), Some("not-found"));
    page.seconds(1000);
    assert!(page.is_silent());
}
