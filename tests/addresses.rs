//! Addresses as a page gives them and servers write them: what goes into requests, what names one presentity, and where
//! letters in capitals are others.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name, Scheme, Uri, UriError};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

#[test]
fn what_an_address_says_of_the_way_is_in_the_request_uri() {
    // 3261-19.1.5-a
    for (given, sent) in [
        (
            "sip:bob@example.com:5070;transport=ws;maddr=192.0.2.1;ttl=5;user=phone;x=y",
            "sip:bob@example.com:5070;transport=ws;maddr=192.0.2.1;ttl=5;user=phone;x=y",
        ),
        ("sip:bob@example.com;method=INVITE;x=y", "sip:bob@example.com;x=y"),
        ("sip:bob@example.com;Method=NOTIFY?subject=hello", BOB),
    ] {
        let mut page = Page::online();
        page.watch(given);
        let subscribe = page.next_sent();
        assert_eq!(subscribe.request_uri().unwrap().to_string(), sent, "{given}");
        assert!(subscribe.header(&Name::Subject).is_none());
    }
}

#[test]
fn headers_in_an_address_are_not_obeyed() {
    // 3261-19.1.5-b
    let dangerous = "Route=%3Csip:evil.example%3Blr%3E&From=%3Csip:carol@example.com%3E&Call-ID=1&CSeq=7&Via=x\
                     &Record-Route=x&Accept=text/plain&Accept-Encoding=x&Accept-Language=x&Allow=x&Contact=x\
                     &Organization=x&Supported=x&User-Agent=x&Event=dialog";
    let mut page = Page::online();
    page.watch(&format!("{BOB}?{dangerous}"));
    let with = page.next_sent();
    let mut page = Page::online();
    page.watch(BOB);
    let without = page.next_sent();
    assert_eq!(with.to_bytes(), without.to_bytes(), "as if they were not there");
    let mut page = Page::online();
    page.agent.fetch(&Uri::parse(&format!("pres:bob@example.com?{dangerous}")).unwrap(), page.now);
    page.seconds(0);
    let fetch = String::from_utf8(page.next_sent().to_bytes()).unwrap();
    assert!(
        fetch.starts_with("SUBSCRIBE pres:bob@example.com SIP/2.0\r\n") && !fetch.contains("evil"),
        "{fetch}"
    );
}

