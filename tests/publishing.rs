//! Publishing as an agent does it, request by request (RFC 3903 §4, §5).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::Page;
use sip_presence::agent::{Event, FailureCode, RequestId};
use sip_presence::presence::{PublishedState, Status, pidf};
use sip_presence::sip::{Message, Method, Name};
use sip_presence::time::Duration;
use std::collections::BTreeSet;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ALICE: &str = "sip:alice@example.com";

fn publish(page: &mut Page, note: &str) -> RequestId {
    let note = Some(note.to_owned());
    let state =
        PublishedState { status: Status::Busy, activities: Vec::new(), note, until: None, input: None };
    let id = page.agent.publish(state, page.now);
    page.seconds(0);
    id
}

fn accept(page: &mut Page, request: &Message, tag: &str) {
    page.respond(request, 200, &[(Name::SipETag, tag), (Name::Expires, "600")]);
}

/// How `id` ended: the failure's code, or nothing.
fn published(page: &Page, id: RequestId) -> Option<Result<(), FailureCode>> {
    page.events.iter().find_map(|event| match event {
        Event::Published { request, result } if *request == id => {
            Some(result.as_ref().map(|_| ()).map_err(|failure| failure.code))
        }
        _ => None,
    })
}

/// The four requests of a publication's life: made, refreshed, changed, withdrawn.
fn life(page: &mut Page, answer: impl Fn(&mut Page, &Message, &str)) -> [Message; 4] {
    publish(page, "one");
    let initial = page.next_sent();
    answer(page, &initial, "e1");
    page.seconds(301);
    let refresh = page.next_sent();
    answer(page, &refresh, "e2");
    publish(page, "two");
    let modify = page.next_sent();
    answer(page, &modify, "e3");
    page.agent.unpublish(page.now);
    page.seconds(0);
    let remove = page.next_sent();
    answer(page, &remove, "e4");
    [initial, refresh, modify, remove]
}

#[test]
fn each_of_the_four_kinds_has_what_the_table_says() {
    // 3856-6.7-h 3903-4.1-a 3903-4.1-c 3903-4.2-a 3903-4.2-c 3903-4.2-d 3903-4-g 3903-10.1-a 3903-12-a
    let mut page = Page::online();
    let requests = life(&mut page, accept);
    for (request, (tag, has_body, lives)) in requests.iter().zip([
        (None, true, true),
        (Some("e1"), false, true),
        (Some("e2"), true, true),
        (Some("e3"), false, false),
    ]) {
        let what = String::from_utf8(request.to_bytes()).unwrap();
        assert_eq!(request.method(), Method::Publish);
        assert!(what.starts_with("PUBLISH sip:alice@example.com SIP/2.0\r\n"));
        assert_eq!(
            request.rows(&Name::SipIfMatch).collect::<Vec<_>>(),
            tag.into_iter().collect::<Vec<_>>(),
            "{what}"
        );
        assert_eq!(!request.body.is_empty(), has_body, "{what}");
        assert_eq!(request.header(&Name::ContentType), has_body.then_some("application/pidf+xml"), "{what}");
        assert_eq!(request.rows(&Name::Event).collect::<Vec<_>>(), ["presence"], "{what}");
        assert_eq!(
            request.rows(&Name::Expires).collect::<Vec<_>>(),
            [if lives { "3600" } else { "0" }],
            "{what}"
        );
        assert_eq!(request.header(&Name::Contact), None);
        assert_eq!(request.header(&Name::SipETag), None);
        if has_body {
            let (document, warnings) = pidf::read(&request.body, &pidf::Limits::default()).unwrap();
            assert_eq!((document.entity.as_str(), warnings.len()), (ALICE, 0));
        }
    }
}

#[test]
fn it_makes_no_dialog_and_no_route() {
    // 3903-4-c 3903-4-e 3903-4-f 3903-11-a
    let mut page = Page::online();
    let requests = life(&mut page, |page, request, tag| {
        let route = (Name::RecordRoute, "<sip:proxy.example.com;lr>");
        let contact = (Name::Contact, "<sip:elsewhere.example.com>");
        page.respond(request, 200, &[(Name::SipETag, tag), (Name::Expires, "600"), route, contact]);
    });
    let call_ids: BTreeSet<&str> = requests.iter().map(Message::call_id).collect();
    assert_eq!(call_ids.len(), 4);
    for request in &requests {
        assert_eq!(request.to().unwrap().tag(), None, "nothing of a response's To is kept");
        assert_eq!(request.request_uri().unwrap().to_string(), ALICE);
        assert_eq!(request.header(&Name::Route), None);
        assert_eq!(request.header(&Name::RecordRoute), None);
    }
}

