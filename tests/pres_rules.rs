//! Authorization rules at a server (RFC 4745, RFC 5025): who gets what, and how it is changed without touching what
//! others have written.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used)]

use sip_presence::presence::DocumentError;
use sip_presence::presence::pres_rules::{self, EditError, Handling, OURS};
use sip_presence::time::Instant;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const BOB: &str = "sip:bob@example.com";
const EVE: &str = "sip:eve@example.com";
/// 2026-01-01T00:00:00Z
const NOW: Instant = Instant::from_millis(1_767_225_600_000);

fn edit(text: &str, identity: &str, handling: Handling) -> Result<String, EditError> {
    pres_rules::edit(text, identity, handling, NOW)
}

fn gives(text: &str, identity: &str) -> Option<Handling> {
    pres_rules::handling(text, identity, NOW).unwrap()
}

/// A ruleset as others write it.
fn ruleset(rules: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<!-- mine -->\n<cp:ruleset xmlns:cp=\"urn:ietf:params:xml:ns:common-policy\" \
         xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:x=\"urn:x\">{rules}\n</cp:ruleset >\n"
    )
}

fn rule(conditions: &str, handling: &str) -> String {
    format!(
        "\n  <cp:rule  id='a'><cp:conditions>{conditions}</cp:conditions><cp:actions><pr:sub-handling> {handling} \
         </pr:sub-handling></cp:actions></cp:rule>"
    )
}

#[test]
fn each_decision_is_read_back() {
    // 4745-7.1-b 5025-3.2.1-a
    for handling in Handling::ALL {
        let text = edit("", BOB, handling).unwrap();
        assert_eq!(gives(&text, BOB), Some(handling));
        assert_eq!(gives(&text, EVE), None, "nobody else");
        assert_eq!(Handling::from_token(handling.as_str()), Some(handling));
        // The last one counts, and nothing is left of those before.
        for next in Handling::ALL {
            let changed = edit(&text, BOB, next).unwrap();
            assert_eq!(gives(&changed, BOB), Some(next));
            assert_eq!(changed.matches(BOB).count(), 1, "{changed}");
            assert_eq!(edit(&changed, BOB, next).as_ref(), Ok(&changed), "the same again changes nothing");
        }
    }
}

#[test]
fn who_is_allowed_is_shown_everything() {
    let text = edit("", BOB, Handling::Allow).unwrap();
    assert_eq!(
        text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\">\
         <rule xmlns=\"urn:ietf:params:xml:ns:common-policy\" id=\"sip-presence-allow\"><conditions><identity>\
         <one id=\"sip:bob@example.com\"/></identity></conditions><actions>\
         <sub-handling xmlns=\"urn:ietf:params:xml:ns:pres-rules\">allow</sub-handling></actions>\
         <transformations xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\"><pr:provide-devices><pr:all-devices/>\
         </pr:provide-devices><pr:provide-persons><pr:all-persons/></pr:provide-persons><pr:provide-services>\
         <pr:all-services/></pr:provide-services><pr:provide-all-attributes/></transformations></rule></ruleset>\n"
    );
    let text = edit(&text, EVE, Handling::Allow).unwrap();
    assert_eq!(text.matches("<rule ").count(), 1, "one rule for all who get the same: {text}");
    assert!(!edit(&text, EVE, Handling::Block).unwrap().contains("polite-block"));
}

