//! The subscriber's states and events, each pair a test (RFC 6665 §4.1.2). `waiting` is the state between the first
//! SUBSCRIBE and the first NOTIFY; `leaving` that between the un-SUBSCRIBE and the last one.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{Cause, Event, FailureCode, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Method, Name, Uri};
use sip_presence::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";
const CHALLENGE: &str = "Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\", algorithm=MD5";

/// Both states of a confirmed subscription.
const CONFIRMED: [(&str, Watching); 2] = [("active", Watching::Active), ("pending", Watching::Pending)];

/// A subscription in `state` with 3600 s left and a document.
fn confirmed(state: &str) -> (Page, WatchId, Message) {
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 3600);
    let state = [state, ";expires=3600"].concat();
    assert_eq!(page.notify(&subscribe, &state, &pidf(BOB, "busy", "known")), 200);
    (page, id, subscribe)
}

/// The same, half of its time later: the refresh was sent.
fn refreshing(state: &str) -> (Page, WatchId, Message, Message) {
    let (mut page, id, subscribe) = confirmed(state);
    page.seconds(1800);
    let refresh = page.next_sent();
    assert_eq!((refresh.method(), refresh.call_id()), (Method::Subscribe, subscribe.call_id()));
    (page, id, subscribe, refresh)
}

/// The same, being left: the un-SUBSCRIBE was sent.
fn leaving(state: &str) -> (Page, Message, Message) {
    let (mut page, id, subscribe) = confirmed(state);
    page.unwatch(id);
    page.seconds(2);
    let leave = page.next_sent();
    assert_eq!((leave.expires(), leave.call_id()), (Some(0), subscribe.call_id()));
    (page, subscribe, leave)
}

fn number(request: &Message) -> u32 {
    request.cseq().unwrap().number
}

/// Whether `next` belongs to no dialog and to no attempt before it.
fn is_a_fresh_attempt(next: &Message, before: &Message) -> bool {
    next.call_id() != before.call_id()
        && next.from().unwrap().tag() != before.from().unwrap().tag()
        && next.to().unwrap().tag().is_none()
}

/// Nothing is tried again, however long one waits.
#[track_caller]
fn is_the_end(page: &mut Page, id: WatchId) {
    let subscription = &page.view(id).subscription;
    assert_eq!((subscription.state, subscription.retry_at), (Watching::Terminated, None));
    page.seconds(100_000);
    assert!(page.is_silent());
}

// 6665-4.1.2.1-a 6665-3.1.3-a 3261-8.1.1.5-a 3261-8.1.1.4-a 3856-5-e
#[test]
fn a_watch_makes_a_subscribe_with_a_new_call_id_and_tag_and_timer_n_runs() {
    let mut page = Page::online();
    page.watch(BOB);
    page.watch("sip:carol@example.com");
    let (one, two) = (page.next_sent(), page.next_sent());
    assert!(is_a_fresh_attempt(&two, &one));
    for subscribe in [&one, &two] {
        assert!(number(subscribe) < 1 << 31);
        assert_eq!(subscribe.request_uri().unwrap(), &subscribe.to().unwrap().uri);
        for name in [Name::Event, Name::Accept, Name::Contact, Name::Expires] {
            assert_eq!(subscribe.rows(&name).count(), 1, "{name}");
        }
    }
    let (at, _) = page.agent.poll_timeout().unwrap();
    assert_eq!(at, page.now + Duration::from_secs(32));
}

// 6665-8.3.1-a 6665-4.1.2.1-b 6665-4.1.2.4-a
#[test]
fn waiting_a_2xx_ends_the_transaction_alone_and_timer_n_goes_on() {
    for status in [200, 202, 204] {
        let (mut page, id, subscribe) = Page::trying();
        page.seconds(20);
        page.respond(&subscribe, status, &[(Name::Expires, "600")]);
        assert_eq!(page.view(id).subscription.state, Watching::Trying, "{status}");
        page.seconds(11);
        assert!(page.failures().is_empty(), "{status}");
        page.seconds(1);
        assert_eq!(page.failures().pop().unwrap().code, FailureCode::NoNotify, "{status}");
    }
}

