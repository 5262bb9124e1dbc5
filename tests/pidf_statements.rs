//! RFC 3863, RFC 4479, RFC 4480 and RFC 4481, statement by statement: how a document is read, and what we write.
#![allow(clippy::unwrap_used)]

use sip_presence::presence::pidf::{self, Limits};
use sip_presence::presence::{
    Basic, DocumentError, Note, Presence, PublishedState, Status, Summary, UserInput, Warning, status,
};
use sip_presence::time::Instant;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOW: Instant = Instant::from_millis(1_767_225_600_000);
const BOB: &str = "sip:bob@example.com";
const SPACES: &str = "xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" \
    xmlns:t=\"urn:ietf:params:xml:ns:pidf:timed-status\" xmlns:x=\"urn:example:other\"";

fn document(inside: &str) -> String {
    format!("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" {SPACES} entity=\"{BOB}\">{inside}</presence>")
}

fn try_read(text: &str) -> Result<(Presence, Vec<Warning>), DocumentError> {
    pidf::read(text.as_bytes(), &Limits::default())
}

/// What is read without a warning.
fn read(inside: &str) -> Presence {
    let (presence, warnings) = try_read(&document(inside)).unwrap();
    assert_eq!(warnings, [], "{inside}");
    presence
}

fn summary(inside: &str) -> Summary {
    status::summarize(&read(inside), NOW)
}

fn state(status: Status) -> PublishedState {
    PublishedState { status, activities: Vec::new(), note: None, until: None, input: None }
}

fn written(state: &PublishedState) -> String {
    pidf::write(&state.document(BOB, "d1", NOW))
}

/// A tuple with `inside` its status, and `after` it.
fn tuple(id: &str, inside: &str, after: &str) -> String {
    format!("<tuple id=\"{id}\"><status>{inside}</status>{after}</tuple>")
}

fn open(id: &str, after: &str) -> String {
    tuple(id, "<basic>open</basic>", after)
}

#[test]
fn the_declared_encoding_does_not_count() {
    // 3863-4.1-b 3863-4.1-c
    let text =
        format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n{}", document("<note>späť 😀</note>"));
    assert_eq!(try_read(&text).unwrap().0.notes[0].text, "späť 😀");
    assert!(
        written(&state(Status::Busy)).starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence ")
    );
}

#[test]
fn any_order_is_read_and_the_right_one_is_written() {
    // 3863-4.1.1-b 3863-4.1.2-a
    let presence = read(
        "<note>b</note><dm:person id=\"p\"><dm:note>n</dm:note><r:mood><r:happy/></r:mood></dm:person>\
         <x:own>e</x:own><tuple id=\"t\"><timestamp>2026-01-01T00:00:00Z</timestamp><note>n</note>\
         <contact>sip:bob@pc</contact><x:own>e</x:own><status><basic>open</basic></status></tuple>",
    );
    let text = pidf::write(&presence);
    let places = [
        "<tuple",
        "<status>",
        "urn:example:other",
        "<contact>",
        "<note>n<",
        "<timestamp>",
        "</tuple>",
        "<note>b<",
        "<dm:person",
        "<rpid:mood>",
        "<dm:note>",
        "</dm:person>",
    ];
    let mut from = 0;
    for place in places {
        from =
            text[from..].find(place).unwrap_or_else(|| panic!("{place} not after {from} in {text}")) + from;
    }
    assert_eq!(try_read(&text).unwrap().0, presence);

    let empty = read("");
    assert_eq!(empty.tuples.len(), 0);
    assert_eq!(status::summarize(&empty, NOW).status, Status::Unknown, "no tuple is not offline");
}

#[test]
fn a_document_without_entity_or_namespace_is_read_with_a_warning() {
    // 3863-4.1.1-c 3863-4.1.1-d
    let inside = open("t", "");
    let (presence, warnings) =
        try_read(&format!("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\">{inside}</presence>")).unwrap();
    assert_eq!((presence.entity.as_str(), warnings), ("", vec![Warning::NoEntity]));
    let (presence, warnings) = try_read(&format!("<presence entity=\"{BOB}\">{inside}</presence>")).unwrap();
    assert_eq!((presence.tuples[0].basic, warnings), (Some(Basic::Open), vec![Warning::Namespace]));
    assert_eq!(
        try_read("<presence xmlns=\"urn:example:other\"/>").unwrap_err(),
        DocumentError::Root,
        "a foreign one is something else"
    );
    assert!(written(&state(Status::Available)).contains(&format!("entity=\"{BOB}\"")));
}

