//! Registration as one flow (RFC 5626), the address that it yields (RFC 5627), and servers tried in order.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{Config, ConnectionState, Event, FailureCode, Watching};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::{Message, Method, Name};
use sip_presence::time::Duration;

const BOB: &str = "sip:bob@example.com";
const INSTANCE: &str = "urn:uuid:00000000-0000-4000-8000-00000000a11c";
const PUBLIC: &str = "sip:alice@example.com;gr=urn:uuid:00000000-0000-4000-8000-00000000a11c";
const TEMPORARY: &str = "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr;%6Cr=1";

fn registering(config: &mut Config) {
    config.register = true;
    config.instance = INSTANCE.to_owned();
}

/// A page that has sent its first REGISTER.
fn page() -> (Page, Message) {
    let mut page = Page::online_with(registering);
    let register = page.next_sent();
    assert_eq!(register.method(), Method::Register);
    (page, register)
}

/// Answers a REGISTER with 200 for `seconds`; `more` are parameters of the Contact.
fn grant(page: &mut Page, register: &Message, seconds: u32, more: &str) {
    let contact = register.header(&Name::Contact).unwrap();
    let contact = format!("{contact};expires={seconds}{more}");
    page.respond(register, 200, &[(Name::Contact, &contact)]);
}

fn gruu(name: &str, uri: &str) -> String {
    format!(";{name}=\"{uri}\"")
}

/// The Contact of the next SUBSCRIBE, for a watch of `name`.
fn contact_of_next_watch(page: &mut Page, name: &str) -> String {
    page.watch(&format!("sip:{name}@example.com"));
    let subscribe = page.next_sent();
    assert_eq!(subscribe.method(), Method::Subscribe);
    subscribe.header(&Name::Contact).unwrap().to_owned()
}

/// What has been sent and not looked at, REGISTER only.
fn registers(page: &mut Page) -> Vec<Message> {
    (0..page.pending()).map(|_| page.next_sent()).filter(|m| m.method() == Method::Register).collect()
}

// 5626-4.1-b 5626-4.2.2-a 5626-4.2.3-a 5626-4.5-a 7118-B-a 7118-8.1-a
#[test]
fn the_device_and_its_flow_have_the_same_names_in_every_register() {
    let (mut page, first) = page();
    let expected = format!(";+sip.instance=\"<{INSTANCE}>\";reg-id=1");
    let contact = first.header(&Name::Contact).unwrap().to_owned();
    assert!(contact.ends_with(&expected) && contact.contains(".invalid;transport=ws;ob>"), "{contact}");
    assert_eq!(first.list(&Name::Supported).collect::<Vec<_>>(), ["path", "outbound", "gruu"]);
    grant(&mut page, &first, 600, "");
    page.seconds(300);
    let refresh = page.next_sent();
    grant(&mut page, &refresh, 600, "");
    page.disconnect();
    page.seconds(2);
    page.connect();
    let over_new_flow = page.next_sent();
    grant(&mut page, &over_new_flow, 600, "");
    page.agent.close(page.now);
    page.seconds(0);
    let removal = page.next_sent();
    assert_eq!(removal.expires(), Some(0));
    for later in [refresh, over_new_flow, removal] {
        assert_eq!(later.header(&Name::Contact), Some(contact.as_str()), "not `*`, and not another flow");
        assert_eq!(later.call_id(), first.call_id());
    }
}

// 5626-4.2.3-a
#[test]
fn unregistering_does_not_wait_for_a_silent_server() {
    let (mut page, register) = page();
    grant(&mut page, &register, 600, "");
    page.agent.close(page.now);
    page.seconds(0);
    assert_eq!(page.next_sent().expires(), Some(0));
    assert!(!page.events.iter().any(|event| matches!(event, Event::Closed)));
    page.seconds(1);
    assert!(page.events.iter().any(|event| matches!(event, Event::Closed)));
    assert_eq!((page.closes, page.is_silent()), (1, true));
}

// 3327-5.1-a
#[test]
fn a_path_in_the_answer_changes_nothing() {
    let (mut page, register) = page();
    let contact = register.header(&Name::Contact).unwrap().to_owned();
    let path = (Name::Path, "<sip:edge.example.com;lr;ob>");
    page.respond(&register, 200, &[(Name::Contact, &contact), (Name::Expires, "600"), path]);
    page.watch(BOB);
    let subscribe = page.next_sent();
    assert_eq!(subscribe.header(&Name::Route), None);
    assert_eq!(subscribe.request_uri().unwrap().to_string(), BOB);
    assert!(page.failures().is_empty());
}