// 3261-8.1.3.5-a 3261-8.1.3.5-f
#[test]
fn waiting_a_challenge_is_answered_in_the_same_attempt_and_timer_n_begins_anew() {
    for (status, challenge, credentials) in [
        (401, Name::WwwAuthenticate, Name::Authorization),
        (407, Name::ProxyAuthenticate, Name::ProxyAuthorization),
    ] {
        let (mut page, id, subscribe) = Page::trying();
        page.seconds(20);
        page.respond(&subscribe, status, &[(challenge, CHALLENGE)]);
        let again = page.next_sent();
        assert!(again.header(&credentials).is_some());
        assert_eq!((again.call_id(), number(&again)), (subscribe.call_id(), number(&subscribe) + 1));
        assert_eq!(again.from().unwrap(), subscribe.from().unwrap());
        assert_ne!(again.via().unwrap().branch(), subscribe.via().unwrap().branch());
        page.accept(&again, 600);
        page.seconds(31);
        assert_eq!(page.view(id).subscription.state, Watching::Trying);
        assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
        assert_eq!(page.view(id).subscription.state, Watching::Active);
    }
}

// 3856-6.4-b 3261-8.1.3.5-g
#[test]
fn waiting_too_brief_is_tried_once_with_what_the_server_wants() {
    // Asterisk names no Min-Expires; an hour is never too brief.
    for (least, expires) in [(Some("300"), 300), (None, 3600)] {
        let mut page = Page::online_with(|config| config.expires = 60);
        let id = page.watch(BOB);
        let subscribe = page.next_sent();
        let headers: Vec<_> = least.map(|least| (Name::MinExpires, least)).into_iter().collect();
        page.respond(&subscribe, 423, &headers);
        let again = page.next_sent();
        assert_eq!((again.expires(), again.call_id()), (Some(expires), subscribe.call_id()));
        page.respond(&again, 423, &[(Name::MinExpires, "9000")]);
        assert_eq!(page.failures().pop().unwrap().status, Some(423));
        is_the_end(&mut page, id);
    }
    // Less than what was asked for is no answer.
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 423, &[(Name::MinExpires, "60")]);
    is_the_end(&mut page, id);
}

#[test]
fn waiting_a_package_that_is_not_supported_is_told_and_ends_it() {
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 489, &[(Name::AllowEvents, "dialog")]);
    let failure = page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.retry_at), (FailureCode::UnsupportedEvent, None));
    assert_eq!((failure.status, failure.reason.as_deref()), (Some(489), Some("presence")));
    is_the_end(&mut page, id);
}

/// Answers `request` with a redirection to `contacts`.
fn redirect(page: &mut Page, request: &Message, contacts: &str) {
    page.respond(request, 302, &[(Name::Contact, contacts)]);
}

fn target(request: &Message) -> String {
    request.request_uri().unwrap().to_string()
}

// 3261-8.1.3.4-a 3261-8.1.3.5-f
#[test]
fn waiting_a_redirection_is_followed_by_q_in_the_same_attempt() {
    for status in [300, 301, 302] {
        let (mut page, id, subscribe) = Page::trying();
        let contacts = "<sip:low@example.net>;q=0.1, <sip:high@example.net;x=y;method=INVITE?Subject=z>;q=0.75, \
                        <sip:half@example.net>;q=0.5, <mailto:bob@example.net>, <sip:first@example.net>";
        page.respond(&subscribe, status, &[(Name::Contact, contacts)]);
        let mut last = subscribe.clone();
        for uri in [
            "sip:first@example.net",
            "sip:high@example.net;x=y",
            "sip:half@example.net",
            "sip:low@example.net",
        ] {
            let next = page.next_sent();
            assert_eq!(target(&next), uri);
            assert_eq!(
                (next.to().unwrap(), next.from().unwrap()),
                (last.to().unwrap(), last.from().unwrap())
            );
            assert_eq!((next.call_id(), number(&next)), (last.call_id(), number(&last) + 1));
            assert_ne!(next.via().unwrap().branch(), last.via().unwrap().branch());
            if uri != "sip:low@example.net" {
                page.respond(&next, 480, &[]);
            }
            last = next;
        }
        page.accept(&last, 600);
        assert_eq!(page.notify(&subscribe, "active;expires=600", &pidf(BOB, "busy", "")), 200);
        assert_eq!(page.view(id).summary.status, Status::Busy);
        // The next attempt is one for the address that is watched.
        assert_eq!(page.notify(&subscribe, "terminated;reason=deactivated", ""), 200);
        page.seconds(1);
        assert_eq!(target(&page.next_sent()), BOB);
    }
}

