//! Watching calls (RFC 4235) and watchers (RFC 3857): the subscriptions, what their documents become, and how a
//! table is kept right. The server is the test.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod common;

use common::page::{Page, notification};
use sip_presence::agent::{Details, Event, FailureCode, Subject, View, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::sip::{Message, Name, Uri};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";
const DIALOG_INFO: &str = "application/dialog-info+xml";
const WATCHERINFO: &str = "application/watcherinfo+xml";

/// A watch with its subscription.
struct Scene {
    page: Page,
    subject: Subject,
    id: WatchId,
    subscribe: Message,
    sequence: u32,
}

impl Scene {
    /// The SUBSCRIBE has been accepted, and nothing told.
    fn new(subject: Subject) -> Self {
        let mut page = Page::online();
        let id = page.agent.watch_subject(&Uri::parse(BOB).unwrap(), subject, page.now);
        page.seconds(0);
        let subscribe = page.next_sent();
        page.accept(&subscribe, 3600);
        Self { page, subject, id, subscribe, sequence: 0 }
    }

    fn notify_as(&mut self, kind: &str, state: &str, body: &str) -> u16 {
        self.sequence += 1;
        let mut notify = notification(&self.subscribe, "server-tag", self.sequence, state, "");
        notify.set(Name::Event, self.subject.event());
        if !body.is_empty() {
            notify.set_body(kind, body.as_bytes().to_vec());
        }
        self.page.deliver(&notify)
    }

    /// A NOTIFY with a document of the right type.
    fn notify(&mut self, body: &str) {
        let kind = if self.subject == Subject::Watchers { WATCHERINFO } else { DIALOG_INFO };
        assert_eq!(self.notify_as(kind, "active;expires=3600", body), 200);
    }

    fn view(&self) -> std::rc::Rc<View> {
        self.page.view(self.id)
    }

    /// Id and state of the calls that are known.
    fn calls(&self) -> Vec<(String, String)> {
        match self.view().details.as_deref() {
            Some(Details::Dialogs(dialogs)) => {
                dialogs.iter().map(|dialog| (dialog.id.clone(), dialog.state.clone())).collect()
            }
            Some(Details::Watchers(_)) => panic!("these are watchers"),
            None => panic!("nothing is known"),
        }
    }

    /// Address, status and event of the watchers that are known.
    fn watchers(&self) -> Vec<String> {
        match self.view().details.as_deref() {
            Some(Details::Watchers(watchers)) => {
                watchers.iter().map(|(w, _)| format!("{} {} {}", w.uri, w.status, w.event)).collect()
            }
            Some(Details::Dialogs(_)) => panic!("these are calls"),
            None => panic!("nothing is known"),
        }
    }
}

fn dialogs(version: u32, full: bool, calls: &[(&str, &str)]) -> String {
    let state = if full { "full" } else { "partial" };
    let rows: String = calls
        .iter()
        .map(|(id, state)| {
            format!("<dialog id=\"{id}\" direction=\"recipient\"><state>{state}</state></dialog>")
        })
        .collect();
    format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" state=\"{state}\" entity=\"{BOB}\">{rows}</dialog-info>"
    )
}

fn watchers(version: u32, full: bool, rows: &[(&str, &str, &str)]) -> String {
    let state = if full { "full" } else { "partial" };
    let rows: String = rows
        .iter()
        .map(|(id, status, event)| {
            format!(
                "<watcher id=\"{id}\" status=\"{status}\" event=\"{event}\">sip:{id}@example.com</watcher>"
            )
        })
        .collect();
    format!(
        "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"{version}\" state=\"{state}\"><watcher-list resource=\"{BOB}\" package=\"presence\">{rows}</watcher-list></watcherinfo>"
    )
}

#[test]
fn calls_are_asked_for_as_the_package_dialog() {
    // 4235-3.1-a 4235-3.4-a 4235-3.5-a
    let scene = Scene::new(Subject::Dialogs);
    assert_eq!(scene.subscribe.header(&Name::Event), Some("dialog"));
    assert_eq!(scene.subscribe.header(&Name::Accept), Some(DIALOG_INFO));
    assert_eq!(scene.subscribe.header(&Name::Expires), Some("3600"));
    assert_eq!(scene.view().summary.status, Status::Unknown, "nothing was told yet");
}

