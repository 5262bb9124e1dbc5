//! Each failure that can be told, reached once; and what the state of a watch says of its end.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::{Page, pidf};
use sip_presence::agent::{Credentials, Event, Failure, FailureCode, FailureSource, Watching};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::auth::Secret;
use sip_presence::sip::{Name, Uri};
use std::collections::BTreeSet;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";
const CHALLENGE: &str = "Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\"";

/// The last failure that was told.
fn told(page: &Page) -> Failure {
    page.failures().pop().expect("no failure was told")
}

/// The first SUBSCRIBE is refused.
fn refused(status: u16, challenge: &str) -> Failure {
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, status, &[(Name::WwwAuthenticate, challenge)]);
    let failure = told(&page);
    let subscription = &page.view(id).subscription;
    assert_eq!(subscription.failure.as_deref(), Some(&failure));
    assert_eq!((subscription.retry_at, failure.status), (failure.retry_at, Some(status)));
    failure
}

/// A NOTIFY ends the subscription: no error, as it is no fault, but the state says why.
fn terminated(state: &str) -> Failure {
    let (mut page, id, subscribe) = Page::watching();
    page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", ""));
    assert_eq!(page.notify(&subscribe, &["terminated", state].concat(), ""), 200);
    assert!(page.failures().is_empty(), "{state}");
    let view = page.view(id);
    let failure = (**view.subscription.failure.as_ref().unwrap()).clone();
    assert_eq!(view.subscription.state, Watching::Terminated);
    assert_eq!((view.subscription.retry_at, &view.subscription.reason), (failure.retry_at, &failure.reason));
    assert_eq!(view.stale, failure.code != FailureCode::Invariant);
    assert_eq!(failure.uri.as_deref(), Some(BOB));
    // It is over with the next attempt, and a lost connection does not make old what is invariant.
    page.seconds(2);
    assert_eq!(page.view(id).subscription.failure.is_none(), failure.retry_at.is_some(), "{state}");
    page.disconnect();
    assert_eq!(page.view(id).stale, failure.code != FailureCode::Invariant, "{state}");
    failure
}