#[test]
fn ids_that_are_missing_or_stand_twice_are_told_and_everything_is_kept() {
    // 3863-4.1.2-b
    for (inside, count) in [
        (open("a", "") + &tuple("a", "<basic>closed</basic>", ""), 2),
        ("<tuple><status><basic>open</basic></status></tuple>".to_owned(), 1),
    ] {
        let (presence, warnings) = try_read(&document(&inside)).unwrap();
        assert_eq!((presence.tuples.len(), warnings), (count, vec![Warning::Id]));
        assert_eq!(status::summarize(&presence, NOW).status, Status::Available);
    }
    // What we write has one tuple and one person, with two ids that stay.
    let (first, second) = (state(Status::Busy), state(Status::Away));
    let ids = |state: &PublishedState| {
        let document = state.document(BOB, "d1", NOW);
        (document.tuples[0].id.clone(), document.persons[0].id.clone())
    };
    assert_eq!(ids(&first), ids(&second));
    assert_ne!(ids(&first).0, ids(&first).1);
}

#[test]
fn a_tuple_with_a_status_says_how_to_reach_it() {
    // 3863-4.1.2-d 3863-4.1.7-b
    for status in [Status::Available, Status::Offline, Status::DoNotDisturb] {
        let text = written(&state(status));
        assert!(text.contains(&format!("<contact>{BOB}</contact>")), "{text}");
        assert!(text.contains("<timestamp>2026-01-01T00:00:00Z</timestamp>"), "{text}");
    }
}

#[test]
fn a_status_may_hold_extensions_alone_and_ours_is_never_empty() {
    // 3863-4.1.3-a 3863-4.2.4-a
    let presence = read(&tuple("t", "<x:own>free</x:own>", ""));
    assert_eq!((presence.tuples[0].basic, presence.tuples[0].extensions.len()), (None, 1));
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Unknown) {
        let text = written(&state(status));
        assert!(text.contains("<status><basic>"), "{text}");
    }
}

#[test]
fn basic_is_one_of_two_words() {
    // 3863-4.1.4-a
    assert_eq!(read(&tuple("t", "<basic> open\n</basic>", "")).tuples[0].basic, Some(Basic::Open));
    for word in ["OPEN", "", "inactive", "<x:open/>"] {
        let (presence, warnings) =
            try_read(&document(&tuple("t", &format!("<basic>{word}</basic>"), ""))).unwrap();
        assert_eq!(presence.tuples[0].basic, None);
        assert_eq!(warnings, [Warning::Value("basic")]);
        assert_eq!(status::summarize(&presence, NOW).status, Status::Unknown);
    }
}

#[test]
fn a_contact_is_any_uri() {
    // 3863-4.1.5-a
    for uri in
        ["sip:bob@pc", "im:bob@example.com", "tel:+441632960960", "mailto:b@x", "xmpp:bob@example.com/pc"]
    {
        let presence = read(&open("t", &format!("<contact>\n  {uri} </contact>")));
        assert_eq!(presence.tuples[0].contact.as_ref().unwrap().uri, uri);
    }
}

#[test]
fn a_priority_that_is_none_counts_as_missing() {
    // 3863-4.1.5-d 3863-4.1.5-e 4479-3.3-d
    for bad in ["1.5", "-1", "abc", "0.1234", "1,0", ""] {
        let text = document(&open("t", &format!("<contact priority=\"{bad}\">sip:x@y</contact>")));
        let (presence, warnings) = try_read(&text).unwrap();
        assert_eq!(presence.tuples[0].contact.as_ref().unwrap().priority, None, "{bad}");
        assert_eq!(warnings, [Warning::Value("priority")], "{bad}");
    }
    // The higher one is preferred whatever the numbers are; of equals the first.
    let notes = |low: &str, high: &str| {
        let tuple = |id: &str, priority: &str| {
            open(id, &format!("<contact priority=\"{priority}\">sip:{id}@y</contact><note>{id}</note>"))
        };
        summary(&[tuple("a", low), tuple("b", high)].concat()).note.unwrap()
    };
    assert_eq!(notes("0.1", "0.2"), "b");
    assert_eq!(notes("0.8", "0.9"), "b");
    assert_eq!(notes("0.5", "0.500"), "a");
    assert_eq!(notes("1", "0.999"), "a");
}

