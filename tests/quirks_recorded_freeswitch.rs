//! What FreeSWITCH 1.11.2 has sent to a page, as recorded: only addresses, Call-IDs and tags are put in.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{Event, FailureCode, View, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Method, Name, Uri};
use std::rc::Rc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// An answer about Bob; `lines` are those that differ.
fn answer(page: &mut Page, request: &Message, status: &str, lines: &str) {
    let head = format!(
        "SIP/2.0 {status}
Via: {{via}};received=127.0.0.1;rport=38248
From: <sip:alice@example.com>;tag={{tag}}
To: <sip:bob@example.com>;tag=5fpSG0ARQIBq
Call-ID: {{call}}
CSeq: {{cseq}}
User-Agent: FreeSWITCH-mod_sofia/1.11.2-release~64bit
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE
Supported: timer, path, replaces
Allow-Events: talk, hold, conference, presence, as-feature-event, dialog, line-seize, call-info, sla, include-session-description, presence.winfo, message-summary, refer{lines}
Content-Length: 0"
    );
    page.wire(request, &head, "");
}

fn accept(page: &mut Page, request: &Message, state: &str) {
    let expires = request.expires().unwrap();
    let lines =
        format!("\nContact: <sip:bob@127.0.0.1:29039>\nExpires: {expires}\nSubscription-State: {state}");
    answer(page, request, "202 Accepted", &lines);
}

/// It asks with a 407.
fn challenge(page: &mut Page, request: &Message, nonce: &str) {
    let line = format!(
        "\nProxy-Authenticate: Digest realm=\"example.com\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\""
    );
    answer(page, request, "407 Proxy Authentication Required", &line);
}

/// And refuses with a 401 that says nothing of how to do it better.
fn refuse(page: &mut Page, request: &Message) {
    answer(page, request, "401 Unauthorized", "");
}

fn is_signed(request: &Message) -> bool {
    [Name::Authorization, Name::ProxyAuthorization].iter().any(|name| request.header(name).is_some())
}

/// `tag` is its own, `lines` stand before the length.
fn notify(
    page: &mut Page,
    subscribe: &Message,
    number: u32,
    tag: &str,
    lines: &str,
    body: &str,
) -> Option<u16> {
    let head = format!(
        "NOTIFY sip:{{user}}@aprhz7rnzyqtabht7gyi.invalid;transport=ws;ob SIP/2.0
Via: SIP/2.0/WS 127.0.0.1;branch=z9hG4bK{number};rport
Route: <sip:127.0.0.1:36324>;transport=ws;ob
Max-Forwards: 70
From: <sip:bob@example.com>;tag={tag}
To: <sip:alice@example.com>;tag={{tag}}
Call-ID: {{call}}
CSeq: {number} NOTIFY
Contact: <sip:bob@127.0.0.1:29039>
User-Agent: FreeSWITCH-mod_sofia/1.11.2-release~64bit
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE
Supported: timer, path, replaces
{lines}
Content-Length: {{length}}"
    );
    page.wire(subscribe, &head, body)
}

const ACTIVE: &str =
    "Event: presence\nSubscription-State: active;expires=3595\nContent-Type: application/pidf+xml";
/// The end, also of a question; without Event.
const NOTHING: &str = "Expires: 0\nSubscription-State: terminated;reason=noresource";

const BUSY: &str = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\r
<presence xmlns='urn:ietf:params:xml:ns:pidf' \r
xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \r
xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' \r
xmlns:c='urn:ietf:params:xml:ns:pidf:cipid' entity='sip:bob@example.com'>
 <tuple id='t6a5ed77e'>\r
  <status>\r
   <basic>open</basic>\r
  </status>\r
 </tuple>\r
 <dm:person id='p06360c4a'>
  <rpid:activities>\r
   <rpid:busy/>\r
  </rpid:activities>
  <dm:note>In a meeting – until späť</dm:note>
 </dm:person>
</presence>";

#[test]
fn a_nonce_that_was_forgotten_with_a_restart_is_asked_for_anew() {
    let (mut page, id, subscribe) = Page::trying();
    challenge(&mut page, &subscribe, "fa63ab61-09c5-4b23-9730-cf3a11f8bbc1");
    let subscribe = page.next_sent();
    accept(&mut page, &subscribe, "active;expires=3600");
    assert_eq!(notify(&mut page, &subscribe, 1_434_245_351, "5fpSG0ARQIBq", ACTIVE, BUSY), Some(200));
    assert_eq!(page.view(id).summary.status, Status::Busy);

    page.disconnect();
    page.seconds(3);
    page.connect();
    let refresh = page.next_sent();
    assert!(is_signed(&refresh));
    refuse(&mut page, &refresh);
    let bare = page.next_sent();
    assert!(!is_signed(&bare), "neither as to a 401 nor as to a 407");
    challenge(&mut page, &bare, "af525dc9-8352-485f-8863-d8b53fe43945");
    let again = page.next_sent();
    assert!(is_signed(&again));
    accept(&mut page, &again, "active;expires=3600");
    assert_eq!(notify(&mut page, &again, 1_434_245_451, "5fpSG0ARQIBq", ACTIVE, BUSY), Some(200));
    assert!(!page.view(id).stale);
    let lost = |failure: &sip_presence::agent::Failure| failure.code == FailureCode::ConnectionLost;
    assert!(page.failures().iter().all(lost), "{:?}", page.failures());
}