#[test]
fn a_lamp_follows_a_call_from_ringing_to_its_end() {
    // 4235-4-b 4235-4.3-a
    let mut scene = Scene::new(Subject::Dialogs);
    scene.notify(&dialogs(0, true, &[]));
    assert_eq!(scene.view().summary.status, Status::Available);
    assert!(scene.view().summary.activities.is_empty());

    scene.notify(&dialogs(1, false, &[("a", "early")]));
    assert_eq!(scene.view().summary.status, Status::Available);
    assert_eq!(scene.view().summary.activities, ["ringing"]);

    scene.notify(&dialogs(2, false, &[("a", "confirmed")]));
    assert_eq!(scene.view().summary.status, Status::OnThePhone);
    let (status, rule, _) = scene.page.agent.explain(scene.id, BOB).unwrap();
    assert_eq!((status, rule), ("on-the-phone", "on-the-phone"));

    scene.notify(&dialogs(3, false, &[("b", "trying")]));
    assert_eq!(scene.view().summary.status, Status::OnThePhone, "the first call goes on");
    assert_eq!(scene.calls().len(), 2);

    scene.notify(&dialogs(4, false, &[("a", "terminated")]));
    assert_eq!(scene.calls(), [("b".to_owned(), "trying".to_owned())]);
    scene.notify(&dialogs(5, true, &[]));
    assert_eq!(scene.view().summary.status, Status::Available);
    assert!(scene.calls().is_empty());
    assert!(scene.page.is_silent(), "nothing was missed, nothing is asked for");
    assert!(scene.page.failures().is_empty());
}

#[test]
fn a_gap_is_read_and_the_whole_is_asked_for() {
    // 4235-4.3-a 3858-4-c
    for subject in [Subject::Dialogs, Subject::Watchers] {
        let mut scene = Scene::new(subject);
        let document = |version, full| match subject {
            Subject::Dialogs => dialogs(version, full, &[("a", "confirmed")]),
            _ => watchers(version, full, &[("a", "active", "subscribe")]),
        };
        scene.notify(&document(0, true));
        scene.page.seconds(10);
        assert!(scene.page.is_silent());
        scene.notify(&document(2, false));
        assert!(scene.view().details.is_some());
        let refresh = scene.page.next_sent();
        assert_eq!(refresh.header(&Name::Event), Some(subject.event()));
        assert_eq!(refresh.to().unwrap().tag(), Some("server-tag"), "in the dialog");
        scene.page.accept(&refresh, 3600);
        scene.notify(&document(3, true));
        assert!(scene.page.is_silent());
    }
}

#[test]
fn what_is_not_newer_says_nothing() {
    // 3858-4-d
    let mut scene = Scene::new(Subject::Dialogs);
    scene.notify(&dialogs(7, true, &[("a", "confirmed")]));
    scene.notify(&dialogs(7, false, &[("a", "terminated")]));
    scene.notify(&dialogs(6, true, &[]));
    assert_eq!(scene.calls(), [("a".to_owned(), "confirmed".to_owned())]);
}

#[test]
fn after_a_lost_connection_a_new_subscription_counts_anew() {
    let mut scene = Scene::new(Subject::Dialogs);
    scene.notify(&dialogs(9, true, &[("a", "confirmed")]));
    scene.page.disconnect();
    assert!(scene.view().stale);
    assert_eq!(scene.view().summary.status, Status::OnThePhone, "the last that is known");
    scene.page.seconds(2);
    scene.page.connect();
    let again = scene.page.next_sent();
    scene.page.respond(&again, 481, &[]);
    scene.page.seconds(2);
    scene.subscribe = scene.page.next_sent();
    assert_ne!(scene.subscribe.call_id(), again.call_id());
    scene.page.accept(&scene.subscribe, 3600);
    scene.notify(&dialogs(0, true, &[]));
    assert!(!scene.view().stale);
    assert_eq!(scene.view().summary.status, Status::Available);
}