#[test]
fn notes_are_of_the_document_or_of_a_tuple_and_no_status() {
    // 3863-4.1.6-a 3863-4.1.6-b 3863-4.1.6-c
    let presence = read(&(open("t", "<note xml:lang=\"en\">mine</note>") + "<note>all</note>"));
    assert_eq!(presence.tuples[0].notes, [Note { lang: Some("en".to_owned()), text: "mine".to_owned() }]);
    assert_eq!(presence.notes, [Note { lang: None, text: "all".to_owned() }]);
    for word in ["Offline", "Away", "On the phone", "do not disturb", "closed"] {
        let summary = summary(&open("t", &format!("<note>{word}</note>")));
        assert_eq!(summary.status, Status::Available, "{word}");
        assert_eq!(summary.note.as_deref(), Some(word));
    }
    // A language around a note is its language.
    let text = document("<note>a</note>").replace("entity=", "xml:lang=\"de\" entity=");
    assert_eq!(try_read(&text).unwrap().0.notes[0].lang.as_deref(), Some("de"));
}

#[test]
fn what_an_extension_says_changes_no_basic() {
    // 3863-4.2-a 3863-4.2.2-a 3863-4.2.3-e 3863-4.2.3-f
    let presence =
        read(&tuple("t", "<basic>open</basic><x:basic>closed</x:basic>", "<x:contact>sip:e@x</x:contact>"));
    assert_eq!(presence.tuples[0].basic, Some(Basic::Open));
    assert_eq!(presence.tuples[0].contact, None);
    // The elements of PIDF need no mustUnderstand to be understood, and we never write it.
    let presence = read(&open(
        "t",
        "<contact>sip:b@x</contact><note>n</note><timestamp>2026-01-01T00:00:00Z</timestamp>",
    ));
    let tuple = &presence.tuples[0];
    assert!(tuple.contact.is_some() && tuple.notes.len() == 1 && tuple.timestamp.is_some());
    let busy = PublishedState {
        activities: vec!["own".to_owned()],
        note: Some("n".to_owned()),
        ..state(Status::Busy)
    };
    let text = written(&busy);
    assert!(!text.contains("mustUnderstand"), "{text}");
    // Every namespace is an absolute URI without a fragment.
    for uri in text.split("xmlns").skip(1).map(|rest| rest.split('"').nth(1).unwrap()) {
        assert!(uri.starts_with("urn:") && !uri.contains('#'), "{uri}");
    }
}

#[test]
fn attributes_of_other_namespaces_are_not_ours() {
    // 3863-4.4-a
    let text = document(
        "<tuple x:id=\"no\" id=\"yes\"><status><basic>open</basic></status><contact x:priority=\"1\">sip:b@x</contact></tuple>",
    );
    let (presence, warnings) = try_read(&text).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(presence.tuples[0].id, "yes");
    assert_eq!(presence.tuples[0].contact.as_ref().unwrap().priority, None);
}

#[test]
fn the_age_of_a_document_is_there_to_be_judged() {
    // 3863-6-b
    let presence = read(&open("t", "<timestamp>2025-12-31T23:00:00.250+01:00</timestamp>"));
    assert_eq!(presence.tuples[0].timestamp, Some(Instant::from_millis(NOW.as_millis() - 7_200_000 + 250)));
}

#[test]
fn several_persons_are_an_ambiguity_and_the_strongest_counts() {
    // 4479-3.2-a
    let person = |id: &str, activity: &str| {
        format!("<dm:person id=\"{id}\"><r:activities><r:{activity}/></r:activities></dm:person>")
    };
    let inside = [open("t", ""), person("a", "meal"), person("b", "on-the-phone")].concat();
    assert_eq!(read(&inside).persons.len(), 2);
    let summary = summary(&inside);
    assert_eq!((summary.status, summary.because.1.as_str()), (Status::OnThePhone, "b"));
    assert_eq!(summary.activities, ["meal", "on-the-phone"]);
}

#[test]
fn a_service_without_a_contact_counts_all_the_same() {
    // 4479-3.3-c
    assert_eq!(summary(&open("t", "")).status, Status::Available);
    assert_eq!(read(&open("t", "")).tuples[0].contact, None);
}