// 5626-4.3-a 5626-4.3-b 5627-4.1-c 5627-4.4-d
#[test]
fn other_requests_offer_the_extensions_and_stay_on_the_flow() {
    let mut page = Page::online();
    page.watch(BOB);
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note: None, until: None, input: None };
    page.agent.publish(state, page.now);
    page.seconds(0);
    for method in [Method::Subscribe, Method::Publish] {
        let request = page.next_sent();
        assert_eq!(request.method(), method);
        assert_eq!(request.list(&Name::Supported).collect::<Vec<_>>(), ["outbound", "gruu"]);
        assert_eq!((request.header(&Name::Require), request.header(&Name::ProxyRequire)), (None, None));
        if method == Method::Subscribe {
            assert!(request.contact().unwrap().uri.params.contains("ob"), "no GRUU: the flow is asked for");
        }
    }
}

// 5627-4.2-a 5627-4.2-d 5627-4.4-a 5627-4.5-b
#[test]
fn the_address_that_the_registrar_gives_is_used_as_it_is() {
    for (given, used) in [
        ([gruu("pub-gruu", PUBLIC), gruu("temp-gruu", TEMPORARY)].concat(), Some(PUBLIC)),
        (gruu("pub-gruu", PUBLIC), Some(PUBLIC)),
        (gruu("temp-gruu", TEMPORARY), Some(TEMPORARY)),
        (String::new(), None),
        (gruu("pub-gruu", "sip:alice@example.com>, <sip:eve@example.com"), None),
    ] {
        let (mut page, register) = page();
        grant(&mut page, &register, 600, &given);
        page.watch(BOB);
        let subscribe = page.next_sent();
        let contact = subscribe.header(&Name::Contact).unwrap();
        match used {
            Some(used) => assert_eq!(contact, format!("<{used}>"), "nothing added, nothing changed"),
            None => assert!(contact.contains(".invalid;transport=ws;ob"), "{contact}"),
        }
        page.accept(&subscribe, 3600);
        let active = notification(&subscribe, "server-tag", 1, "active;expires=3600", &pidf(BOB, "busy", ""));
        page.receive(&active.to_bytes());
        let answer = page.next_sent();
        assert_eq!(answer.status(), Some(200));
        assert_eq!(answer.header(&Name::Contact), used.map(|used| format!("<{used}>")).as_deref());
    }
}

// 5627-4.2-a 5627-4.2-b 5627-4.4-e 5627-4.1-b
#[test]
fn a_refresh_may_bring_another_address_or_none() {
    let (mut page, register) = page();
    grant(&mut page, &register, 600, &gruu("temp-gruu", TEMPORARY));
    assert_eq!(contact_of_next_watch(&mut page, "bob"), format!("<{TEMPORARY}>"));
    let mut call_ids = vec![register.call_id().to_owned()];
    for (given, used) in [(gruu("pub-gruu", PUBLIC), Some(PUBLIC)), (String::new(), None)] {
        page.seconds(300);
        let refresh = registers(&mut page).pop().unwrap();
        call_ids.push(refresh.call_id().to_owned());
        grant(&mut page, &refresh, 600, &given);
        let name = if used.is_some() { "carol" } else { "dave" };
        let contact = contact_of_next_watch(&mut page, name);
        assert_eq!(contact == format!("<{PUBLIC}>"), used.is_some(), "{contact}");
    }
    call_ids.dedup();
    assert_eq!(call_ids.len(), 1, "the Call-ID never changes, so that temporary addresses hold");
}

// 5627-4.2-e 5627-4.4-b
#[test]
fn a_failed_refresh_keeps_the_address_until_the_registration_lapses() {
    let (mut page, register) = page();
    grant(&mut page, &register, 600, &gruu("pub-gruu", PUBLIC));
    page.seconds(300);
    let refresh = page.next_sent();
    page.respond(&refresh, 500, &[]);
    assert_eq!(contact_of_next_watch(&mut page, "bob"), format!("<{PUBLIC}>"));
    // Nobody answers any more.
    page.seconds(299);
    while !page.is_silent() {
        page.next_sent();
    }
    assert_eq!(contact_of_next_watch(&mut page, "carol"), format!("<{PUBLIC}>"));
    page.seconds(1);
    assert!(contact_of_next_watch(&mut page, "dave").contains(".invalid"), "lapsed");
}