// 3261-8.1.3.4-b
#[test]
fn waiting_no_address_is_tried_twice_and_not_for_ever() {
    let (mut page, id, subscribe) = Page::trying();
    redirect(&mut page, &subscribe, "<sip:bob@EXAMPLE.com>, <sip:a@example.net>, <sip:a@example.net>;q=0.2");
    let next = page.next_sent();
    assert_eq!(target(&next), "sip:a@example.net");
    redirect(&mut page, &next, "<sip:%61@example.net>, <sip:bob@example.com>");
    let failure = page.failures().pop().unwrap();
    assert_eq!((failure.code, failure.status), (FailureCode::Refused, Some(302)));
    is_the_end(&mut page, id);

    let (mut page, id, subscribe) = Page::trying();
    let mut last = subscribe;
    for n in 0..8 {
        redirect(&mut page, &last, &format!("<sip:{n}@example.net>"));
        last = page.next_sent();
        assert_eq!(target(&last), format!("sip:{n}@example.net"));
    }
    redirect(&mut page, &last, "<sip:9@example.net>");
    is_the_end(&mut page, id);
}

// 3261-8.1.3.4-c 3261-8.1.1.8-a 3856-9.2-c
#[test]
fn waiting_a_redirection_that_leaves_tls_is_not_followed_and_told() {
    let mut page = Page::online();
    let id = page.watch("sips:bob@example.com");
    let subscribe = page.next_sent();
    assert_eq!(subscribe.contact().unwrap().uri.scheme.as_str(), "sips");
    redirect(&mut page, &subscribe, "<sip:bob@example.net>, <sips:bob@example.net>;q=0.3");
    let next = page.next_sent();
    assert_eq!(target(&next), "sips:bob@example.net");
    redirect(&mut page, &next, "<sip:bob@example.net>");
    assert_eq!(page.failures().pop().unwrap().status, Some(302));
    is_the_end(&mut page, id);
    // To TLS is fine, and the answers shall come over TLS too.
    let (mut page, _, subscribe) = Page::trying();
    assert_eq!(subscribe.contact().unwrap().uri.scheme.as_str(), "sip");
    redirect(&mut page, &subscribe, "<sips:bob@example.net>");
    assert_eq!(page.next_sent().contact().unwrap().uri.scheme.as_str(), "sips");
}

#[test]
fn waiting_a_redirection_ends_with_a_refusal_by_all_or_by_the_last() {
    // 6xx speaks for all places; 305 and 380 name no other place of the presentity.
    let (mut page, id, subscribe) = Page::trying();
    redirect(&mut page, &subscribe, "<sip:a@example.net>, <sip:b@example.net>");
    let next = page.next_sent();
    page.respond(&next, 603, &[]);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::Rejected);
    is_the_end(&mut page, id);
    for status in [305, 380] {
        let (mut page, id, subscribe) = Page::trying();
        page.respond(&subscribe, status, &[(Name::Contact, "<sip:a@example.net>")]);
        is_the_end(&mut page, id);
    }
    let (mut page, id, subscribe) = Page::trying();
    redirect(&mut page, &subscribe, "<sip:a@example.net>");
    let next = page.next_sent();
    page.respond(&next, 503, &[(Name::RetryAfter, "60")]);
    assert!(page.view(id).subscription.retry_at.is_some());
    page.seconds(61);
    assert_eq!(target(&page.next_sent()), BOB);
    // Who has left does not follow.
    let (mut page, id, subscribe) = Page::trying();
    page.unwatch(id);
    page.seconds(3);
    redirect(&mut page, &subscribe, "<sip:a@example.net>");
    assert!(page.is_silent());
}

// 3261-8.1.3.5-d 3856-5-c 3856-5-f 3856-5-h 3856-5-i
#[test]
fn waiting_a_pres_address_that_is_not_understood_is_tried_as_sip() {
    let mut page = Page::online();
    let id = page.watch("pres:bob@example.com");
    let subscribe = page.next_sent();
    assert_eq!(target(&subscribe), "pres:bob@example.com");
    assert_eq!(subscribe.contact().unwrap().uri.scheme.as_str(), "sip");
    page.respond(&subscribe, 416, &[]);
    let again = page.next_sent();
    assert_eq!((target(&again).as_str(), again.call_id()), (BOB, subscribe.call_id()));
    assert_eq!(again.to().unwrap().uri.to_string(), "pres:bob@example.com");
    page.respond(&again, 416, &[]);
    is_the_end(&mut page, id);
    // A sip address has no other form.
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 416, &[]);
    is_the_end(&mut page, id);
}