fn reach(code: FailureCode) -> Failure {
    match code {
        FailureCode::ConnectionFailed => {
            let mut page = Page::new(|_| {});
            page.disconnect();
            told(&page)
        }
        FailureCode::ConnectionLost => {
            let mut page = Page::online();
            page.disconnect();
            told(&page)
        }
        FailureCode::SubProtocol => {
            let mut page = Page::new(|_| {});
            page.agent.handle_wrong_protocol(page.now);
            page.seconds(0);
            told(&page)
        }
        FailureCode::Timeout => {
            let (mut page, _, _) = Page::trying();
            page.seconds(32);
            told(&page)
        }
        FailureCode::NoCredentials => {
            let mut page = Page::online_with(|config| config.credentials = Credentials::None);
            page.watch(BOB);
            let subscribe = page.next_sent();
            page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, CHALLENGE)]);
            told(&page)
        }
        FailureCode::Unauthorized => {
            let (mut page, _, subscribe) = Page::trying();
            page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, CHALLENGE)]);
            let again = page.next_sent();
            page.respond(&again, 401, &[(Name::WwwAuthenticate, CHALLENGE)]);
            told(&page)
        }
        FailureCode::Algorithm => refused(401, &[CHALLENGE, ", algorithm=SHA-1"].concat()),
        FailureCode::Untrusted => {
            let mut page = Page::online_with(|config| {
                let secret = Secret::Token("token".to_owned());
                config.credentials = Credentials::Fixed { username: String::new(), secret };
            });
            page.watch(BOB);
            let subscribe = page.next_sent();
            let challenge = "Bearer realm=\"r\", authz_server=\"https://as.example.com\"";
            page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, challenge)]);
            told(&page)
        }
        FailureCode::Forbidden => refused(403, ""),
        FailureCode::NotFound => refused(404, ""),
        FailureCode::Rejected => {
            assert_eq!(terminated(";reason=rejected;retry-after=5").code, FailureCode::Rejected);
            refused(603, "")
        }
        FailureCode::UnsupportedEvent => refused(489, ""),
        FailureCode::NoNotify => {
            let (mut page, _, subscribe) = Page::trying();
            page.accept(&subscribe, 3600);
            page.seconds(32);
            told(&page)
        }
        FailureCode::Expired => {
            let (mut page, _, subscribe) = Page::watching();
            page.notify(&subscribe, "active;expires=100", "");
            page.disconnect();
            page.seconds(100);
            let failure = page.told().iter().find_map(|view| view.subscription.failure.clone()).unwrap();
            assert_eq!((failure.reason.as_deref(), failure.code), (None, FailureCode::Expired));
            let errors = page.events.iter().filter(|event| matches!(event, Event::Error(_)));
            assert_eq!(errors.count(), 0, "to expire is no error");
            terminated(";reason=timeout")
        }
        FailureCode::Deactivated => terminated(";reason=deactivated"),
        FailureCode::Probation => terminated(";reason=probation"),
        FailureCode::Giveup => terminated(";reason=giveup"),
        FailureCode::Noresource => terminated(";reason=noresource"),
        FailureCode::Invariant => terminated(";reason=invariant"),
        FailureCode::BadFilter => terminated(";reason=badfilter"),
        FailureCode::Ended => {
            assert_eq!(terminated(";reason=expired").reason.as_deref(), Some("expired"));
            terminated("")
        }
        FailureCode::Unavailable => refused(503, ""),
        FailureCode::ServerError => refused(500, ""),
        FailureCode::Refused => refused(400, ""),
        FailureCode::BadResponse => {
            let mut page = Page::online();
            let status = Status::Busy;
            let state =
                PublishedState { status, note: None, activities: Vec::new(), until: None, input: None };
            page.agent.publish(state, page.now);
            page.seconds(0);
            let publish = page.next_sent();
            page.respond(&publish, 200, &[(Name::Expires, "3600")]);
            told(&page)
        }
        FailureCode::BadMessage => {
            let mut page = Page::online();
            page.receive(b"HTTP/1.1 200 OK\r\n\r\n");
            told(&page)
        }
        FailureCode::TooLarge => {
            let mut page = Page::online_with(|config| config.limits.message = 1000);
            page.receive(&[b'x'; 1001]);
            told(&page)
        }
        FailureCode::BadDocument => {
            let (mut page, _, subscribe) = Page::watching();
            page.notify(&subscribe, "active;expires=600", "<presence");
            told(&page)
        }
        FailureCode::TooManyWatches => {
            let mut page = Page::online_with(|config| config.watches = 1);
            page.watch(BOB);
            page.watch("sip:carol@example.com");
            told(&page)
        }
        #[cfg(not(feature = "full"))]
        FailureCode::NotAsked => *Failure::new(code),
        #[cfg(feature = "full")]
        FailureCode::NotAsked => {
            let audience = sip_presence::agent::Audience::new(sip_presence::agent::Identities::From);
            let mut page = Page::online_with(|config| config.audience = Some(audience));
            for _ in 0..2 {
                let (status, note, activities) = (Status::Busy, None, Vec::new());
                let state = PublishedState { status, note, activities, until: None, input: None };
                page.agent.publish(state, page.now);
                page.seconds(0);
                let request = page.next_sent();
                page.respond(&request, 200, &[(Name::SipETag, "e"), (Name::Expires, "600")]);
            }
            assert_eq!(page.failures().len(), 1, "once");
            told(&page)
        }
        FailureCode::SecureOnly => {
            let mut page = Page::online_with(|config| config.servers = vec!["ws://example.com".to_owned()]);
            page.watch("sips:bob@example.com");
            told(&page)
        }
        FailureCode::NoList => {
            let mut page = Page::online();
            let id = page.agent.watch_list(&Uri::parse("sip:friends@example.com").unwrap(), page.now);
            page.seconds(0);
            let subscribe = page.next_sent();
            page.respond(&subscribe, 420, &[(Name::Unsupported, "eventlist")]);
            let failure = told(&page);
            assert_eq!(page.view(id).subscription.failure.as_deref(), Some(&failure));
            failure
        }
        FailureCode::Closed => {
            let mut page = Page::online();
            page.agent.close(page.now);
            page.agent.fetch(&Uri::parse(BOB).unwrap(), page.now);
            page.seconds(0);
            told(&page)
        }
    }
}

