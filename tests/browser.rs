//! The wasm shell in a real browser: `Core` with a WebSocket constructor and a host of the test's own.
#![cfg(all(target_arch = "wasm32", feature = "page"))]
#![allow(clippy::unwrap_used)]

mod common;

use common::pidf;
use js_sys::{Array, ArrayBuffer, Function, Uint8Array};
use sip_presence::sip::{Limits, Message, Method, Name};
use sip_presence::wasm::page::{Core, verb};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(inline_js = r#"
export class TestHost {
    constructor(options) { Object.assign(this, { options, events: [], made: [], on: undefined }); }
    handle(kind, id, words, text) {
        this.events.push([kind, id, Array.from(words), text]);
        this.on?.(kind);
    }
    lend(buffer) { this.buffer = buffer; }
    writeOptions() { return this.write(this.options); }
    /** Writes a message or a text where the core wants it, and says how long it is. */
    write(data) {
        if (typeof data === "string") return new TextEncoder().encodeInto(data, this.buffer).written;
        const bytes = new Uint8Array(data).subarray(0, this.buffer.length);
        this.buffer.set(bytes);
        return bytes.length;
    }
    /** A WebSocket that the test holds the other end of. */
    open(url) {
        if (url.includes("forbidden")) return undefined;
        const socket = { url, sent: [], closed: false, readyState: 1, onmessage() {}, onclose() {} };
        socket.send = (data) => socket.sent.push(data);
        socket.close = () => { socket.closed = true; };
        this.made.push(socket);
        return socket;
    }
}
"#)]
extern "C" {
    type TestHost;
    #[wasm_bindgen(constructor)]
    fn new(options: &str) -> TestHost;
    #[wasm_bindgen(method, getter)]
    fn events(this: &TestHost) -> Array;
    #[wasm_bindgen(method, getter)]
    fn made(this: &TestHost) -> Array;
    #[wasm_bindgen(method)]
    fn write(this: &TestHost, data: &JsValue) -> u32;
    #[wasm_bindgen(method, setter)]
    fn set_on(this: &TestHost, on: &Function);

    type Socket;
    #[wasm_bindgen(method, getter)]
    fn sent(this: &Socket) -> Array;
    #[wasm_bindgen(method, getter)]
    fn closed(this: &Socket) -> bool;
    #[wasm_bindgen(method, getter)]
    fn onmessage(this: &Socket) -> Option<Function>;
    #[wasm_bindgen(method, getter)]
    fn onclose(this: &Socket) -> Option<Function>;
}

const STATE: u32 = 0;
const CONNECTION: u32 = 1;
const ERROR: u32 = 2;
const CLOSED: u32 = 6;
const CHALLENGED: u32 = 9;
const TIMER: u32 = 10;
const BOB: &str = "sip:bob@example.com";

/// A core, what it tells, and the WebSockets it makes.
struct Page {
    core: Core,
    host: TestHost,
    answered: u32,
}

impl Page {
    fn with(server: &str, asks: bool) -> Self {
        let server = ["servers=", server].concat();
        let options = [
            server.as_str(),
            "aor=sip:alice@example.com",
            if asks { "asks=true" } else { "" },
            "instance=urn:uuid:00000000-0000-4000-8000-000000000001",
            "expires=600",
            "linger=0",
            "window=16",
            "userAgent=test",
        ];
        let options = options.join("\0");
        let host = TestHost::new(&options);
        let shared: JsValue = AsRef::<JsValue>::as_ref(&host).clone();
        let core = Core::new(u32::try_from(options.len()).unwrap(), shared.unchecked_into()).unwrap();
        core.pump();
        Self { core, host, answered: 0 }
    }

    /// Connected.
    fn online() -> Self {
        let page = Self::with("wss://sip.example.com/ws", false);
        page.open();
        page
    }

    fn socket(&self) -> Socket {
        self.host.made().get(self.host.made().length() - 1).unchecked_into()
    }

    fn tell(&self, verb: u32, number: u32, text: &str) -> u32 {
        let id = self.core.tell(verb, number, write(&self.core, &self.host, &text.into()));
        self.core.pump();
        id
    }

    fn open(&self) {
        self.tell(verb::OPENED, 1, "");
    }

    fn deliver(&self, data: &JsValue) {
        self.core.receive(write(&self.core, &self.host, data));
    }

    fn disconnect(&self, code: u16) {
        self.tell(verb::CLOSED, code.into(), "gone");
    }

    /// The next message that the core sent.
    #[track_caller]
    fn next_sent(&mut self) -> Message {
        let sent = self.socket().sent().get(self.answered);
        self.answered += 1;
        let text = sent.as_string().expect("a text frame");
        Message::parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn respond(&self, request: &Message, status: u16, headers: &[(Name, &str)]) {
        let mut response = Message::response(request, status, Some("server"));
        for (name, value) in headers {
            response.push(name.clone(), *value);
        }
        self.deliver(&String::from_utf8(response.to_bytes()).unwrap().into());
    }

    /// Watches Bob, and answers the SUBSCRIBE, which is returned.
    fn watch(&mut self) -> (u32, Message) {
        let id = self.tell(verb::WATCH, 0, BOB);
        self.tell(verb::START, 0, "");
        let subscribe = self.next_sent();
        assert_eq!(subscribe.method(), Method::Subscribe);
        self.respond(&subscribe, 200, &[(Name::Expires, "600"), (Name::Contact, "<sip:pa.example.com>")]);
        (id, subscribe)
    }

    /// The events of one kind: number and text.
    fn events(&self, kind: u32) -> Vec<(u32, String)> {
        let events = self.host.events().into_iter().map(|event| event.unchecked_into::<Array>());
        let events = events.filter(|event| event.get(0) == kind);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        events
            .map(|event| (event.get(1).as_f64().unwrap() as u32, event.get(3).as_string().unwrap()))
            .collect()
    }
}

/// Writes a message or a text where the core wants it, and says how long it is. The memory may have grown: room is made
/// anew for each.
fn write(core: &Core, host: &TestHost, data: &JsValue) -> u32 {
    let length = data.as_string().map_or_else(
        || data.unchecked_ref::<ArrayBuffer>().byte_length() as usize,
        |text| text.encode_utf16().count() * 3,
    );
    core.reserve(u32::try_from(length).unwrap(), true);
    host.write(data)
}

fn notify(subscribe: &Message, cseq: u32, body: &str) -> String {
    let message = common::page::notification(subscribe, "server", cseq, "active;expires=600", body);
    String::from_utf8(message.to_bytes()).unwrap()
}

#[wasm_bindgen_test]
fn it_connects_with_sub_protocol_sip() {
    // 7118-4.1-a
    let page = Page::with("wss://sip.example.com/ws", false);
    assert_eq!(page.host.made().length(), 1);
    assert_eq!(page.events(CONNECTION).len(), 1);
    page.open();
    assert_eq!(page.events(CONNECTION).len(), 2);
}

#[wasm_bindgen_test]
fn a_text_frame_becomes_a_state_and_is_answered_by_a_text_frame() {
    // 7118-4.2-a 7118-4.2-b
    let mut page = Page::online();
    let (id, subscribe) = page.watch();
    page.deliver(&notify(&subscribe, 1, &pidf(BOB, "busy", "Grüße 🎉 né à Kraków")).into());
    assert_eq!(page.next_sent().status(), Some(200));
    let (watch, text) = page.events(STATE).pop().unwrap();
    assert_eq!(watch, id);
    assert!(text.contains("Grüße 🎉 né à Kraków"), "{text}");
}

#[wasm_bindgen_test]
fn a_binary_frame_is_read_like_a_text_frame() {
    // 7118-4.2-c
    let mut page = Page::online();
    let (_, subscribe) = page.watch();
    let bytes = Uint8Array::from(notify(&subscribe, 1, &pidf(BOB, "busy", "binär")).as_bytes());
    page.deliver(&bytes.buffer());
    assert_eq!(page.next_sent().status(), Some(200));
    assert!(page.events(STATE).pop().unwrap().1.contains("binär"));
}

#[wasm_bindgen_test]
fn another_sub_protocol_is_not_spoken() {
    let page = Page::with("wss://sip.example.com/ws", false);
    page.tell(verb::OPENED, 0, "");
    assert!(page.socket().closed());
    assert!(page.events(CONNECTION).pop().unwrap().1.contains("sub-protocol"));
}

#[wasm_bindgen_test]
fn a_host_without_a_websocket_says_why() {
    let page = Page::with("wss://forbidden.example.com/ws", false);
    assert_eq!(page.host.made().length(), 0);
    page.tell(verb::CLOSED, 0, "not from this page");
    let (_, text) = page.events(CONNECTION).pop().unwrap();
    assert!(text.contains("connection-failed") && text.contains("not from this page"), "{text}");
}

#[wasm_bindgen_test]
fn frames_of_ten_megabytes_are_refused_and_the_next_message_is_read() {
    let mut page = Page::online();
    let (_, subscribe) = page.watch();
    let huge = ["x".repeat(10 * 1024 * 1024), String::new()].concat();
    page.deliver(&huge.as_str().into());
    let buffer = ArrayBuffer::new(10 * 1024 * 1024);
    page.deliver(&buffer);
    let errors = page.events(ERROR);
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().all(|(_, text)| text.contains("too-large")));
    // The memory of the module has grown meanwhile: the view of the buffer must be a new one.
    page.deliver(&notify(&subscribe, 1, &pidf(BOB, "busy", "after")).into());
    assert_eq!(page.next_sent().status(), Some(200));
    assert!(page.events(STATE).pop().unwrap().1.contains("after"));
}

#[wasm_bindgen_test]
fn a_long_message_is_read_after_short_ones() {
    let mut page = Page::online();
    let (_, subscribe) = page.watch();
    let note = "ü".repeat(80_000);
    page.deliver(&notify(&subscribe, 1, &pidf(BOB, "busy", &note)).into());
    assert_eq!(page.next_sent().status(), Some(200));
    assert!(page.events(STATE).pop().unwrap().1.contains(&note));
}

#[wasm_bindgen_test]
fn a_callback_may_call_back_in() {
    let mut page = Page::online();
    let (id, subscribe) = page.watch();
    let core = std::rc::Rc::new(page.core);
    let again = std::rc::Rc::clone(&core);
    let host: TestHost = AsRef::<JsValue>::as_ref(&page.host).clone().unchecked_into();
    let on = Closure::<dyn FnMut(u32)>::new(move |kind: u32| {
        if kind == STATE {
            again.tell(verb::WATCH, 0, write(&again, &host, &"sip:carol@example.com".into()));
            again.tell(verb::START, 0, 0);
            again.tell(verb::UNWATCH, id, 0);
            again.tell(verb::RECALL, id, 0);
            again.pump();
        }
    });
    // Only the first event calls back, or the recall would do so for ever.
    let once = Function::new_with_args("on", "let left = 1; return (kind) => { if (left-- > 0) on(kind); };")
        .call1(&JsValue::NULL, on.as_ref())
        .unwrap();
    page.host.set_on(once.unchecked_ref());
    core.receive(write(&core, &page.host, &notify(&subscribe, 1, &pidf(BOB, "busy", "")).into()));
    let socket: Socket = page.host.made().get(0).unchecked_into();
    let sent: Vec<String> = socket.sent().iter().filter_map(|text| text.as_string()).collect();
    assert!(sent.iter().any(|text| text.starts_with("SUBSCRIBE sip:carol@example.com")));
    assert!(sent.iter().any(|text| text.contains("Expires: 0")), "the watch that was ended is unsubscribed");
}

#[wasm_bindgen_test]
fn a_challenge_is_answered_with_credentials() {
    // dig-22.1-a
    let mut page = Page::with("wss://sip.example.com/ws", true);
    page.open();
    page.tell(verb::WATCH, 0, BOB);
    page.tell(verb::START, 0, "");
    let subscribe = page.next_sent();
    let challenge = r#"Digest realm="example.com", nonce="abc", qop="auth", algorithm=SHA-256"#;
    page.respond(&subscribe, 401, &[(Name::WwwAuthenticate, challenge)]);
    let (question, text) = page.events(CHALLENGED).pop().unwrap();
    assert!(text.contains("example.com"));
    page.tell(verb::CREDENTIALS, question, "username=alice\0secret= pw");
    let again = page.next_sent();
    assert_eq!(again.credentials(&Name::Authorization).len(), 1);
    assert_eq!(again.cseq().unwrap().number, subscribe.cseq().unwrap().number + 1);
}

#[wasm_bindgen_test]
fn the_timer_is_armed_until_it_has_fired() {
    let page = Page::online();
    let armed = || page.events(TIMER).len();
    let before = armed();
    assert!(before > 0);
    page.core.pump();
    assert_eq!(armed(), before, "it is armed already");
    page.tell(verb::FIRED, 0, "");
    assert_eq!(armed(), before + 1, "nothing was due: it is armed again");
}

#[wasm_bindgen_test]
fn a_lost_connection_is_opened_again_and_the_old_socket_says_nothing_more() {
    let mut page = Page::online();
    let (_, subscribe) = page.watch();
    page.deliver(&notify(&subscribe, 1, &pidf(BOB, "busy", "")).into());
    let old = page.socket();
    page.disconnect(1006);
    assert!(old.onmessage().is_none() && old.onclose().is_none());
    assert!(page.events(CONNECTION).pop().unwrap().1.contains("connection-lost"));
    page.tell(verb::WAKE, 1, "");
    assert_eq!(page.host.made().length(), 2, "the network is back: at once");
    page.open();
    page.answered = 0;
    let refresh = page.next_sent();
    assert_eq!((refresh.method(), refresh.call_id()), (Method::Subscribe, subscribe.call_id()));
}

#[wasm_bindgen_test]
fn closing_ends_with_one_last_event() {
    let page = Page::online();
    page.tell(verb::CLOSE, 0, "");
    assert!(page.socket().closed());
    assert_eq!(page.events(CLOSED).len(), 1);
    let before = page.host.events().length();
    page.core.release();
    page.core.pump();
    assert_eq!(page.host.events().length(), before);
}
