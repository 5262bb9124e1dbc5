//! Partial presence documents (RFC 5262) and the local copy to which they are applied (RFC 5263).
#![allow(clippy::unwrap_used)]

use sip_presence::presence::partial::{self, LocalCopy};
use sip_presence::presence::pidf::{self, Limits};
use sip_presence::presence::{Basic, DocumentError, PatchError, Presence};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NAMESPACES: &str = "xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" \
    xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\"";

/// A document of its own words, with all that the example of RFC 5262 §6 has.
fn full(version: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<p:pidf-full {NAMESPACES} entity=\"sip:bob@example.com\" {version}>\n \
         <tuple id=\"desk\">\n  <status><basic>open</basic></status>\n  <contact priority=\"0.6\">sip:bob@example.com</contact>\n \
         </tuple>\n <tuple id=\"cell\">\n  <status><basic>closed</basic></status>\n </tuple>\n \
         <note xml:lang=\"en\">In the office</note>\n <d:person id=\"bob\">\n  <r:activities>\n   <r:on-the-phone/>\n   \
         <r:busy/>\n  </r:activities>\n </d:person>\n</p:pidf-full>"
    )
}

fn diff(attributes: &str, operations: &str) -> String {
    format!("<p:pidf-diff {NAMESPACES} {attributes}>{operations}</p:pidf-diff>")
}

fn take(copy: &mut LocalCopy, text: &str) -> Result<Option<Presence>, DocumentError> {
    copy.handle(text.as_bytes(), &Limits::default())
}

/// A copy of version 567.
fn copy() -> LocalCopy {
    let mut copy = LocalCopy::default();
    assert!(take(&mut copy, &full("version=\"567\"")).unwrap().is_some());
    copy
}

const NOTE: &str = "<p:replace sel=\"presence/note/text()\">At home</p:replace>";

#[test]
fn a_partial_document_changes_the_copy_as_the_example_of_the_standard_does() {
    // 5262-6-a 5263-4.5-a 5263-4.5-d 5262-3-b 5263-4.1-a
    let mut copy = copy();
    let operations = "<p:add sel=\"presence/note\" pos=\"before\"><tuple id=\"mail\"><status><basic>open</basic></status>\
        <contact priority=\"0.3\">mailto:bob@example.com</contact></tuple></p:add>\
        <p:replace sel=\"*/tuple[@id='cell']/status/basic/text()\">open</p:replace>\
        <p:remove sel=\"*/d:person/r:activities/r:busy\" ws=\"after\"/>\
        <p:replace sel=\"*/tuple[@id='desk']/contact/@priority\">0.7</p:replace>";
    let presence = take(&mut copy, &diff("entity=\"sip:bob@example.com\" version=\"568\"", operations))
        .unwrap()
        .unwrap();
    let ids: Vec<&str> = presence.tuples.iter().map(|tuple| tuple.id.as_str()).collect();
    assert_eq!(ids, ["desk", "cell", "mail"]);
    assert!(presence.tuples.iter().all(|tuple| tuple.basic == Some(Basic::Open)));
    assert_eq!(presence.tuples[0].contact.as_ref().unwrap().priority, Some(700));
    assert_eq!(presence.tuples[2].contact.as_ref().unwrap().uri, "mailto:bob@example.com");
    let activities: Vec<&str> =
        presence.persons[0].attributes[0].values.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(activities, ["on-the-phone"]);
    assert_eq!(
        (presence.entity.as_str(), presence.notes[0].text.as_str()),
        ("sip:bob@example.com", "In the office")
    );
}

#[test]
fn the_root_of_the_copy_is_found_by_each_of_its_names() {
    for root in ["*", "presence", "p:pidf-full", "/*", "/presence"] {
        let mut copy = copy();
        let operation = format!("<p:replace sel=\"{root}/note/text()\">At home</p:replace>");
        let presence = take(&mut copy, &diff("version=\"568\"", &operation)).unwrap().unwrap();
        assert_eq!(presence.notes[0].text, "At home", "{root}");
    }
    // Another default namespace, or none, in the full document.
    for outside in
        ["xmlns=\"urn:x\" xmlns:q=\"urn:ietf:params:xml:ns:pidf\"", "xmlns:q=\"urn:ietf:params:xml:ns:pidf\""]
    {
        let mut copy = LocalCopy::default();
        let text = format!(
            "<p:pidf-full xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" {outside} entity=\"sip:a@b\" version=\"1\">\
             <q:note>One</q:note></p:pidf-full>"
        );
        assert_eq!(take(&mut copy, &text).unwrap().unwrap().notes[0].text, "One");
        let presence = take(&mut copy, &diff("version=\"2\"", NOTE)).unwrap().unwrap();
        assert_eq!((presence.notes[0].text.as_str(), presence.entity.as_str()), ("At home", "sip:a@b"));
    }
}

