//! All texts that come in: what a WebSocket delivers, and what JavaScript tells.
//!
//! A text frame is a JavaScript string. `TextEncoder.encodeInto` writes it straight into a buffer that lives here and is
//! lent to JavaScript; a `&str` argument would take two passes and an allocation.

use super::page::Host;
use core::str;

/// Room for messages of ordinary size; it grows when a longer one comes.
const ORDINARY: usize = 64 * 1024;

pub(super) struct Input {
    buffer: Vec<u8>,
    /// Of a message it takes no more: it is not the page's own text.
    pub(super) most: usize,
}

impl Input {
    /// A buffer that has no room yet.
    pub(super) const fn new() -> Self {
        Self { buffer: Vec::new(), most: 0 }
    }

    /// Lends the buffer, with room for `bytes`, or for as many as a message may have. When the memory of the module
    /// grows, it has to be lent again.
    pub(super) fn reserve(&mut self, bytes: usize, is_message: bool, host: &Host) {
        let mut bytes = bytes.max(ORDINARY);
        if is_message {
            bytes = bytes.min(self.most);
        }
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
        host.lend(&mut self.buffer);
    }

    /// What was written into the buffer.
    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// The same as a text.
    pub(super) fn text(&self, length: usize) -> &str {
        str::from_utf8(self.bytes(length)).unwrap_or_default()
    }
}