#[test]
fn waiting_what_cannot_be_corrected_is_told_with_its_code_and_ends_it() {
    // Nothing was required, no body was sent, and one type is accepted: there is nothing to leave out.
    for status in [406, 415, 420] {
        let (mut page, id, subscribe) = Page::trying();
        for name in [Name::Require, Name::ProxyRequire, Name::ContentType] {
            assert_eq!(subscribe.header(&name), None);
        }
        page.respond(&subscribe, status, &[(Name::Unsupported, "x"), (Name::Accept, "text/plain")]);
        let failure = page.failures().pop().unwrap();
        assert_eq!((failure.code, failure.status), (FailureCode::Refused, Some(status)));
        is_the_end(&mut page, id);
    }
}

// 3261-21.5.4-a 6665-5057-b
#[test]
fn waiting_what_may_pass_is_tried_again_later_and_not_before_retry_after() {
    for status in [408, 480, 486, 500, 502, 503, 504, 600] {
        for wait in [None, Some(90)] {
            let (mut page, id, subscribe) = Page::trying();
            let text = wait.unwrap_or(0).to_string();
            let headers: Vec<_> = wait.map(|_| (Name::RetryAfter, text.as_str())).into_iter().collect();
            page.respond(&subscribe, status, &headers);
            let retry_at = page.view(id).subscription.retry_at.unwrap();
            assert!(retry_at >= page.now + Duration::from_secs(wait.unwrap_or(1)), "{status}");
            page.seconds(wait.unwrap_or(1) - 1);
            assert!(page.is_silent(), "{status}");
            page.seconds(3);
            assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe), "{status}");
            assert_eq!(page.view(id).subscription.state, Watching::Trying);
        }
    }
}

// 3261-17.1.2-a 3261-T1-a
#[test]
fn waiting_no_answer_at_all_is_tried_again() {
    let (mut page, id, subscribe) = Page::trying();
    page.advance(Duration::from_millis(31_999));
    assert!(page.failures().is_empty());
    page.advance(Duration::from_millis(1));
    let failure = page.failures().pop().unwrap();
    assert_eq!(failure.code, FailureCode::Timeout);
    assert_eq!(page.view(id).subscription.retry_at, failure.retry_at);
    page.seconds(3);
    assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe));
}

// 3261-17.1.4-a 3261-8.1.2-b
#[test]
fn waiting_a_lost_connection_makes_a_new_attempt_over_the_next_one() {
    let mut page = Page::online_with(|config| config.servers.push("wss://two.example.com/ws".to_owned()));
    let id = page.watch(BOB);
    let subscribe = page.next_sent();
    page.disconnect();
    assert_eq!(page.view(id).subscription.state, Watching::Trying);
    page.seconds(2);
    page.connect();
    let again = page.next_sent();
    assert!(is_a_fresh_attempt(&again, &subscribe));
    assert_ne!(again.via().unwrap().branch(), subscribe.via().unwrap().branch());
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
}

// 6665-4.1.2.1-c
#[test]
fn waiting_any_other_refusal_is_told_once_and_ends_it() {
    for status in [
        400, 402, 403, 404, 405, 410, 413, 414, 481, 482, 483, 484, 485, 488, 493, 501, 505, 513, 603, 604,
        606,
    ] {
        let (mut page, id, subscribe) = Page::trying();
        page.respond(&subscribe, status, &[(Name::RetryAfter, "5")]);
        assert_eq!(page.failures().len(), 1, "{status}");
        assert_eq!(page.failures()[0].status, Some(status));
        is_the_end(&mut page, id);
    }
}