// 5627-4.4-b
#[test]
fn the_address_outlives_a_lost_connection_but_not_a_lapsed_registration() {
    for (away, kept) in [(100, true), (700, false)] {
        let (mut page, register) = page();
        grant(&mut page, &register, 600, &gruu("pub-gruu", PUBLIC));
        page.disconnect();
        page.seconds(away);
        page.agent.handle_online(page.now);
        page.connect();
        assert_eq!(page.next_sent().method(), Method::Register, "before anything else");
        let contact = contact_of_next_watch(&mut page, "bob");
        assert_eq!(contact == format!("<{PUBLIC}>"), kept, "{contact}");
    }
}

// 5627-4.2-c
#[test]
fn a_refresh_can_end_before_the_registration_does() {
    for granted in [20, 63, 64, 70, 600, 3600] {
        let (mut page, register) = page();
        grant(&mut page, &register, granted, "");
        let start = page.now;
        while page.is_silent() {
            page.seconds(1);
        }
        let left = u64::from(granted) * 1000 - page.now.since(start).as_millis();
        let least = if granted < 64 { u64::from(granted) * 1000 / 2 - 1000 } else { 32_000 };
        assert!(left >= least, "{left} ms of {granted} s");
    }
}

// 3261-10.2.4-a 3261-10.2.4-b
#[test]
fn the_own_contact_is_found_among_others_also_if_the_registrar_wrote_it_anew() {
    let other = "<sip:other@phone.invalid>;expires=20;+sip.instance=\"<urn:uuid:1>\";reg-id=1;pub-gruu=\"sip:x@y;gr\"";
    let second_flow = format!("<sip:x@192.0.2.9>;+sip.instance=\"<{INSTANCE}>\";reg-id=2;expires=30");
    for (written, uri) in [("as it was", None), ("anew", Some("<sip:alice@192.0.2.7:4711;transport=wss>"))] {
        let (mut page, register) = page();
        let contact = register.header(&Name::Contact).unwrap();
        let params = contact.split_once('>').unwrap().1;
        let own = uri.map_or_else(|| contact.to_owned(), |uri| format!("{uri}{params}"));
        let own = format!("{own};expires=1000;pub-gruu=\"{PUBLIC}\"");
        let rows = [(Name::Contact, other), (Name::Contact, &second_flow), (Name::Contact, own.as_str())];
        page.respond(&register, 200, &rows);
        assert_eq!(contact_of_next_watch(&mut page, "bob"), format!("<{PUBLIC}>"), "{written}");
        page.seconds(499);
        assert!(registers(&mut page).is_empty(), "{written}: not the 10 or 15 s of the others");
        page.seconds(1);
        let refresh = registers(&mut page).pop().unwrap();
        assert_eq!(refresh.rows(&Name::Contact).count(), 1, "others are not refreshed");
    }
}

