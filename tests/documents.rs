//! Presence documents as a whole: what is read of each vocabulary, and that nothing is lost on the way out and back in
//! (RFC 3863, RFC 4479 to 4482, RFC 5196).
#![allow(clippy::unwrap_used)]

use sip_presence::presence::pidf::{self, Limits};
use sip_presence::presence::{
    Attribute, AttributeName, Basic, Component, Contact, DocumentError, Extension, Note, Presence, Status,
    UserInput, Value, Warning, status,
};
use sip_presence::time::Instant;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ROOT: &str = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
    xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:t=\"urn:ietf:params:xml:ns:pidf:timed-status\" \
    xmlns:ci=\"urn:ietf:params:xml:ns:pidf:cipid\" xmlns:cap=\"urn:ietf:params:xml:ns:pidf:caps\" \
    xmlns:lt=\"urn:ietf:params:xml:ns:location-type\" xmlns:x=\"urn:example:other\" entity=\"sip:bob@example.com\">";

fn read_with(inside: &str) -> (Presence, Vec<Warning>) {
    let text = [ROOT, inside, "</presence>"].concat();
    pidf::read(text.as_bytes(), &Limits::default()).unwrap()
}

fn read(inside: &str) -> Presence {
    let (presence, warnings) = read_with(inside);
    assert_eq!(warnings, [], "{inside}");
    presence
}

fn person(inside: &str) -> Component {
    read(&["<dm:person id=\"p1\">", inside, "</dm:person>"].concat()).persons.remove(0)
}

fn tuple(inside: &str) -> Component {
    read(&["<tuple id=\"t1\"><status><basic>open</basic></status>", inside, "</tuple>"].concat())
        .tuples
        .remove(0)
}

fn find<'a>(component: &'a Component, name: &str) -> &'a Attribute {
    component.attributes.iter().find(|attribute| attribute.name.as_str() == name).unwrap()
}

fn words(attribute: &Attribute) -> Vec<(&str, &str)> {
    attribute.values.iter().map(|value| (value.name.as_str(), value.text.as_str())).collect()
}

fn text_of<'a>(component: &'a Component, name: &str) -> &'a str {
    &find(component, name).text.as_ref().unwrap().text
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

#[test]
fn activities_are_tokens_other_words_and_elements_of_others() {
    // 4480-3.2-a 4480-3.2-d 4480-6-a 4480-3.1-e
    let bob = person(
        "<r:activities id=\"a\" from=\"1970-01-01T00:00:10Z\" until=\"1970-01-01T01:00:20+01:00\"><r:note>Away</r:note>\
         <r:vacation/><r:lunch/><r:other xml:lang=\"en\">Sailing</r:other><x:sailing/></r:activities>",
    );
    let activities = find(&bob, "activities");
    assert_eq!((activities.from, activities.until), (Some(at(10)), Some(at(20))));
    assert_eq!(activities.notes[0].text, "Away");
    assert_eq!(words(activities), [("vacation", ""), ("lunch", ""), ("other", "Sailing"), ("sailing", "")]);
    let namespaces: Vec<&str> = activities.values.iter().map(|value| value.namespace.as_str()).collect();
    assert_eq!(namespaces, ["", "", "", "urn:example:other"]);
}

#[test]
fn all_moods_are_read() {
    // 4480-3.5-a 4480-3.5-b
    let moods = "afraid amazed angry annoyed anxious ashamed bored brave calm cold confused contented cranky curious \
        depressed disappointed disgusted distracted embarrassed excited flirtatious frustrated grumpy guilty happy hot \
        humbled humiliated hungry hurt impressed in_awe in_love indignant interested invincible jealous lonely mean \
        moody nervous neutral offended playful proud relieved remorseful restless sad sarcastic serious shocked shy \
        sick sleepy stressed surprised thirsty worried unknown";
    for mood in moods.split_ascii_whitespace() {
        let bob = person(&format!("<r:mood><r:{mood}/></r:mood>"));
        assert_eq!(words(find(&bob, "mood")), [(mood, "")]);
    }
    assert!(find(&person("<r:mood/>"), "mood").values.is_empty(), "an empty one is borne");
}