#[test]
fn what_others_have_written_stays_byte_for_byte() {
    let others = [
        String::new(),
        "<x:other>&amp; <![CDATA[</cp:ruleset>]]></x:other><!-- </cp:ruleset> -->".to_owned(),
        rule("<cp:identity><cp:one id=\"sip:carol@example.com\"/></cp:identity>", "allow"),
        rule("<cp:identity><cp:many domain=\"other.example\"/></cp:identity><x:unknown/>", "allow"),
    ];
    for others in others {
        let text = ruleset(&others);
        let (head, tail) = text.split_at(text.rfind("</").unwrap());
        let mut edited = text.clone();
        for (identity, handling) in
            [(BOB, Handling::Allow), (EVE, Handling::Block), (BOB, Handling::PoliteBlock)]
        {
            edited = edit(&edited, identity, handling).unwrap();
            assert!(edited.starts_with(head) && edited.ends_with(tail), "{edited}");
        }
        assert_eq!(
            (gives(&edited, BOB), gives(&edited, EVE)),
            (Some(Handling::PoliteBlock), Some(Handling::Block))
        );
        // Rules of ours that another program has moved are gathered; what is around them stays.
        let own = &edited[head.len()..edited.len() - tail.len()];
        let moved = ruleset(&[own, "<x:a/> ", own, &others].concat());
        let edited = edit(&moved, EVE, Handling::Confirm).unwrap();
        let stays = ruleset(&["<x:a/> ", &others].concat());
        assert!(edited.starts_with(&stays[..stays.rfind("</").unwrap()]), "{edited}");
        assert_eq!(edited.matches(BOB).count(), 2, "named twice, as it was");
    }
}

#[test]
fn a_rule_of_ours_that_somebody_has_changed_is_theirs() {
    let expired = "<validity><from>2020-01-01T00:00:00Z</from><until>2020-01-02T00:00:00Z</until></validity>";
    let text = edit("", BOB, Handling::Allow).unwrap();
    for (before, after) in [
        ("</conditions>", [expired, "</conditions>"].concat()),
        ("</conditions>", "<sphere value=\"home\"/></conditions>".to_owned()),
        ("<pr:provide-all-attributes/>", String::new()),
        ("<pr:all-devices/>", "<pr:class>home</pr:class>".to_owned()),
        ("<pr:all-devices/>", "<pr:all-devices><x/></pr:all-devices>".to_owned()),
        ("<one id=", "<one xml:lang=\"de\" id=".to_owned()),
        ("<identity>", "<identity><many domain=\"example.org\"/>".to_owned()),
        ("<identity>", "<identity><one/>".to_owned()),
        ("<identity>", "<identity><!-- a friend -->".to_owned()),
        ("</rule>", "later</rule>".to_owned()),
        (">allow<", ">polite-block<".to_owned()),
    ] {
        let changed = text.replace(before, &after);
        let (head, tail) = changed.split_at(changed.rfind("</").unwrap());
        let (old, handling) = (gives(&changed, BOB), gives(&changed, BOB).unwrap_or(Handling::Block));
        let edited = edit(&changed, EVE, Handling::Allow).unwrap();
        assert!(edited.starts_with(head) && edited.ends_with(tail), "{edited}");
        assert_eq!((gives(&edited, EVE), gives(&edited, BOB)), (Some(Handling::Allow), old));
        // An id stands once (RFC 4745 §5), and ours are known again.
        assert_eq!(edited.matches("id=\"sip-presence-allow\"").count(), 1, "{edited}");
        let again = edit(&edit(&edited, EVE, Handling::Block).unwrap(), EVE, Handling::Allow).unwrap();
        assert_eq!(again, edited);
        assert_eq!(edited.matches("id=\"sip-presence-allow-2\"").count(), 1, "{edited}");
        if handling > Handling::Block {
            let overruled = EditError::Overruled("sip-presence-allow".to_owned());
            assert_eq!(edit(&changed, BOB, Handling::Block), Err(overruled));
        }
    }
    // Written anew by a server, it is still ours.
    let same = text
        .replace("><", ">\n  <")
        .replace(">allow<", "> allow\n<")
        .replace("pr:", "p:")
        .replace(":pr=", ":p=");
    let edited = edit(&same, BOB, Handling::Block).unwrap();
    assert_eq!((gives(&edited, BOB), edited.matches("<rule ").count()), (Some(Handling::Block), 1));
}

