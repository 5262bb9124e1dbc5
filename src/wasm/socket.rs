//! One WebSocket with sub-protocol `sip` (RFC 7118 §4.1). It is closed when it is dropped, and says nothing after.

use core::str;
use web_sys::WebSocket;

/// A WebSocket that tells its events to the host which made it.
pub(super) struct Socket(WebSocket);

impl Socket {
    pub(super) const fn new(socket: WebSocket) -> Self {
        Self(socket)
    }

    /// Sends one message: text if it is UTF-8, else binary. A socket that is going down drops it; its close event is on
    /// the way.
    pub(super) fn send(&self, bytes: &[u8]) {
        if self.0.ready_state() != WebSocket::OPEN {
            return;
        }
        let _ = match str::from_utf8(bytes) {
            Ok(text) => self.0.send_with_str(text),
            Err(_) => self.0.send_with_u8_array(bytes),
        };
    }
}

impl Drop for Socket {
    /// What is closed before it was open does not open any more.
    fn drop(&mut self) {
        self.0.set_onopen(None);
        self.0.set_onmessage(None);
        self.0.set_onclose(None);
        let _ = self.0.close();
    }
}
