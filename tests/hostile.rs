//! An agent whose server is broken or bad: what arrives is told or ignored, what is known is kept, and the agent still
//! works afterwards.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::mutation::{below, mutilate, pick};
use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{
    Config, ConnectionState, Event, FailureCode, Output, RequestId, WatchId, Watching,
};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::random::Random;
use sip_presence::sip::{Limits, Message, Method, Name, StartLine, Uri};
use sip_presence::time::Duration;
use std::collections::BTreeSet;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

/// Watching Bob, who is busy with the note `good`.
fn knowing() -> (Page, WatchId, Message) {
    knowing_with(|_| {})
}

fn knowing_with(adjust: impl FnOnce(&mut Config)) -> (Page, WatchId, Message) {
    let mut page = Page::online_with(adjust);
    let id = page.watch(BOB);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 3600);
    assert_eq!(page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "good")), 200);
    page.events.clear();
    (page, id, subscribe)
}

/// Bytes arrive; what the agent sends for them, byte by byte. Events go where the page has them.
fn feed(page: &mut Page, bytes: &[u8]) -> Vec<Vec<u8>> {
    page.agent.handle_message(bytes, page.now);
    let mut sent = Vec::new();
    while let Some(output) = page.agent.poll() {
        match output {
            Output::Send(bytes) => sent.push(bytes),
            Output::Event(event) => page.events.push(event),
            Output::Connect { .. } | Output::Close => panic!("no message opens or closes the connection"),
        }
    }
    sent
}

fn codes(page: &Page) -> Vec<FailureCode> {
    page.failures().iter().map(|failure| failure.code).collect()
}

/// Bob's state is what it was, and the next change of it arrives.
#[track_caller]
fn is_well(page: &mut Page, id: WatchId, subscribe: &Message) {
    let view = page.view(id);
    assert_eq!((view.summary.status, view.summary.note.as_deref()), (Status::Busy, Some("good")));
    assert_eq!((view.subscription.state, view.stale), (Watching::Active, false));
    assert_eq!(page.notify(subscribe, "active;expires=3600", &pidf(BOB, "away", "next")), 200);
    assert_eq!(page.view(id).summary.note.as_deref(), Some("next"));
    assert!(page.is_silent());
}

fn publish(page: &mut Page, status: Status) -> RequestId {
    let state = PublishedState { status, activities: Vec::new(), note: None, until: None, input: None };
    let request = page.agent.publish(state, page.now);
    page.seconds(0);
    request
}

#[test]
fn what_is_not_sip_is_told_and_ignored() {
    // 3261-x-b 3261-7.2-b
    let frames: [&[u8]; 10] = [
        b"hello",
        b"\0",
        b"\xff\xfe\x00\x01",
        b"{\"type\":\"presence\"}",
        b"GET /ws HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"SIP/2.0 200 OK",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 999 Beyond\r\n\r\n",
        b"NOTIFY sip:alice@example.com SIP/2.0\r\n\r\n",
        b"\r\n\r\nNOTIFY\r\n",
    ];
    for frame in frames {
        let (mut page, id, subscribe) = knowing();
        assert!(feed(&mut page, frame).is_empty(), "{}", String::from_utf8_lossy(frame));
        assert_eq!(codes(&page), [FailureCode::BadMessage], "{}", String::from_utf8_lossy(frame));
        is_well(&mut page, id, &subscribe);
    }
}

#[test]
fn half_a_message_changes_nothing() {
    // 3261-18.3-b 3261-18.3-c 3261-8.2.6-b 7118-5-b
    let (_, _, subscribe) = knowing();
    let whole = notification(&subscribe, "server-tag", 900, "active;expires=60", &pidf(BOB, "away", "half"));
    let whole = whole.to_bytes();
    let head = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    for cut in [1, 40, head / 2, head - 4, head - 1, head, head + 1, whole.len() - 1] {
        let (mut page, id, subscribe) = knowing();
        let sent = feed(&mut page, &whole[..cut]);
        // What has its head can be answered.
        let answers: Vec<Option<u16>> =
            sent.iter().map(|bytes| Message::parse(bytes, &Limits::default()).unwrap().status()).collect();
        assert!(answers.iter().all(|status| *status == Some(400)), "{cut}: {answers:?}");
        assert!(cut < head || answers.len() == 1, "{cut}");
        assert_eq!(codes(&page), [FailureCode::BadMessage], "{cut}");
        is_well(&mut page, id, &subscribe);
    }
    let (mut page, id, subscribe) = knowing();
    page.seconds(1801);
    let refresh = page.next_sent();
    let response = Message::response(&refresh, 481, Some("server-tag")).to_bytes();
    assert!(feed(&mut page, &response[..response.len() - 10]).is_empty());
    assert_eq!(codes(&page), [FailureCode::BadMessage]);
    is_well(&mut page, id, &subscribe);
}

