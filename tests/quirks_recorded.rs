//! What OpenSIPS 3.6.8 and Asterisk 22.10.1 have sent to a page, as recorded: only addresses, Call-IDs and tags are put in.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{Event, FailureCode, View, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Method, Name, Uri};
use sip_presence::time::Duration;
use std::rc::Rc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DESK: &str = "sip:desk@example.com";

/// Asterisk's answer to a SUBSCRIBE; `lines` stand before its Contact.
fn asterisk_accepts(page: &mut Page, subscribe: &Message, lines: &str) {
    let head = format!(
        "SIP/2.0 200 OK
Via: {{via}};rport=41448;received=127.0.0.1
Call-ID: {{call}}
From: <sip:alice@example.com>;tag={{tag}}
To: <sip:desk@example.com>;tag=46b4f840-9fbd-47f3-ac3c-0d213e81babf
CSeq: {{cseq}}
{lines}
Contact: <sip:127.0.0.1:18088;transport=ws>
Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK
Supported: 100rel, timer
Server: Asterisk PBX 22.10.1
Content-Length:  0"
    );
    page.wire(subscribe, &head, "");
}

fn asterisk_refuses(page: &mut Page, subscribe: &Message, status: &str) {
    let head = format!(
        "SIP/2.0 {status}
Via: {{via}};rport=36758;received=127.0.0.1
Call-ID: {{call}}
From: <sip:alice@example.com>;tag={{tag}}
To: <sip:desk@example.com>;tag=z9hG4bKc4jsje8uquy9a5mapywx
CSeq: {{cseq}}
Server: Asterisk PBX 22.10.1
Content-Length:  0"
    );
    page.wire(subscribe, &head, "");
}

/// `lines` are those from Event to the media type that differ.
fn asterisk_notifies(
    page: &mut Page,
    subscribe: &Message,
    number: u32,
    lines: &str,
    body: &str,
) -> Option<u16> {
    let head = format!(
        "NOTIFY sip:{{user}}@127.0.0.1:41448;transport=WS;ob SIP/2.0
Via: SIP/2.0/WS 127.0.0.1:18088;rport;branch=z9hG4bKPj4c7e38df-0f9a-40cb-95aa-{number};alias
Max-Forwards: 70
From: <sip:desk@example.com>;tag=46b4f840-9fbd-47f3-ac3c-0d213e81babf
To: <sip:alice@example.com>;tag={{tag}}
Contact: <sip:127.0.0.1:18088;transport=ws>
Call-ID: {{call}}
CSeq: {number} NOTIFY
Event: presence
{lines}
Content-Length:   {{length}}"
    );
    page.wire(subscribe, &head, body)
}

const ON_THE_PHONE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<presence entity="sip:desk@example.com" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid">
 <note>On the phone</note>
 <tuple id="desk">
  <status>
   <basic>open</basic>
  </status>
  <contact priority="1">sip:alice@example.com</contact>
 </tuple>
 <dm:person>
  <rpid:activities>
   <rpid:on-the-phone />
  </rpid:activities>
 </dm:person>
</presence>
"#;

const ACTIVE: &str = "Subscription-State: active;expires=3599
Allow-Events: presence, dialog
User-Agent: Asterisk PBX 22.10.1
Content-Type: application/pidf+xml";

/// What the one fetch of the page was answered with.
fn fetched(page: &Page) -> Option<Result<Rc<View>, FailureCode>> {
    page.events.iter().find_map(|event| match event {
        Event::Fetched { result, .. } => Some(result.clone().map_err(|failure| failure.code)),
        _ => None,
    })
}

fn fetch(page: &mut Page) -> Message {
    page.agent.fetch(&Uri::parse(DESK).unwrap(), page.now);
    page.drain_now();
    page.next_sent()
}

#[test]
fn asterisk_refuses_who_only_asks_and_is_asked_by_a_subscription_that_ends_with_the_answer() {
    let mut page = Page::online();
    let question = fetch(&mut page);
    assert_eq!(question.expires(), Some(0));
    asterisk_refuses(&mut page, &question, "400 Bad Request");
    let subscribe = page.next_sent();
    assert_eq!((subscribe.expires(), subscribe.call_id()), (Some(3600), question.call_id()));
    assert!(fetched(&page).is_none());
    asterisk_accepts(&mut page, &subscribe, "Expires: 3600");
    assert_eq!(asterisk_notifies(&mut page, &subscribe, 906, ACTIVE, ON_THE_PHONE), Some(200));
    let view = fetched(&page).unwrap().unwrap();
    assert_eq!(
        (view.summary.status, view.summary.note.as_deref()),
        (Status::OnThePhone, Some("On the phone"))
    );
    assert_eq!(view.subscription.state, Watching::Active);
    let end = page.next_sent();
    assert_eq!(
        (end.method(), end.expires(), end.call_id()),
        (Method::Subscribe, Some(0), question.call_id())
    );
    asterisk_accepts(&mut page, &end, "Expires: 0");
    let last = ACTIVE.replace("active;expires=3599", "terminated");
    assert_eq!(asterisk_notifies(&mut page, &subscribe, 907, &last, ON_THE_PHONE), Some(200));
    page.seconds(10_000);
    assert!(page.is_silent());
}

