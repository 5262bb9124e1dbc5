//! The subscriber, row by row of its state table (RFC 6665 §4.1, RFC 3856 §6.8, §6.9).
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{Cause, FailureCode, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Known, Message, Method, Name};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

fn header<'a>(message: &'a Message, name: &Name) -> &'a str {
    message.header(name).unwrap_or_default()
}

#[test]
fn the_first_subscribe_has_what_the_standard_asks_for() {
    // 3856-4-a 3261-8.1.1-a 3261-8.1.1.1-a 3261-8.1.1.2-a 3261-8.1.1.3-a 3261-8.1.1.6-a 3261-8.1.1.7-a 3261-8.1.1.8-a
    // 6665-3.1.1-a 6665-3.1.2-a 3856-6.1-a 3856-6.2-a 3856-6.3-a 3856-6.5-b 3856-6.5-d 6665-4.1.1-a 7118-5.1-a 7118-5.2-a
    // 7118-B.1-a
    let (_, _, subscribe) = Page::trying();
    assert_eq!(subscribe.method(), Method::Subscribe);
    assert_eq!(subscribe.request_uri().unwrap().to_string(), BOB);
    assert_eq!(subscribe.to().unwrap().uri.to_string(), BOB);
    assert_eq!(subscribe.to().unwrap().tag(), None);
    assert!(subscribe.from().unwrap().tag().is_some_and(|tag| tag.len() >= 16));
    assert_eq!(header(&subscribe, &Name::MaxForwards), "70");
    assert_eq!(header(&subscribe, &Name::Event), "presence");
    assert!(subscribe.list(&Name::Accept).any(|media| media == "application/pidf+xml"));
    assert_eq!(subscribe.expires(), Some(3600));
    assert!(subscribe.body.is_empty() && subscribe.header(&Name::ContentType).is_none());
    assert_eq!(subscribe.header(&Name::Require), None);
    let via = subscribe.via().unwrap();
    assert_eq!(via.transport, "WSS");
    assert!(via.host.ends_with(".invalid") && via.branch().starts_with("z9hG4bK"));
    let contacts = subscribe.addresses(Known::Contact).unwrap();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].uri.params.value("transport"), Some("ws"));
    assert_eq!(contacts[0].uri.host, via.host);
}

#[test]
fn before_the_first_notify_nothing_is_known() {
    // 6665-4.1.2.4-d 6665-4.1.2.1-b
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 3600);
    let view = page.view(id);
    assert_eq!(view.summary.status, Status::Unknown);
    assert_eq!(view.subscription.state, Watching::Trying);
    assert!(!view.stale && view.as_of.is_none());
}

#[test]
fn a_notify_may_come_before_the_response() {
    // 6665-4.1.2.4-e 6665-4.1.4-a 6665-5.4.9-a
    let (mut page, id, subscribe) = Page::trying();
    let notify = notification(&subscribe, "fork", 1, "active;expires=600", &pidf(BOB, "busy", "hello"));
    assert_eq!(page.deliver(&notify), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    // The 2xx has another To tag: it only ends the transaction.
    page.accept(&subscribe, 3600);
    assert_eq!(page.view(id).subscription.state, Watching::Active);
    page.seconds(301);
    let refresh = page.next_sent();
    assert_eq!(refresh.to().unwrap().tag(), Some("fork"));
    assert_eq!(refresh.request_uri().unwrap().to_string(), "sip:pa.example.com");
}

#[test]
fn a_notify_without_a_body_makes_the_watcher_ask() {
    // 3856-6.8-c 6665-5.3.2-c
    let (mut page, id, subscribe) = Page::watching();
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "here")), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    // As Kamailio does when the last publication has run out: the document stays, and the whole state is asked for.
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    assert!(page.is_silent(), "a SUBSCRIBE has just been sent");
    page.seconds(4);
    let refresh = page.next_sent();
    assert_eq!((refresh.method(), refresh.call_id()), (Method::Subscribe, subscribe.call_id()));
    page.accept(&refresh, 600);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    let view = page.view(id);
    assert_eq!((view.summary.status, view.presence.is_none(), view.stale), (Status::Unknown, true, false));
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    assert!(page.is_silent(), "there is nothing to ask for");
    // The end of a subscription leaves what was last known, as old.
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "away", "")), 200);
    assert_eq!(page.notify(&subscribe, "terminated;reason=rejected", ""), 200);
    assert_eq!((page.view(id).summary.status, page.view(id).stale), (Status::Away, true));
}