#[test]
fn a_pres_address_is_a_mailbox_and_names_whom_the_sip_address_names() {
    // 3859-A.2-a 3859-3.2-a
    let uri = Uri::parse("pres:fred%20b@Example.COM?subject=x&body=y").unwrap();
    assert_eq!((&uri.scheme, uri.host.as_str()), (&Scheme::Pres, "Example.COM"));
    assert_eq!(uri.headers.as_deref(), Some("subject=x&body=y"));
    assert_eq!(uri.to_string(), "pres:fred%20b@Example.COM?subject=x&body=y");
    assert_eq!(uri.address_of_record(), "sip:fred b@example.com");
    for (a, b, one) in [
        ("pres:bob@example.com", "pres:bob@EXAMPLE.com", true),
        ("pres:bob@example.com", BOB, true),
        ("pres:%62ob@example.com", "pres:bob@example.com", true),
        ("pres:bob@example.com", "pres:Bob@example.com", false),
        ("pres:bob@example.com", "pres:bob@example.net", false),
    ] {
        let keys = [a, b].map(|text| Uri::parse(text).unwrap().address_of_record());
        assert_eq!(keys[0] == keys[1], one, "{a} {b}");
    }
    for bad in [
        "pres:",
        "pres://",
        "pres:@example.com",
        "pres:bob@",
        "pres:bob example.com",
        "pres:bob@exa mple.com",
    ] {
        assert!(Uri::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Uri::parse("bob@example.com"), Err(UriError::NoScheme));
}

#[test]
fn the_documents_of_a_pres_address_are_pidf() {
    // 3859-3.3-a 3856-5-b
    let mut page = Page::online();
    let id = page.watch("pres:bob@example.com");
    let subscribe = page.next_sent();
    assert!(subscribe.list(&Name::Accept).any(|media| media == "application/pidf+xml"));
    page.respond(&subscribe, 200, &[(Name::Expires, "600"), (Name::Contact, "<sip:b-7@pa.example.com>")]);
    let body = pidf("pres:bob@example.com", "busy", "");
    assert_eq!(page.notify(&subscribe, "active;expires=600", &body), 200);
    let view = page.view(id);
    assert_eq!((view.summary.status, view.uri.as_str()), (Status::Busy, "pres:bob@example.com"));
    // What was learnt from the Contact is for this dialog; who begins anew asks for the address that was given.
    page.seconds(301);
    let refresh = page.next_sent();
    assert_eq!(refresh.request_uri().unwrap().to_string(), "sip:pa.example.com");
    page.respond(&refresh, 481, &[]);
    page.seconds(0);
    assert_eq!(page.next_sent().request_uri().unwrap().to_string(), "pres:bob@example.com");
}

/// `text` with capitals for small letters and the other way round.
fn other_case(text: &str) -> String {
    let changed =
        |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(changed).collect()
}

#[test]
fn identifiers_are_compared_letter_by_letter() {
    // 3261-7.3.1-j
    let (mut page, id, subscribe) = Page::watching();
    let make =
        |number| notification(&subscribe, "server-tag", number, "active;expires=600", &pidf(BOB, "busy", ""));
    let spoilt: [fn(&mut Message); 3] = [
        |notify| notify.set(Name::CallId, other_case(notify.call_id())),
        |notify| {
            let to = notify.to().unwrap();
            let tag = other_case(to.tag().unwrap());
            notify.set(Name::To, to.with_tag(&tag).to_string());
        },
        |notify| {
            let from = notify.from().unwrap().with_tag("Server-Tag");
            notify.set(Name::From, from.to_string());
        },
    ];
    for (number, spoil) in (500..).zip(spoilt) {
        let mut notify = make(number);
        spoil(&mut notify);
        assert_ne!(notify.to_bytes(), make(number).to_bytes());
        assert_eq!(page.deliver(&notify), 481);
    }
    let text = String::from_utf8(make(600).to_bytes()).unwrap();
    page.receive(text.replace("NOTIFY", "Notify").as_bytes());
    assert_eq!(page.next_sent().status(), Some(501), "another method");
    assert_eq!(page.view(id).summary.status, Status::Unknown);
    assert_eq!(page.deliver(&make(700)), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    // A response for another branch is nobody's.
    page.watch("sip:carol@example.com");
    let subscribe = page.next_sent();
    let response = String::from_utf8(Message::response(&subscribe, 404, Some("t")).to_bytes()).unwrap();
    let branch = subscribe.via().unwrap().branch().to_owned();
    let told = page.events.len();
    page.receive(response.replace(&branch, &format!("{branch}x")).as_bytes());
    assert_eq!(page.events.len(), told);
}

#[test]
fn a_message_is_framed_by_its_length_and_never_in_chunks() {
    // 3261-7.4.2-a
    let (mut page, id, subscribe) = Page::watching();
    let mut notify =
        notification(&subscribe, "server-tag", 500, "active;expires=600", &pidf(BOB, "busy", ""));
    notify.push(Name::Other("Transfer-Encoding".into()), "chunked");
    assert_eq!(page.deliver(&notify), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    let sent = String::from_utf8(subscribe.to_bytes()).unwrap();
    assert!(sent.contains("Content-Length: 0\r\n") && !sent.contains("Transfer-Encoding"));
}

#[test]
fn a_route_that_comes_later_changes_nothing() {
    // 6665-4.3-a
    let (mut page, _, subscribe) = Page::watching();
    let mut notify = notification(&subscribe, "server-tag", 500, "active;expires=600", "");
    notify.push(Name::RecordRoute, "<sip:late.example.com;lr>");
    assert_eq!(page.deliver(&notify), 200);
    page.seconds(301);
    let refresh = page.next_sent();
    assert_eq!(refresh.header(&Name::Route), None);
    page.respond(&refresh, 200, &[(Name::Expires, "600"), (Name::RecordRoute, "<sip:later.example.com;lr>")]);
    let last = notification(&subscribe, "server-tag", 501, "active;expires=600", "");
    assert_eq!(page.deliver(&last), 200);
    page.seconds(301);
    assert_eq!(page.next_sent().header(&Name::Route), None);
}
