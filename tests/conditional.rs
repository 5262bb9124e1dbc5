//! Conditional notification (RFC 5839): a refresh says what is known already, and the answer may be that it holds.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::notification;
use common::{Page, pidf};
use sip_presence::agent::{Cause, FailureCode, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name};
use sip_presence::time::Duration;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";

/// A NOTIFY with an entity-tag.
fn tagged(subscribe: &Message, cseq: u32, state: &str, tag: &str, body: &str) -> Message {
    let mut notify = notification(subscribe, "server-tag", cseq, state, body);
    notify.push(Name::SipETag, tag);
    notify
}

/// An active subscription of 3600 s, whose document has entity-tag `One.1`.
fn known() -> (Page, WatchId, Message) {
    let (mut page, id, subscribe) = Page::trying();
    assert_eq!(subscribe.header(&Name::SuppressIfMatch), None);
    page.accept(&subscribe, 3600);
    let notify = tagged(&subscribe, 1, "active;expires=3600", "One.1", &pidf(BOB, "busy", "known"));
    assert_eq!(page.deliver(&notify), 200);
    page.told();
    (page, id, subscribe)
}

fn condition(request: &Message) -> Vec<&str> {
    request.rows(&Name::SuppressIfMatch).collect()
}

// 5839-5.1-a 5839-5.2-a 5839-5.3-a 5839-5.3-b
#[test]
fn a_refresh_names_the_tag_of_the_last_notify_byte_by_byte_and_only_that() {
    let (mut page, _, subscribe) = known();
    page.seconds(1800);
    let refresh = page.next_sent();
    assert_eq!(condition(&refresh), ["One.1"]);
    page.accept(&refresh, 3600);
    // The same tag for another body, and an old tag again: no meaning is read into them.
    for (cseq, tag) in [(2, "one.1"), (3, "%x~'*"), (4, "One.1"), (5, "one.1")] {
        let notify = tagged(&subscribe, cseq, "active;expires=100", tag, &pidf(BOB, "away", tag));
        assert_eq!(page.deliver(&notify), 200);
        page.seconds(50);
        let refresh = page.next_sent();
        assert_eq!(condition(&refresh), [tag]);
        page.respond(&refresh, 204, &[(Name::Expires, "100")]);
    }
    // A NOTIFY without a tag: its body has none.
    let plain = notification(&subscribe, "server-tag", 6, "active;expires=100", &pidf(BOB, "busy", ""));
    assert_eq!(page.deliver(&plain), 200);
    page.seconds(50);
    assert_eq!(condition(&page.next_sent()), [""; 0]);
}

// 5839-5.2-a
#[test]
fn another_try_of_a_refresh_names_what_is_known_by_then() {
    for (status, name, value) in [
        (423, Name::MinExpires, "7200"),
        (401, Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\", qop=\"auth\""),
    ] {
        for tag in [Some("two"), None] {
            let (mut page, _, subscribe) = known();
            page.seconds(1800);
            let refresh = page.next_sent();
            let mut notify = tagged(&subscribe, 2, "active;expires=1800", "two", &pidf(BOB, "away", ""));
            if tag.is_none() {
                notify.remove(&Name::SipETag);
            }
            assert_eq!(page.deliver(&notify), 200);
            page.respond(&refresh, status, &[(name.clone(), value)]);
            assert_eq!(page.next_sent().header(&Name::SuppressIfMatch), tag, "{status}");
        }
    }
}