#[test]
fn what_is_refused_for_good_is_told_and_not_sent_again() {
    // 3903-5-e
    for (status, code) in [
        (489, FailureCode::UnsupportedEvent),
        (415, FailureCode::Refused),
        (413, FailureCode::Refused),
        (400, FailureCode::Refused),
        (404, FailureCode::NotFound),
    ] {
        let mut page = Page::online();
        let id = publish(&mut page, "one");
        let request = page.next_sent();
        page.respond(&request, status, &[]);
        assert_eq!(published(&page, id), Some(Err(code)), "{status}");
        page.seconds(100_000);
        assert!(page.is_silent(), "{status}");
    }
}

#[test]
fn a_busy_server_is_asked_again_after_the_time_it_names() {
    // 3903-5-e
    let mut page = Page::online();
    let id = publish(&mut page, "one");
    let request = page.next_sent();
    page.respond(&request, 503, &[(Name::RetryAfter, "40")]);
    assert_eq!(published(&page, id), Some(Err(FailureCode::Unavailable)));
    assert!(page.failures()[0].retry_at.is_some_and(|at| at.since(page.now).as_millis() >= 40_000));
    page.seconds(39);
    assert!(page.is_silent());
    page.seconds(2);
    let again = page.next_sent();
    assert_eq!((again.header(&Name::SipIfMatch), &again.body), (None, &request.body));
    accept(&mut page, &again, "e1");
    page.seconds(301);
    assert_eq!(page.next_sent().header(&Name::SipIfMatch), Some("e1"));
}

#[test]
fn an_entity_tag_is_a_token_and_goes_back_as_it_came() {
    // 3903-8.2-a 3903-12-a
    for tag in ["dx200xyz", "A.b-C!%*_+`'~", "0", "*x"] {
        let mut page = Page::online();
        publish(&mut page, "one");
        let initial = page.next_sent();
        accept(&mut page, &initial, tag);
        page.seconds(301);
        assert_eq!(page.next_sent().header(&Name::SipIfMatch), Some(tag));
    }
    assert_ne!(Method::from_token("Publish"), Method::Publish, "letter by letter");
}

#[test]
fn a_success_without_an_entity_tag_is_told_and_the_next_state_is_a_new_publication() {
    let mut page = Page::online();
    let id = publish(&mut page, "one");
    let initial = page.next_sent();
    page.respond(&initial, 200, &[(Name::Expires, "600")]);
    assert_eq!(published(&page, id), Some(Err(FailureCode::BadResponse)));
    publish(&mut page, "two");
    let next = page.next_sent();
    assert_eq!(next.header(&Name::SipIfMatch), None);
    assert!(!next.body.is_empty());
}

#[test]
fn who_waits_for_a_publication_hears_that_the_server_wants_a_pause() {
    let mut page = Page::online();
    let one = publish(&mut page, "one");
    let initial = page.next_sent();
    let two = publish(&mut page, "two");
    page.respond(&initial, 503, &[(Name::RetryAfter, "3600")]);
    for id in [one, two] {
        assert_eq!(published(&page, id), Some(Err(FailureCode::Unavailable)));
    }
    assert!(page.is_silent());
    page.seconds(3601);
    let later = page.next_sent();
    assert!(String::from_utf8_lossy(&later.body).contains("two"), "the wish stays");
}

#[test]
fn what_is_wished_while_the_server_wants_a_pause_waits_and_is_told() {
    // 3903-5-e
    let mut page = Page::online();
    publish(&mut page, "one");
    let initial = page.next_sent();
    page.respond(&initial, 503, &[(Name::RetryAfter, "600")]);
    let until = page.failures()[0].retry_at;
    page.seconds(10);
    let two = publish(&mut page, "two");
    assert!(page.is_silent());
    assert_eq!(published(&page, two), Some(Err(FailureCode::Unavailable)));
    assert_eq!(page.failures().last().unwrap().retry_at, until, "it hears until when");
    page.seconds(591);
    let later = page.next_sent();
    assert!(String::from_utf8_lossy(&later.body).contains("two"));
    accept(&mut page, &later, "e1");
    let three = publish(&mut page, "three");
    let at_once = page.next_sent();
    accept(&mut page, &at_once, "e2");
    assert_eq!(published(&page, three), Some(Ok(())), "the pause is over");
    // There is nothing to wait for where nothing is published.
    let mut page = Page::online();
    publish(&mut page, "one");
    let initial = page.next_sent();
    page.respond(&initial, 503, &[(Name::RetryAfter, "600")]);
    let nothing = page.agent.unpublish(page.now);
    page.seconds(0);
    assert_eq!(published(&page, nothing), Some(Ok(())));
    page.seconds(1000);
    assert!(page.is_silent());
}