#[test]
fn an_old_version_is_discarded_and_a_gap_is_told() {
    // 5263-4.5-b 5263-4.5-c 5263-4.5-e
    let mut copy = copy();
    for version in ["566", "567", "0"] {
        let attributes = format!("version=\"{version}\"");
        assert_eq!(take(&mut copy, &diff(&attributes, NOTE)), Ok(None), "{version}");
        assert_eq!(take(&mut copy, &full(&attributes)), Ok(None), "{version}");
    }
    let before = copy.clone();
    assert_eq!(take(&mut copy, &diff("version=\"569\"", NOTE)), Err(DocumentError::Version));
    assert_eq!(copy, before, "not applied");
    // A full one may leave numbers out.
    assert!(take(&mut copy, &full("version=\"600\"")).unwrap().is_some());
    assert!(take(&mut copy, &diff("version=\"601\"", NOTE)).unwrap().is_some());
    assert_eq!(take(&mut copy, &diff("version=\"601\"", NOTE)), Ok(None));
    // The first cannot be partial.
    assert_eq!(take(&mut LocalCopy::default(), &diff("version=\"1\"", NOTE)), Err(DocumentError::Version));
    assert!(take(&mut copy, &full("version=\"4294967295\"")).unwrap().is_some());
    assert_eq!(take(&mut copy, &diff("version=\"0\"", NOTE)), Ok(None));
}

#[test]
fn a_change_of_type_drops_the_copy_and_not_the_counter() {
    // 5263-4.5-g 5263-4.5-h
    let mut copy = copy();
    copy.discard();
    assert_eq!(take(&mut copy, &diff("version=\"568\"", NOTE)), Err(DocumentError::Version));
    assert_eq!(take(&mut copy, &full("version=\"567\"")), Ok(None));
    assert!(take(&mut copy, &full("version=\"568\"")).unwrap().is_some());
    assert!(take(&mut copy, &diff("version=\"569\"", NOTE)).unwrap().is_some());
}

#[test]
fn a_patch_that_fails_changes_nothing_and_the_second_gives_up() {
    // 5263-4.5-f 5262-3-d
    let mut copy = copy();
    let bad = [NOTE, "<p:remove sel=\"*/tuple[@id='none']\"/>"].concat();
    let unlocated = Err(DocumentError::Patch(PatchError::UnlocatedNode));
    assert_eq!(take(&mut copy, &diff("version=\"568\"", &bad)), unlocated);
    assert!(!copy.is_hopeless());
    let presence = take(&mut copy, &diff("version=\"568\"", "")).unwrap().unwrap();
    assert_eq!(presence.notes[0].text, "In the office");
    // Nor does one that worked in between count.
    assert_eq!(take(&mut copy, &diff("version=\"569\"", &bad)), unlocated);
    assert!(!copy.is_hopeless());
    assert!(take(&mut copy, &full("version=\"570\"")).unwrap().is_some());
    let entity = diff("entity=\"sip:eve@example.com\" version=\"571\"", NOTE);
    assert_eq!(take(&mut copy, &entity), Err(DocumentError::Patch(PatchError::InvalidAttributeValue)));
    assert!(copy.is_hopeless());
}