#[test]
fn outside_a_dialog_nothing_is_known_even_if_a_notify_came_first() {
    let (mut page, _, subscribe) = Page::trying();
    assert_eq!(
        page.deliver(&tagged(&subscribe, 1, "active;expires=600", "one", &pidf(BOB, "busy", ""))),
        200
    );
    page.respond(
        &subscribe,
        401,
        &[(Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")],
    );
    let again = page.next_sent();
    assert_eq!((again.to().unwrap().tag(), condition(&again)), (None, vec![]));
}

// 5839-5.3-b
#[test]
fn equal_tags_of_two_presentities_have_nothing_to_do_with_each_other() {
    let (mut page, _, _) = known();
    let carol = page.watch("sip:carol@example.com");
    let subscribe = page.next_sent();
    assert_eq!(condition(&subscribe), [""; 0]);
    page.accept(&subscribe, 3600);
    // Without a body: the document of another with this tag is not taken for it.
    assert_eq!(page.deliver(&tagged(&subscribe, 1, "active;expires=3600", "One.1", "")), 200);
    assert!(page.view(carol).presence.is_none());
}

// 5839-4-c
#[test]
fn the_tag_of_a_publication_is_not_that_of_a_notify() {
    use sip_presence::presence::PublishedState;
    let (mut page, _, _) = known();
    let state =
        PublishedState { status: Status::Busy, note: None, activities: Vec::new(), until: None, input: None };
    page.agent.publish(state, page.now);
    page.seconds(0);
    let publish = page.next_sent();
    page.respond(&publish, 200, &[(Name::SipETag, "published"), (Name::Expires, "3600")]);
    page.seconds(1800);
    let (one, two) = (page.next_sent(), page.next_sent());
    for request in [one, two] {
        match request.header(&Name::SipIfMatch) {
            Some(tag) => assert_eq!((tag, condition(&request).len()), ("published", 0)),
            None => assert_eq!(condition(&request), ["One.1"]),
        }
    }
}

// 5839-5.2-b 6665-4.1.2.2-f
#[test]
fn a_204_leaves_everything_as_it_is_but_the_time_and_timer_n() {
    for state in ["active", "pending"] {
        let (mut page, id, subscribe) = known();
        let notify = [state, ";expires=3600"].concat();
        assert_eq!(page.deliver(&tagged(&subscribe, 2, &notify, "two", &pidf(BOB, "away", "kept"))), 200);
        let before = page.view(id);
        page.seconds(1800);
        let refresh = page.next_sent();
        assert_eq!(condition(&refresh), ["two"]);
        page.respond(&refresh, 204, &[(Name::Expires, "1000")]);
        let view = page.view(id);
        assert_eq!((&view.summary, &view.presence), (&before.summary, &before.presence));
        assert_eq!(view.subscription.state, before.subscription.state);
        assert_eq!(view.subscription.expires, Some(page.now + Duration::from_secs(1000)));
        assert_eq!(view.as_of, Some(page.now), "it was true just now");
        page.seconds(499);
        assert!(page.is_silent() && page.failures().is_empty(), "Timer N has stopped");
        page.seconds(1);
        assert_eq!(condition(&page.next_sent()), ["two"], "it still holds");
    }
}

// 5839-5.2-b
#[test]
fn a_204_takes_the_time_even_if_a_notify_crossed_it() {
    let (mut page, id, subscribe) = known();
    page.seconds(1800);
    let refresh = page.next_sent();
    assert_eq!(
        page.deliver(&tagged(&subscribe, 2, "active;expires=1800", "One.1", &pidf(BOB, "busy", "known"))),
        200
    );
    page.respond(&refresh, 204, &[(Name::Expires, "3600")]);
    assert_eq!(page.view(id).subscription.expires, Some(page.now + Duration::from_secs(3600)));
}

#[test]
fn after_a_gap_a_204_makes_what_is_known_fresh_again() {
    for state in [Watching::Active, Watching::Pending] {
        let (mut page, id, subscribe) = known();
        let notify = [state.as_str(), ";expires=3600"].concat();
        assert_eq!(page.deliver(&tagged(&subscribe, 2, &notify, "two", &pidf(BOB, "away", "kept"))), 200);
        page.disconnect();
        page.seconds(2);
        page.connect();
        let refresh = page.next_sent();
        assert_eq!(condition(&refresh), ["two"]);
        page.told();
        page.respond(&refresh, 204, &[(Name::Expires, "3600")]);
        let views = page.told();
        let [view] = views.as_slice() else { panic!("{views:?}") };
        assert_eq!((view.stale, view.cause, view.subscription.state), (false, Cause::Resync, state));
        assert_eq!((view.as_of, view.summary.note.as_deref()), (Some(page.now), Some("kept")));
        // The next change is one.
        assert_eq!(page.deliver(&tagged(&subscribe, 3, &notify, "three", &pidf(BOB, "busy", ""))), 200);
        assert_eq!(page.view(id).cause, Cause::Change);
    }
}

// 5839-7.1-a
#[test]
fn a_204_that_nobody_asked_for_makes_nothing_fresh_after_a_gap() {
    let (mut page, id, subscribe) = Page::watching();
    assert_eq!(page.notify(&subscribe, "active;expires=3600", &pidf(BOB, "busy", "")), 200);
    page.disconnect();
    page.seconds(2);
    page.connect();
    let refresh = page.next_sent();
    assert_eq!(condition(&refresh), [""; 0]);
    page.respond(&refresh, 204, &[(Name::Expires, "3600")]);
    assert!(page.view(id).stale);
    page.seconds(32);
    assert_eq!(page.failures().pop().unwrap().code, FailureCode::NoNotify, "it was taken as 200");
    assert_eq!(page.next_sent().to().unwrap().tag(), None);
}

#[test]
fn a_notify_without_a_body_and_with_the_known_tag_keeps_the_document() {
    let (mut page, id, subscribe) = known();
    page.disconnect();
    page.seconds(2);
    page.connect();
    let refresh = page.next_sent();
    page.accept(&refresh, 3600);
    // The notifier had something to say of the subscription alone.
    assert_eq!(page.deliver(&tagged(&subscribe, 2, "active;expires=900", "One.1", "")), 200);
    let view = page.view(id);
    assert_eq!((view.stale, view.summary.note.as_deref()), (false, Some("known")));
    assert!(page.is_silent(), "nothing is to be asked for");
    // With another tag there is no document any more: that is asked for without a condition.
    assert_eq!(page.deliver(&tagged(&subscribe, 3, "active;expires=900", "none", "")), 200);
    page.seconds(4);
    let refresh = page.next_sent();
    assert_eq!(condition(&refresh), [""; 0]);
    page.accept(&refresh, 900);
    assert_eq!(page.deliver(&tagged(&subscribe, 4, "active;expires=900", "none", "")), 200);
    assert!(page.view(id).presence.is_none());
}

#[test]
fn the_tag_of_a_document_that_could_not_be_read_is_not_used() {
    let (mut page, id, subscribe) = known();
    assert_eq!(page.deliver(&tagged(&subscribe, 2, "active;expires=100", "broken", "<presence")), 200);
    assert_eq!(page.view(id).summary.note.as_deref(), Some("known"));
    page.seconds(50);
    assert_eq!(condition(&page.next_sent()), [""; 0]);
}

// 5839-5.8-a
#[test]
fn after_any_trouble_nothing_is_taken_as_known() {
    for status in [Some(400), Some(412), Some(500), None] {
        let (mut page, _, subscribe) = known();
        page.seconds(1800);
        let refresh = page.next_sent();
        assert_eq!(condition(&refresh), ["One.1"]);
        match status {
            Some(status) => page.respond(&refresh, status, &[]),
            None => page.seconds(32),
        }
        page.seconds(10);
        let again = page.next_sent();
        assert_eq!((again.call_id(), condition(&again)), (subscribe.call_id(), vec![]), "{status:?}");
    }
    // A new dialog knows nothing of the old one.
    let (mut page, _, subscribe) = known();
    assert_eq!(page.deliver(&tagged(&subscribe, 2, "terminated;reason=deactivated", "two", "")), 200);
    page.seconds(1);
    assert_eq!(condition(&page.next_sent()), [""; 0]);
}

// 5839-5.7-a
#[test]
fn who_leaves_needs_no_last_notify() {
    let (mut page, id, subscribe) = known();
    page.unwatch(id);
    page.seconds(2);
    let leave = page.next_sent();
    assert_eq!((leave.expires(), condition(&leave)), (Some(0), vec!["One.1"]));
    page.respond(&leave, 204, &[(Name::Expires, "0")]);
    assert_eq!(page.agent.poll_timeout(), None);
    assert_eq!(page.deliver(&tagged(&subscribe, 2, "active;expires=9", "two", "")), 481);
}