#[test]
fn a_frame_of_10_mb_is_told_as_too_large() {
    // 3261-x-a
    let ten = 10 * 1024 * 1024;
    let (mut page, id, subscribe) = knowing();
    let document = pidf(BOB, "away", &"x".repeat(ten));
    let notify = notification(&subscribe, "server-tag", 900, "active;expires=60", &document);
    let sent = feed(&mut page, &notify.to_bytes());
    assert_eq!(sent.len(), 1);
    assert_eq!(Message::parse(&sent[0], &Limits::default()).unwrap().status(), Some(513));
    assert_eq!(codes(&page), [FailureCode::TooLarge]);
    for filling in [b'x', b'\n', b' ', b'\0', 0xff, b':'] {
        page.events.clear();
        assert!(feed(&mut page, &vec![filling; ten]).is_empty());
        assert_eq!(codes(&page), [FailureCode::TooLarge], "{filling}");
    }
    is_well(&mut page, id, &subscribe);
}

#[test]
fn too_many_headers_are_refused() {
    // 3261-x-a
    let (mut page, id, subscribe) = knowing();
    let mut notify = notification(&subscribe, "server-tag", 900, "active;expires=60", "");
    for n in 0..600 {
        notify.push(Name::Other("X-Filler".into()), n.to_string());
    }
    let sent = feed(&mut page, &notify.to_bytes());
    assert_eq!(Message::parse(&sent[0], &Limits::default()).unwrap().status(), Some(513));
    assert_eq!(codes(&page), [FailureCode::TooLarge]);
    is_well(&mut page, id, &subscribe);
}

/// A document with `inside` in the place of its tuple.
fn document(before: &str, inside: &str) -> String {
    let namespace = "urn:ietf:params:xml:ns:pidf";
    format!("{before}<presence xmlns=\"{namespace}\" entity=\"{BOB}\">{inside}</presence>")
}

#[test]
fn a_document_that_is_hostile_is_told_and_the_last_good_state_is_kept() {
    // 3863-x-a 3863-x-b
    let laughs =
        "<!DOCTYPE presence [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>";
    let outside = "<!DOCTYPE presence [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    let note = |text: &str| format!("<note>{text}</note>");
    let many = |one: &str, n: usize| one.repeat(n);
    let attributes: String = (0..1000).map(|n| format!(" a{n}=\"\"")).collect();
    let namespaces: String = (0..12_000).map(|n| format!(" xmlns:n{n}=\"\"")).collect();
    for (what, body) in [
        ("entities that grow", document(laughs, &note("&c;"))),
        ("an external entity", document(outside, &note("&x;"))),
        ("a DOCTYPE without entities", document("<!DOCTYPE presence>", &note("fine"))),
        ("an entity that nobody declared", document("", &note("&unheard-of;"))),
        ("100,000 nested elements", document("", &[many("<a>", 100_000), many("</a>", 100_000)].concat())),
        ("100,000 nested elements that are not closed", document("", &many("<a>", 100_000))),
        ("elements without end", document("", &many("<a/>", 50_000))),
        ("attributes without end", document("", &format!("<tuple{attributes}/>"))),
        ("namespaces without end", document("", &format!("<tuple{namespaces}/>"))),
        ("another root", "<html xmlns=\"http://www.w3.org/1999/xhtml\"/>".to_owned()),
        ("no XML", "BEGIN:VCARD\r\nEND:VCARD\r\n".to_owned()),
        ("a NUL", document("", &note("a\0b"))),
        ("nothing but a lesser-than", "<".repeat(1000)),
    ] {
        let (mut page, id, subscribe) = knowing_with(|config| {
            config.limits.message = 1024 * 1024;
            config.document_limits.bytes = 1024 * 1024;
        });
        assert_eq!(page.notify(&subscribe, "active;expires=3600", &body), 200, "{what}");
        assert_eq!(codes(&page), [FailureCode::BadDocument], "{what}");
        assert_eq!(page.failures()[0].uri.as_deref(), Some(BOB), "{what}");
        assert!(page.failures()[0].reason.is_some(), "{what}");
        is_well(&mut page, id, &subscribe);
    }
}