#[test]
fn the_state_of_a_device_is_none_of_a_service() {
    // 4479-3.4-b
    let inside = open("t", "")
        + "<dm:device id=\"d\"><r:activities><r:away/></r:activities><dm:note>closed</dm:note></dm:device>";
    assert_eq!(summary(&inside).status, Status::Available);
}

#[test]
fn what_is_not_said_is_not_made_up() {
    // 4479-3.6-a
    let presence =
        read("<tuple id=\"t\"><status><x:y/></status></tuple><dm:person id=\"p\"/><dm:device id=\"d\"/>");
    for component in presence.tuples.iter().chain(&presence.persons).chain(&presence.devices) {
        assert_eq!(component.basic, None);
        assert!(
            component.attributes.is_empty()
                && component.user_input.is_none()
                && component.timestamp.is_none()
        );
        assert!(component.notes.is_empty() && component.contact.is_none());
    }
}

#[test]
fn attributes_are_read_in_a_status_too_and_written_outside_of_it() {
    // 4479-3.7-a 4479-5-d
    let within = read(&tuple("t", "<basic>open</basic><r:activities><r:busy/></r:activities>", ""));
    let beside = read(&open("t", "<r:activities><r:busy/></r:activities>"));
    assert_eq!(within, beside);
    let text = pidf::write(&within);
    assert!(text.contains("</status><rpid:activities>"), "{text}");
    assert_eq!(text.matches("<rpid:activities>").count(), 1);
}

#[test]
fn locations_are_kept_wherever_they_stand() {
    // 4479-4-a
    let place = "<gp:geopriv xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\"><gp:location-info>here</gp:location-info></gp:geopriv>";
    let presence = read(&format!(
        "{}<dm:person id=\"p\">{place}</dm:person><dm:device id=\"d\">{place}</dm:device>",
        open("t", place)
    ));
    for component in [&presence.tuples[0], &presence.persons[0], &presence.devices[0]] {
        let extension = &component.extensions[0];
        assert_eq!((extension.name.as_str(), extension.text.as_str()), ("geopriv", "here"));
    }
}

#[test]
fn a_note_of_the_document_is_that_of_a_person_without_one() {
    // 4479-5-c
    let own = "<dm:person id=\"p\"><dm:note>own</dm:note></dm:person>";
    let none = "<dm:person id=\"p\"/>";
    for (inside, expected) in [
        ([own, "<note>all</note>"].concat(), Some("own")),
        ([none, "<note>all</note>"].concat(), Some("all")),
        (none.to_owned(), None),
    ] {
        assert_eq!(summary(&inside).note.as_deref(), expected, "{inside}");
    }
}

#[test]
fn only_the_activity_of_now_counts() {
    // 4480-3.1-d
    let at = |from: &str, until: &str, activity: &str| {
        format!("<r:activities from=\"{from}\" until=\"{until}\"><r:{activity}/></r:activities>")
    };
    let inside = [
        open("t", ""),
        "<dm:person id=\"p\">".to_owned(),
        at("2025-12-31T00:00:00Z", "2025-12-31T23:59:59Z", "on-the-phone"),
        at("2025-12-31T23:00:00Z", "2026-01-01T01:00:00Z", "meal"),
        at("2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z", "meeting"),
        "</dm:person>".to_owned(),
    ]
    .concat();
    let presence = read(&inside);
    let later = |hours: u64| Instant::from_millis(NOW.as_millis() + hours * 3_600_000 + 1);
    let seen = |at| status::summarize(&presence, at);
    assert_eq!((seen(NOW).status, seen(NOW).activities), (Status::Away, vec!["meal".to_owned()]));
    assert_eq!(seen(NOW).changes_at, Some(Instant::from_millis(NOW.as_millis() + 3_600_000)));
    assert_eq!(seen(later(1)).status, Status::Available);
    assert_eq!(seen(later(2)).status, Status::Busy);
    assert_eq!(seen(later(3)).status, Status::Available);
    assert_eq!(seen(later(3)).changes_at, None);
    assert_eq!(presence.persons[0].attributes.len(), 3, "all are there for who wants to see them");
}

#[test]
fn who_is_away_may_still_be_reached() {
    // 4480-3.2-b
    let inside =
        open("t", "") + "<dm:person id=\"p\"><r:activities><r:permanent-absence/></r:activities></dm:person>";
    let summary = summary(&inside);
    assert_eq!((summary.status, summary.out_of_office), (Status::Away, true));
    assert_eq!(read(&inside).tuples[0].basic, Some(Basic::Open));
    assert!(written(&state(Status::Away)).contains("<basic>open</basic>"));
}

