//! The dialog that a request makes at its receiver (RFC 3261 §12), and the one timer of a client transaction (§17.1.2).
#![allow(clippy::unwrap_used)]

use sip_presence::dialog::{Dialog, OutOfOrder};
use sip_presence::sip::{Limits, Message, Method, Name};
use sip_presence::time::{Duration, Instant};
use sip_presence::transaction::{ClientTransactions, Response, T1};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const START: Instant = Instant::from_millis(1_000_000);

fn request(method: &str, branch: &str, more: &str) -> Message {
    let text = format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch={branch}\r\nMax-Forwards: 70\r\n\
         To: <sip:bob@example.com>\r\nFrom: <sip:alice@example.com>;tag=a\r\nCall-ID: c1\r\nCSeq: 7 {method}\r\n\
         Contact: <sip:alice@a.invalid;transport=ws>\r\n{more}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn clients() -> (ClientTransactions<&'static str>, Message) {
    let mut clients = ClientTransactions::new("a.invalid".to_owned(), true, T1);
    let mut sent = request("SUBSCRIBE", "z9hG4bKold", "");
    sent.remove(&Name::Via);
    clients.start(&mut sent, "new", "mine", START);
    (clients, sent)
}

// 3261-17.1.2-a 3261-17.1.2-b 3261-17.1.2-e 3261-T1-a
#[test]
fn timer_f_is_64_times_t1_and_nothing_else_ever_happens() {
    assert_eq!(T1, Duration::from_millis(500));
    for t1 in [T1, Duration::from_millis(10)] {
        let mut clients = ClientTransactions::new("a.invalid".to_owned(), true, t1);
        clients.start(&mut request("SUBSCRIBE", "x", ""), "new", "mine", START);
        let due = START + t1.times(64);
        assert_eq!(clients.poll_timeout(), Some(due), "no Timer E");
        assert_eq!(clients.handle_timeout(due - Duration::from_millis(1)), Vec::<&str>::new());
        assert_eq!(clients.handle_timeout(due), ["mine"]);
        assert_eq!(clients.poll_timeout(), None);
    }
}

// 3261-17.1.4-a
#[test]
fn a_lost_transport_ends_each_and_names_its_owner() {
    let (mut clients, sent) = clients();
    clients.start(&mut request("PUBLISH", "x", ""), "two", "other", START);
    assert_eq!(clients.handle_disconnected(), ["mine", "other"]);
    assert_eq!(clients.handle_response(&Message::response(&sent, 200, None)), Response::Stray);
}

// 3261-12.1.1-b 3261-12-a 3261-12.2.2-b 3261-12.2.2-c 3261-12.2.1.1-b
#[test]
fn the_receiver_of_a_request_makes_its_dialog_from_it() {
    let notify = request(
        "NOTIFY",
        "z9hG4bK1",
        "Record-Route: <sip:p1;lr>, <sip:p2;lr;x=y>\r\nRecord-Route: <sip:p3;lr>\r\n",
    );
    let mut dialog = Dialog::from_request(&notify, "mine", 0).unwrap();
    assert!(dialog.matches("c1", Some("mine"), Some("a")));
    assert!(!dialog.matches("c2", Some("mine"), Some("a")));
    assert!(!dialog.matches("c1", Some("other"), Some("a")));
    assert!(!dialog.matches("c1", Some("mine"), Some("A")));
    assert!(!dialog.matches("c1", Some("mine"), None));
    // The peer's number counts on from the one that came, ours from none.
    for (number, result) in
        [(7, Err(OutOfOrder)), (6, Err(OutOfOrder)), (9, Ok(())), (8, Err(OutOfOrder)), (10, Ok(()))]
    {
        assert_eq!(dialog.handle_sequence(number), result, "{number}");
    }
    let sent = dialog.request(Method::Subscribe);
    assert_eq!(sent.cseq().unwrap().number, 1);
    assert_eq!(
        sent.list(&Name::Route).collect::<Vec<_>>(),
        ["<sip:p1;lr>", "<sip:p2;lr;x=y>", "<sip:p3;lr>"]
    );
    assert_eq!(sent.request_uri().unwrap().to_string(), "sip:alice@a.invalid;transport=ws");
    assert_eq!((sent.to().unwrap().tag(), sent.from().unwrap().tag()), (Some("a"), Some("mine")));
    assert_eq!(dialog.request(Method::Subscribe).cseq().unwrap().number, 2);
    // A peer of RFC 2543 has no tag.
    let mut old = notify.clone();
    old.set(Name::From, "<sip:alice@example.com>");
    let mut dialog = Dialog::from_request(&old, "mine", 0).unwrap();
    assert!(dialog.matches("c1", Some("mine"), None));
    assert_eq!(dialog.request(Method::Subscribe).to().unwrap().tag(), None);
}