#[test]
fn the_place_is_told_by_medium_and_type() {
    // 4480-3.6-a
    let bob = person(
        "<r:place-is><r:note>Noise</r:note><r:audio><r:noisy/></r:audio><r:text><r:ok/></r:text></r:place-is>\
         <r:place-type><lt:residence/></r:place-type><r:place-type><r:other>Lighthouse</r:other></r:place-type>",
    );
    assert_eq!(words(find(&bob, "place-is")), [("audio", "noisy"), ("text", "ok")]);
    let types: Vec<_> = bob.attributes.iter().filter(|a| a.name.as_str() == "place-type").collect();
    assert_eq!(words(types[0]), [("residence", "")]);
    assert_eq!(types[0].values[0].namespace, "");
    assert_eq!(words(types[1]), [("other", "Lighthouse")]);
}

#[test]
fn the_other_elements_of_rpid_have_their_values() {
    // 4480-3.3-b 4480-3.12-a 4480-3.13-a 4480-3.1-f
    let bob = person(
        "<r:class> forms </r:class><r:privacy><r:audio/><r:video/></r:privacy><r:sphere>bowling league</r:sphere>\
         <r:sphere><r:work/></r:sphere><r:status-icon>https://example.com/play.gif</r:status-icon>\
         <r:time-offset description=\"Paris\" from=\"1970-01-01T00:00:00Z\"> 120 </r:time-offset>",
    );
    assert_eq!(text_of(&bob, "class"), "forms");
    assert_eq!(words(find(&bob, "privacy")), [("audio", ""), ("video", "")]);
    let spheres: Vec<_> = bob.attributes.iter().filter(|a| a.name.as_str() == "sphere").collect();
    assert_eq!(spheres[0].text.as_ref().unwrap().text, "bowling league");
    assert_eq!(words(spheres[1]), [("work", "")]);
    assert_eq!(text_of(&bob, "status-icon"), "https://example.com/play.gif");
    assert_eq!(text_of(&bob, "time-offset"), "120");
    assert_eq!(find(&bob, "time-offset").notes[0].text, "Paris");
    let service = tuple(
        "<r:relationship><r:note>My aide</r:note><r:assistant/></r:relationship><r:service-class><r:electronic/></r:service-class>\
         <dm:deviceID>urn:x:1</dm:deviceID><dm:deviceID>urn:x:2</dm:deviceID>\
         <r:user-input idle-threshold=\"600\" last-input=\"1970-01-01T00:00:05Z\">idle</r:user-input>",
    );
    assert_eq!(words(find(&service, "relationship")), [("assistant", "")]);
    assert_eq!(words(find(&service, "service-class")), [("electronic", "")]);
    // 4480-3.4-a
    assert_eq!(service.device_ids, ["urn:x:1", "urn:x:2"]);
    // 4480-3.14-a
    assert_eq!(
        service.user_input,
        Some(UserInput { idle: true, last_input: Some(at(5)), threshold: Some(600) })
    );
}