#[test]
fn another_fork_is_refused() {
    // 3856-6.9-a 6665-5.4.9-a 6665-4.1.3-a
    let (mut page, id, subscribe) = Page::watching();
    let other = notification(&subscribe, "other", 1, "active;expires=600", &pidf(BOB, "busy", ""));
    assert_eq!(page.deliver(&other), 481);
    assert_eq!(page.view(id).summary.status, Status::Unknown);
}

#[test]
fn a_notify_that_matches_nothing_is_refused() {
    // 6665-4.1.3-a 6665-4.1.3-b 6665-4.1.3-c 6665-4.4.1-c 6665-4.1.3-e 3261-12.2.2-a
    let (mut page, _, subscribe) = Page::watching();
    let make = || notification(&subscribe, "server-tag", 900, "active;expires=600", "");
    let mut wrong_call = make();
    wrong_call.set(Name::CallId, "somebody-else");
    assert_eq!(page.deliver(&wrong_call), 481);
    let mut wrong_tag = make();
    wrong_tag.set(Name::To, "<sip:alice@example.com>;tag=nobody");
    assert_eq!(page.deliver(&wrong_tag), 481);
    let mut wrong_id = make();
    wrong_id.set(Name::Event, "presence;id=7");
    assert_eq!(page.deliver(&wrong_id), 481);
    let mut wrong_package = make();
    wrong_package.set(Name::Event, "dialog");
    assert_eq!(page.deliver(&wrong_package), 489);
    let mut no_state = make();
    no_state.remove(&Name::SubscriptionState);
    assert_eq!(page.deliver(&no_state), 400);
    assert_eq!(page.deliver(&make()), 200);
}

#[test]
fn an_older_notify_changes_nothing() {
    // 3856-6.8-b 3261-12.2.2-b
    let (mut page, id, subscribe) = Page::watching();
    let at = |cseq, activity| {
        notification(&subscribe, "server-tag", cseq, "active;expires=600", &pidf(BOB, activity, ""))
    };
    assert_eq!(page.deliver(&at(500, "busy")), 200);
    assert_eq!(page.deliver(&at(499, "away")), 500);
    assert_eq!(page.deliver(&at(500, "away")), 500);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    assert_eq!(page.deliver(&at(4_000_000, "away")), 200);
    assert_eq!(page.view(id).summary.status, Status::Away);
}

#[test]
fn each_document_is_the_whole_state_and_none_is_no_change() {
    // 3856-6.8-a 3856-6.8-c
    let (mut page, id, subscribe) = Page::watching();
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "one")), 200);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    assert_eq!(page.view(id).summary.note.as_deref(), Some("one"));
    let empty = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:bob@example.com\"/>";
    assert_eq!(page.notify(&subscribe, "active;expires=600", empty), 200);
    assert_eq!(page.view(id).summary.status, Status::Unknown);
    assert_eq!(page.view(id).presence.as_ref().unwrap().tuples.len(), 0);
}

#[test]
fn the_refresh_goes_out_at_half_time_inside_the_dialog() {
    // 6665-4.1.2.2-a 3856-4-g 6665-4.5.2-d 3261-12.2.1.1-a 3261-12.2.1.1-b 3261-12.2.1.1-c 3261-12.2.1.1-f 6665-3.1.1-e
    let (mut page, _, subscribe) = Page::trying();
    page.accept(&subscribe, 1000);
    page.notify(&subscribe, "active;expires=1000", "");
    page.seconds(499);
    assert!(page.is_silent());
    page.seconds(2);
    let refresh = page.next_sent();
    assert_eq!(refresh.call_id(), subscribe.call_id());
    assert_eq!(refresh.from().unwrap(), subscribe.from().unwrap());
    assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"));
    assert_eq!(refresh.cseq().unwrap().number, subscribe.cseq().unwrap().number + 1);
    assert_eq!(refresh.request_uri().unwrap().to_string(), "sip:pa.example.com");
    assert_eq!(header(&refresh, &Name::Event), "presence");
    assert_eq!(header(&refresh, &Name::Contact), header(&subscribe, &Name::Contact));
}