#[test]
fn each_failure_is_reached_and_has_a_word_of_its_own_and_a_sentence() {
    let mut words = BTreeSet::new();
    for code in FailureCode::ALL {
        assert_eq!(reach(*code).code, *code);
        assert!(words.insert(code.as_str()), "{code:?} has the word of another");
        assert!(code.explain().ends_with('.') && code.explain().len() > 30, "{code:?}");
        assert_ne!(code.source(), FailureSource::Library, "{code:?}");
    }
}

// 6665-4.1.3-h 6665-4.1.3-i 6665-4.1.3-j 6665-4.1.3-k 6665-4.1.3-l 6665-4.1.3-m 6665-4.1.3-n 6665-4.1.3-o 6665-4.1.3-p
// 6665-4.1.3-q 6665-4.1.3-r
#[test]
fn each_reason_with_and_without_retry_after() {
    /// Whether it is tried again, and whether not before Retry-After.
    type Rule = (bool, bool);
    let rules: [(&str, FailureCode, Rule); 11] = [
        (";reason=deactivated", FailureCode::Deactivated, (true, false)),
        (";reason=probation", FailureCode::Probation, (true, true)),
        (";reason=rejected", FailureCode::Rejected, (false, false)),
        (";reason=timeout", FailureCode::Expired, (true, false)),
        (";reason=giveup", FailureCode::Giveup, (true, true)),
        (";reason=noresource", FailureCode::Noresource, (false, false)),
        (";reason=invariant", FailureCode::Invariant, (false, false)),
        (";reason=badfilter", FailureCode::BadFilter, (false, false)),
        ("", FailureCode::Ended, (true, true)),
        (";reason=expired", FailureCode::Ended, (true, true)),
        (";reason=unheard-of", FailureCode::Ended, (true, true)),
    ];
    for (reason, code, (again, waits)) in rules {
        for state in ["active;expires=3600", "pending;expires=3600"] {
            for retry_after in [None, Some(50)] {
                let (mut page, id, subscribe) = Page::watching();
                page.notify(&subscribe, state, &pidf(BOB, "busy", "last"));
                page.seconds(100);
                // What it says of expiry has no meaning.
                let mut text = ["terminated", reason, ";expires=3000"].concat();
                if let Some(seconds) = retry_after {
                    text.push_str(&format!(";retry-after={seconds}"));
                }
                assert_eq!(page.notify(&subscribe, &text, ""), 200, "{text}");
                let view = page.view(id);
                assert_eq!(view.summary.note.as_deref(), Some("last"), "{text}");
                assert_eq!(view.subscription.expires, None, "{text}");
                assert_eq!(view.subscription.failure.as_ref().unwrap().code, code, "{text}");
                assert_eq!(view.subscription.retry_at.is_some(), again, "{text}");
                assert_eq!(
                    page.notify(&subscribe, "active;expires=600", ""),
                    481,
                    "{text}: it does not revive"
                );
                let wait = retry_after.filter(|_| waits).unwrap_or(0);
                if wait > 0 {
                    page.seconds(wait - 1);
                    assert!(page.is_silent(), "{text}");
                }
                // Of probation the wait without retry-after is our own.
                page.seconds(3);
                assert_eq!(page.is_silent(), !again, "{text}");
                if again {
                    let next = page.next_sent();
                    assert_ne!(next.call_id(), subscribe.call_id());
                    assert_eq!((next.to().unwrap().tag(), next.header(&Name::Route)), (None, None));
                } else {
                    page.seconds(100_000);
                    assert!(page.is_silent(), "{text}");
                }
            }
        }
    }
}