// 5626-4.2.1-f
#[test]
fn a_first_hop_without_outbound_gets_a_plain_contact_and_the_next_one_a_flow() {
    let (mut page, first) = page();
    page.respond(&first, 439, &[]);
    let plain = page.next_sent();
    assert_eq!(plain.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    assert_eq!(plain.contact().unwrap().params.value("reg-id"), None);
    assert_eq!(plain.list(&Name::Supported).collect::<Vec<_>>(), ["path", "gruu"]);
    assert!(plain.header(&Name::Contact).unwrap().contains(INSTANCE));
    assert!(page.failures().is_empty());
    page.respond(&plain, 439, &[]);
    assert!(page.is_silent(), "once is enough");
    assert_eq!(page.failures().last().and_then(|failure| failure.status), Some(439));
    page.disconnect();
    page.seconds(2);
    page.connect();
    assert_eq!(page.next_sent().contact().unwrap().params.value("reg-id"), Some("1"));
}

// 5626-11.5-a
#[test]
fn a_flow_that_a_proxy_has_lost_is_a_refusal_like_any_other() {
    for status in [400, 430] {
        let (mut page, register) = page();
        page.respond(&register, status, &[]);
        let failure = page.failures().pop().unwrap();
        assert_eq!((failure.code, failure.status), (FailureCode::Refused, Some(status)));
        assert_eq!(failure.retry_at, None);
        page.seconds(4000);
        assert!(page.is_silent(), "{status}");
    }
}

// 5626-4.2.1-e
#[test]
fn a_busy_registrar_says_when_to_come_again_and_zero_is_at_once_but_not_for_ever() {
    let (mut page, register) = page();
    page.respond(&register, 503, &[(Name::RetryAfter, "1000")]);
    page.seconds(999);
    assert!(page.is_silent());
    page.seconds(1);
    let mut tries = 0;
    for _ in 0..60 {
        while !page.is_silent() {
            let register = page.next_sent();
            tries += 1;
            page.respond(&register, 503, &[(Name::RetryAfter, "0")]);
        }
        page.seconds(1);
    }
    assert_eq!(tries, 1, "0 after another failure is no reason to hurry");
    let (mut page, register) = self::page();
    page.respond(&register, 503, &[(Name::RetryAfter, "0")]);
    page.seconds(0);
    let again = page.next_sent();
    page.respond(&again, 503, &[(Name::RetryAfter, "0")]);
    page.seconds(29);
    assert!(page.is_silent());
}

// 5626-4.5-a
#[test]
fn a_registration_that_fails_is_tried_again_after_waits_that_double_and_are_spread() {
    let (mut page, register) = page();
    let mut register = register;
    for whole in [60, 120, 240, 480, 960, 1800, 1800] {
        page.respond(&register, 500, &[]);
        let start = page.now;
        while page.is_silent() {
            page.advance(Duration::from_millis(500));
        }
        let waited = page.now.since(start).as_millis();
        assert!((whole * 500..=whole * 1000 + 500).contains(&waited), "{waited} ms of {whole} s");
        register = page.next_sent();
    }
    grant(&mut page, &register, 600, "");
    page.seconds(300);
    let refresh = page.next_sent();
    page.respond(&refresh, 500, &[]);
    page.seconds(61);
    assert_eq!(page.next_sent().method(), Method::Register, "it worked: the next failure is the first");
}

#[test]
fn a_registrar_that_does_not_answer_is_asked_again_soon_and_all_else_goes_on() {
    let (mut page, _) = page();
    for whole in [10, 20, 40, 80, 160, 300, 300] {
        // What goes on meanwhile shows that the server is there.
        let told = page.failures().len();
        page.seconds(16);
        let id = page.watch(BOB);
        let subscribe = page.next_sent();
        page.accept(&subscribe, 7200);
        assert_eq!(page.notify(&subscribe, "active;expires=7200", &pidf(BOB, "away", "here")), 200);
        assert_eq!(page.view(id).subscription.state, Watching::Active);
        page.unwatch(id);
        page.seconds(16);
        while !page.is_silent() {
            let end = page.next_sent();
            page.respond(&end, 200, &[(Name::Expires, "0")]);
        }
        let failures = page.failures();
        assert_eq!(failures.len(), told + 1);
        let failure = failures.last().unwrap();
        assert_eq!(failure.code, FailureCode::Timeout);
        let wait = failure.retry_at.unwrap().since(page.now).as_millis();
        assert!((whole * 500 - 500..=whole * 1000).contains(&wait), "{wait} ms of {whole} s");
        page.advance(Duration::from_millis(wait));
        assert_eq!(page.next_sent().method(), Method::Register);
    }
    assert_eq!((page.closes, page.connects.len()), (0, 1));
}

#[test]
fn a_proxy_that_gets_no_answer_of_the_registrar_is_no_refusal_either() {
    for (status, whole) in [(408, 10), (504, 10), (500, 60), (503, 60)] {
        let (mut page, register) = page();
        page.respond(&register, status, &[]);
        let failure = page.failures().pop().unwrap();
        let wait = failure.retry_at.unwrap().since(page.now).as_millis();
        assert!((whole * 500..=whole * 1000).contains(&wait), "{status}: {wait} ms of {whole} s");
    }
}

// 5626-4.2.2-b
#[test]
fn a_refresh_that_is_put_off_keeps_the_connection() {
    let mut page = Page::online_with(|config| {
        registering(config);
        config.servers.push("wss://two.example.com/ws".to_owned());
    });
    let register = page.next_sent();
    grant(&mut page, &register, 600, "");
    page.seconds(300);
    let refresh = page.next_sent();
    page.respond(&refresh, 503, &[(Name::RetryAfter, "100")]);
    assert_eq!((page.closes, page.connects.len()), (0, 1));
    page.seconds(101);
    assert_eq!(page.next_sent().method(), Method::Register, "over the same connection");
}

// 5626-4.2.1-e
#[test]
fn a_server_that_puts_the_registration_off_gives_way_to_the_next_one_and_each_is_told() {
    let mut page = Page::online_with(|config| {
        registering(config);
        config.servers.push("wss://two.example.com/ws".to_owned());
        config.servers.push("wss://three.example.com/ws".to_owned());
    });
    for turn in 1..=3 {
        let register = page.next_sent();
        page.respond(&register, 503, &[(Name::RetryAfter, "300")]);
        let told = page.failures().iter().filter(|f| f.code == FailureCode::Unavailable).count();
        assert_eq!(told, turn);
        if turn < 3 {
            assert_eq!(page.closes, turn);
            assert!(matches!(
                page.events.last(),
                Some(Event::Connection(ConnectionState::Reconnecting { attempt: 1, .. }))
            ));
            page.seconds(1);
            page.connect();
        }
    }
    assert_eq!(
        page.connects,
        ["wss://example.com/ws", "wss://two.example.com/ws", "wss://three.example.com/ws"]
    );
    // All have put us off: the last one is waited for.
    page.seconds(299);
    assert!(page.is_silent() && page.connects.len() == 3);
    page.seconds(1);
    let register = page.next_sent();
    grant(&mut page, &register, 600, "");
    // From then on another round is allowed.
    page.disconnect();
    page.seconds(1);
    page.connect();
    let register = page.next_sent();
    page.respond(&register, 503, &[(Name::RetryAfter, "300")]);
    page.seconds(1);
    assert_eq!(page.connects.last().unwrap(), "wss://example.com/ws");
}

#[test]
fn servers_that_cannot_be_reached_are_tried_in_order_and_each_is_told() {
    let mut page = Page::new(|config| {
        config.servers = ["one", "two", "three"].map(|name| format!("wss://{name}.example.com/ws")).to_vec();
    });
    for _ in 0..3 {
        page.disconnect();
        page.seconds(40);
    }
    let told: Vec<u32> = page
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Connection(ConnectionState::Reconnecting { attempt, reason, .. }) => {
                assert_eq!(reason.code, FailureCode::ConnectionFailed);
                Some(*attempt)
            }
            _ => None,
        })
        .collect();
    assert_eq!(told[..3], [1, 2, 3]);
    let names: Vec<&str> = page.connects.iter().map(|url| &url["wss://".len()..][..3]).collect();
    assert_eq!(names[..4], ["one", "two", "thr", "one"]);
}