// 6665-4.1.2.4-e 6665-4.1.2-a 6665-4.1.3-f 6665-4.2.2-k
#[test]
fn waiting_a_notify_makes_the_dialog_and_gives_the_time_or_the_2xx_does_or_the_wish() {
    for (word, state) in CONFIRMED {
        for first in [true, false] {
            for (expires, granted, refresh_after) in [
                (";expires=600", Some(1000), 300),
                (";expires=600", None, 300),
                ("", Some(1000), 500),
                ("", None, 1800),
                // Never longer than what was asked for.
                (";expires=4294967295", None, 1800),
            ] {
                let (mut page, id, subscribe) = Page::trying();
                let text = granted.unwrap_or(0).to_string();
                let headers: Vec<_> = granted.map(|_| (Name::Expires, text.as_str())).into_iter().collect();
                if !first {
                    page.respond(&subscribe, 200, &headers);
                }
                assert_eq!(page.notify(&subscribe, &[word, expires].concat(), &pidf(BOB, "busy", "")), 200);
                assert_eq!(page.view(id).subscription.state, state);
                if first {
                    page.respond(&subscribe, 200, &headers);
                }
                let ends = page.view(id).subscription.expires.unwrap();
                assert_eq!(
                    ends,
                    page.now + Duration::from_secs(2 * refresh_after),
                    "{word}{expires} {granted:?} {first}"
                );
                // Timer N has stopped.
                page.seconds(refresh_after - 1);
                assert!(
                    page.is_silent() && page.failures().is_empty(),
                    "{word}{expires} {granted:?} {first}"
                );
                page.seconds(1);
                let refresh = page.next_sent();
                assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"));
                assert_eq!(number(&refresh), number(&subscribe) + 1);
            }
        }
    }
}

// 6665-4.4.1-a 6665-4.2.2-l 6665-4.4.1-d
#[test]
fn waiting_a_notify_that_terminates_brings_its_document_and_no_dialog() {
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 3600);
    assert_eq!(page.notify(&subscribe, "terminated;reason=rejected", &pidf(BOB, "away", "last")), 200);
    let view = page.view(id);
    assert_eq!(view.summary.note.as_deref(), Some("last"));
    assert!(view.stale);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
    is_the_end(&mut page, id);
}

// 6665-4.1.2.4-c
#[test]
fn waiting_timer_n_ends_the_attempt_and_its_notify_finds_nobody() {
    let (mut page, id, subscribe) = Page::trying();
    page.accept(&subscribe, 3600);
    page.seconds(32);
    assert_eq!(page.view(id).subscription.state, Watching::Terminated);
    assert!(page.view(id).subscription.retry_at.is_some());
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
    page.seconds(3);
    assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe));
}

// 6665-4.6-a 3261-12-e
#[test]
fn waiting_who_leaves_says_so_in_the_dialog_that_the_notify_makes() {
    let (mut page, id, subscribe) = Page::trying();
    page.unwatch(id);
    page.seconds(3);
    assert!(page.is_silent(), "no CANCEL, and no dialog yet");
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 200);
    assert!(page.is_silent(), "not before the request that is open has its answer");
    page.accept(&subscribe, 600);
    let leave = page.next_sent();
    assert_eq!((leave.method(), leave.expires()), (Method::Subscribe, Some(0)));
    assert_eq!(number(&leave), number(&subscribe) + 1);
}

// 6665-4.1.2.4-e
#[test]
fn confirmed_the_first_subscribe_may_still_fail_and_ends_nothing() {
    for (word, state) in CONFIRMED {
        for status in [None, Some(404), Some(481), Some(500), Some(603)] {
            let (mut page, id, subscribe) = Page::trying();
            let notify = [word, ";expires=3600"].concat();
            assert_eq!(page.notify(&subscribe, &notify, &pidf(BOB, "busy", "")), 200);
            match status {
                Some(status) => page.respond(&subscribe, status, &[]),
                None => page.seconds(32),
            }
            assert_eq!(page.view(id).subscription.state, state, "{status:?}");
            assert_eq!(page.notify(&subscribe, &notify, &pidf(BOB, "away", "")), 200, "{status:?}");
            assert_eq!(page.view(id).summary.status, Status::Away);
        }
    }
}

// 6665-3.2-c 6665-4.1.3-f 6665-4.1.3-g 6665-3.2-b 3856-6.6.2-g
#[test]
fn confirmed_a_notify_sets_state_time_target_and_document() {
    for (word, _) in CONFIRMED {
        for (next, state) in CONFIRMED {
            let (mut page, id, subscribe) = confirmed(word);
            // Shorter, with words that have no meaning here.
            let shorter = [next, ";expires=100;reason=rejected;retry-after=9"].concat();
            let mut notify = notification(&subscribe, "server-tag", 500, &shorter, &pidf(BOB, "away", "new"));
            notify.set(Name::Contact, "<sip:moved.example.com>");
            assert_eq!(page.deliver(&notify), 200);
            let view = page.view(id);
            assert_eq!((view.subscription.state, view.subscription.reason.as_deref()), (state, None));
            assert_eq!(view.subscription.expires, Some(page.now + Duration::from_secs(100)));
            assert_eq!(view.summary.note.as_deref(), Some("new"));
            // Longer again, and without a body: what was known stays.
            let longer = notification(&subscribe, "server-tag", 501, &[next, ";expires=200"].concat(), "");
            assert_eq!(page.deliver(&longer), 200);
            assert_eq!(page.view(id).cause, Cause::Resync, "the time alone is no change of the presentity");
            assert_eq!(page.view(id).summary.note.as_deref(), Some("new"));
            assert_eq!(page.view(id).subscription.expires, Some(page.now + Duration::from_secs(200)));
            page.seconds(4);
            // It asks for the whole state, as it does not know whether there is none; where the last Contact was.
            assert_eq!(target(&page.next_sent()), "sip:pa.example.com");
        }
    }
}