#[test]
fn a_small_document_does_not_become_a_large_one() {
    // 3863-x-a
    let long = "x".repeat(100_000);
    let rpid = "xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\"";
    let activities =
        format!("<r:activities><r:note>{long}</r:note>{}</r:activities>", "<r:busy/>".repeat(9000));
    let mut sizes = Vec::new();
    for body in [
        document("", &format!("<tuple id=\"t\" {rpid}>{activities}</tuple>")),
        document("", &format!("<tuple xml:lang=\"{long}\">{}</tuple>", "<note>a</note>".repeat(9000))),
        document("", &format!("<tuple xmlns:q=\"{long}\">{}</tuple>", "<q:a/>".repeat(9000))),
    ] {
        let (mut page, id, subscribe) = knowing();
        assert_eq!(page.notify(&subscribe, "active;expires=3600", &body), 200);
        let view = page.view(id);
        let tuples = &view.presence.as_ref().unwrap().tuples;
        let notes =
            tuples.iter().flat_map(|t| t.notes.iter().chain(t.attributes.iter().flat_map(|a| &a.notes)));
        let notes: usize =
            notes.map(|note| note.text.len() + note.lang.as_ref().map_or(0, String::len)).sum();
        let namespaces: usize = tuples.iter().flat_map(|t| &t.extensions).map(|e| e.namespace.len()).sum();
        sizes.push(notes + namespaces);
    }
    assert!(sizes[0] >= long.len(), "the note is read");
    assert!(sizes.iter().all(|size| *size < 40 * long.len()), "{sizes:?}");
}

#[test]
fn what_cannot_be_read_makes_nothing_fresher() {
    // 3863-x-b
    let (mut page, id, subscribe) = knowing();
    let known_at = page.now;
    page.seconds(60);
    page.disconnect();
    page.seconds(2);
    page.connect();
    let refresh = page.next_sent();
    page.accept(&refresh, 3600);
    assert_eq!(page.notify(&subscribe, "active;expires=3600", "<presence"), 200);
    let view = page.view(id);
    assert_eq!(view.subscription.state, Watching::Active);
    assert!(view.stale, "nobody has said that Bob is still busy");
    assert!(view.as_of.unwrap() <= known_at);
    assert_eq!(page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "away", "now")), 200);
    assert!(!page.view(id).stale);
    assert_eq!(page.view(id).as_of, Some(page.now));
}

#[test]
fn a_fetch_whose_document_cannot_be_read_fails() {
    let mut page = Page::online();
    let request = page.agent.fetch(&Uri::parse(BOB).unwrap(), page.now);
    page.seconds(0);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 0);
    assert_eq!(page.notify(&subscribe, "terminated;reason=timeout", "<!DOCTYPE a><presence/>"), 200);
    let results = page.events.iter().filter_map(|event| match event {
        Event::Fetched { request: answered, result } if *answered == request => Some(result.clone()),
        _ => None,
    });
    let results: Vec<_> = results.collect();
    assert_eq!(results.len(), 1);
    let failure = results[0].as_ref().unwrap_err();
    assert_eq!((failure.code, failure.uri.as_deref()), (FailureCode::BadDocument, Some(BOB)));
    assert_eq!(page.failures().len(), 1, "told once");
}