#[test]
fn activities_are_written_once_and_with_their_end() {
    // 4480-3.1-b 4480-3.1-c 4480-5-a 4480-3.1-a
    let busy = PublishedState {
        activities: vec!["meeting".to_owned(), "busy".to_owned(), "away".to_owned()],
        until: Some(Instant::from_millis(NOW.as_millis() + 60_000)),
        note: Some("n".to_owned()),
        input: Some(UserInput { idle: true, last_input: None, threshold: None }),
        ..state(Status::Busy)
    };
    let text = written(&busy);
    assert_eq!(text.matches("<rpid:activities").count(), 1, "{text}");
    assert!(text.contains("<rpid:busy/><rpid:meeting/><rpid:away/>"), "{text}");
    assert_eq!(text.matches(" until=").count(), 1);
    assert!(text.contains("<rpid:activities until="), "{text}");
    assert_eq!(text.matches("<rpid:user-input>").count(), 1);
    let place = |what: &str| text.find(what).unwrap();
    assert!(place("<dm:person") < place("<rpid:activities"), "of the person, not of the service");
}

#[test]
fn what_is_published_need_not_tell_when_the_last_input_was() {
    // 4480-3.14-b
    let input = |last_input| PublishedState {
        input: Some(UserInput { idle: true, last_input, threshold: None }),
        ..state(Status::Away)
    };
    assert!(written(&input(None)).contains("<rpid:user-input>idle</rpid:user-input>"));
    assert!(
        written(&input(Some(NOW))).contains("<rpid:user-input last-input=\"2026-01-01T00:00:00Z\">idle<")
    );
}

#[test]
fn tuples_of_others_say_nothing_of_the_presentity() {
    // 4480-3.9-a
    let assistant = open(
        "a",
        "<r:relationship><r:assistant/></r:relationship><contact>sip:ann@x</contact><note>Ann</note>",
    );
    let own = tuple("t", "<basic>closed</basic>", "");
    let seen = summary(&[assistant.clone(), own].concat());
    assert_eq!((seen.status, seen.note), (Status::Offline, None));
    assert_eq!(summary(&assistant).status, Status::Unknown);
    assert_eq!(read(&assistant).tuples[0].contact.as_ref().unwrap().uri, "sip:ann@x");
}

#[test]
fn notes_of_attributes_and_texts_have_their_language() {
    // 4480-8-a 5196-3.2.13-a
    let presence = read(
        "<dm:person id=\"p\"><r:activities><r:note xml:lang=\"fr\">absent</r:note><r:away/></r:activities></dm:person>\
         <tuple id=\"t\"><status><basic>open</basic></status><c:servcaps xmlns:c=\"urn:ietf:params:xml:ns:pidf:caps\">\
         <c:description xml:lang=\"en\">desk</c:description><c:description xml:lang=\"de\">Tisch</c:description>\
         <c:description>i</c:description></c:servcaps></tuple>",
    );
    assert_eq!(presence.persons[0].attributes[0].notes[0].lang.as_deref(), Some("fr"));
    let texts: Vec<_> =
        presence.tuples[0].attributes.iter().map(|a| a.text.as_ref().unwrap().lang.as_deref()).collect();
    assert_eq!(texts, [Some("en"), Some("de"), None]);
}

#[test]
fn a_timed_status_that_covers_now_is_none_of_now() {
    // 4481-3-f
    let inside =
        open("t", "<t:timed-status from=\"2025-01-01T00:00:00Z\"><t:basic>closed</t:basic></t:timed-status>");
    assert_eq!(summary(&inside).status, Status::Available);
    assert!(!written(&state(Status::Busy)).contains("timed-status"), "we write none");
}

#[test]
fn documents_written_and_read_and_written_again_are_the_same() {
    // 4479-3.8-a
    let first = PublishedState { note: Some("a < b".to_owned()), ..state(Status::DoNotDisturb) };
    let text = written(&first);
    let (read, warnings) = try_read(&text).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(pidf::write(&read), text);
    assert_eq!(status::summarize(&read, NOW).status, Status::DoNotDisturb);
    for name in ["card", "display-name", "homepage", "icon", "map", "sound"] {
        assert!(!text.contains(name));
    }
}
