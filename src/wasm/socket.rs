//! One WebSocket with sub-protocol `sip` (RFC 7118 §4.1). It is closed when it is dropped, and says nothing after.

use core::str;
use js_sys::{Array, Function, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

/// The sub-protocol.
const SIP: &str = "sip";

/// The functions that sockets of one agent call, one socket at a time.
pub(super) struct Handlers {
    pub(super) open: Closure<dyn FnMut()>,
    pub(super) message: Closure<dyn FnMut(MessageEvent)>,
    pub(super) close: Closure<dyn FnMut(CloseEvent)>,
    /// Does nothing: a close event follows each error event, and tells more. It outlives the socket, for some hosts
    /// take an error event that nobody listens to for a fatal error.
    pub(super) error: Function,
}

pub(super) struct Socket(WebSocket);

impl Socket {
    /// Opens a WebSocket to `url` with this constructor, the host's own or one that the application gave.
    ///
    /// # Errors
    /// What the constructor threw: the URL cannot be used from this page.
    pub(super) fn open(constructor: &Function, url: &str, handlers: &Handlers) -> Result<Self, String> {
        let arguments = Array::of2(&url.into(), &SIP.into());
        let socket: WebSocket =
            Reflect::construct(constructor, &arguments).map_err(|error| message(&error))?.unchecked_into();
        socket.set_binary_type(BinaryType::Arraybuffer);
        socket.set_onopen(Some(handlers.open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(handlers.message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(handlers.close.as_ref().unchecked_ref()));
        socket.set_onerror(Some(&handlers.error));
        Ok(Self(socket))
    }

    /// Whether the server selected the sub-protocol.
    pub(super) fn speaks_sip(&self) -> bool {
        self.0.protocol() == SIP
    }

    pub(super) fn handle(&self) -> WebSocket {
        self.0.clone()
    }
}

/// Sends one message: text if it is UTF-8, else binary. A socket that is going down drops it; its close event is on the
/// way.
pub(super) fn send(socket: &WebSocket, bytes: &[u8]) {
    if socket.ready_state() != WebSocket::OPEN {
        return;
    }
    let _ = match str::from_utf8(bytes) {
        Ok(text) => socket.send_with_str(text),
        Err(_) => socket.send_with_u8_array(bytes),
    };
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.set_onopen(None);
        self.0.set_onmessage(None);
        self.0.set_onclose(None);
        let _ = self.0.close();
    }
}

/// The text of something that was thrown.
fn message(error: &JsValue) -> String {
    let text = Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string());
    text.or_else(|| error.as_string()).unwrap_or_default()
}