#[test]
fn what_asterisk_says_to_a_subscription_in_place_of_a_question_is_the_answer() {
    for (status, code) in [
        ("404 Not Found", FailureCode::NotFound),
        ("489 Bad Event", FailureCode::UnsupportedEvent),
        ("400 Bad Request", FailureCode::Refused),
        ("423 Interval Too Brief", FailureCode::Refused),
    ] {
        let mut page = Page::online();
        let question = fetch(&mut page);
        asterisk_refuses(&mut page, &question, "400 Bad Request");
        let subscribe = page.next_sent();
        asterisk_refuses(&mut page, &subscribe, status);
        assert_eq!(fetched(&page).unwrap().unwrap_err(), code, "{status}");
        page.seconds(10_000);
        assert!(page.is_silent(), "{status}");
    }
    // No NOTIFY comes: as for any question.
    let mut page = Page::online();
    let question = fetch(&mut page);
    asterisk_refuses(&mut page, &question, "400 Bad Request");
    let subscribe = page.next_sent();
    asterisk_accepts(&mut page, &subscribe, "Expires: 3600");
    page.seconds(40);
    assert_eq!(fetched(&page).unwrap().unwrap_err(), FailureCode::NoNotify);
    page.seconds(10_000);
    assert!(page.is_silent());
}

#[test]
fn asterisk_drops_a_request_to_pres_and_is_asked_for_sip_after_that() {
    let mut page = Page::online();
    let id = page.watch("pres:desk@example.com");
    let subscribe = page.next_sent();
    assert_eq!(subscribe.request_uri().unwrap().to_string(), "pres:desk@example.com");
    // Nothing is answered; in its log stands: PJSIP syntax error exception when parsing 'Request Line' header.
    page.seconds(40);
    let again = page.next_sent();
    assert_eq!(again.request_uri().unwrap().to_string(), DESK);
    assert_eq!(again.to().unwrap().uri.to_string(), DESK);
    asterisk_accepts(&mut page, &again, "Expires: 3600");
    assert_eq!(asterisk_notifies(&mut page, &again, 906, ACTIVE, ON_THE_PHONE), Some(200));
    let view = page.view(id);
    assert_eq!((view.summary.status, view.uri.as_str()), (Status::OnThePhone, "pres:desk@example.com"));
}

const LIST: &str = r#"
--fjnnk
Content-ID: <xttdj@example.com>
Content-Type: application/rlmi+xml
Content-Length:   447

<?xml version="1.0" encoding="UTF-8"?>
<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:friends@example.com" version="0" fullState="true">
 <name>friends</name>
 <resource uri="sip:carol@example.com">
  <name>carol</name>
  <instance id="eyyni" state="active" cid="mstnv@example.com" />
 </resource>
 <resource uri="sip:desk@example.com">
  <name>desk</name>
  <instance id="mzmnw" state="active" cid="ijehe@example.com" />
 </resource>
</list>

--fjnnk
Content-ID: <mstnv@example.com>
Content-Type: application/pidf+xml
Content-Length:   400

<?xml version="1.0" encoding="UTF-8"?>
<presence entity="sip:carol@example.com" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid">
 <note>Unavailable</note>
 <tuple id="carol">
  <status>
   <basic>closed</basic>
  </status>
  <contact priority="1">sip:alice@example.com</contact>
 </tuple>
 <dm:person />
</presence>

--fjnnk
Content-ID: <ijehe@example.com>
Content-Type: application/pidf+xml
Content-Length:   390

<?xml version="1.0" encoding="UTF-8"?>
<presence entity="sip:desk@example.com" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid">
 <note>Ready</note>
 <tuple id="desk">
  <status>
   <basic>open</basic>
  </status>
  <contact priority="1">sip:alice@example.com</contact>
 </tuple>
 <dm:person />
</presence>

--fjnnk--
"#;

#[test]
fn the_end_of_a_list_of_asterisk_is_taken_like_its_beginning() {
    let mut page = Page::online_with(|config| config.linger = Duration::from_secs(1));
    let list = page.agent.watch_list(&Uri::parse("sip:friends@example.com").unwrap(), page.now);
    page.drain_now();
    let subscribe = page.next_sent();
    asterisk_accepts(&mut page, &subscribe, "Expires: 3600\nRequire: eventlist");
    let lines = "Subscription-State: active;expires=3599
Allow-Events: presence, dialog
Require: eventlist
User-Agent: Asterisk PBX 22.10.1
Content-Type: multipart/related;type=\"application/rlmi+xml\";boundary=fjnnk";
    let body = LIST.replace('\n', "\r\n");
    assert_eq!(asterisk_notifies(&mut page, &subscribe, 17_785, lines, &body), Some(200));
    let told = page.told();
    let members = told.iter().filter(|view| view.presence.is_some());
    let mut members: Vec<_> = members.map(|view| (view.uri.as_str(), view.summary.status)).collect();
    members.sort_unstable_by_key(|(uri, _)| *uri);
    assert_eq!(members, [("sip:carol@example.com", Status::Offline), (DESK, Status::Available)]);

    page.unwatch(list);
    page.seconds(2);
    let end = page.next_sent();
    assert_eq!((end.method(), end.expires()), (Method::Subscribe, Some(0)));
    assert!(end.list(&Name::Supported).any(|tag| tag == "eventlist"));
    asterisk_accepts(&mut page, &end, "Require: eventlist\nExpires: 0");
    let last = lines.replace("active;expires=3599", "terminated");
    assert_eq!(asterisk_notifies(&mut page, &subscribe, 17_795, &last, &body), Some(200));
    page.seconds(10_000);
    assert!(page.is_silent());
}

