//! Dialog information (RFC 4235): what servers write is read, tables are kept, lamps are lit.
#![allow(clippy::unwrap_used)]

use sip_presence::presence::dialog_info::{
    self, Dialog, DialogInfo, Head, Identity, Lamp, Merged, Participant, Table, lamp,
};
use sip_presence::presence::pidf::Limits;
use sip_presence::presence::{DocumentError, Status, status};
use sip_presence::time::Instant;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn document(attributes: &str, inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" {attributes}>{inside}</dialog-info>"
    )
}

const HEAD: &str = "version=\"3\" state=\"full\" entity=\"sip:bob@example.com\"";

fn read(text: &str) -> Result<DialogInfo, DocumentError> {
    dialog_info::read(text.as_bytes(), &Limits::default())
}

fn dialog(id: &str, state: &str) -> Dialog {
    Dialog { id: id.to_owned(), state: state.to_owned(), ..Dialog::default() }
}

fn info(version: u32, full: bool, dialogs: &[Dialog]) -> DialogInfo {
    DialogInfo {
        head: Head { version, full },
        entity: "sip:bob@example.com".to_owned(),
        dialogs: dialogs.to_vec(),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn identity(uri: &str, display: Option<&str>) -> Identity {
    Identity { uri: uri.to_owned(), display: display.map(str::to_owned) }
}

#[test]
fn a_dialog_is_read_with_all_that_it_has() {
    // 4235-4.1-a 4235-4.1.2-a
    let text = document(
        HEAD,
        "<dialog id=\"d1\" call-id=\"c&quot;1\" local-tag=\"l\" remote-tag=\"r\" direction=\"recipient\">\
         <state event=\"rejected\" code=\"486\"> terminated </state><duration>45</duration>\
         <replaces call-id=\"c0\" local-tag=\"l0\" remote-tag=\"r0\"/><referred-by display=\"Carol\">sip:carol@x</referred-by>\
         <route-set><hop>&lt;sip:p1;lr&gt;</hop><hop>&lt;sip:p2;lr&gt;</hop></route-set>\
         <local><identity display=\"Bob\">sip:bob@example.com</identity><identity>tel:+1</identity>\
         <target uri=\"sip:bob@pc\"><param pname=\"isfocus\" pval=\"true\"/></target><cseq>7</cseq></local>\
         <remote><session-description type=\"application/sdp\">v=0</session-description></remote>\
         <x:more xmlns:x=\"urn:x\"><x:state>confirmed</x:state></x:more></dialog>",
    );
    let expected = Dialog {
        call_id: some("c\"1"),
        local_tag: some("l"),
        remote_tag: some("r"),
        direction: some("recipient"),
        event: some("rejected"),
        code: Some(486),
        duration: Some(45),
        replaces: Some(("c0".to_owned(), "l0".to_owned(), "r0".to_owned())),
        referred_by: Some(identity("sip:carol@x", Some("Carol"))),
        route_set: vec!["<sip:p1;lr>".to_owned(), "<sip:p2;lr>".to_owned()],
        local: Participant {
            identities: vec![identity("sip:bob@example.com", Some("Bob")), identity("tel:+1", None)],
            target: Some(("sip:bob@pc".to_owned(), vec![("isfocus".to_owned(), "true".to_owned())])),
            session: None,
            cseq: Some(7),
        },
        remote: Participant {
            session: Some(("application/sdp".to_owned(), "v=0".to_owned())),
            ..Participant::default()
        },
        ..dialog("d1", "terminated")
    };
    assert_eq!(read(&text), Ok(info(3, true, &[expected])));
}

#[test]
fn what_servers_write_beside_the_standard_is_read() {
    // 4235-3.5-a
    // Kamailio: blanks in the version, and a document without a namespace when nothing is known.
    let text = document("version=\"0                   \" state=\"full\" entity=\"sip:b@x\"", "");
    assert_eq!(read(&text).unwrap().head, Head { version: 0, full: true });
    let dummy = "<?xml version=\"1.0\"?>\n<dialog-info version=\"2\" state=\"partial\" entity=\"sip:b@x\">\n<dialog \
        id=\"615293b33c62dec073e05d9421e9f48b\" direction=\"recipient\"><state>terminated</state></dialog></dialog-info>";
    assert_eq!(read(dummy).unwrap().dialogs[0].state, "terminated");
    // OpenSIPS: nothing inside.
    let empty = "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\" entity=\"sip:b@x\"/>";
    assert_eq!(read(empty).unwrap().dialogs, []);
    // FreeSWITCH: pvalue, a name that is not escaped, a target of its own kind.
    let freeswitch = document(
        "version=\"9\" state=\"partial\" entity=\"sip:1001@x\"",
        "<dialog id=\"1\" direction=\"recipient\"><state>early</state><local><identity display=\"A & B\">sip:1001@x</identity>\
         <target uri=\"sip:**1001@x\"><param pname=\"+sip.rendering\" pvalue=\"yes\"/></target></local></dialog>",
    );
    let read_again = read(&freeswitch).unwrap();
    let local = &read_again.dialogs[0].local;
    assert_eq!(local.identities[0].display.as_deref(), Some("A & B"));
    assert_eq!(
        local.target,
        Some(("sip:**1001@x".to_owned(), vec![("+sip.rendering".to_owned(), "yes".to_owned())]))
    );
    // The schema's name of the name; the example's name of the state; no entity.
    let text = document(
        "version=\"1\" notify-state=\"full\"",
        "<dialog id=\"1\"><state>confirmed</state><remote><identity display-name=\"Al\">sip:a@x</identity></remote></dialog>",
    );
    let document = read(&text).unwrap();
    assert_eq!((document.entity.as_str(), document.head.full), ("", true));
    assert_eq!(document.dialogs[0].remote.identities, [identity("sip:a@x", Some("Al"))]);
}

#[test]
fn another_document_is_an_error() {
    assert_eq!(read("<presence/>"), Err(DocumentError::Root));
    assert_eq!(read("<dialog-info xmlns=\"urn:x\"/>"), Err(DocumentError::Root));
    assert_eq!(read(&document("state=\"full\"", "")), Err(DocumentError::Attribute("version")));
    assert_eq!(read(&document("version=\"1\"", "")), Err(DocumentError::Attribute("state")));
    assert_eq!(read("<!DOCTYPE dialog-info><dialog-info/>"), Err(DocumentError::Entity));
    assert_eq!(read(&"<dialog-info>".repeat(10_000)), Err(DocumentError::Limit("depth")));
    let many = "<dialog id=\"1\"/>".repeat(10_001);
    assert_eq!(read(&document(HEAD, &many)), Err(DocumentError::Limit("elements")));
}

#[test]
fn documents_are_taken_in_the_order_of_their_versions() {
    // 4235-4.3-a
    let mut table = Table::default();
    let mut take = |version, full, dialogs: &[Dialog]| {
        let merged = table.handle(info(version, full, dialogs)).unwrap();
        (merged, table.dialogs().iter().map(|dialog| dialog.id.as_str()).collect::<String>())
    };
    assert_eq!(take(4, false, &[dialog("a", "early")]), (Merged::Incomplete, "a".to_owned()));
    assert_eq!(take(5, false, &[dialog("b", "trying")]), (Merged::Done, "ab".to_owned()));
    assert_eq!(take(5, true, &[]), (Merged::Discarded, "ab".to_owned()));
    assert_eq!(take(3, true, &[]), (Merged::Discarded, "ab".to_owned()));
    assert_eq!(take(7, false, &[dialog("a", "terminated")]), (Merged::Incomplete, "b".to_owned()));
    assert_eq!(take(9, true, &[dialog("c", "confirmed")]), (Merged::Done, "c".to_owned()));
}

#[test]
fn what_is_not_said_again_is_as_before() {
    // 4235-4.1.6-a
    let said = Participant {
        identities: vec![identity("sip:a@x", Some("Al"))],
        target: Some(("sip:a@pc".to_owned(), Vec::new())),
        session: Some(("application/sdp".to_owned(), "v=0".to_owned())),
        cseq: None,
    };
    let mut table = Table::default();
    let first = Dialog { local: said.clone(), remote: said.clone(), ..dialog("a", "early") };
    table.handle(info(0, true, &[first])).unwrap();
    let new = Participant { identities: vec![identity("tel:+1", None)], ..Participant::default() };
    let second = Dialog { remote: new.clone(), ..dialog("a", "confirmed") };
    table.handle(info(1, false, &[second])).unwrap();
    let [row] = table.dialogs() else { panic!("{:?}", table.dialogs()) };
    assert_eq!((row.state.as_str(), &row.local), ("confirmed", &said));
    assert_eq!(row.remote, Participant { identities: new.identities, ..said });
    // A full document begins anew.
    table.handle(info(2, true, &[dialog("a", "confirmed")])).unwrap();
    assert_eq!(table.dialogs()[0].local, Participant::default());
}

#[test]
fn a_table_cannot_grow_without_bound() {
    let many = |from: u32| (from..from + 600).map(|id| dialog(&id.to_string(), "early")).collect::<Vec<_>>();
    let mut table = Table::default();
    table.handle(info(0, true, &many(0))).unwrap();
    assert_eq!(table.handle(info(1, false, &many(600))), Err(DocumentError::Limit("dialogs")));
    assert_eq!(table.dialogs().len(), 600);
    assert_eq!(table.handle(info(1, true, &many(600))), Ok(Merged::Done));
}

#[test]
fn a_lamp_is_busy_ringing_or_idle() {
    // 4235-4-b
    for (states, expected, word, activity) in [
        ("", Lamp::Idle, Status::Available, None),
        ("terminated", Lamp::Idle, Status::Available, None),
        ("held-somehow", Lamp::Idle, Status::Available, None),
        ("trying", Lamp::Ringing, Status::Available, Some("ringing")),
        ("proceeding", Lamp::Ringing, Status::Available, Some("ringing")),
        ("early", Lamp::Ringing, Status::Available, Some("ringing")),
        ("confirmed", Lamp::Busy, Status::OnThePhone, Some("on-the-phone")),
        ("early confirmed terminated", Lamp::Busy, Status::OnThePhone, Some("on-the-phone")),
        ("terminated early", Lamp::Ringing, Status::Available, Some("ringing")),
    ] {
        let dialogs: Vec<Dialog> =
            states.split_ascii_whitespace().map(|state| dialog(state, state)).collect();
        assert_eq!(lamp(&dialogs), expected, "{states}");
        let presence = dialog_info::presence("sip:bob@example.com", &dialogs);
        let summary = status::summarize(&presence, Instant::from_millis(0));
        assert_eq!(
            (summary.status, summary.activities.first().map(String::as_str)),
            (word, activity),
            "{states}"
        );
    }
}

#[test]
fn names_are_written_as_the_schema_has_them() {
    let mut named = dialog("d", "early");
    named.remote.identities = vec![identity("sip:carol@example.com", Some("Carol <C>"))];
    let text = dialog_info::write(&info(0, true, &[named.clone()]));
    assert!(
        text.contains("<identity display-name=\"Carol &lt;C&gt;\">sip:carol@example.com</identity>"),
        "{text}"
    );
    assert_eq!(read(&text).unwrap().dialogs, [named]);
}

#[cfg(not(target_arch = "wasm32"))]
mod round_trip {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        "[a-z<>&\"'ä\n]{0,9}".prop_map(|text| text.trim().to_owned())
    }

    fn maybe() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(text())
    }

    fn any_identity() -> impl Strategy<Value = Identity> {
        (text(), maybe()).prop_map(|(uri, display)| Identity { uri, display })
    }

    fn any_participant() -> impl Strategy<Value = Participant> {
        (
            prop::collection::vec(any_identity(), 0..3),
            proptest::option::of((text(), prop::collection::vec((text(), text()), 0..3))),
            proptest::option::of((text(), text())),
            any::<Option<u32>>(),
        )
            .prop_map(|(identities, target, session, cseq)| Participant {
                identities,
                target,
                session,
                cseq,
            })
    }

    fn any_dialog() -> impl Strategy<Value = Dialog> {
        (
            (text(), maybe(), maybe(), maybe(), maybe()),
            (text(), maybe(), any::<Option<u16>>(), any::<Option<u64>>()),
            (
                proptest::option::of((text(), text(), text())),
                proptest::option::of(any_identity()),
                prop::collection::vec(text(), 0..3),
            ),
            (any_participant(), any_participant()),
        )
            .prop_map(
                |(
                    ids,
                    (state, event, code, duration),
                    (replaces, referred_by, route_set),
                    (local, remote),
                )| {
                    let (id, call_id, local_tag, remote_tag, direction) = ids;
                    Dialog {
                        id,
                        call_id,
                        local_tag,
                        remote_tag,
                        direction,
                        state,
                        event,
                        code,
                        duration,
                        replaces,
                        referred_by,
                        route_set,
                        local,
                        remote,
                    }
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_written_is_read_again(
            version in any::<u32>(), full in any::<bool>(), dialogs in prop::collection::vec(any_dialog(), 0..4),
        ) {
            let original = info(version, full, &dialogs);
            prop_assert_eq!(read(&dialog_info::write(&original)), Ok(original));
        }
    }
}