#[test]
fn a_timed_status_changes_nothing_now() {
    // 4481-3-a 4481-3-b 4481-3-c 4481-3-d 4481-3-g 4481-3-i
    let service = tuple(
        "<t:timed-status from=\"1970-01-01T00:00:10Z\" until=\"1970-01-01T00:00:20Z\"><t:basic>closed</t:basic>\
         <t:note>Flight</t:note><r:activities><r:travel/></r:activities></t:timed-status>\
         <t:timed-status from=\"1970-01-01T00:00:15Z\"><t:basic>open</t:basic></t:timed-status>",
    );
    assert_eq!(service.basic, Some(Basic::Open));
    let [first, second] = service.attributes.as_slice() else { panic!("{:?}", service.attributes) };
    assert_eq!((first.from, first.until, first.basic), (Some(at(10)), Some(at(20)), Some(Basic::Closed)));
    assert_eq!((first.notes[0].text.as_str(), words(first)), ("Flight", vec![("travel", "")]));
    assert_eq!((second.from, second.until, second.basic), (Some(at(15)), None, Some(Basic::Open)));
    let presence = Presence { tuples: vec![service.clone()], ..Presence::default() };
    let summary = status::summarize(&presence, at(12));
    assert_eq!((summary.status, summary.activities.len()), (Status::Available, 0));
    let misplaced = read(
        "<tuple id=\"t\"><status><t:timed-status from=\"1970-01-01T00:00:10Z\"><t:basic>closed</t:basic></t:timed-status>\
         </status></tuple>",
    );
    assert!(misplaced.tuples[0].attributes.is_empty(), "it stands in no status");
}

#[test]
fn contact_information_is_text() {
    // 4482-1-a 4482-3.2-a 4482-3.6-a 4480-9-a
    let bob = person(
        "<ci:card>https://example.com/~bob/card.vcf</ci:card><ci:display-name xml:lang=\"en\">Bob</ci:display-name>\
         <ci:display-name xml:lang=\"de\">Robert</ci:display-name><ci:homepage>https://example.com/~bob</ci:homepage>\
         <ci:icon>https://example.com/i.png</ci:icon><ci:map>https://example.com/m.png</ci:map><ci:sound>cid:s</ci:sound>",
    );
    assert_eq!(text_of(&bob, "card"), "https://example.com/~bob/card.vcf");
    let names: Vec<_> = bob.attributes.iter().filter(|a| a.name.as_str() == "display-name").collect();
    let names: Vec<_> = names.iter().map(|a| a.text.as_ref().unwrap()).collect();
    assert_eq!((names[0].lang.as_deref(), names[0].text.as_str()), (Some("en"), "Bob"));
    assert_eq!((names[1].lang.as_deref(), names[1].text.as_str()), (Some("de"), "Robert"));
    for name in ["homepage", "icon", "map", "sound"] {
        assert!(!text_of(&bob, name).is_empty());
    }
}

#[test]
fn capabilities_say_what_is_supported_and_what_is_not() {
    // 5196-3.2-a 5196-3.2.1-a 5196-3.2.2-a 5196-3.2.9-a 5196-3.2.11-a 5196-3.2.15-a 5196-3.2.16-a 5196-3.2.18-a 5196-4.1-a
    let service = tuple(
        "<cap:servcaps><cap:audio>true</cap:audio><cap:video>0</cap:video><cap:type>text/html</cap:type>\
         <cap:description xml:lang=\"en\">Desk</cap:description>\
         <cap:methods><cap:supported><cap:INVITE/><cap:MESSAGE/></cap:supported>\
         <cap:notsupported><cap:MESSAGE/><cap:REFER/></cap:notsupported></cap:methods>\
         <cap:languages><cap:supported><cap:l>en</cap:l><cap:l>de</cap:l></cap:supported></cap:languages>\
         <cap:schemes><cap:supported><cap:s>sip</cap:s></cap:supported></cap:schemes>\
         <cap:priority><cap:supported><cap:higherhan minvalue=\"10\"/><cap:range minvalue=\"1\" maxvalue=\"5\"/></cap:supported>\
         </cap:priority><cap:duplex><cap:supported><cap:full/></cap:supported></cap:duplex></cap:servcaps>",
    );
    assert_eq!(text_of(&service, "audio"), "true");
    assert_eq!(text_of(&service, "video"), "0");
    assert_eq!(text_of(&service, "type"), "text/html");
    assert_eq!(find(&service, "description").text.as_ref().unwrap().lang.as_deref(), Some("en"));
    let methods = find(&service, "methods");
    let excluded: Vec<_> = methods.values.iter().map(|value| (value.name.as_str(), value.excluded)).collect();
    assert_eq!(excluded, [("INVITE", false), ("MESSAGE", false), ("REFER", true)]);
    assert_eq!(words(find(&service, "languages")), [("en", ""), ("de", "")]);
    assert_eq!(words(find(&service, "schemes")), [("sip", "")]);
    assert_eq!(words(find(&service, "priority")), [("higherhan", "10"), ("range", "1 5")]);
    // 5196-3.3-a
    let device = read(
        "<dm:device id=\"d\"><cap:devcaps><cap:mobility><cap:supported><cap:fixed/></cap:supported></cap:mobility></cap:devcaps>\
         <dm:deviceID>urn:x:1</dm:deviceID></dm:device>",
    );
    assert_eq!(words(find(&device.devices[0], "mobility")), [("fixed", "")]);
}