// 7118-4.1-c 7118-7-e
#[test]
fn the_connection_is_opened_at_once_by_the_url_as_given_and_requests_wait_for_it() {
    let url = "wss://example.com:8443/ws?token=eyJ%2Fa.b_c-d==&x=%20y";
    let mut page = Page::new(|config| {
        registering(config);
        config.servers = vec![url.to_owned()];
    });
    assert_eq!(page.connects, [url]);
    page.watch(BOB);
    assert!(page.is_silent());
    page.connect();
    let methods: Vec<Method> = (0..page.pending()).map(|_| page.next_sent().method()).collect();
    assert_eq!(methods, [Method::Register, Method::Subscribe]);
}

// 7118-5.3-b
#[test]
fn an_answer_has_the_via_of_its_request() {
    let (mut page, _, subscribe) = Page::watching();
    let mut notify = notification(&subscribe, "server-tag", 900, "active;expires=600", "");
    let via = "SIP/2.0/WSS pa.example.com:8080;rport;branch=z9hG4bKabc;keep";
    notify.set(Name::Via, via);
    page.receive(&notify.to_bytes());
    let answer = page.next_sent();
    assert_eq!(answer.rows(&Name::Via).collect::<Vec<_>>(), [via]);
}

// 5627-4.5-a 5627-4.5-b
#[test]
fn the_address_of_a_notifier_is_used_as_it_is_with_or_without_a_value_of_gr() {
    for target in ["sip:pa@example.com;gr=urn:uuid:2;x=1", "sip:pa@example.com;gr"] {
        let (mut page, _, subscribe) = Page::watching();
        let mut notify = notification(&subscribe, "server-tag", 900, "active;expires=600", "");
        notify.set(Name::Contact, format!("<{target}>"));
        assert_eq!(page.deliver(&notify), 200);
        while page.is_silent() {
            page.seconds(1);
        }
        let refresh = page.next_sent();
        let uri = refresh.request_uri().unwrap();
        assert!(uri.params.contains("gr"));
        assert_eq!(uri.to_string(), target);
    }
}