#[test]
fn calls_and_presence_of_one_address_are_two_watches() {
    let mut scene = Scene::new(Subject::Dialogs);
    let presence = scene.page.watch(BOB);
    assert_ne!(presence, scene.id);
    let subscribe = scene.page.next_sent();
    assert_eq!(subscribe.header(&Name::Event), Some("presence"));
    assert_ne!(subscribe.call_id(), scene.subscribe.call_id());
    scene.notify(&dialogs(0, true, &[("a", "confirmed")]));
    assert_eq!(scene.page.view(presence).summary.status, Status::Unknown);
    // The end of one leaves the other alone.
    scene.page.unwatch(presence);
    scene.page.seconds(10);
    scene.notify(&dialogs(1, true, &[]));
    assert_eq!(scene.view().summary.status, Status::Available);
    let again = scene.page.agent.watch_subject(&Uri::parse(BOB).unwrap(), Subject::Dialogs, scene.page.now);
    assert_eq!(again, scene.id);
}

#[test]
fn another_type_of_document_is_refused_with_the_right_one() {
    let mut scene = Scene::new(Subject::Dialogs);
    scene.notify(&dialogs(0, true, &[("a", "confirmed")]));
    assert_eq!(scene.notify_as("application/pidf+xml", "active;expires=3600", "<presence/>"), 415);
    let failures = scene.page.failures();
    assert_eq!(failures.iter().map(|f| f.code).collect::<Vec<_>>(), [FailureCode::BadDocument]);
    assert_eq!(scene.calls().len(), 1, "the last good state stays");
}

#[test]
fn a_document_that_cannot_be_read_leaves_the_calls_as_they_were() {
    // 3858-3-c
    let mut scene = Scene::new(Subject::Dialogs);
    scene.notify(&dialogs(0, true, &[("a", "confirmed")]));
    for bad in
        ["<dialog-info", "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>", "<dialog-info state=\"full\"/>"]
    {
        scene.notify(bad);
        assert_eq!(scene.calls().len(), 1);
    }
    assert_eq!(scene.page.failures().len(), 3);
    assert!(scene.page.failures().iter().all(|failure| failure.code == FailureCode::BadDocument));
}

#[test]
fn what_kamailio_writes_lights_the_lamp() {
    // 4235-4.1-a
    let mut scene = Scene::new(Subject::Dialogs);
    scene.notify(&format!(
        "<?xml version=\"1.0\"?>\n<dialog-info version=\"0           \" state=\"full\" entity=\"{BOB}\">\n\
         <dialog id=\"c1\" call-id=\"c1\" direction=\"initiator\"><state>confirmed</state></dialog></dialog-info>"
    ));
    assert_eq!(scene.view().summary.status, Status::OnThePhone);
    let presence = scene.view().presence.clone().unwrap();
    assert_eq!(presence.entity, BOB);
}

#[test]
fn calls_are_fetched_once() {
    let mut page = Page::online();
    page.agent.fetch_subject(&Uri::parse(BOB).unwrap(), Subject::Dialogs, page.now);
    page.seconds(0);
    let subscribe = page.next_sent();
    assert_eq!(subscribe.header(&Name::Event), Some("dialog"));
    assert_eq!(subscribe.header(&Name::Expires), Some("0"));
    page.accept(&subscribe, 0);
    let mut notify = notification(&subscribe, "server-tag", 1, "terminated;reason=timeout", "");
    notify.set(Name::Event, "dialog");
    notify.set_body(DIALOG_INFO, dialogs(0, true, &[("a", "confirmed")]).into_bytes());
    assert_eq!(page.deliver(&notify), 200);
    let fetched = page.events.iter().find_map(|event| match event {
        Event::Fetched { result, .. } => result.clone().ok(),
        _ => None,
    });
    assert_eq!(fetched.unwrap().summary.status, Status::OnThePhone);
}

