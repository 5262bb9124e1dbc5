//! The agent as its application sees it: questions for credentials, watches that begin again, closing, traces, and what
//! time and a server that grants none do to it.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{
    ChallengeId, ConnectionState, Credentials, Direction, Event, FailureCode, Watching,
};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::sip::auth::{Algorithm, Protected, Secret};
use sip_presence::sip::{Message, Method, Name, Uri};
use sip_presence::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";
const CAROL: &str = "sip:carol@example.com";

fn asking() -> Page {
    Page::online_with(|config| config.credentials = Credentials::Ask)
}

fn challenge(page: &mut Page, request: &Message, nonce: &str) {
    let row = format!("Digest realm=\"example.com\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\"");
    page.respond(request, 401, &[(Name::WwwAuthenticate, &row)]);
}

/// The questions so far: each with whether the last answer was refused.
fn questions(page: &Page) -> Vec<(ChallengeId, bool)> {
    let questions = page.events.iter().filter_map(|event| match event {
        Event::Challenged(challenged) => Some((challenged.id, challenged.rejected)),
        _ => None,
    });
    questions.collect()
}

fn answer(page: &mut Page, id: ChallengeId, password: &str) {
    let secret = Secret::Password(password.to_owned());
    page.agent.provide_credentials(id, Some(("alice".to_owned(), secret)), page.now);
    page.seconds(0);
}

/// Whether `request` was made with this password.
fn has_password(request: &Message, password: &str) -> bool {
    let secret = Secret::Password(password.to_owned());
    let ha1 = secret.ha1(Algorithm::Sha256, "alice", "example.com").unwrap();
    let (method, uri) = (request.method(), request.request_uri().unwrap().to_string());
    let protected = Protected { method: method.as_str(), uri: &uri, body: &request.body };
    let rows = request.credentials(&Name::Authorization);
    rows.len() == 1 && rows[0].verify(&ha1, protected)
}

fn state(status: Status) -> PublishedState {
    PublishedState { status, activities: Vec::new(), note: None, until: None, input: None }
}

fn publish(page: &mut Page) {
    page.agent.publish(state(Status::Busy), page.now);
    page.seconds(0);
}

/// The views told since the last call, each as the state and reason of its subscription.
fn standings(page: &mut Page) -> Vec<(Watching, Option<String>)> {
    let views = page.told().into_iter();
    views.map(|view| (view.subscription.state, view.subscription.reason.clone())).collect()
}

#[test]
fn a_refusal_that_comes_late_does_not_throw_the_next_answer_away() {
    // dig-22.1-f
    let mut page = asking();
    page.watch(BOB);
    page.watch(CAROL);
    let (bob, carol) = (page.next_sent(), page.next_sent());
    challenge(&mut page, &bob, "n1");
    challenge(&mut page, &carol, "n1");
    let first = questions(&page);
    assert_eq!(first.len(), 1, "asked once for both");
    answer(&mut page, first[0].0, "wrong");
    let (bob, carol) = (page.next_sent(), page.next_sent());
    assert!(has_password(&bob, "wrong") && has_password(&carol, "wrong"));
    challenge(&mut page, &bob, "n2");
    let second = questions(&page);
    assert_eq!(second.iter().map(|(_, rejected)| *rejected).collect::<Vec<_>>(), [false, true]);
    answer(&mut page, second[1].0, "right");
    assert!(has_password(&page.next_sent(), "right"));
    // The refusal of the wrong password, once more.
    challenge(&mut page, &carol, "n3");
    assert_eq!(questions(&page).len(), 2, "the right answer is known already");
    let carol = page.next_sent();
    assert!(has_password(&carol, "right"));
    // A refusal of this one is news.
    challenge(&mut page, &carol, "n4");
    assert_eq!(questions(&page).len(), 3);
    assert!(page.is_silent());
}