#[test]
fn a_ruleset_without_rules_gets_an_end_tag() {
    for empty in [
        "<cp:ruleset xmlns:cp=\"urn:ietf:params:xml:ns:common-policy\"/>",
        "\u{feff}<?xml version=\"1.0\"?><ruleset xmlns='urn:ietf:params:xml:ns:common-policy'\n/><!-- end -->",
        "  \n",
        "",
    ] {
        let text = edit(empty, BOB, Handling::Confirm).unwrap();
        assert_eq!(gives(&text, BOB), Some(Handling::Confirm), "{text}");
        assert!(text.contains("<!-- end -->") == empty.contains("end"));
    }
}

#[test]
fn the_rule_that_gives_most_counts_and_is_not_touched() {
    // 4745-10-a
    let bob = "<cp:identity><cp:one id=\"sip:bob@EXAMPLE.com\"/><cp:one id=\"sip:x@y\"/></cp:identity>";
    for (at, given) in Handling::ALL.into_iter().enumerate() {
        let text = ruleset(&[rule(bob, "block"), rule(bob, given.as_str())].concat());
        for wanted in Handling::ALL {
            let result = edit(&text, BOB, wanted);
            if wanted < given {
                assert_eq!(result, Err(EditError::Overruled("a".to_owned())), "{given:?} {wanted:?}");
            } else {
                assert_eq!(gives(&result.unwrap(), BOB), Some(wanted));
            }
            assert!(edit(&text, EVE, wanted).is_ok(), "it is of others");
        }
        assert_eq!(gives(&text, BOB), Some(Handling::ALL[at]));
    }
}

#[test]
fn a_rule_holds_for_whom_its_conditions_say() {
    // 4745-7-a 4745-7.1-a 4745-7.1-c
    for (conditions, holds) in [
        ("", true),
        ("<cp:identity/>", false),
        ("<cp:identity><cp:one id=\"sip:bob@example.com\"/></cp:identity>", true),
        ("<cp:identity><cp:one id=\"SIP:bob@Example.COM\"/></cp:identity>", true),
        ("<cp:identity><cp:one id=\"sip:Bob@example.com\"/></cp:identity>", false),
        ("<cp:identity><cp:one id=\"sips:bob@example.com\"/></cp:identity>", false),
        ("<cp:identity><cp:one/></cp:identity>", false),
        ("<cp:identity><x:one id=\"sip:bob@example.com\"/></cp:identity>", false),
        ("<cp:identity><cp:many/></cp:identity>", true),
        ("<cp:identity><cp:many domain=\"EXAMPLE.com\"/></cp:identity>", true),
        ("<cp:identity><cp:many domain=\"example.org\"/></cp:identity>", false),
        ("<cp:identity><cp:many domain=\"ample.com\"/></cp:identity>", false),
        ("<cp:identity><cp:many><cp:except id=\"sip:bob@example.com\"/></cp:many></cp:identity>", false),
        ("<cp:identity><cp:many><cp:except domain=\"example.com\"/></cp:many></cp:identity>", false),
        (
            "<cp:identity><cp:many><cp:except id=\"sip:eve@example.com\"/><cp:except domain=\"x\"/></cp:many></cp:identity>",
            true,
        ),
        ("<cp:identity><cp:one id=\"sip:x@y\"/><cp:many domain=\"example.com\"/></cp:identity>", true),
        ("<cp:sphere value=\"work\"/>", true),
        ("<x:external-list/>", false),
        ("<cp:other/>", false),
        ("<cp:identity><cp:many/></cp:identity><x:unknown/>", false),
    ] {
        let given = gives(&ruleset(&rule(conditions, "allow")), BOB);
        assert_eq!(given, holds.then_some(Handling::Allow), "{conditions}");
    }
    let none = ruleset("<cp:rule id=\"a\"><cp:actions/></cp:rule><cp:rule id=\"b\"/>");
    assert_eq!(gives(&none, BOB), None);
    assert_eq!(gives(&ruleset(&rule("", "maybe")), BOB), None, "a word that is not known gives nothing");
    for (host, domain) in
        [("example.com:5060", "example.com"), ("[::1]:5060", "[::1]"), ("[::1]", "[::1]"), ("h;x=y", "h")]
    {
        let many = format!("<cp:identity><cp:many domain=\"{domain}\"/></cp:identity>");
        assert_eq!(
            gives(&ruleset(&rule(&many, "allow")), &["sip:bob@", host].concat()),
            Some(Handling::Allow)
        );
    }
}

