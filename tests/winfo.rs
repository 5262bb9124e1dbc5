//! Watcher information (RFC 3858): what is read and written, and how a table is kept.
#![allow(clippy::unwrap_used)]

use sip_presence::presence::DocumentError;
use sip_presence::presence::pidf::Limits;
use sip_presence::presence::winfo::{self, Head, Merged, Table, Watcher, WatcherInfo};
use sip_presence::time::Instant;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn document(attributes: &str, inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" {attributes}>{inside}</watcherinfo>"
    )
}

fn read(text: &str) -> Result<WatcherInfo, DocumentError> {
    winfo::read(text.as_bytes(), &Limits::default())
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn watcher(id: &str, status: &str, event: &str) -> Watcher {
    Watcher {
        resource: "sip:bob@example.com".to_owned(),
        package: "presence".to_owned(),
        id: id.to_owned(),
        uri: format!("sip:{id}@example.com"),
        status: status.to_owned(),
        event: event.to_owned(),
        display_name: None,
        lang: None,
        expiration: None,
        duration_subscribed: None,
    }
}

fn info(version: u32, full: bool, watchers: &[Watcher]) -> WatcherInfo {
    WatcherInfo { head: Head { version, full }, watchers: watchers.to_vec() }
}

fn ids(table: &Table) -> Vec<(&str, &str)> {
    table.watchers().map(|watcher| (watcher.id.as_str(), watcher.status.as_str())).collect()
}

#[test]
fn a_watcher_has_a_state_and_what_brought_it_there() {
    // 3858-3-a 3858-3-e 3858-3-f 3858-3-i
    let text = document(
        "version=\" 7 \" state=\"full\"",
        "<watcher-list resource=\"sip:bob@example.com\" package=\"presence\"><watcher id=\"a\" status=\"active\" \
         event=\"approved\" display-name=\"Al &amp; Ann\" xml:lang=\"en\" expiration=\"600\" duration-subscribed=\"18446744073709551615\">\n \
         sip:a@example.com\n</watcher><watcher id=\"b\" status=\"waiting\" event=\"timeout\">sip:b@example.com</watcher>\
         </watcher-list><watcher-list resource=\"sip:bob@example.com\" package=\"presence.winfo\"/>",
    );
    let first = Watcher {
        display_name: Some("Al & Ann".to_owned()),
        lang: Some("en".to_owned()),
        expiration: Some(600),
        duration_subscribed: Some(u64::MAX),
        ..watcher("a", "active", "approved")
    };
    assert_eq!(read(&text), Ok(info(7, true, &[first, watcher("b", "waiting", "timeout")])));
}

#[test]
fn all_words_are_kept_known_or_not() {
    // 3858-6-a
    for status in ["pending", "active", "waiting", "terminated", "dormant"] {
        for event in
            "subscribe approved deactivated probation rejected timeout giveup noresource moved".split(' ')
        {
            let original = info(0, false, &[watcher("x", status, event)]);
            assert_eq!(read(&winfo::write(&original)), Ok(original));
        }
    }
}

#[test]
fn what_belongs_to_others_is_passed_over() {
    // 3858-3-b
    let text = document(
        "version=\"0\" state=\"partial\" xmlns:x=\"urn:x\" x:state=\"full\"",
        "<x:watcher-list resource=\"r\" package=\"p\"><x:watcher id=\"1\" status=\"active\" event=\"subscribe\"/></x:watcher-list>\
         <watcher-list resource=\"r\" package=\"p\" x:a=\"1\"><x:watcher id=\"2\" status=\"active\" event=\"subscribe\"/>\
         <watcher id=\"3\" status=\"active\" event=\"subscribe\" x:id=\"4\">sip:c@d</watcher><watcher id=\"5\" status=\"active\"/>\
         <watcher id=\"6\" event=\"subscribe\"/><watcher status=\"active\" event=\"subscribe\"/></watcher-list>",
    );
    let read = read(&text).unwrap();
    assert_eq!(read.head, Head { version: 0, full: false });
    assert_eq!(read.watchers.iter().map(|w| w.id.as_str()).collect::<Vec<_>>(), ["3"]);
}

#[test]
fn what_must_be_there_is_an_error_by_its_name() {
    // 3858-3-c 3858-3-d
    for (attributes, inside, missing) in [
        ("state=\"full\"", "", "version"),
        ("version=\"-1\" state=\"full\"", "", "version"),
        ("version=\"4294967296\" state=\"full\"", "", "version"),
        ("version=\"0\"", "", "state"),
        ("version=\"0\" state=\"FULL\"", "", "state"),
        ("version=\"0\" state=\"full\"", "<watcher-list package=\"presence\"/>", "resource"),
        ("version=\"0\" state=\"full\"", "<watcher-list resource=\"sip:a@b\"/>", "package"),
    ] {
        assert_eq!(
            read(&document(attributes, inside)),
            Err(DocumentError::Attribute(missing)),
            "{attributes}{inside}"
        );
    }
    assert!(read(&document("version=\"4294967295\" state=\"partial\"", "")).is_ok());
    assert_eq!(read("<watcherinfo version=\"0\" state=\"full\"/>"), Err(DocumentError::Root));
    assert_eq!(read("<presence xmlns=\"urn:ietf:params:xml:ns:watcherinfo\"/>"), Err(DocumentError::Root));
    assert_eq!(read("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), Err(DocumentError::Entity));
    assert_eq!(read(&"<a>".repeat(10_000)), Err(DocumentError::Limit("depth")));
    assert_eq!(winfo::read(b"\xff", &Limits::default()), Err(DocumentError::Encoding));
}

#[test]
fn documents_are_taken_in_the_order_of_their_versions() {
    // 3858-4-a 3858-4-b 3858-4-c 3858-4-d 3858-4-e 3858-4-g 3857-4.8-a
    let mut table = Table::default();
    let [a, b] = ["a", "b"].map(|id| watcher(id, "active", "subscribe"));
    let mut take = |version, full, watchers: &[Watcher]| {
        let merged = table.handle(info(version, full, watchers), at(0)).unwrap();
        (merged, ids(&table).into_iter().map(|(id, _)| id.to_owned()).collect::<Vec<_>>().concat())
    };
    // The first may have any number, and be partial.
    assert_eq!(take(5, false, core::slice::from_ref(&a)), (Merged::Incomplete, "a".to_owned()));
    assert_eq!(take(5, true, &[]), (Merged::Discarded, "a".to_owned()));
    assert_eq!(take(4, true, &[]), (Merged::Discarded, "a".to_owned()));
    assert_eq!(take(6, false, core::slice::from_ref(&b)), (Merged::Done, "ab".to_owned()));
    assert_eq!(
        take(8, false, &[watcher("c", "pending", "subscribe")]),
        (Merged::Incomplete, "abc".to_owned())
    );
    assert_eq!(take(7, true, &[]), (Merged::Discarded, "abc".to_owned()));
    assert_eq!(take(12, true, core::slice::from_ref(&b)), (Merged::Done, "b".to_owned()));
    assert_eq!(take(13, false, &[]), (Merged::Done, "b".to_owned()));
    assert_eq!(take(u32::MAX, true, core::slice::from_ref(&a)), (Merged::Done, "a".to_owned()));
    assert_eq!(take(0, true, &[]), (Merged::Discarded, "a".to_owned()));
}

#[test]
fn a_row_belongs_to_its_list() {
    // 3858-4-e
    let mut table = Table::default();
    let of_other = Watcher { package: "presence.winfo".to_owned(), ..watcher("a", "active", "subscribe") };
    let rows = [watcher("a", "pending", "subscribe"), of_other];
    assert_eq!(table.handle(info(0, true, &rows), at(0)), Ok(Merged::Done));
    assert_eq!(ids(&table), [("a", "pending"), ("a", "active")]);
    table.handle(info(1, false, &[watcher("a", "active", "approved")]), at(0)).unwrap();
    assert_eq!(ids(&table), [("a", "active"), ("a", "active")]);
}

#[test]
fn a_row_that_is_over_is_seen_for_a_minute() {
    // 3858-4-f
    let mut table = Table::default();
    let rows = [watcher("a", "active", "subscribe"), watcher("b", "terminated", "rejected")];
    table.handle(info(0, true, &rows), at(100)).unwrap();
    assert_eq!(table.poll_timeout(), Some(at(160)));
    table.handle(info(1, false, &[watcher("a", "terminated", "timeout")]), at(130)).unwrap();
    assert!(!table.handle_timeout(at(159)));
    assert_eq!(ids(&table), [("a", "terminated"), ("b", "terminated")]);
    assert!(table.handle_timeout(at(160)));
    assert_eq!(ids(&table), [("a", "terminated")]);
    // One that comes back stays.
    table.handle(info(2, false, &[watcher("a", "active", "approved")]), at(170)).unwrap();
    assert_eq!(table.poll_timeout(), None);
    assert!(!table.handle_timeout(at(999)));
    table.handle(info(3, true, &[]), at(999)).unwrap();
    assert_eq!(ids(&table), []);
}

#[test]
fn a_table_cannot_grow_without_bound() {
    let many = |from: u32| -> Vec<Watcher> {
        (from..from + 3_000).map(|id| watcher(&id.to_string(), "active", "subscribe")).collect()
    };
    let mut table = Table::default();
    assert_eq!(table.handle(info(0, true, &many(0)), at(0)), Ok(Merged::Done));
    assert_eq!(table.handle(info(1, false, &many(3_000)), at(0)), Err(DocumentError::Limit("watchers")));
    assert_eq!(table.watchers().count(), 3_000);
    assert_eq!(table.handle(info(1, true, &many(3_000)), at(0)), Ok(Merged::Done));
}

#[cfg(not(target_arch = "wasm32"))]
mod round_trip {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        "[a-z<>&\"'ä\n]{0,9}".prop_map(|text| text.trim().to_owned())
    }

    fn any_watcher() -> impl Strategy<Value = Watcher> {
        let words = (text(), text(), text(), text(), text(), text());
        let more = (
            proptest::option::of(text()),
            proptest::option::of("[a-z]{2}"),
            any::<Option<u64>>(),
            any::<Option<u64>>(),
        );
        (words, more).prop_map(
            |(
                (resource, package, id, uri, status, event),
                (display_name, lang, expiration, duration_subscribed),
            )| {
                Watcher {
                    resource,
                    package,
                    id,
                    uri,
                    status,
                    event,
                    display_name,
                    lang,
                    expiration,
                    duration_subscribed,
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_written_is_read_again(
            version in any::<u32>(), full in any::<bool>(), watchers in prop::collection::vec(any_watcher(), 0..5),
        ) {
            let original = info(version, full, &watchers);
            prop_assert_eq!(read(&winfo::write(&original)), Ok(original));
        }

        #[test]
        fn no_change_of_a_document_makes_the_reader_panic(
            at in 0..400_usize, length in 0..20_usize,
            splinter in prop::sample::select(vec!["", "<", ">", "\"", "&", "&#0;", "\u{0}", "é", "</watcher>", "xmlns=\"x\" "]),
        ) {
            let mut text = winfo::write(&info(1, false, &[watcher("a", "active", "subscribe"), watcher("b", "é", "")]));
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at.min(text.len())) && text.is_char_boundary(end) && at < end {
                text.replace_range(at..end, splinter);
            }
            let _ = read(&text).map(|info| assert!(info.watchers.len() <= 2));
        }
    }
}