#[test]
fn a_user_is_not_asked_again_because_the_connection_was_lost_meanwhile() {
    // dig-22.1-b dig-22.2-b
    for answered_first in [true, false] {
        let mut page = asking();
        page.watch(BOB);
        let subscribe = page.next_sent();
        challenge(&mut page, &subscribe, "n1");
        let (id, _) = questions(&page)[0];
        page.disconnect();
        if answered_first {
            answer(&mut page, id, "secret");
        }
        page.seconds(2);
        page.connect();
        let subscribe = page.next_sent();
        challenge(&mut page, &subscribe, "n2");
        if !answered_first {
            assert!(page.is_silent());
            answer(&mut page, id, "secret");
        }
        assert!(has_password(&page.next_sent(), "secret"), "{answered_first}");
        assert!(page.is_silent());
        assert_eq!(questions(&page).len(), 1, "{answered_first}");
    }
}

#[test]
fn one_more_watch_of_what_has_ended_for_good_tries_again() {
    // 6665-4.1.3-o 6665-4.1.2.1-c
    for refused in [true, false] {
        let (mut page, id, subscribe) = Page::trying();
        if refused {
            page.respond(&subscribe, 403, &[]);
        } else {
            page.accept(&subscribe, 3600);
            assert_eq!(page.notify(&subscribe, "terminated;reason=rejected", ""), 200);
        }
        let reason = if refused { "forbidden" } else { "rejected" };
        page.seconds(1000);
        assert_eq!(
            standings(&mut page).last(),
            Some(&(Watching::Terminated, Some(reason.to_owned()))),
            "{reason}"
        );
        assert_eq!(page.watch("pres:bob@example.com"), id, "it is still one watch");
        let again = page.next_sent();
        assert_ne!(again.call_id(), subscribe.call_id());
        assert_eq!(standings(&mut page), [(Watching::Trying, None)], "{reason}");
        page.accept(&again, 3600);
        assert_eq!(page.notify(&again, "active;expires=3600", &pidf(BOB, "busy", "")), 200);
        assert_eq!(page.view(id).summary.status, Status::Busy);
        assert_eq!(page.notify(&subscribe, "active;expires=3600", ""), 481);
        // Both ends are needed to end it.
        page.unwatch(id);
        page.seconds(10);
        assert!(page.is_silent());
        page.unwatch(id);
        page.seconds(10);
        assert_eq!(page.next_sent().expires(), Some(0));
    }
}

#[test]
fn one_more_watch_of_what_is_tried_again_anyway_does_not_hurry_it() {
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 503, &[(Name::RetryAfter, "60")]);
    assert_eq!(page.watch(BOB), id);
    page.seconds(59);
    assert!(page.is_silent());
    page.seconds(5);
    assert_eq!(page.next_sent().method(), Method::Subscribe);
}

#[test]
fn a_watch_that_the_agent_refuses_is_told_and_forgotten() {
    let mut page = Page::online_with(|config| config.watches = 2);
    let first = page.watch(BOB);
    let second = page.watch(CAROL);
    page.events.clear();
    for n in 0..100 {
        let id = page.watch(&format!("sip:friend{n}@example.com"));
        assert!(page.agent.view(id).is_none() && ![first, second].contains(&id));
    }
    assert_eq!(page.failures().len(), 100);
    let failure = page.failures().pop().unwrap();
    assert_eq!(
        (failure.code, failure.uri.as_deref()),
        (FailureCode::TooManyWatches, Some("sip:friend99@example.com"))
    );
    assert_eq!(standings(&mut page), vec![(Watching::Terminated, Some("too-many-watches".to_owned())); 100]);
    while !page.is_silent() {
        page.next_sent();
    }
    page.unwatch(first);
    page.seconds(10);
    page.watch("sip:friend7@example.com");
    assert_eq!(page.next_sent().to().unwrap().uri.to_string(), "sip:friend7@example.com");
}