#[test]
fn what_is_no_such_document_is_an_error() {
    // 5262-3-a 5262-3-c 5262-10-a
    let mut copy = copy();
    let before = copy.clone();
    let error = |copy: &mut LocalCopy, text: &str| take(copy, text).unwrap_err();
    let presence = full("version=\"568\"").replace("p:pidf-full", "presence");
    assert_eq!(error(&mut copy, &presence), DocumentError::Root);
    assert_eq!(error(&mut copy, "<pidf-diff version=\"568\"/>"), DocumentError::Root);
    assert_eq!(
        error(
            &mut copy,
            &diff("version=\"568\"", "").replace("pidf-diff ", "other ").replace("pidf-diff>", "other>")
        ),
        DocumentError::Root
    );
    for attributes in ["", "version=\"\"", "version=\"-1\"", "version=\"x\"", "version=\"4294967296\""] {
        assert_eq!(
            error(&mut copy, &diff(attributes, NOTE)),
            DocumentError::Attribute("version"),
            "{attributes}"
        );
        assert_eq!(error(&mut copy, &full(attributes)), DocumentError::Attribute("version"), "{attributes}");
    }
    assert_eq!(error(&mut copy, "<!DOCTYPE x><x/>"), DocumentError::Entity);
    assert_eq!(error(&mut copy, "<"), DocumentError::Malformed);
    let utf16: Vec<u8> = full("version=\"568\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(copy.handle(&utf16, &Limits::default()), Err(DocumentError::Encoding));
    assert_eq!(copy, before);
    // A partial one is not read laxly.
    let lax = diff("version=\"568\"", NOTE).replace("At home", "At & home");
    assert_eq!(error(&mut copy, &lax), DocumentError::Patch(PatchError::InvalidDiffFormat));
    let lax = full("version=\"568\"").replace("In the office", "A & B");
    assert_eq!(take(&mut copy, &lax).unwrap().unwrap().notes[0].text, "A & B");
    // And a whole one that is not quite XML cannot be changed.
    assert_eq!(take(&mut copy, &diff("version=\"569\"", NOTE)), Err(DocumentError::Version));
}

#[test]
fn patches_cannot_make_the_copy_larger_than_a_document_may_be() {
    let mut copy = copy();
    let mut limits = Limits { bytes: 4_000, depth: 6, ..Limits::default() };
    let mut version = 567;
    let mut grow = |operation: &str, limits: &Limits| {
        loop {
            version += 1;
            let text = diff(&format!("version=\"{version}\""), operation);
            match copy.handle(text.as_bytes(), limits) {
                Ok(presence) => assert!(presence.is_some() && version < 700),
                Err(error) => return (error, version -= 1).0,
            }
        }
    };
    let note = ["<p:add sel=\"*\"><note>", &"x".repeat(500), "</note></p:add>"].concat();
    assert_eq!(grow(&note, &limits), DocumentError::Limit("bytes"));
    limits.bytes = 40_000;
    assert_eq!(
        grow("<p:add sel=\"*/d:person/r:activities/r:busy\"><r:a><r:b><r:c/></r:b></r:a></p:add>", &limits),
        DocumentError::Limit("depth")
    );
}

#[test]
fn only_what_changed_is_written() {
    // 5263-4.4-c 5263-4.4-d 5262-3-e
    let text = |presence: &Presence| pidf::write(presence);
    let old =
        pidf::read(full("").replace("p:pidf-full", "presence").as_bytes(), &Limits::default()).unwrap().0;
    let change = |change: &dyn Fn(&mut Presence)| {
        let mut new = old.clone();
        change(&mut new);
        let produced = partial::produce(&text(&old), &text(&new), 7).unwrap();
        if produced.contains("<p:pidf-full") {
            return "full".to_owned();
        }
        let operations = produced.split_once("version=\"7\">").unwrap().1;
        operations.strip_suffix("</p:pidf-diff>").unwrap().to_owned()
    };
    assert_eq!(change(&|_| {}), "");
    assert_eq!(
        change(&|new| new.tuples[1].basic = Some(Basic::Open)),
        "<p:replace sel=\"*/tuple[@id='cell']/status/basic/text()\">open</p:replace>"
    );
    assert_eq!(change(&|new| new.notes.clear()), "<p:remove sel=\"*/note\"></p:remove>");
    assert_eq!(
        change(&|new| drop(new.tuples.remove(0))),
        "<p:remove sel=\"*/tuple[@id='desk']\"></p:remove>"
    );
    assert_eq!(
        change(&|new| new.tuples[0].contact.as_mut().unwrap().priority = Some(700)),
        "<p:replace sel=\"*/tuple[@id='desk']/contact/@priority\">0.7</p:replace>"
    );
    assert_eq!(
        change(&|new| new.tuples[1].notes = old.notes.clone()),
        "<p:add sel=\"*/tuple[@id='cell']\"><note xml:lang=\"en\">In the office</note></p:add>"
    );
    assert_eq!(
        change(&|new| drop(new.persons[0].attributes[0].values.remove(0))),
        "<p:remove sel=\"*/dm:person[@id='bob']/rpid:activities/rpid:on-the-phone\"></p:remove>"
    );
    // Nothing is the same: the full one is shorter.
    assert_eq!(
        change(&|new| *new = Presence { entity: "sip:x@y".to_owned(), ..Presence::default() }),
        "full"
    );
    assert_eq!(partial::produce("<a/>", "<a/>", 1), None);
}

#[cfg(not(target_arch = "wasm32"))]
#[path = "common/any_presence.rs"]
mod any_presence;

#[cfg(not(target_arch = "wasm32"))]
mod round_trip {
    use super::any_presence::presence;
    use super::*;
    use proptest::prelude::*;

    /// A document and one that came of it: some parts of another one instead of or beside its own.
    fn change() -> impl Strategy<Value = (Presence, Presence)> {
        (presence(), presence(), any::<u16>()).prop_map(|(old, other, bits)| {
            let mut new = old.clone();
            let bit = |n: u16| bits >> n & 1 == 1;
            if bit(0) {
                new.notes = other.notes;
            }
            for (n, (mine, theirs)) in [
                (&mut new.tuples, other.tuples),
                (&mut new.persons, other.persons),
                (&mut new.devices, other.devices),
            ]
            .into_iter()
            .enumerate()
            {
                let n = u16::try_from(n).unwrap() * 5;
                if bit(n + 1) {
                    drop(mine.pop());
                }
                for (index, component) in theirs.into_iter().enumerate() {
                    match mine.get_mut(index) {
                        Some(own) if bit(n + 2) => own.attributes = component.attributes,
                        Some(own) if bit(n + 3) => *own = component,
                        Some(own) if bit(n + 4) => {
                            (own.notes, own.timestamp) = (component.notes, component.timestamp)
                        }
                        Some(_) if bit(n + 5) => mine.insert(0, component),
                        _ => mine.push(component),
                    }
                }
            }
            (old, new)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        // 5263-4.4-d 5263-4.5-d
        #[test]
        fn applying_what_was_produced_gives_the_new_document((old, new) in change()) {
            let (old, new) = (pidf::write(&old), pidf::write(&new));
            let read = |text: &str| pidf::read(text.as_bytes(), &Limits::default()).unwrap().0;
            let mut copy = LocalCopy::default();
            let first = take(&mut copy, &partial::full(&old, 1).unwrap()).unwrap().unwrap();
            prop_assert_eq!(first, read(&old));
            let produced = partial::produce(&old, &new, 2).unwrap();
            prop_assert!(produced.len() <= partial::full(&new, 2).unwrap().len());
            let second = take(&mut copy, &produced).unwrap();
            prop_assert_eq!(second, Some(read(&new)), "{}", produced);
        }

        #[test]
        fn no_change_of_a_partial_document_makes_the_copy_panic_or_lose_anything(
            at in 0..900_usize, length in 0..20_usize,
            splinter in prop::sample::select(vec!["", "<", "\"", "*", "/", "[1]", "@", "text()", "'", "&amp;", "é"]),
        ) {
            let operations = "<p:add sel=\"presence/note\" pos=\"before\"><tuple id=\"m\"/></p:add>\
                <p:remove sel=\"*/d:person/r:activities/r:busy\" ws=\"after\"/>\
                <p:add sel=\"*\" type=\"@k\">1</p:add><p:replace sel=\"*/namespace::d\">urn:x</p:replace>";
            let mut text = diff("version=\"568\"", operations);
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) && at < end {
                text.replace_range(at..end, splinter);
            }
            let mut after = copy();
            if take(&mut after, &text).is_err() {
                let version = |mut copy: LocalCopy| take(&mut copy, &diff("version=\"568\"", ""));
                prop_assert_eq!(version(after), version(copy()));
            }
        }
    }
}
