//! What a WebSocket delivers, brought into the memory of the module in one pass.
//!
//! A text frame is a JavaScript string. `TextEncoder.encodeInto` writes it straight into a buffer that lives here;
//! a `&str` argument would take two passes and an allocation.

use js_sys::{ArrayBuffer, JsString, Uint8Array, WebAssembly};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    type TextEncoder;
    type Encoded;
    #[wasm_bindgen(constructor)]
    fn new() -> TextEncoder;
    #[wasm_bindgen(method, js_name = encodeInto)]
    fn encode_into(this: &TextEncoder, text: &JsString, into: &Uint8Array) -> Encoded;
    #[wasm_bindgen(method, getter)]
    fn written(this: &Encoded) -> u32;
}

/// Room for messages of ordinary size; it grows when a longer one comes.
const ORDINARY: usize = 64 * 1024;

pub(super) struct Input {
    encoder: TextEncoder,
    buffer: Vec<u8>,
    view: Uint8Array,
    most: usize,
}

impl Input {
    /// A buffer that takes no more than a little above `limit` bytes of a message: enough to see that it is too
    /// large, and to read its head.
    pub(super) fn new(limit: usize) -> Self {
        let most = limit.saturating_add(4);
        let buffer = vec![0; ORDINARY.min(most)];
        let view = view(&buffer);
        Self { encoder: TextEncoder::new(), buffer, view, most }
    }

    fn reserve(&mut self, bytes: usize) {
        let bytes = bytes.min(self.most);
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
            self.view = view(&self.buffer);
        } else if self.view.length() == 0 {
            // The memory of the module has grown, which detaches every view of it.
            self.view = view(&self.buffer);
        }
    }

    /// The bytes of a text frame.
    pub(super) fn text(&mut self, text: &JsString) -> &[u8] {
        // A UTF-16 unit takes three bytes of UTF-8 at most.
        self.reserve((text.length() as usize).saturating_mul(3));
        let written = self.encoder.encode_into(text, &self.view).written() as usize;
        self.buffer.get(..written).unwrap_or_default()
    }

    /// The bytes of a binary frame.
    pub(super) fn binary(&mut self, frame: &ArrayBuffer) -> &[u8] {
        let length = (frame.byte_length() as usize).min(self.most);
        self.reserve(length);
        #[allow(clippy::cast_possible_truncation)]
        let frame = Uint8Array::new(frame).subarray(0, length as u32);
        match self.buffer.get_mut(..length) {
            Some(into) => {
                frame.copy_to(into);
                into
            }
            None => &[],
        }
    }
}

fn view(buffer: &[u8]) -> Uint8Array {
    let memory: WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    #[allow(clippy::cast_possible_truncation)]
    let (address, length) = (buffer.as_ptr() as usize as u32, buffer.len() as u32);
    Uint8Array::new_with_byte_offset_and_length(&memory.buffer(), address, length)
}