#[test]
fn a_closed_agent_tells_only_its_answers() {
    let (mut page, id, subscribe) = Page::watching();
    let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:bob@example.com\" \
                xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
                xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\"><tuple id=\"t\"><status><basic>open</basic></status>\
                </tuple><dm:person id=\"p\"><r:activities until=\"2026-01-01T00:10:00Z\"><r:meeting/>\
                </r:activities></dm:person></presence>";
    assert_eq!(page.notify(&subscribe, "active;expires=3600", body), 200);
    assert_eq!(page.view(id).summary.status, Status::Busy);
    page.agent.close(page.now);
    page.seconds(2);
    assert!(matches!(page.events.last(), Some(Event::Closed)));
    page.events.clear();
    while !page.is_silent() {
        page.next_sent();
    }
    // The meeting is over, and nobody is told.
    page.seconds(1000);
    page.unwatch(id);
    page.agent.handle_online(page.now);
    page.connect();
    page.receive(&notification(&subscribe, "server-tag", 900, "active", "").to_bytes());
    page.receive(b"hello");
    page.disconnect();
    page.agent.close(page.now);
    page.seconds(1000);
    assert!(page.events.is_empty(), "{:?}", page.events);
    page.watch(BOB);
    page.watch(CAROL);
    let closed = (Watching::Terminated, Some("closed".to_owned()));
    assert_eq!(standings(&mut page), [closed.clone(), closed]);
    let (bob, now) = (Uri::parse(BOB).unwrap(), page.now);
    let asked = [
        page.agent.publish(state(Status::Busy), now),
        page.agent.unpublish(now),
        page.agent.fetch(&bob, now),
    ];
    page.seconds(1000);
    let answers = page.events.iter().map(|event| match event {
        Event::Published { request, result: Err(failure) }
        | Event::Fetched { request, result: Err(failure) } => (*request, failure.code),
        other => panic!("{other:?}"),
    });
    assert_eq!(answers.collect::<Vec<_>>(), asked.map(|request| (request, FailureCode::Closed)));
    assert!(page.is_silent() && page.agent.poll_timeout().is_none());
    assert_eq!((page.connects.len(), page.closes), (1, 1));
}

#[test]
fn an_answer_that_comes_after_the_end_does_nothing() {
    let mut page = asking();
    let id = page.watch(BOB);
    let subscribe = page.next_sent();
    page.accept(&subscribe, 3600);
    page.notify(&subscribe, "active;expires=3600", "");
    page.agent.close(page.now);
    page.seconds(0);
    let leave = page.next_sent();
    challenge(&mut page, &leave, "n1");
    page.seconds(1);
    assert!(matches!(page.events.last(), Some(Event::Closed)));
    let told = page.events.len();
    let (question, _) = questions(&page)[0];
    answer(&mut page, question, "secret");
    page.unwatch(id);
    assert!(page.is_silent() && page.events.len() == told);
    assert_eq!(page.agent.poll_timeout(), None);
}

#[test]
fn a_publication_that_is_granted_no_time_is_tried_again_more_and_more_rarely() {
    // 3903-4.2-e
    let mut page = Page::online();
    publish(&mut page);
    let mut tries = 0;
    for _ in 0..600 {
        while !page.is_silent() {
            let request = page.next_sent();
            assert_eq!(request.header(&Name::SipIfMatch), None, "there is nothing to refresh");
            assert!(!request.body.is_empty());
            tries += 1;
            page.respond(&request, 200, &[(Name::SipETag, "e1"), (Name::Expires, "0")]);
        }
        page.seconds(1);
    }
    assert!((5..20).contains(&tries), "{tries} PUBLISHes in ten minutes");
    let failure = page.failures().remove(0);
    assert_eq!((failure.code, failure.status), (FailureCode::BadResponse, Some(200)));
    assert!(failure.retry_at.is_some());
    while page.is_silent() {
        page.seconds(1);
    }
    let request = page.next_sent();
    page.respond(&request, 200, &[(Name::SipETag, "e2"), (Name::Expires, "600")]);
    page.seconds(301);
    assert_eq!(page.next_sent().header(&Name::SipIfMatch), Some("e2"), "all is well again");
}