/// A NOTIFY of OpenSIPS about Bob; `line` is the one before Content-Length.
fn opensips_notifies(
    page: &mut Page,
    subscribe: &Message,
    number: u32,
    line: &str,
    body: &str,
) -> Option<u16> {
    let head = format!(
        "NOTIFY sip:{{user}}@127.0.0.1:55222;transport=ws;ob SIP/2.0
Via: SIP/2.0/WS 127.0.0.1:18080;branch=z9hG4bKa6f6.5cd53b46.{number}
Max-Forwards: 70
To: <sip:alice@example.com>;tag={{tag}}
From: <sip:bob@example.com>;tag=6d87-3d2970a362a0b7a5d70527f1b1bc6174
CSeq: {number} NOTIFY
Call-ID: {{call}}
User-Agent: OpenSIPS (3.6.8 (x86_64/linux))
Event: presence
Contact: <sip:presence@127.0.0.1:18080;transport=ws>
Subscription-State: active;expires=3597{line}
Content-Length: {{length}}"
    );
    page.wire(subscribe, &head, body)
}

fn opensips_accepts(page: &mut Page, subscribe: &Message) {
    let head = "SIP/2.0 200 OK
Via: {via};received=127.0.0.1
To: <sip:bob@example.com>;tag=6d87-3d2970a362a0b7a5d70527f1b1bc6174
From: <sip:alice@example.com>;tag={tag}
Call-ID: {call}
CSeq: {cseq}
Expires: 3600
Contact: <sip:presence@127.0.0.1:18080;transport=ws>
Server: OpenSIPS (3.6.8 (x86_64/linux))
Content-Length: 0";
    page.wire(subscribe, head, "");
}

fn status(page: &Page, id: WatchId) -> (Status, Option<String>) {
    let view = page.view(id);
    (view.summary.status, view.summary.note.clone())
}

#[test]
fn who_unpublishes_at_opensips_is_offline_and_after_that_nothing_is_known() {
    let (mut page, id, subscribe) = Page::trying();
    opensips_accepts(&mut page, &subscribe);
    assert_eq!(opensips_notifies(&mut page, &subscribe, 1, "", ""), Some(200));
    assert_eq!(status(&page, id), (Status::Unknown, None));
    let kind = "\nContent-Type: application/pidf+xml";
    let busy = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com"><tuple xmlns="urn:ietf:params:xml:ns:pidf" id="t65f50596f57d"><status><basic>open</basic></status><contact>sip:bob@example.com</contact><note>In a meeting &#x2013; until sp&#xE4;&#x165;</note><timestamp>2026-11-28T23:08:12.636Z</timestamp></tuple><dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" id="p65f50596f57d"><rpid:activities><rpid:busy/><rpid:meeting/></rpid:activities><dm:note>In a meeting &#x2013; until sp&#xE4;&#x165;</dm:note><dm:timestamp>2026-11-28T23:08:12.636Z</dm:timestamp></dm:person></presence>
"#;
    assert_eq!(opensips_notifies(&mut page, &subscribe, 2, kind, busy), Some(200));
    assert_eq!(status(&page, id), (Status::Busy, Some("In a meeting – until späť".to_owned())));
    let closed = r#"<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.com"><tuple xmlns="urn:ietf:params:xml:ns:pidf" id="t33650c5b2d10"><status xmlns="urn:ietf:params:xml:ns:pidf"><basic>closed</basic></status></tuple></presence>
"#;
    assert_eq!(opensips_notifies(&mut page, &subscribe, 4, kind, closed), Some(200));
    assert_eq!(status(&page, id), (Status::Offline, None));
    // Without `notify_offline_body` one more NOTIFY follows at once, with nothing: the page asks for the whole.
    assert_eq!(opensips_notifies(&mut page, &subscribe, 5, "", ""), Some(200));
    assert_eq!(status(&page, id), (Status::Offline, None));
    page.seconds(4);
    let refresh = page.next_sent();
    assert_eq!(refresh.call_id(), subscribe.call_id());
    opensips_accepts(&mut page, &refresh);
    assert_eq!(opensips_notifies(&mut page, &refresh, 6, "", ""), Some(200));
    assert_eq!(status(&page, id), (Status::Unknown, None));
}