#[test]
fn nothing_in_a_header_can_add_a_line() {
    // 3261-8.2.6.2-a 3261-25-a 7118-4.1-e
    let (mut page, id, subscribe) = knowing();
    let whole = notification(&subscribe, "server-tag", 900, "active;expires=60", "").to_bytes();
    let whole = String::from_utf8(whole).unwrap();
    let header =
        |name: &str, evil: &str| whole.replacen(&format!("\r\n{name}: "), &format!("\r\n{name}: {evil}"), 1);
    let mut answers = 0;
    for evil in ["\rEvil: yes\r", "\0Evil: yes\0", "\"\rEvil: yes\" ", "\u{b}Evil: yes", "\n Evil: yes\n\t"] {
        for name in ["From", "To", "Call-ID", "CSeq", "Via", "Event", "Subscription-State", "Contact"] {
            for sent in feed(&mut page, header(name, evil).as_bytes()) {
                answers += 1;
                let lines: Vec<&[u8]> = sent.split(|byte| matches!(byte, b'\r' | b'\n')).collect();
                assert!(lines.iter().all(|line| !line.starts_with(b"Evil")), "{name} {evil:?}");
            }
        }
    }
    assert!(answers >= 20, "{answers}");
    // Line ends of another system are line ends.
    let document = pidf(BOB, "busy", "good");
    let whole = notification(&subscribe, "server-tag", 901, "active;expires=60", &document).to_bytes();
    let sent = feed(&mut page, String::from_utf8(whole).unwrap().replace("\r\n", "\n").as_bytes());
    assert_eq!(Message::parse(&sent[0], &Limits::default()).unwrap().status(), Some(200));
    assert_eq!(page.view(id).summary.note.as_deref(), Some("good"));
}

#[test]
fn a_server_that_challenges_for_ever_is_given_up() {
    // dig-22.1-g dig-7616-e
    for stale in ["true", "false"] {
        for realm in ["example.com", "another each time"] {
            let (mut page, id, mut subscribe) = Page::trying();
            let mut tries = 1;
            for nonce in 0..20 {
                let realm = if realm == "example.com" { realm.to_owned() } else { format!("realm {nonce}") };
                let challenge =
                    format!("Digest realm=\"{realm}\", nonce=\"n{nonce}\", qop=\"auth\", stale={stale}");
                page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, &challenge)]);
                if page.is_silent() {
                    break;
                }
                tries += 1;
                subscribe = page.next_sent();
            }
            assert!((2..=5).contains(&tries), "{tries} with stale={stale}, {realm}");
            assert_eq!(codes(&page), [FailureCode::Unauthorized]);
            assert_eq!(page.view(id).subscription.reason.as_deref(), Some("unauthorized"));
        }
    }
}

#[test]
fn realms_do_not_pile_up() {
    let mut page = Page::online();
    let mut largest = 0;
    for n in 0..100 {
        page.agent.fetch(&Uri::parse(BOB).unwrap(), page.now);
        page.seconds(0);
        let first = page.next_sent();
        let challenge = format!("Digest realm=\"realm {n}\", nonce=\"n\", qop=\"auth\"");
        page.respond(&first, 401, &[(Name::WwwAuthenticate, &challenge)]);
        let second = page.next_sent();
        let realms = second.credentials(&Name::Authorization);
        assert!(realms.iter().any(|row| row.realm == format!("realm {n}")));
        largest = largest.max(realms.len());
        page.respond(&second, 404, &[]);
    }
    assert!(largest <= 16, "{largest} rows of credentials in one request");
}

#[test]
fn a_host_that_is_not_there_makes_room_for_the_next_server() {
    // 7118-4.1-d
    let urls = ["wss://unknown.invalid/", "wss://silent.example.com/", "wss://example.com/"];
    let mut page = Page::new(|config| config.servers = urls.map(str::to_owned).to_vec());
    let id = page.watch(BOB);
    assert_eq!(page.connects, urls[..1]);
    page.disconnect();
    assert_eq!(
        codes(&page),
        [FailureCode::ConnectionFailed, FailureCode::ConnectionFailed],
        "an error and a state"
    );
    assert!(matches!(
        page.events.last(),
        Some(Event::Connection(ConnectionState::Reconnecting { attempt: 1, .. }))
    ));
    page.seconds(1);
    assert_eq!(page.connects, urls[..2]);
    // This one takes the connection and never opens it.
    page.seconds(10);
    assert_eq!(page.closes, 1, "given up after 10 s");
    page.seconds(2);
    assert_eq!(page.connects, urls);
    page.connect();
    let subscribe = page.next_sent();
    page.accept(&subscribe, 600);
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "good")), 200);
    is_well(&mut page, id, &subscribe);
}