#[test]
fn a_registration_that_is_granted_no_time_is_tried_again_more_and_more_rarely() {
    // 3261-10.2.4-a 3261-10.2.7-a
    for in_contact in [true, false] {
        let mut page = Page::online_with(|config| config.register = true);
        let mut tries = 0;
        for _ in 0..600 {
            while !page.is_silent() {
                let request = page.next_sent();
                tries += 1;
                let contact = [request.header(&Name::Contact).unwrap(), ";expires=0"].concat();
                let granted =
                    if in_contact { (Name::Contact, contact.as_str()) } else { (Name::Expires, "0") };
                page.respond(&request, 200, &[granted]);
            }
            page.seconds(1);
        }
        assert!((3..12).contains(&tries), "{tries} REGISTERs in ten minutes");
        let failure = page.failures().remove(0);
        assert_eq!((failure.code, failure.status), (FailureCode::BadResponse, Some(200)));
        assert!(failure.retry_at.is_some());
    }
}

#[test]
fn all_that_is_due_at_one_time_is_done_at_that_time() {
    // 6665-4.1.2.2-d
    let mut page = Page::online();
    let watches: Vec<_> = (0..5)
        .map(|n| {
            let id = page.watch(&format!("sip:friend{n}@example.com"));
            let subscribe = page.next_sent();
            page.accept(&subscribe, 20);
            assert_eq!(page.notify(&subscribe, "active;expires=20", ""), 200);
            id
        })
        .collect();
    // Nobody answers the refreshes.
    page.advance(Duration::from_millis(19_999));
    let end = page.now + Duration::from_millis(1);
    page.agent.handle_timeout(end);
    for id in watches {
        assert_eq!(page.view(id).subscription.state, Watching::Terminated);
        assert_eq!(page.view(id).subscription.reason.as_deref(), Some("expired"));
    }
}

#[test]
fn leaving_through_another_branch_of_a_fork_does_not_keep_the_agent_awake() {
    // 6665-5.4.9-a 6665-4.1.2.3-a
    let (mut page, id, subscribe) = Page::watching();
    assert_eq!(page.notify(&subscribe, "active;expires=10", ""), 200);
    page.unwatch(id);
    page.seconds(2);
    let mut leave = page.next_sent();
    assert_eq!(leave.expires(), Some(0));
    leave.set(Name::To, "<sip:bob@example.com>;tag=another");
    page.respond(&leave, 200, &[]);
    let mut wakes = 0;
    while let Some((at, why)) = page.agent.poll_timeout() {
        wakes += 1;
        assert!(wakes < 10, "woken for {why} again and again");
        page.now = page.now.max(at);
        page.agent.handle_timeout(page.now);
    }
}

#[test]
fn no_view_promises_a_try_that_is_over_while_there_is_no_connection() {
    let (mut page, id, subscribe) = Page::trying();
    page.respond(&subscribe, 503, &[(Name::RetryAfter, "20")]);
    page.disconnect();
    let view = page.view(id);
    assert_eq!(view.subscription.state, Watching::Terminated);
    assert!(view.subscription.retry_at.is_some_and(|at| at > page.now));
    page.told();
    page.seconds(60);
    assert_eq!(standings(&mut page), [(Watching::Trying, None)]);
    assert_eq!(page.view(id).subscription.retry_at, None);
    let before = page.connects.len();
    while page.connects.len() == before {
        page.seconds(1);
    }
    page.connect();
    assert_eq!(page.next_sent().method(), Method::Subscribe);
}