#[test]
fn what_must_be_understood_and_is_not_is_left_out() {
    // 3863-4.2.3-a 3863-4.2.3-b 3863-4.2.3-c 3863-4.2.3-d 3863-4.1.3-b
    let inside = |extension: &str| {
        let text = format!("<tuple id=\"t\"><status><basic>open</basic>{extension}</status></tuple>");
        read(&text).tuples.remove(0)
    };
    let plain = inside("<x:a><tuple id=\"z\"/>one</x:a>");
    assert_eq!(plain.extensions[0].text, "one");
    let pidf = "xmlns:p=\"urn:ietf:params:xml:ns:pidf\"";
    for text in [
        format!("<x:a {pidf} p:mustUnderstand=\"true\">one</x:a>"),
        "<x:a mustUnderstand=\"1\">one</x:a>".to_owned(),
        format!("<x:a><x:b {pidf} p:mustUnderstand=\"1\"/></x:a>"),
        format!("<r:activities><x:b {pidf} p:mustUnderstand=\"true\"/><r:busy/></r:activities>"),
    ] {
        let tuple = inside(&text);
        assert_eq!((tuple.basic, tuple.extensions.len()), (Some(Basic::Open), 0), "{text}");
        assert!(tuple.attributes.is_empty(), "{text}");
    }
}

#[test]
fn references_cdata_comments_and_line_ends_are_read() {
    // 3863-x-c 3863-4.1-d 3863-7-a
    let notes = read(
        "<!-- c --><note>&lt;b&gt; &#x1F600;&#228;&amp;amp;</note><note><![CDATA[<i>&amp;]]> x</note><?pi?>\
         <note>a\r\nb\rc</note><note>one<!-- in -->two</note>",
    )
    .notes;
    let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(texts, ["<b> \u{1F600}ä&amp;", "<i>&amp; x", "a\nb\nc", "onetwo"]);
}