#[test]
fn confirmed_a_notify_with_a_number_that_is_not_higher_changes_nothing() {
    // 3261-12.2.2-b 3261-12.2.2-c 3856-6.8-b
    for (word, state) in CONFIRMED {
        let (mut page, id, subscribe) = confirmed(word);
        let at = |cseq| {
            let mut notify = notification(
                &subscribe,
                "server-tag",
                cseq,
                "terminated;reason=rejected",
                &pidf(BOB, "away", ""),
            );
            notify.set(Name::Contact, "<sip:liar.example.com>");
            notify
        };
        let mut latest = at(700);
        latest.set(Name::SubscriptionState, [word, ";expires=3600"].concat());
        latest.set(Name::Contact, "<sip:pa.example.com>");
        assert_eq!(page.deliver(&latest), 200);
        for cseq in [700, 699, 1] {
            assert_eq!(page.deliver(&at(cseq)), 500, "{cseq}");
        }
        assert_eq!((page.view(id).subscription.state, page.view(id).stale), (state, false));
        page.seconds(1801);
        assert_eq!(target(&page.next_sent()), "sip:pa.example.com");
    }
}

// 3856-6.9-a 6665-5.4.9-a
#[test]
fn confirmed_another_fork_is_refused_until_and_after_timer_n() {
    for (word, state) in CONFIRMED {
        let (mut page, id, subscribe) = confirmed(word);
        for wait in [0, 31, 2] {
            page.seconds(wait);
            let other = notification(&subscribe, "other", 1, "active;expires=600", &pidf(BOB, "away", ""));
            assert_eq!(page.deliver(&other), 481);
        }
        assert_eq!((page.view(id).subscription.state, page.view(id).summary.status), (state, Status::Busy));
        // Its terminated NOTIFY ends nothing either.
        let other = notification(&subscribe, "other", 2, "terminated;reason=noresource", "");
        assert_eq!(page.deliver(&other), 481);
        assert_eq!(page.view(id).subscription.state, state);
    }
}

// 6665-4.1.2.2-a 6665-4.5.2-d 6665-3.1.1-a
#[test]
fn confirmed_the_refresh_goes_out_in_the_dialog_and_timer_n_runs() {
    for (word, _) in CONFIRMED {
        let (mut page, id, subscribe, refresh) = refreshing(word);
        assert_eq!(number(&refresh), number(&subscribe) + 1);
        assert_eq!((refresh.expires(), refresh.to().unwrap().tag()), (Some(3600), Some("server-tag")));
        page.accept(&refresh, 3600);
        page.seconds(31);
        assert!(page.failures().is_empty());
        page.seconds(1);
        assert_eq!(page.failures().pop().unwrap().code, FailureCode::NoNotify);
        assert!(page.view(id).stale);
        assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe));
        assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
    }
}

// 6665-3.1.1-e 3261-12.2.1.2-a
#[test]
fn confirmed_a_2xx_to_the_refresh_gives_the_new_time_and_target() {
    for (word, _) in CONFIRMED {
        for status in [200, 202] {
            let (mut page, id, subscribe, refresh) = refreshing(word);
            page.told();
            page.respond(
                &refresh,
                status,
                &[(Name::Expires, "1000"), (Name::Contact, "<sip:next.example.com>")],
            );
            let views = page.told();
            let [view] = views.as_slice() else { panic!("{views:?}") };
            assert_eq!(view.subscription.expires, Some(page.now + Duration::from_secs(1000)));
            assert_eq!(view.cause, Cause::Resync, "nobody moved");
            assert_eq!(
                page.notify(&subscribe, &[word, ";expires=1000"].concat(), &pidf(BOB, "busy", "known")),
                200
            );
            assert!(page.told().is_empty());
            // A NOTIFY is a target refresh too, and came last.
            page.seconds(501);
            assert_eq!(target(&page.next_sent()), "sip:pa.example.com");
            assert_eq!(page.view(id).summary.status, Status::Busy);
        }
        let (mut page, _, _, refresh) = refreshing(word);
        page.respond(&refresh, 204, &[(Name::Expires, "1000"), (Name::Contact, "<sip:next.example.com>")]);
        page.seconds(501);
        assert_eq!(target(&page.next_sent()), "sip:next.example.com");
    }
}