#[test]
fn who_asks_once_waits_until_no_server_of_the_list_could_be_reached() {
    let urls = ["wss://one.example.com/", "wss://two.example.com/", "wss://three.example.com/"];
    let mut page = Page::new(|config| config.servers = urls.map(str::to_owned).to_vec());
    let bob = Uri::parse(BOB).unwrap();
    let ask = |page: &mut Page| {
        page.agent.fetch(&bob, page.now);
        let state = PublishedState {
            status: Status::Busy,
            activities: Vec::new(),
            note: None,
            until: None,
            input: None,
        };
        page.agent.publish(state, page.now);
        page.drain_now();
    };
    let settled = |page: &Page| {
        let results = page.events.iter().filter(|event| {
            matches!(event, Event::Fetched { result: Err(_), .. } | Event::Published { result: Err(_), .. })
        });
        results.count()
    };
    ask(&mut page);
    page.disconnect();
    page.seconds(1);
    // Not even SIP.
    page.agent.handle_wrong_protocol(page.now);
    page.seconds(2);
    assert_eq!(page.connects, urls);
    assert_eq!(settled(&page), 0);
    page.connect();
    let methods = [page.next_sent(), page.next_sent()].map(|request| request.method());
    assert_eq!(methods, [Method::Publish, Method::Subscribe]);

    // All are dead: that is told once it is known, and at once to who asks later.
    let mut page = Page::new(|config| config.servers = urls.map(str::to_owned).to_vec());
    ask(&mut page);
    for expected in [0, 0, 2] {
        page.disconnect();
        assert_eq!(settled(&page), expected);
        page.seconds(10);
    }
    ask(&mut page);
    page.disconnect();
    assert_eq!(settled(&page), 4);
}

#[test]
fn a_server_that_hangs_up_without_a_word_makes_room_for_the_next() {
    let urls = ["wss://one.example.com/", "wss://two.example.com/"];
    let mut page = Page::new(|config| config.servers = urls.map(str::to_owned).to_vec());
    let mut waits = Vec::new();
    for _ in 0..4 {
        page.connect();
        page.disconnect();
        let (retry_at, _) = page.agent.poll_timeout().unwrap();
        waits.push(retry_at.since(page.now).as_millis());
        page.advance(retry_at.since(page.now));
    }
    assert_eq!(page.connects, [urls[0], urls[0], urls[1], urls[0], urls[1]]);
    assert!(waits[3] > waits[0], "{waits:?}: more and more rarely");
}

#[test]
fn a_server_without_the_sub_protocol_is_no_sip_server() {
    // 7118-4.1-b
    let mut page = Page::new(|_| {});
    page.agent.handle_wrong_protocol(page.now);
    page.seconds(0);
    assert_eq!(page.closes, 1);
    assert!(codes(&page).iter().all(|code| *code == FailureCode::SubProtocol) && !codes(&page).is_empty());
    page.seconds(2);
    assert_eq!(page.connects.len(), 2, "tried again, not given up");
}