#[test]
fn a_challenge_to_either_is_answered() {
    // 4235-3.6-a
    for subject in [Subject::Dialogs, Subject::Watchers] {
        let mut page = Page::online();
        page.agent.watch_subject(&Uri::parse(BOB).unwrap(), subject, page.now);
        page.seconds(0);
        let subscribe = page.next_sent();
        let challenge = "Digest realm=\"example.com\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"";
        page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, challenge)]);
        let again = page.next_sent();
        assert_eq!(again.header(&Name::Event), Some(subject.event()));
        assert!(again.header(&Name::Authorization).unwrap().starts_with("Digest username=\"alice\""));
    }
}

#[test]
fn a_server_without_the_package_is_told_as_such() {
    let mut page = Page::online();
    let id = page.agent.watch_subject(&Uri::parse(BOB).unwrap(), Subject::Dialogs, page.now);
    page.seconds(0);
    let subscribe = page.next_sent();
    page.respond(&subscribe, 489, &[(Name::AllowEvents, "presence")]);
    let view = page.view(id);
    assert_eq!(view.subscription.state, Watching::Terminated);
    assert_eq!(view.summary.status, Status::Unknown, "and not idle");
    let failure = view.subscription.failure.clone().unwrap();
    assert_eq!((failure.status, failure.reason.as_deref()), (Some(489), Some("dialog")));
    page.agent.fetch_subject(&Uri::parse(BOB).unwrap(), Subject::Watchers, page.now);
    page.seconds(0);
    let subscribe = page.next_sent();
    page.respond(&subscribe, 489, &[]);
    let fetched = page.events.iter().find_map(|event| match event {
        Event::Fetched { result, .. } => result.clone().err(),
        _ => None,
    });
    assert_eq!(fetched.unwrap().reason.as_deref(), Some("presence.winfo"));
}

#[test]
fn watchers_are_asked_for_as_the_winfo_of_presence() {
    // 3857-4.1-a 3857-4.2-a 3857-4.4-a 3857-4.5-a
    let scene = Scene::new(Subject::Watchers);
    assert_eq!(scene.subscribe.header(&Name::Event), Some("presence.winfo"));
    assert_eq!(scene.subscribe.header(&Name::Accept), Some(WATCHERINFO));
    assert_eq!(scene.subscribe.header(&Name::Expires), Some("3600"));
    assert!(scene.subscribe.body.is_empty());
}

#[test]
fn watchers_come_change_and_go() {
    // 3857-4.8-a 3858-4-a 3858-4-b 3858-4-e
    let mut scene = Scene::new(Subject::Watchers);
    scene.notify(&watchers(0, true, &[("carol", "active", "subscribe")]));
    assert_eq!(scene.watchers(), ["sip:carol@example.com active subscribe"]);
    scene.notify(&watchers(1, false, &[("dave", "pending", "subscribe")]));
    assert_eq!(scene.watchers().len(), 2);
    scene.notify(&watchers(2, false, &[("dave", "active", "approved"), ("carol", "terminated", "timeout")]));
    assert_eq!(scene.watchers(), ["sip:dave@example.com active approved"]);
    scene.notify(&watchers(3, true, &[]));
    assert!(scene.watchers().is_empty());
    assert!(scene.page.is_silent());
}

#[test]
fn the_text_of_the_last_document_is_there_on_demand() {
    let (mut page, id, subscribe) = Page::watching();
    assert_eq!(page.agent.last_document(id, BOB), None);
    let good = format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"{BOB}\"><tuple id=\"t\"><status><basic>open</basic></status></tuple></presence>"
    );
    page.notify(&subscribe, "active;expires=3600", &good);
    assert_eq!(page.agent.last_document(id, BOB), Some(vec![good.clone()]));
    page.notify(&subscribe, "active;expires=3600", "<presence");
    assert_eq!(page.agent.last_document(id, BOB), Some(vec![good]), "what could not be read is not it");
    let lax = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"><tuple><status><basic>open</basic></status><note>R & B</note></tuple></presence>";
    page.notify(&subscribe, "active;expires=3600", lax);
    assert_eq!(page.view(id).summary.status, Status::Available);
    let texts = page.agent.last_document(id, BOB).unwrap();
    assert_eq!(texts[0], lax);
    assert_eq!(
        texts[1..],
        [
            "the XML is not well-formed and was repaired",
            "entity is missing",
            "an id is missing or stands twice"
        ]
    );
}