// 6665-4.1.2.2-b 6665-4.1.2.2-c
#[test]
fn confirmed_a_code_that_ends_the_usage_makes_a_new_subscription() {
    for (word, _) in CONFIRMED {
        for status in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
            let (mut page, id, subscribe, refresh) = refreshing(word);
            page.respond(&refresh, status, &[]);
            let view = page.view(id);
            assert!(
                view.stale && view.summary.status == Status::Busy,
                "{status}: the last known state, as old"
            );
            page.seconds(1);
            assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe), "{status}");
        }
    }
}

// 6665-4.1.2.2-d 6665-5057-b 3261-12-e
#[test]
fn confirmed_any_other_failure_of_the_refresh_is_tried_again_until_the_time_is_over() {
    for (word, state) in CONFIRMED {
        for status in [
            302, 400, 402, 403, 406, 408, 413, 415, 420, 423, 486, 488, 493, 500, 502, 503, 504, 505, 600,
            603, 606,
        ] {
            let (mut page, id, _, refresh) = refreshing(word);
            page.respond(
                &refresh,
                status,
                &[(Name::RetryAfter, "60"), (Name::Contact, "<sip:x@example.net>")],
            );
            let view = page.view(id);
            assert_eq!((view.subscription.state, view.stale), (state, false), "{status}");
            page.seconds(59);
            assert!(page.is_silent(), "{status}: before Retry-After");
            page.seconds(2);
            let again = page.next_sent();
            assert_eq!(
                (again.call_id(), number(&again)),
                (refresh.call_id(), number(&refresh) + 1),
                "{status}"
            );
            assert_eq!(target(&again), "sip:pa.example.com");
        }
    }
    // Too brief is corrected in the dialog; nobody who refuses so ends anything.
    let (mut page, id, _, refresh) = refreshing("active");
    page.respond(&refresh, 423, &[(Name::MinExpires, "7200")]);
    let again = page.next_sent();
    assert_eq!((again.expires(), number(&again)), (Some(7200), number(&refresh) + 1));
    assert_eq!(page.view(id).subscription.state, Watching::Active);
}

// 6665-4.1.2.2-d 6665-4.2.1.4-c
#[test]
fn confirmed_a_refresh_that_nobody_answers_keeps_it_until_the_time_is_over() {
    for (word, state) in CONFIRMED {
        let (mut page, id, subscribe, mut refresh) = refreshing(word);
        let mut tries = 1;
        page.seconds(33);
        assert_eq!(page.view(id).subscription.state, state);
        assert_eq!(page.failures().pop().unwrap().code, FailureCode::Timeout);
        // 3600 s after the NOTIFY it has expired, and is made anew.
        for _ in 0..(3599 - 1800 - 33) {
            page.seconds(1);
            while !page.is_silent() {
                let next = page.next_sent();
                assert_eq!((next.call_id(), number(&next)), (subscribe.call_id(), number(&refresh) + 1));
                (refresh, tries) = (next, tries + 1);
            }
        }
        assert!((5..30).contains(&tries), "{tries}");
        assert!(!page.view(id).stale);
        page.told();
        page.seconds(1);
        let views = page.told();
        let standings: Vec<_> = views
            .iter()
            .map(|view| (view.subscription.state, view.subscription.reason.as_deref(), view.stale))
            .collect();
        assert_eq!(
            standings,
            [(Watching::Terminated, Some("expired"), true), (Watching::Trying, None, true)]
        );
        assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe));
    }
}