#[test]
fn several_requests_with_a_forgotten_nonce_are_all_asked_for_anew() {
    let (mut page, _, subscribe) = Page::trying();
    challenge(&mut page, &subscribe, "af525dc9-8352-485f-8863-d8b53fe43945");
    let subscribe = page.next_sent();
    accept(&mut page, &subscribe, "active;expires=3600");
    let signed = ["sip:carol@example.com", "sip:dave@example.com"].map(|uri| {
        page.watch(uri);
        page.next_sent()
    });
    assert!(signed.iter().all(is_signed));
    // The second is answered when the first is on its way again already.
    signed.iter().for_each(|request| refuse(&mut page, request));
    for _ in &signed {
        let bare = page.next_sent();
        assert!(!is_signed(&bare));
        challenge(&mut page, &bare, "31a626e2-61c2-41fd-bb52-e91dda38a8eb");
    }
    assert!(page.failures().is_empty());
    assert_eq!(page.pending(), 2);
}

#[test]
fn a_wrong_password_is_told_as_such() {
    let (mut page, id, subscribe) = Page::trying();
    challenge(&mut page, &subscribe, "fa63ab61-09c5-4b23-9730-cf3a11f8bbc1");
    let signed = page.next_sent();
    refuse(&mut page, &signed);
    let bare = page.next_sent();
    challenge(&mut page, &bare, "af525dc9-8352-485f-8863-d8b53fe43945");
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::Unauthorized);
    assert_eq!(page.view(id).subscription.state, Watching::Terminated);
    page.seconds(10_000);
    assert!(page.is_silent());
}

fn fetched(page: &Page) -> Option<Rc<View>> {
    page.events.iter().find_map(|event| match event {
        Event::Fetched { result, .. } => result.clone().ok(),
        _ => None,
    })
}

fn fetch(page: &mut Page) -> Message {
    page.agent.fetch(&Uri::parse("sip:bob@example.com").unwrap(), page.now);
    page.drain_now();
    page.next_sent()
}

#[test]
fn who_only_asks_is_told_nothing_and_makes_a_subscription_that_ends_with_the_answer() {
    let mut page = Page::online();
    let question = fetch(&mut page);
    accept(&mut page, &question, "terminated;reason=noresource");
    // From a tag that no answer had.
    assert_eq!(notify(&mut page, &question, 1_434_245_700, "m47XDSB5FpSyp", NOTHING, ""), Some(200));
    assert!(fetched(&page).is_none());
    let subscribe = page.next_sent();
    assert_eq!(subscribe.expires(), Some(3600));
    accept(&mut page, &subscribe, "active;expires=3600");
    assert_eq!(notify(&mut page, &subscribe, 1_434_245_701, "5fpSG0ARQIBq", ACTIVE, BUSY), Some(200));
    let view = fetched(&page).unwrap();
    assert_eq!(
        (view.summary.status, view.summary.note.as_deref()),
        (Status::Busy, Some("In a meeting – until späť"))
    );
    let end = page.next_sent();
    assert_eq!(
        (end.method(), end.expires(), end.call_id()),
        (Method::Subscribe, Some(0), subscribe.call_id())
    );
    accept(&mut page, &end, "terminated;reason=noresource");
    assert_eq!(notify(&mut page, &subscribe, 1_434_245_850, "5fpSG0ARQIBq", NOTHING, ""), Some(200));
    page.seconds(10_000);
    assert!(page.is_silent());
}

#[test]
fn where_there_is_nothing_the_second_answer_counts() {
    let mut page = Page::online();
    let question = fetch(&mut page);
    assert_eq!(notify(&mut page, &question, 1, "m47XDSB5FpSyp", NOTHING, ""), Some(200));
    let subscribe = page.next_sent();
    assert_ne!(subscribe.call_id(), question.call_id());
    assert_eq!(notify(&mut page, &subscribe, 2, "m47XDSB5FpSyp", NOTHING, ""), Some(200));
    let view = fetched(&page).unwrap();
    assert_eq!(
        (view.summary.status, view.subscription.reason.as_deref()),
        (Status::Unknown, Some("noresource"))
    );
    page.seconds(10_000);
    assert!(page.is_silent());
}