#[test]
fn the_route_set_is_that_of_the_notify() {
    // 6665-4.4.1-b 3261-12.2.1.1-d 3261-12.2.1.1-e 3261-12.2-d
    for (routes, uri, sent) in [
        (vec!["<sip:p1;lr>", "<sip:p2;lr>"], "sip:pa.example.com", vec!["<sip:p1;lr>", "<sip:p2;lr>"]),
        (vec!["<sip:p1>", "<sip:p2;lr>"], "sip:p1", vec!["<sip:p2;lr>", "<sip:pa.example.com>"]),
    ] {
        let (mut page, _, subscribe) = Page::trying();
        page.respond(&subscribe, 200, &[(Name::RecordRoute, "<sip:other;lr>"), (Name::Expires, "600")]);
        let mut notify = notification(&subscribe, "server-tag", 1, "active;expires=600", "");
        for route in &routes {
            notify.push(Name::RecordRoute, *route);
        }
        assert_eq!(page.deliver(&notify), 200);
        let mut later = notification(&subscribe, "server-tag", 2, "active;expires=600", "");
        later.push(Name::RecordRoute, "<sip:late;lr>");
        assert_eq!(page.deliver(&later), 200);
        page.seconds(301);
        let refresh = page.next_sent();
        assert_eq!(refresh.request_uri().unwrap().to_string(), uri);
        assert_eq!(refresh.list(&Name::Route).collect::<Vec<_>>(), sent);
    }
}

#[test]
fn a_new_contact_is_the_new_target() {
    // 6665-3.2-b 3261-12.2.1.2-a 3261-12.2.2-c
    let (mut page, _, subscribe) = Page::watching();
    let mut notify = notification(&subscribe, "server-tag", 300, "active;expires=600", "");
    notify.set(Name::Contact, "<sip:moved.example.com>");
    assert_eq!(page.deliver(&notify), 200);
    page.seconds(301);
    let refresh = page.next_sent();
    assert_eq!(refresh.request_uri().unwrap().to_string(), "sip:moved.example.com");
    page.respond(&refresh, 200, &[(Name::Expires, "600"), (Name::Contact, "<sip:again.example.com>")]);
    page.notify(&subscribe, "active;expires=600", "");
    let mut stale = notification(&subscribe, "server-tag", 1, "active;expires=600", "");
    stale.set(Name::Contact, "<sip:liar.example.com>");
    assert_eq!(page.deliver(&stale), 500);
}

#[test]
fn accepted_but_no_notify_is_a_failure_with_a_name() {
    // 6665-4.1.2.4-a 6665-4.1.2.4-c
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 3600);
    page.seconds(31);
    assert!(page.failures().is_empty());
    page.seconds(1);
    let failure = page.failures().pop().unwrap();
    assert_eq!(failure.code, FailureCode::NoNotify);
    assert_eq!(failure.uri.as_deref(), Some(BOB));
    assert!(failure.retry_at.is_some());
    assert_eq!(page.view(id).subscription.state, Watching::Terminated);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
    page.seconds(3);
    let again = page.next_sent();
    assert_ne!(again.call_id(), subscribe.call_id());
    assert_ne!(again.from().unwrap().tag(), subscribe.from().unwrap().tag());
}

#[test]
fn a_server_that_never_answers_is_a_failure_with_a_name() {
    // 3261-17.1.2-e 3261-8.1.3.1-a 7118-5-a
    let (mut page, _, _) = Page::trying();
    page.seconds(32);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::Timeout);
    assert!(page.is_silent(), "nothing is retransmitted");
}