// 6665-4.1.2.3-a 6665-4.4.1-e 2779-5.1.7-a
#[test]
fn leaving_notifies_are_still_taken_until_the_last_one() {
    for (word, _) in CONFIRMED {
        let (mut page, subscribe, leave) = leaving(word);
        assert_eq!(page.notify(&subscribe, &[word, ";expires=9"].concat(), ""), 200, "before the 2xx");
        page.accept(&leave, 0);
        assert_eq!(page.notify(&subscribe, &[word, ";expires=9"].concat(), ""), 200);
        assert_eq!(page.notify(&subscribe, "terminated;reason=timeout", ""), 200);
        assert_eq!(page.notify(&subscribe, "terminated;reason=timeout", ""), 481);
        page.seconds(100_000);
        assert!(page.is_silent());
        assert_eq!(page.agent.poll_timeout(), None);
    }
}

// 5839-5.7-a 6665-4.1.2.2-f
#[test]
fn leaving_ends_with_204_or_any_refusal_or_timer_n_or_the_connection() {
    for status in [Some(204), Some(404), Some(481), Some(500), Some(503), Some(603), None] {
        let (mut page, subscribe, leave) = leaving("active");
        match status {
            Some(status) => page.respond(&leave, status, &[]),
            None => page.disconnect(),
        }
        if status.is_none() {
            page.seconds(2);
            page.connect();
            // It is over; what was perhaps not heard is said once more.
            let again = page.next_sent();
            assert_eq!((again.call_id(), again.expires()), (leave.call_id(), Some(0)));
        }
        assert!(page.is_silent());
        assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481, "{status:?}");
        assert!(page.failures().iter().all(|failure| failure.code == FailureCode::ConnectionLost));
    }
    let (mut page, subscribe, leave) = leaving("active");
    page.accept(&leave, 0);
    page.seconds(32);
    assert_eq!(page.notify(&subscribe, "active;expires=600", ""), 481);
    assert_eq!(page.agent.poll_timeout(), None);
}

#[test]
fn confirmed_a_lost_connection_leaves_the_dialog_which_is_refreshed_over_the_next_one() {
    for (word, state) in CONFIRMED {
        let (mut page, id, subscribe) = confirmed(word);
        page.disconnect();
        assert!(page.view(id).stale);
        page.seconds(2);
        page.connect();
        let refresh = page.next_sent();
        assert_eq!(
            (refresh.call_id(), refresh.to().unwrap().tag()),
            (subscribe.call_id(), Some("server-tag"))
        );
        page.accept(&refresh, 3600);
        assert!(page.view(id).stale, "a 2xx says nothing about the presentity");
        assert_eq!(page.notify(&subscribe, &[word, ";expires=3600"].concat(), &pidf(BOB, "away", "")), 200);
        let view = page.view(id);
        assert_eq!((view.subscription.state, view.stale, view.cause), (state, false, Cause::Resync));
    }
}

#[test]
fn confirmed_it_may_run_out_while_there_is_no_connection() {
    let (mut page, id, subscribe) = confirmed("active");
    page.disconnect();
    page.seconds(4000);
    let view = page.view(id);
    assert!(view.stale && view.summary.status == Status::Busy);
    page.connect();
    assert!(is_a_fresh_attempt(&page.next_sent(), &subscribe));
}

// 6665-4.4.3-d 6665-4.5.2-a 3856-4-k
#[test]
fn a_fetch_is_an_attempt_of_its_own_with_the_credentials_of_the_one_before() {
    let (mut page, _, subscribe) = confirmed("active");
    // The notifier's address is a GRUU: a dialog to it is never shared.
    let mut notify =
        notification(&subscribe, "server-tag", 900, "active;expires=3600", &pidf(BOB, "busy", ""));
    notify.set(Name::Contact, "<sip:bob@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>");
    assert_eq!(page.deliver(&notify), 200);
    let bob = Uri::parse(BOB).unwrap();
    let mut last = subscribe;
    for round in 0..3 {
        page.agent.fetch(&bob, page.now);
        page.seconds(0);
        let mut fetch = page.next_sent();
        assert!(is_a_fresh_attempt(&fetch, &last));
        assert_eq!((target(&fetch).as_str(), fetch.expires()), (BOB, Some(0)));
        assert_eq!(fetch.header(&Name::Authorization).is_some(), round > 0, "{round}");
        if round == 0 {
            page.respond(&fetch, 401, &[(Name::WwwAuthenticate, CHALLENGE)]);
            fetch = page.next_sent();
        }
        page.accept(&fetch, 0);
        assert_eq!(page.notify(&fetch, "terminated;reason=timeout", &pidf(BOB, "away", "")), 200);
        assert!(matches!(page.events.last(), Some(Event::Fetched { result: Ok(_), .. })));
        last = fetch;
    }
}