#[test]
fn a_server_that_never_answers_costs_a_timeout_each_and_more_and_more_rarely() {
    // 3261-17.1.2-b 3261-17.1.2-e 3261-8.1.3.1-a 6665-4.1.2.4-c
    let mut page = Page::online_with(|config| config.register = true);
    page.seconds(0);
    let id = page.watch(BOB);
    let published = publish(&mut page, Status::Busy);
    let fetched = page.agent.fetch(&Uri::parse("sip:carol@example.com").unwrap(), page.now);
    page.seconds(31);
    assert!(page.failures().is_empty());
    page.seconds(1);
    assert_eq!(
        codes(&page),
        [FailureCode::Timeout; 4],
        "REGISTER, PUBLISH and the SUBSCRIBEs of watch and fetch"
    );
    assert!(page.events.iter().any(|event| matches!(event,
        Event::Published { request, result: Err(failure) } if *request == published && failure.retry_at.is_some())));
    assert!(page.events.iter().any(|event| matches!(event,
        Event::Fetched { request, result: Err(failure) } if *request == fetched && failure.retry_at.is_none())));
    let view = page.view(id);
    assert_eq!(
        (view.subscription.state, view.stale),
        (Watching::Terminated, false),
        "nothing was known before"
    );
    assert!(view.subscription.retry_at.is_some());
    let mut sent = Vec::new();
    for _ in 0..4 {
        while !page.is_silent() {
            let request = page.next_sent();
            sent.push((request.method(), request.via().unwrap().branch().to_owned()));
        }
        page.seconds(3600);
    }
    let count = |method: Method| sent.iter().filter(|(sent, _)| *sent == method).count();
    assert!(
        (10..80).contains(&count(Method::Subscribe)),
        "{} SUBSCRIBEs in 3 hours",
        count(Method::Subscribe)
    );
    assert!((10..80).contains(&count(Method::Publish)), "{} PUBLISHes in 3 hours", count(Method::Publish));
    assert!((3..80).contains(&count(Method::Register)), "{} REGISTERs in 3 hours", count(Method::Register));
    let branches: BTreeSet<&String> = sent.iter().map(|(_, branch)| branch).collect();
    assert_eq!(branches.len(), sent.len(), "each try is a transaction of its own");
}

#[test]
fn closing_takes_one_second_at_most_whatever_the_server_does_not_answer() {
    let prepare: [fn() -> Page; 5] = [
        || Page::trying().0,
        || Page::watching().0,
        || Page::online_with(|config| config.register = true),
        || {
            let mut page = Page::online();
            publish(&mut page, Status::Busy);
            page
        },
        || {
            let mut page = Page::online();
            page.agent.fetch(&Uri::parse(BOB).unwrap(), page.now);
            page.seconds(0);
            page
        },
    ];
    for (case, prepare) in prepare.into_iter().enumerate() {
        let mut page = prepare();
        page.agent.close(page.now);
        page.advance(Duration::from_millis(999));
        assert!(
            !page.events.iter().any(|event| matches!(event, Event::Closed)),
            "{case}: it waits for answers"
        );
        page.advance(Duration::from_millis(1));
        assert!(matches!(page.events.last(), Some(Event::Closed)), "{case}");
        assert_eq!(page.closes, 1, "{case}");
        assert_eq!(page.agent.poll_timeout(), None, "{case}");
    }
}

#[test]
fn leaving_is_never_turned_into_staying() {
    // 3261-8.1.3.5-g 6665-4.1.2.3-a 3903-4.5-a
    let (mut page, id, _) = Page::watching();
    page.unwatch(id);
    page.seconds(3);
    let leave = page.next_sent();
    page.respond(&leave, 423, &[(Name::MinExpires, "7200")]);
    page.seconds(10_000);
    assert!(page.is_silent(), "no SUBSCRIBE with a longer Expires");
    assert_eq!(page.agent.poll_timeout(), None);

    let mut page = Page::online_with(|config| config.register = true);
    let register = page.next_sent();
    page.respond(&register, 200, &[]);
    publish(&mut page, Status::Busy);
    let first = page.next_sent();
    page.respond(&first, 200, &[(Name::SipETag, "e1"), (Name::Expires, "3600")]);
    page.agent.close(page.now);
    page.seconds(0);
    for _ in 0..2 {
        let end = page.next_sent();
        assert_eq!(end.expires(), Some(0));
        page.respond(&end, 423, &[(Name::MinExpires, "7200")]);
    }
    assert!(page.is_silent());
    assert!(matches!(page.events.last(), Some(Event::Closed)), "nothing is left to wait for");
}

#[test]
fn leaving_waits_for_the_last_notify_no_longer_than_timer_n() {
    // 6665-4.1.2.3-a 6665-4.1.2.2-e 6665-4.1.2.2-f
    for status in [200, 204] {
        let (mut page, id, subscribe) = Page::watching();
        page.unwatch(id);
        page.seconds(3);
        let leave = page.next_sent();
        page.respond(&leave, status, &[]);
        // The server goes on as if nothing had been said.
        let answer = page.notify(&subscribe, "active", &pidf(BOB, "busy", ""));
        assert_eq!(answer, if status == 200 { 200 } else { 481 });
        page.seconds(32);
        assert_eq!(page.notify(&subscribe, "active;expires=3600", ""), 481, "{status}");
        assert_eq!(page.agent.poll_timeout(), None, "{status}: no timer is left over");
        page.agent.close(page.now);
        page.seconds(0);
        assert!(matches!(page.events.last(), Some(Event::Closed)), "{status}: nothing is left to wait for");
    }
}

