//! Presence documents of every kind, for property tests.
#![allow(unreachable_pub)]

use proptest::prelude::*;
use sip_presence::presence::{
    Attribute, AttributeName, Basic, Component, Contact, Extension, Note, Presence, UserInput, Value,
};
use sip_presence::time::Instant;

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z<>&\"' ä\n]{0,12}".prop_map(|text| text.trim().to_owned())
}

fn some_text() -> impl Strategy<Value = String> {
    "[a-z<&\"]{1,8}"
}

fn time() -> impl Strategy<Value = Option<Instant>> {
    proptest::option::of((1_u64..4_000_000_000_000).prop_map(Instant::from_millis))
}

fn note() -> impl Strategy<Value = Note> {
    (proptest::option::of("[a-z]{2}"), text()).prop_map(|(lang, text)| Note { lang, text })
}

/// Notes inside RPID inherit no language in what we write, so that one without stays without.
fn notes() -> impl Strategy<Value = Vec<Note>> {
    proptest::collection::vec(note(), 0..3)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z][a-z-]{0,7}"
            .prop_filter("has a text", |name| name != "other" && name != "note")
            .prop_map(|name| Value { name, ..Value::default() }),
        some_text().prop_map(|text| Value { name: "other".to_owned(), text, ..Value::default() }),
        ("[a-z]{1,5}", "urn:[a-z&\"]{1,5}").prop_map(|(name, namespace)| Value {
            name,
            namespace,
            ..Value::default()
        }),
    ]
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let tokens = ["activities", "mood", "relationship", "service-class", "sphere"];
    let texts = ["status-icon", "card", "homepage", "icon", "map", "sound"];
    let named = |name: &str| AttributeName::all().find(|n| n.as_str() == name).unwrap();
    prop_oneof![
        (
            proptest::sample::select(tokens.to_vec()),
            proptest::collection::vec(value(), 1..4),
            time(),
            time(),
            notes()
        )
            .prop_map(move |(name, values, from, until, notes)| Attribute {
                values,
                from,
                until,
                notes,
                ..Attribute::new(named(name))
            }),
        (proptest::sample::select(texts.to_vec()), some_text(), time()).prop_map(
            move |(name, text, from)| {
                Attribute { text: Some(Note { lang: None, text }), from, ..Attribute::new(named(name)) }
            }
        ),
        note().prop_filter("is told", |note| !note.text.is_empty()).prop_map(move |text| Attribute {
            text: Some(Note { lang: None, ..text }),
            ..Attribute::new(named("display-name"))
        }),
        (time(), time(), notes(), any::<bool>()).prop_map(move |(from, until, notes, open)| Attribute {
            from,
            until,
            notes,
            basic: Some(if open { Basic::Open } else { Basic::Closed }),
            ..Attribute::new(named("timed-status"))
        }),
        proptest::collection::btree_set("[A-Z]{3}", 1..4).prop_map(move |names| Attribute {
            values: names.into_iter().map(|name| Value { name, ..Value::default() }).collect(),
            ..Attribute::new(named("methods"))
        }),
    ]
}

fn component() -> impl Strategy<Value = Component> {
    (
        "[a-z][a-z0-9]{0,5}",
        proptest::collection::vec(attribute(), 0..4),
        proptest::option::of((any::<bool>(), time(), proptest::option::of(1_u32..99))),
        notes(),
        time(),
        proptest::collection::vec(("urn:[a-z]{1,5}", "[a-z]{1,5}", text()), 0..2),
        proptest::collection::vec(some_text(), 0..2),
    )
        .prop_map(|(id, mut attributes, input, notes, timestamp, extensions, device_ids)| {
            // Capabilities stand in one element, in the order of their schema.
            attributes.sort_by_key(|attribute| attribute.name.as_str() == "methods");
            Component {
                id,
                attributes,
                user_input: input.map(|(idle, last_input, threshold)| UserInput {
                    idle,
                    last_input,
                    threshold,
                }),
                notes,
                timestamp,
                extensions: extensions
                    .into_iter()
                    .map(|(namespace, name, text)| Extension { namespace, name, text })
                    .collect(),
                device_ids,
                ..Component::default()
            }
        })
}

/// Any document that the writer writes as it is.
pub fn presence() -> impl Strategy<Value = Presence> {
    let tuple = (
        component(),
        any::<Option<bool>>(),
        proptest::option::of((some_text(), proptest::option::of(0_u16..=1000))),
    )
        .prop_map(|(component, basic, contact)| Component {
            basic: basic.map(|open| if open { Basic::Open } else { Basic::Closed }),
            contact: contact.map(|(uri, priority)| Contact { uri, priority }),
            ..component
        });
    (
        some_text(),
        proptest::collection::vec(tuple, 0..3),
        proptest::collection::vec(component(), 0..2),
        proptest::collection::vec(component(), 0..2),
        notes(),
    )
        .prop_map(|(entity, tuples, persons, devices, notes)| Presence {
            entity,
            tuples,
            persons,
            devices,
            notes,
            extensions: Vec::new(),
        })
}