#[test]
fn what_a_refusal_of_the_first_subscribe_does() {
    // 6665-4.1.2.1-c 3261-21.5.4-a
    for (status, code, retried) in [
        (403, FailureCode::Forbidden, false),
        (404, FailureCode::NotFound, false),
        (405, FailureCode::UnsupportedEvent, false),
        (489, FailureCode::UnsupportedEvent, false),
        (604, FailureCode::NotFound, false),
        (603, FailureCode::Rejected, false),
        (400, FailureCode::Refused, false),
        (408, FailureCode::Refused, true),
        (480, FailureCode::Refused, true),
        (500, FailureCode::ServerError, true),
        (503, FailureCode::Unavailable, true),
        (504, FailureCode::ServerError, true),
    ] {
        let (mut page, id, subscribe) = Page::trying();
        page.respond(&subscribe, status, &[(Name::RetryAfter, "20 (busy)")]);
        let failure = page.failures().pop().unwrap();
        assert_eq!((failure.code, failure.status), (code, Some(status)));
        assert_eq!(failure.retry_at.is_some(), retried, "{status}");
        assert_eq!(page.view(id).subscription.state, Watching::Terminated);
        page.seconds(19);
        assert!(page.is_silent(), "{status}: before Retry-After");
        page.seconds(600);
        assert_eq!(page.is_silent(), !retried, "{status}");
    }
}

#[test]
fn too_brief_is_corrected_once() {
    // 3261-8.1.3.5-f 3261-8.1.3.5-g 3856-6.4-b
    let mut page = Page::online_with(|config| config.expires = 60);
    page.watch(BOB);
    let subscribe = page.next_sent();
    assert_eq!(subscribe.expires(), Some(60));
    page.respond(&subscribe, 423, &[(Name::MinExpires, "300")]);
    let again = page.next_sent();
    assert_eq!(again.expires(), Some(300));
    assert_eq!(again.call_id(), subscribe.call_id());
    assert_eq!(again.from().unwrap(), subscribe.from().unwrap());
    assert_eq!(again.cseq().unwrap().number, subscribe.cseq().unwrap().number + 1);
    assert_ne!(again.via().unwrap().branch(), subscribe.via().unwrap().branch());
    page.respond(&again, 423, &[(Name::MinExpires, "900")]);
    assert!(page.is_silent());
    assert_eq!(page.failures().pop().unwrap().status, Some(423));
}

#[test]
fn a_pres_uri_that_is_not_understood_is_tried_as_sip() {
    // 3856-5-c 3856-5-f 3261-8.1.3.5-d
    let mut page = Page::online();
    page.watch("pres:bob@example.com");
    let subscribe = page.next_sent();
    assert_eq!(subscribe.request_uri().unwrap().to_string(), "pres:bob@example.com");
    page.respond(&subscribe, 416, &[]);
    let again = page.next_sent();
    assert_eq!(again.request_uri().unwrap().to_string(), BOB);
    page.respond(&again, 416, &[]);
    assert!(page.is_silent());
}

#[test]
fn fatal_codes_to_a_refresh_end_the_subscription_and_a_new_one_is_made() {
    // 6665-4.1.2.2-b 6665-4.1.2.2-c 6665-5057-a
    for status in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
        let (mut page, id, subscribe) = Page::watching();
        page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", ""));
        page.seconds(1801);
        let refresh = page.next_sent();
        page.respond(&refresh, status, &[]);
        assert!(page.view(id).stale, "{status}");
        page.seconds(1);
        let again = page.next_sent();
        assert_ne!(again.call_id(), subscribe.call_id(), "{status}");
        assert_eq!(again.to().unwrap().tag(), None);
        assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
    }
}

#[test]
fn other_codes_to_a_refresh_leave_the_subscription_until_it_expires() {
    // 6665-4.1.2.2-d 3261-12.2.1.2-b
    for status in [400, 403, 408, 500, 502, 503, 603] {
        let (mut page, id, subscribe) = Page::watching();
        page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", ""));
        page.seconds(1801);
        let refresh = page.next_sent();
        page.respond(&refresh, status, &[]);
        assert_eq!(page.view(id).subscription.state, Watching::Active, "{status}");
        assert!(!page.view(id).stale);
        let told = page.failures();
        let [failure] = told.as_slice() else { panic!("{status}: {told:?}") };
        assert_eq!((failure.status, failure.uri.as_deref()), (Some(status), Some(BOB)));
        assert!(failure.retry_at.is_some_and(|at| at > page.now), "it says when it is tried again");
        assert_eq!(page.notify(&subscribe, "active;expires=1700", &pidf(BOB, "away", "")), 200);
        assert_eq!(page.view(id).summary.status, Status::Away);
        page.seconds(10);
        let again = page.next_sent();
        assert_eq!(again.call_id(), subscribe.call_id(), "{status}");
        assert_eq!(again.cseq().unwrap().number, refresh.cseq().unwrap().number + 1);
    }
}