#[test]
fn leaving_while_a_refresh_fails_still_tells_the_server() {
    // 6665-4.1.2.3-a
    let (mut page, id, _) = Page::watching();
    page.seconds(1801);
    let refresh = page.next_sent();
    page.unwatch(id);
    page.seconds(3);
    assert!(page.is_silent(), "one request at a time");
    page.respond(&refresh, 500, &[]);
    assert_eq!(page.next_sent().expires(), Some(0));
}

#[test]
fn a_late_answer_to_an_old_attempt_does_not_touch_the_new_one() {
    // 6665-4.1.2.4-e 6665-4.1.3-h
    let challenge = "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"";
    for status in [200, 204, 401, 404, 423, 481, 503, 0] {
        let (mut page, id, first) = Page::trying();
        page.seconds(20);
        assert_eq!(page.notify(&first, "terminated;reason=deactivated", ""), 200);
        page.seconds(1);
        let second = page.next_sent();
        assert_ne!(second.call_id(), first.call_id());
        page.events.clear();
        match status {
            // No answer at all: Timer F of the first.
            0 => page.seconds(12),
            _ => page.respond(
                &first,
                status,
                &[(Name::WwwAuthenticate, challenge), (Name::MinExpires, "7200")],
            ),
        }
        assert!(page.is_silent() && page.failures().is_empty(), "{status}");
        page.accept(&second, 3600);
        let document = pidf(BOB, "busy", "good");
        assert_eq!(page.notify(&second, "active;expires=3600", &document), 200, "{status}");
        is_well(&mut page, id, &second);
    }
}

#[test]
fn a_fork_that_refuses_does_not_end_what_another_has_begun() {
    // 6665-5.4.9-a
    let (mut page, id, subscribe) = Page::trying();
    assert_eq!(page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "good")), 200);
    page.respond(&subscribe, 404, &[]);
    page.seconds(10);
    while !page.is_silent() {
        let refresh = page.next_sent();
        assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"));
        page.accept(&refresh, 3600);
        assert_eq!(page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "good")), 200);
    }
    is_well(&mut page, id, &subscribe);
}

#[test]
fn a_publication_that_fails_its_condition_without_one_is_not_sent_for_ever() {
    // 3903-5-a
    let mut page = Page::online();
    let request = publish(&mut page, Status::Busy);
    let first = page.next_sent();
    assert_eq!(first.header(&Name::SipIfMatch), None);
    page.respond(&first, 412, &[]);
    assert!(page.is_silent());
    let failure = page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.status), (FailureCode::Refused, Some(412)));
    assert!(
        page.events.iter().any(|event| matches!(event, Event::Published { request: r, .. } if *r == request))
    );
}

#[test]
fn a_change_that_is_refused_leaves_what_is_published_and_can_still_be_withdrawn() {
    // 3903-6-d 3903-4.5-a
    let mut page = Page::online();
    publish(&mut page, Status::Busy);
    let first = page.next_sent();
    page.respond(&first, 200, &[(Name::SipETag, "e1"), (Name::Expires, "3600")]);
    publish(&mut page, Status::Away);
    let second = page.next_sent();
    page.respond(&second, 403, &[]);
    assert_eq!(codes(&page), [FailureCode::Forbidden]);
    page.agent.unpublish(page.now);
    page.seconds(0);
    let last = page.next_sent();
    assert_eq!((last.header(&Name::SipIfMatch), last.expires()), (Some("e1"), Some(0)));
}

#[test]
fn refreshes_that_fail_now_and_then_do_not_slow_each_other_down() {
    // 6665-4.1.2.2-d
    let (mut page, id, subscribe) = Page::watching();
    for day in 0..12 {
        page.seconds(1801);
        let refresh = page.next_sent();
        page.respond(&refresh, 500, &[]);
        page.seconds(4);
        let again = page.next_sent();
        page.accept(&again, 3600);
        assert_eq!(page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "good")), 200, "{day}");
    }
    is_well(&mut page, id, &subscribe);
}