#[test]
fn a_fault_is_read_over_with_a_warning() {
    // 4479-5-f 3863-x-b
    for (inside, note) in [
        ("<note>you & me; both</note>", "you & me; both"),
        ("<note>a&b</note>", "a&b"),
        ("<note>half</b></note>", "half"),
        ("<note>bad &#xD800;char</note>", "bad char"),
        ("<note>kept</note><tuple id=\"t\"", "kept"),
    ] {
        let text = [ROOT, inside, "</presence>"].concat();
        let (presence, warnings) = pidf::read(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(warnings[0], Warning::Lax, "{inside}");
        assert_eq!(presence.notes[0].text, note, "{inside}");
    }
    let utf16: Vec<u8> = "<presence/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(pidf::read(&utf16, &Limits::default()).unwrap_err(), DocumentError::Encoding);
    let utf16: Vec<u8> = "<presence/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(pidf::read(&utf16, &Limits::default()).unwrap_err(), DocumentError::Encoding);
    for surrogate in [&b"<presence>\xed\xa0\x80</presence>"[..], b"<presence>\xff</presence>"] {
        assert_eq!(pidf::read(surrogate, &Limits::default()).unwrap_err(), DocumentError::Encoding);
    }
}

#[test]
fn what_is_written_keeps_the_order_and_the_attributes_of_the_schemas() {
    // 4479-5-e 4480-3.2-d
    let bob = read(
        "<dm:person id=\"p\"><r:privacy><r:video/><r:text/><r:audio/></r:privacy><ci:display-name xml:lang=\"de\">Robert\
         </ci:display-name><r:place-is><r:text><r:ok/></r:text><r:audio><r:ok/></r:audio></r:place-is></dm:person>",
    );
    let text = pidf::write(&bob);
    assert!(text.contains("<rpid:privacy><rpid:audio/><rpid:text/><rpid:video/></rpid:privacy>"), "{text}");
    assert!(text.contains("<rpid:audio><rpid:ok/></rpid:audio><rpid:text>"), "{text}");
    // The schema of CIPID has no language here, though its prose has.
    assert!(!text.contains("xml:lang") && text.contains(">Robert</cipid:display-name>"), "{text}");
}

#[test]
fn a_text_never_becomes_markup() {
    // 3863-4.1-a 4479-6-a
    let evil = "\"'><dm:person id='x'/>]]>&x;<!--\u{0}\u{1b}\u{ffff}";
    let name = |name: &str| AttributeName::all().find(|n| n.as_str() == name).unwrap();
    let all = |name: AttributeName| Attribute {
        text: Some(Note { lang: Some(evil.to_owned()), text: evil.to_owned() }),
        notes: vec![Note { lang: None, text: evil.to_owned() }],
        values: vec![
            Value { name: evil.to_owned(), ..Value::default() },
            Value { name: "other".to_owned(), text: evil.to_owned(), ..Value::default() },
            Value { name: evil.to_owned(), namespace: evil.to_owned(), ..Value::default() },
            Value { name: "range".to_owned(), text: evil.to_owned(), excluded: true, ..Value::default() },
            Value { name: "audio".to_owned(), text: evil.to_owned(), ..Value::default() },
        ],
        ..Attribute::new(name)
    };
    let component = Component {
        id: evil.to_owned(),
        contact: Some(Contact { uri: evil.to_owned(), priority: Some(1) }),
        device_ids: vec![evil.to_owned()],
        attributes: AttributeName::all().map(all).collect(),
        notes: vec![Note { lang: Some(evil.to_owned()), text: evil.to_owned() }],
        extensions: vec![Extension {
            namespace: evil.to_owned(),
            name: evil.to_owned(),
            text: evil.to_owned(),
        }],
        ..Component::default()
    };
    let presence = Presence {
        entity: evil.to_owned(),
        tuples: vec![component.clone()],
        persons: vec![component.clone()],
        devices: vec![component],
        ..Presence::default()
    };
    let text = pidf::write(&presence);
    let (back, _) = pidf::read(text.as_bytes(), &Limits::default()).unwrap();
    let visible = "\"'><dm:person id='x'/>]]>&x;<!--\u{1b}".replace('\u{1b}', "");
    assert_eq!(back.entity, visible);
    assert_eq!((back.tuples.len(), back.persons.len(), back.devices.len()), (1, 1, 1));
    assert_eq!(back.persons[0].notes[0].text, visible);
    assert_eq!(find(&back.persons[0], name("mood").as_str()).values[0].text, visible);
}

#[cfg(not(target_arch = "wasm32"))]
#[path = "common/any_presence.rs"]
mod any_presence;

#[cfg(not(target_arch = "wasm32"))]
mod round_trip {
    use super::any_presence::presence;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        // 3863-4.1.1-a 3863-4.1.5-b 3863-4.1.7-a 4479-5-a 4479-5-b
        #[test]
        fn what_is_written_is_read_again(presence in presence()) {
            let text = pidf::write(&presence);
            let (back, warnings) = pidf::read(text.as_bytes(), &Limits::default()).unwrap();
            prop_assert!(!warnings.contains(&Warning::Lax), "{text}");
            prop_assert_eq!(back, presence, "{}", text);
        }
    }
}