#[test]
fn a_refresh_without_notify_ends_the_subscription() {
    // 6665-4.1.2.2-e
    let (mut page, id, _) = Page::watching();
    page.seconds(1801);
    let refresh = page.next_sent();
    page.accept(&refresh, 3600);
    page.seconds(33);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::NoNotify);
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    let again = page.next_sent();
    assert_ne!(again.call_id(), refresh.call_id());
}

#[test]
fn no_content_promises_no_notify() {
    // 6665-4.1.2.2-f
    let (mut page, id, _) = Page::watching();
    page.seconds(1801);
    let refresh = page.next_sent();
    page.respond(&refresh, 204, &[(Name::Expires, "3600")]);
    page.seconds(60);
    assert_eq!(page.view(id).subscription.state, Watching::Active);
    assert!(page.is_silent());
}

#[test]
fn expiry_follows_the_notify_and_missing_expires_keeps_the_old() {
    // 6665-4.1.3-f 6665-4.2.2-k 6665-4.1.3-g 6665-3.1.1-f
    let (mut page, _, subscribe) = Page::watching();
    page.notify(&subscribe, "active;expires=60;reason=rejected;retry-after=999", "");
    page.seconds(31);
    let refresh = page.next_sent();
    assert_eq!(refresh.method(), Method::Subscribe);
    page.respond(&refresh, 200, &[(Name::Contact, "<sip:pa.example.com>;expires=5")]);
    page.notify(&subscribe, "active", "");
    page.seconds(10);
    assert!(page.is_silent(), "a missing expires starts nothing anew");
}

#[test]
fn what_each_reason_does() {
    // 6665-4.1.3-h 6665-4.1.3-i 6665-4.1.3-j 6665-4.1.3-k 6665-4.1.3-l 6665-4.1.3-m 6665-4.1.3-n 6665-4.1.3-o 6665-4.1.3-p
    // 6665-4.1.3-q 6665-4.1.3-r 6665-4.4.2-a 3856-6.11.2-g
    for (state, wait) in [
        ("terminated;reason=deactivated;retry-after=900", Some(0)),
        ("terminated;reason=timeout;retry-after=900", Some(0)),
        ("terminated;reason=timeout;expires=400", Some(0)),
        ("terminated;reason=probation;retry-after=30", Some(30)),
        ("terminated;reason=probation", Some(1)),
        ("terminated;reason=giveup", Some(0)),
        ("terminated;reason=giveup;retry-after=60", Some(60)),
        ("terminated", Some(0)),
        ("terminated;retry-after=45", Some(45)),
        ("terminated;reason=unheard-of", Some(0)),
        ("terminated;reason=rejected;retry-after=5", None),
        ("terminated;reason=noresource", None),
        ("terminated;reason=invariant;retry-after=5", None),
    ] {
        let (mut page, id, subscribe) = Page::watching();
        page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", ""));
        page.seconds(100);
        assert_eq!(page.notify(&subscribe, state, ""), 200, "{state}");
        let view = page.view(id);
        assert_eq!(view.stale, !state.contains("invariant"), "{state}");
        assert_eq!(view.subscription.state, Watching::Terminated, "{state}");
        assert_eq!(view.summary.status, Status::Busy, "{state}: the last known state stays");
        assert_eq!(
            page.notify(&subscribe, "active;expires=600", ""),
            481,
            "{state}: it does not come back to life"
        );
        match wait {
            Some(0) => page.seconds(1),
            Some(wait) => {
                page.seconds(wait - 1);
                assert!(page.is_silent(), "{state}");
                page.seconds(3);
            }
            None => {
                page.seconds(100_000);
                assert!(page.is_silent(), "{state}");
                continue;
            }
        }
        let again = page.next_sent();
        assert_ne!(again.call_id(), subscribe.call_id(), "{state}");
        assert_eq!(again.header(&Name::Route), None);
    }
}