#[test]
fn a_rule_whose_time_is_over_holds_no_more() {
    let span = |from: &str, until: &str| format!("<cp:from>{from}</cp:from><cp:until>{until}</cp:until>");
    let past = span("2025-01-01T00:00:00Z", "2025-12-31T00:00:00Z");
    let coming = span("2026-05-01T00:00:00Z", "2026-06-01T00:00:00+02:00");
    for (spans, holds) in [
        (past.clone(), false),
        (coming.clone(), true),
        ([past, coming].concat(), true),
        (String::new(), false),
        (span("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), false),
        (span("now", "then"), false),
    ] {
        let text = ruleset(&rule(&format!("<cp:validity>{spans}</cp:validity>"), "allow"));
        assert_eq!(gives(&text, BOB).is_some(), holds, "{spans}");
        assert_eq!(edit(&text, BOB, Handling::Block).is_ok(), !holds);
    }
}

#[test]
fn what_cannot_be_read_is_not_written_over() {
    for (text, error) in [
        ("<ruleset/>", DocumentError::Root),
        ("<rules xmlns=\"urn:ietf:params:xml:ns:common-policy\"/>", DocumentError::Root),
        ("not XML", DocumentError::Malformed),
        ("<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\">", DocumentError::Malformed),
        ("<ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\">a & b</ruleset>", DocumentError::Malformed),
        ("<!DOCTYPE a><ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\"/>", DocumentError::Entity),
        (
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\"/>",
            DocumentError::Encoding,
        ),
        (
            "\u{feff} <?xml version='1.0'\nencoding = 'utf-16' ?><ruleset xmlns='urn:ietf:params:xml:ns:common-policy'/>",
            DocumentError::Encoding,
        ),
    ] {
        assert_eq!(edit(text, BOB, Handling::Allow), Err(EditError::Document(error)), "{text}");
    }
    for same in [
        "<?xml version='1.0' encoding='utf-8'?>",
        "<?xml version='1.0'?><?x encoding='a'?>",
        "<?xml-x encoding='a'?>",
    ] {
        let text = [same, "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy'/>"].concat();
        assert_eq!(gives(&edit(&text, BOB, Handling::Allow).unwrap(), BOB), Some(Handling::Allow), "{same}");
    }
    let large = ruleset(&" ".repeat(1024 * 1024));
    assert_eq!(edit(&large, BOB, Handling::Allow), Err(EditError::Document(DocumentError::Limit("bytes"))));
    let full = ruleset(&" ".repeat(1024 * 1024 - 400));
    assert_eq!(
        edit(&full, BOB, Handling::Allow),
        Err(EditError::Document(DocumentError::Limit("bytes"))),
        "nor what could not be read the next time"
    );
}

#[test]
fn thousands_of_watchers_have_room_and_no_name_becomes_markup() {
    let mut text = String::new();
    for number in 0..300 {
        text = edit(&text, &format!("sip:user{number}@example.com"), Handling::ALL[number % 4]).unwrap();
    }
    for number in 0..300 {
        assert_eq!(gives(&text, &format!("sip:user{number}@example.com")), Some(Handling::ALL[number % 4]));
    }
    let odd = "sip:a\"/><many/>&lt;'\u{e4}@h";
    let text = edit(&text, odd, Handling::Allow).unwrap();
    assert_eq!(gives(&text, odd), Some(Handling::Allow));
    assert_eq!(gives(&text, "sip:nobody@example.com"), None);
    assert!(text.contains(OURS));
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    fn identity() -> impl Strategy<Value = String> {
        prop_oneof!["[a-c]".prop_map(|user| format!("sip:{user}@example.com")), "[sip:@&<\"a]{1,9}"]
    }

    fn handling() -> impl Strategy<Value = Handling> {
        proptest::sample::select(Handling::ALL.to_vec())
    }

    fn condition() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "[a-c]".prop_map(|user| format!(
                "<cp:identity><cp:one id=\"sip:{user}@example.com\"/></cp:identity>"
            )),
            "[a-c]".prop_map(|user| format!(
                "<cp:identity><cp:many><cp:except id=\"sip:{user}@example.com\"/></cp:many></cp:identity>"
            )),
            Just("<x:list/>".to_owned()),
            Just("<cp:sphere value=\"home\"/>".to_owned()),
        ]
    }

    fn others() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            (condition(), handling()).prop_map(|(condition, handling)| rule(&condition, handling.as_str())),
            "[a-z \n]{0,8}".prop_map(|text| format!("<!--{text}--><x:y>{text}</x:y>\n")),
        ];
        proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
    }

    /// The server gives what was written, and others no more than a page thinks that they get: it knows no sphere.
    #[cfg(feature = "server")]
    fn obeyed_as_written(
        text: &str,
        identity: &str,
        handling: Handling,
        other: &str,
    ) -> Result<(), TestCaseError> {
        // All rules of others have one id here, which only an editor takes.
        let mut parts = text.split("id='a'");
        let mut distinct = parts.next().unwrap_or_default().to_owned();
        for (number, part) in parts.enumerate() {
            distinct.push_str(&format!("id='r{number}'"));
            distinct.push_str(part);
        }
        let rules = pres_rules::Ruleset::read(&distinct).unwrap();
        let granted = |identity| rules.grant(identity, NOW).map(|(handling, _)| handling);
        prop_assert_eq!(granted(identity), Some(handling));
        prop_assert!(granted(other) <= gives(text, other), "{}", text);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_edits_do_what_they_say_and_nothing_else(
            others in others(), edits in proptest::collection::vec((identity(), handling()), 1..8), other in identity(),
        ) {
            let text = ruleset(&others);
            let (head, tail) = text.split_at(text.rfind("</").unwrap());
            let mut edited = text.clone();
            for (identity, handling) in &edits {
                let before = gives(&edited, &other);
                match edit(&edited, identity, *handling) {
                    Ok(next) => {
                        prop_assert_eq!(gives(&next, identity), Some(*handling));
                        if other != *identity {
                            prop_assert_eq!(gives(&next, &other), before);
                        }
                        prop_assert!(next.starts_with(head) && next.ends_with(tail), "{}", next);
                        prop_assert_eq!(edit(&next, identity, *handling).unwrap(), next.clone());
                        #[cfg(feature = "server")]
                        obeyed_as_written(&next, identity, *handling, &other)?;
                        edited = next;
                    }
                    Err(EditError::Overruled(_)) => prop_assert!(gives(&text, identity) > Some(*handling)),
                    Err(EditError::Document(error)) => prop_assert!(false, "{:?}", error),
                }
            }
        }

        #[test]
        fn nothing_that_stands_at_a_server_panics(text in "[<>/=\"' a-z&;!\\[\\]-]{0,60}", cut in 0_usize..1000) {
            let _ = edit(&text, BOB, Handling::Allow);
            let whole = edit(&ruleset(&rule("", "block")), BOB, Handling::Allow).unwrap();
            let part = whole.get(..cut.min(whole.len())).unwrap_or_default();
            let _ = edit(part, BOB, Handling::Block);
            #[cfg(feature = "server")]
            for text in [text.as_str(), part, &ruleset(&text)] {
                let _ = pres_rules::Ruleset::read(text).map(|rules| rules.grant(BOB, NOW));
            }
        }
    }
}