/// What a server sends to an agent that watches Bob: one of each kind. `cseq` counts on.
fn a_message(random: &mut Random, subscribe: &Message, cseq: &mut u32) -> Message {
    *cseq += 1;
    let state = pick(&["active;expires=3600", "active", "pending;expires=60"], random);
    let activity = pick(&["busy", "away", "on-the-phone", "meeting"], random);
    let mut notify = notification(subscribe, "server-tag", *cseq, state, &pidf(BOB, activity, "a &lt; b"));
    match below(random, 8) {
        0 => {
            notify.push(
                Name::RecordRoute,
                "<sip:edge.example.com;transport=ws;lr>, <sip:inner.example.com;lr>",
            );
            notify
        }
        1 => {
            let status = *pick(&[200, 202, 204, 302, 401, 404, 423, 481, 500, 503], random);
            let mut response = Message::response(subscribe, status, Some("server-tag"));
            response.push(Name::Expires, "3600");
            response.push(Name::MinExpires, "7200");
            response.push(Name::RetryAfter, "5 (soon);duration=10");
            response.push(Name::Contact, "<sip:pa.example.com;transport=ws>;expires=60");
            response.push(
                Name::WwwAuthenticate,
                "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth,auth-int\"",
            );
            response
        }
        2 => {
            let mut options = notification(subscribe, "server-tag", *cseq, "active", "");
            options.start = StartLine::Request { method: Method::Options, uri: Uri::parse(BOB).unwrap() };
            options.set(Name::CSeq, format!("{cseq} OPTIONS"));
            options
        }
        _ => notify,
    }
}

#[test]
fn an_agent_survives_thousands_of_spoiled_messages() {
    // 3261-x-b 3261-8.2.2-a 7118-4.1-e
    let (mut understood, mut refused) = (0, 0);
    for seed in 0..8 {
        let mut random = Random::new([seed; 32]);
        let mut page = Page::online_with(|config| config.trace = true);
        page.watch(BOB);
        let mut subscribe = page.next_sent();
        let mut cseq = 1000;
        for round in 0..400 {
            let message = mutilate(&a_message(&mut random, &subscribe, &mut cseq).to_bytes(), &mut random);
            let mut sent = feed(&mut page, &message);
            let bytes: usize = sent.iter().map(Vec::len).sum();
            assert!(
                sent.len() <= 2 && bytes <= 2 * message.len() + 2048,
                "{seed}:{round}: {} for {}",
                bytes,
                message.len()
            );
            if round % 5 == 0 {
                page.seconds(random.below(300));
                while !page.is_silent() {
                    sent.push(page.next_sent().to_bytes());
                }
            }
            for bytes in sent {
                let Ok(message) = Message::parse(&bytes, &Limits::default()) else {
                    // The answer to a request with a spoiled head copies it.
                    assert!(
                        bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5"),
                        "{seed}:{round}"
                    );
                    continue;
                };
                match message.status() {
                    Some(200) => understood += 1,
                    Some(_) => refused += 1,
                    // Now and then the server is in order.
                    None if message.method() == Method::Subscribe => {
                        subscribe = message;
                        page.accept(&subscribe, 3600);
                        cseq += 1;
                        let notify = notification(&subscribe, "server-tag", cseq, "active;expires=3600", "");
                        feed(&mut page, &notify.to_bytes());
                    }
                    None => panic!("{seed}:{round}: {}", message.method()),
                }
            }
        }
        // The same agent, a server that is in order again.
        let id = page.watch("sip:carol@example.com");
        page.seconds(0);
        while !page.is_silent() {
            subscribe = page.next_sent();
        }
        assert_eq!(subscribe.to().unwrap().uri.to_string(), "sip:carol@example.com");
        page.accept(&subscribe, 3600);
        assert_eq!(
            page.notify(&subscribe, "active;expires=3600", &pidf("sip:carol@example.com", "busy", "good")),
            200
        );
        is_well(&mut page, id, &subscribe);
    }
    assert!(
        understood > 500 && refused > 200,
        "{understood} understood, {refused} refused: is it spoiled enough?"
    );
}