#[test]
fn a_trace_shows_that_something_malformed_came_and_no_secret_of_it() {
    let head = "SIP/2.0 200 OK\r\nAuthorization: Digest response=\"hidden\"\r\nno header\r\n\r\nhidden";
    let long = "hidden".repeat(100_000);
    for (bytes, shown) in [
        (head, "SIP/2.0 200 OK"),
        ("\r\nNOTIFY sip:alice:hidden@example.com SIP/2.0\r\nTo\r\n\r\n", "NOTIFY sip"),
        ("Authorization: Digest response=\"hidden\"\r\n", "Authorization"),
        ("{\"password\":\"hidden\"}", "{\"password\""),
        ("", ""),
        (&["x ".repeat(50), long].concat(), &"x ".repeat(40)),
    ] {
        let mut page = Page::online_with(|config| config.trace = true);
        page.receive(bytes.as_bytes());
        let traces: Vec<(Direction, String)> = page
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Trace { direction, text } => Some((*direction, text.clone())),
                _ => None,
            })
            .collect();
        let expected = match bytes {
            // A keep-alive is no message.
            "" => Vec::new(),
            _ => {
                let text = format!("{shown}\r\n\r\n(malformed: {} bytes)", bytes.len());
                vec![(Direction::Received, text)]
            }
        };
        assert_eq!(traces, expected);
        assert_eq!(page.failures().len(), usize::from(!bytes.is_empty()));
    }
}

/// How the requests ended, in the order in which that was told.
fn published(page: &Page) -> Vec<(sip_presence::agent::RequestId, bool)> {
    let ends = page.events.iter().filter_map(|event| match event {
        Event::Published { request, result } => Some((*request, result.is_ok())),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_withdrawal_that_finds_nothing_to_withdraw_is_answered() {
    // While a change is on its way that the server refuses, because it has forgotten the publication.
    let mut page = Page::online();
    publish(&mut page);
    let initial = page.next_sent();
    page.respond(&initial, 200, &[(Name::SipETag, "e1"), (Name::Expires, "600")]);
    publish(&mut page);
    let change = page.next_sent();
    let id = page.agent.unpublish(page.now);
    page.events.clear();
    page.respond(&change, 412, &[]);
    assert!(page.is_silent());
    assert_eq!(published(&page).last(), Some(&(id, true)));
    assert!(published(&page).iter().all(|(_, done)| *done), "the change was overtaken");
    // While the first one is on its way, which is refused.
    let mut page = Page::online();
    publish(&mut page);
    let initial = page.next_sent();
    let id = page.agent.unpublish(page.now);
    page.respond(&initial, 403, &[]);
    assert_eq!(published(&page).last(), Some(&(id, true)));
    // Before there is a connection: neither is ever sent.
    let mut page = Page::new(|_| {});
    publish(&mut page);
    page.agent.unpublish(page.now);
    page.seconds(0);
    assert_eq!(published(&page).iter().map(|(_, done)| *done).collect::<Vec<_>>(), [true, true]);
    page.connect();
    assert!(page.is_silent());
}

#[test]
fn a_hidden_tab_whose_timers_fire_once_a_minute_stays_right() {
    // 6665-4.1.2.2-a
    let mut page = Page::online();
    let id = page.watch("sip:bob@example.com");
    let first = page.next_sent();
    page.accept(&first, 300);
    page.notify(&first, "active;expires=300", "");
    let mut asked = 0;
    // A server would have dropped a subscription that is five minutes old.
    let mut expires = page.now + Duration::from_secs(300);
    for _ in 0..600 {
        page.throttled(Duration::from_secs(60));
        while !page.is_silent() {
            let request = page.next_sent();
            if request.method() == Method::Subscribe && request.header(&Name::Expires) != Some("0") {
                assert!(page.now < expires, "renewed too late");
                expires = page.now + Duration::from_secs(300);
                asked += 1;
                page.accept(&request, 300);
                page.notify(&first, "active;expires=300", "");
            } else {
                page.respond(&request, 200, &[]);
            }
        }
        let view = page.view(id);
        assert!(!view.stale && view.subscription.state == Watching::Active);
    }
    assert!((200..=300).contains(&asked), "{asked}");
    assert!(page.failures().is_empty());
}

#[test]
fn each_try_to_connect_says_how_many_have_failed_before() {
    let mut page = Page::new(|_| {});
    for _ in 0..2 {
        page.disconnect();
        page.seconds(9);
    }
    let attempts: Vec<u32> = page
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Connection(ConnectionState::Connecting { attempt }) => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [0, 1, 2]);
}