#[test]
fn a_withdrawal_that_fails_is_tried_again_and_not_taken_for_done() {
    let mut page = Page::online();
    publish(&mut page, "one");
    let initial = page.next_sent();
    accept(&mut page, &initial, "e1");
    let withdrawn = page.agent.unpublish(page.now);
    page.seconds(0);
    let remove = page.next_sent();
    page.respond(&remove, 503, &[(Name::RetryAfter, "40")]);
    assert_eq!(published(&page, withdrawn), Some(Err(FailureCode::Unavailable)));
    assert!(page.failures().last().unwrap().retry_at.is_some());
    page.seconds(39);
    assert!(page.is_silent());
    page.seconds(2);
    let remove = page.next_sent();
    assert_eq!((remove.header(&Name::SipIfMatch), remove.expires()), (Some("e1"), Some(0)));
    // Refused for good: it is there still, and can be withdrawn once more.
    page.respond(&remove, 403, &[]);
    page.seconds(10_000);
    assert!(page.is_silent());
    let again = page.agent.unpublish(page.now);
    page.seconds(0);
    assert_eq!(published(&page, again), None);
    let remove = page.next_sent();
    page.respond(&remove, 200, &[]);
    assert_eq!(published(&page, again), Some(Ok(())));
    page.disconnect();
    page.seconds(10);
    page.connect();
    assert!(page.is_silent(), "nothing is left");
}

#[test]
fn a_withdrawal_that_the_connection_swallowed_is_said_over_the_next() {
    let mut page = Page::online();
    publish(&mut page, "one");
    let initial = page.next_sent();
    accept(&mut page, &initial, "e1");
    let withdrawn = page.agent.unpublish(page.now);
    page.seconds(0);
    page.next_sent();
    page.disconnect();
    page.seconds(10);
    page.connect();
    let remove = page.next_sent();
    assert_eq!((remove.header(&Name::SipIfMatch), remove.expires()), (Some("e1"), Some(0)));
    // 3903-5-c: what the server has forgotten is withdrawn.
    page.respond(&remove, 412, &[]);
    assert_eq!(published(&page, withdrawn), Some(Ok(())));
    assert!(page.is_silent());
}

#[test]
fn closing_withdraws_at_once_and_waits_for_one_answer_only() {
    let close = |answer: &[(u16, &[(Name, &str)])]| {
        let mut page = Page::online();
        publish(&mut page, "one");
        let initial = page.next_sent();
        accept(&mut page, &initial, "e1");
        publish(&mut page, "two");
        let modify = page.next_sent();
        if answer.len() > 1 {
            page.respond(&modify, answer[1].0, answer[1].1);
        } else {
            accept(&mut page, &modify, "e2");
        }
        page.agent.close(page.now);
        page.seconds(0);
        let remove = page.next_sent();
        assert_eq!(remove.expires(), Some(0));
        page.respond(&remove, answer[0].0, answer[0].1);
        matches!(page.events.last(), Some(Event::Closed))
    };
    assert!(close(&[(200, &[])]));
    assert!(close(&[(503, &[(Name::RetryAfter, "40")])]), "it does not wait for the second attempt");
    assert!(close(&[(403, &[])]));
    assert!(close(&[(200, &[]), (503, &[(Name::RetryAfter, "40")])]), "nor for the end of a pause");
}

#[test]
fn who_waits_for_a_publication_hears_that_the_connection_is_lost_again_and_again() {
    let mut page = Page::online();
    let id = publish(&mut page, "one");
    page.disconnect();
    assert_eq!(published(&page, id), None, "once may be chance");
    page.seconds(10);
    page.connect();
    page.disconnect();
    assert_eq!(published(&page, id), Some(Err(FailureCode::ConnectionLost)));
}

#[test]
fn an_answer_that_came_while_the_machine_slept_is_heard_when_it_wakes() {
    let mut page = Page::online();
    let first = publish(&mut page, "one");
    let request = page.next_sent();
    page.throttled(Duration::from_secs(8 * 3600));
    assert_eq!(published(&page, first), None, "the timer is handled before what has arrived");
    accept(&mut page, &request, "e1");
    assert_eq!(published(&page, first), Some(Ok(())));

    let second = publish(&mut page, "two");
    let request = page.next_sent();
    assert_eq!(request.header(&Name::SipIfMatch), Some("e1"), "the entity-tag is not lost");
    // Timers that are always late, as those of a hidden page, are waited for once only.
    page.throttled(Duration::from_secs(60));
    assert_eq!(published(&page, second), None);
    page.throttled(Duration::from_secs(60));
    assert_eq!(published(&page, second), Some(Err(FailureCode::Timeout)));
}