#[test]
fn a_server_that_deactivates_again_and_again_is_not_stormed() {
    let mut page = Page::online();
    page.watch(BOB);
    let mut tries = 0;
    for _ in 0..60 {
        while !page.is_silent() {
            let subscribe = page.next_sent();
            tries += 1;
            page.accept(&subscribe, 600);
            page.notify(&subscribe, "active;expires=600", "");
            page.notify(&subscribe, "terminated;reason=deactivated", "");
        }
        page.seconds(1);
    }
    assert!((3..12).contains(&tries), "{tries} SUBSCRIBEs in a minute");
}

#[test]
fn leaving_sends_expires_0_and_waits_for_the_last_notify() {
    // 3856-4-h 6665-4.1.2.3-a 6665-4.4.1-e 2779-5.1.7-a
    let (mut page, id, subscribe) = Page::watching();
    page.unwatch(id);
    page.seconds(1);
    assert!(page.is_silent(), "it lingers");
    page.seconds(2);
    let leave = page.next_sent();
    assert_eq!(leave.expires(), Some(0));
    assert_eq!(leave.call_id(), subscribe.call_id());
    page.accept(&leave, 0);
    assert_eq!(page.notify(&subscribe, "active;expires=10", ""), 200);
    assert_eq!(page.notify(&subscribe, "terminated;reason=timeout", &pidf(BOB, "busy", "")), 200);
    assert_eq!(page.notify(&subscribe, "active;expires=10", ""), 481);
    assert!(page.agent.view(id).is_none());
    page.seconds(10_000);
    assert!(page.is_silent());
    assert_eq!(page.agent.poll_timeout(), None, "no timer is left over");
}

#[test]
fn a_watch_that_comes_back_in_time_costs_nothing() {
    let (mut page, id, _) = Page::watching();
    page.unwatch(id);
    page.seconds(1);
    assert_eq!(page.watch(BOB), id);
    page.seconds(60);
    assert!(page.is_silent());
    assert_eq!(page.watch("pres:bob@EXAMPLE.com"), id, "one presentity, one subscription");
}

#[test]
fn leaving_before_the_first_notify_ends_the_subscription_when_it_comes() {
    let (mut page, id, subscribe) = Page::trying();
    page.unwatch(id);
    page.seconds(3);
    assert!(page.is_silent(), "there is no dialog to say it in");
    page.accept(&subscribe, 600);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    assert_eq!(page.next_sent().expires(), Some(0));
}

#[test]
fn a_fetch_is_a_subscribe_that_expires_at_once() {
    // 3856-4-k 6665-3.1.1-g 6665-4.4.1-a
    use sip_presence::agent::Event;
    let mut page = Page::online();
    let bob = sip_presence::sip::Uri::parse(BOB).unwrap();
    let request = page.agent.fetch(&bob, page.now);
    page.seconds(0);
    let subscribe = page.next_sent();
    assert_eq!(subscribe.expires(), Some(0));
    page.accept(&subscribe, 0);
    assert_eq!(page.notify(&subscribe, "terminated;reason=timeout", &pidf(BOB, "meeting", "hi")), 200);
    let view = page.events.iter().find_map(|event| match event {
        Event::Fetched { request: answered, result: Ok(view) } if *answered == request => Some(view.clone()),
        _ => None,
    });
    assert_eq!(view.unwrap().summary.note.as_deref(), Some("hi"));
    page.seconds(100);
    assert!(page.is_silent());
    assert_eq!(page.agent.poll_timeout(), None);
}

#[test]
fn the_first_notify_may_already_be_the_last() {
    // 6665-4.2.2-l 6665-4.4.1-d
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 3600);
    assert_eq!(page.notify(&subscribe, "terminated;reason=rejected", ""), 200);
    let view = page.view(id);
    assert_eq!(view.subscription.reason.as_deref(), Some("rejected"));
    page.seconds(5000);
    assert!(page.is_silent());
}

