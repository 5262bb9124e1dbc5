//! One WebSocket with sub-protocol `sip` (RFC 7118 §4.1). It is closed when it is dropped, and says nothing after.

use core::str;
use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::{CloseEvent, MessageEvent, WebSocket};

/// The sub-protocol.
const SIP: &str = "sip";

/// The functions that sockets of one agent call, one socket at a time.
pub(super) struct Handlers {
    open: Function,
    message: Function,
    close: Function,
    _open: Closure<dyn FnMut()>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _close: Closure<dyn FnMut(CloseEvent)>,
}

impl Handlers {
    /// `guard` makes of each what is called.
    pub(super) fn new(
        open: Closure<dyn FnMut()>,
        message: Closure<dyn FnMut(MessageEvent)>,
        close: Closure<dyn FnMut(CloseEvent)>,
        guard: impl Fn(&JsValue) -> Function,
    ) -> Self {
        Self {
            open: guard(open.as_ref()),
            message: guard(message.as_ref()),
            close: guard(close.as_ref()),
            _open: open,
            _message: message,
            _close: close,
        }
    }
}

pub(super) struct Socket(WebSocket);

impl Socket {
    /// Listens to a WebSocket that is being opened. Not to its error event: a close event follows, and tells more.
    pub(super) fn new(socket: WebSocket, handlers: &Handlers) -> Self {
        socket.set_onopen(Some(&handlers.open));
        socket.set_onmessage(Some(&handlers.message));
        socket.set_onclose(Some(&handlers.close));
        Self(socket)
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