#[test]
fn accepted_202_is_200_and_unknown_substates_are_pending() {
    // 6665-8.3.1-a 6665-4.1.3-u
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 202, &[(Name::Expires, "600")]);
    assert_eq!(page.notify(&subscribe, "pending;expires=600", ""), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Pending);
    assert_eq!(page.view(id).summary.status, Status::Unknown);
    assert_eq!(page.notify(&subscribe, "probing;expires=600", ""), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Pending);
    assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "")), 200);
    assert_eq!(page.view(id).subscription.state, Watching::Active);
}

#[test]
fn the_connection_is_lost_and_comes_back() {
    let (mut page, id, subscribe) = Page::watching();
    page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "before"));
    page.told();
    page.seconds(100);
    page.disconnect();
    let views = page.told();
    assert_eq!(views.len(), 1);
    assert!(views[0].stale && views[0].cause == Cause::Disconnect);
    assert_eq!(views[0].summary.note.as_deref(), Some("before"));
    page.seconds(2);
    assert_eq!(page.connects.len(), 2);
    page.connect();
    let refresh = page.next_sent();
    assert_eq!(refresh.call_id(), subscribe.call_id(), "the old dialog is taken over, not left behind");
    page.accept(&refresh, 3600);
    assert!(page.view(id).stale, "not before a NOTIFY says so");
    page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "away", "after"));
    let views = page.told();
    assert_eq!(views.len(), 1);
    assert!(!views[0].stale && views[0].cause == Cause::Resync);
    assert_eq!(views[0].summary.note.as_deref(), Some("after"));
}

#[test]
fn no_document_after_a_gap_is_no_knowledge() {
    // 6665-5.3.2-c
    let (mut page, id, subscribe) = Page::watching();
    page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "before"));
    page.disconnect();
    page.seconds(2);
    page.connect();
    let refresh = page.next_sent();
    page.accept(&refresh, 3600);
    page.notify(&subscribe, "active;expires=3600", "");
    assert_eq!(page.view(id).summary.status, Status::Unknown);
    assert!(page.view(id).presence.is_none());
}

#[test]
fn a_restarted_server_that_forgot_gets_a_new_subscribe() {
    let (mut page, id, subscribe) = Page::watching();
    page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", ""));
    page.disconnect();
    page.seconds(2);
    page.connect();
    let refresh = page.next_sent();
    page.respond(&refresh, 481, &[]);
    page.seconds(0);
    let again = page.next_sent();
    assert_ne!(again.call_id(), subscribe.call_id());
    page.accept(&again, 3600);
    assert_eq!(page.notify(&again, "active;expires=3600", &pidf(BOB, "away", "")), 200);
    assert_eq!(page.view(id).summary.status, Status::Away);
    assert!(!page.view(id).stale);
}

#[test]
fn an_unreadable_document_keeps_the_last_good_state() {
    // 3863-x-b 6665-4.1.3-s 3261-8.2.3-a
    let (mut page, id, subscribe) = Page::watching();
    page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "good"));
    assert_eq!(page.notify(&subscribe, "active;expires=3600", "<presence"), 200);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::BadDocument);
    assert_eq!(page.view(id).summary.note.as_deref(), Some("good"));
    let mut other = notification(&subscribe, "server-tag", 800, "active;expires=600", "x");
    other.set(Name::ContentType, "text/plain");
    assert_eq!(page.deliver(&other), 415);
    let mut packed = notification(&subscribe, "server-tag", 801, "active;expires=600", "x");
    packed.push(Name::ContentEncoding, "gzip");
    assert_eq!(page.deliver(&packed), 415);
}

#[test]
fn the_window_bounds_how_many_subscribes_are_open() {
    let mut page = Page::online_with(|config| config.window = 4);
    for n in 0..20 {
        page.watch(&format!("sip:friend{n}@example.com"));
    }
    assert_eq!(page.pending(), 4);
    for n in 0..20_usize {
        let subscribe = page.next_sent();
        page.respond(&subscribe, 404, &[]);
        assert_eq!(page.pending(), 4.min(19 - n));
    }
}
