//! The shell: the only code in Rust that has a socket, a timer and a clock, and that knows JavaScript. What the socket and
//! the timer call is in JavaScript, and tells the shell: a closure of Rust for each would cost a page more.
//!
//! It drives a root machine in three steps that never overlap: mutate the machine in a short borrow; act on each
//! output with no borrow held, so that a callback may call back in; arm the one timer. A verb that JavaScript calls
//! does the first step only; `pump()` does the others, so that the caller can take note of an id before events come.
//! May use everything below it.

#[cfg(all(feature = "page", feature = "full"))]
mod audience;
mod clock;
#[cfg(feature = "page")]
mod fields;
#[cfg(feature = "page")]
mod input;
#[cfg(feature = "page")]
pub mod page;
#[cfg(all(feature = "page", feature = "full"))]
pub mod policy;
#[cfg(feature = "page")]
mod record;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "page")]
mod socket;
mod timer;

use wasm_bindgen::prelude::*;

/// 6 KB smaller in the page than the allocator of the standard library.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_with_random(bytes: &mut [u8]);
}

/// A random source's seed that nobody can guess.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    fill_with_random(&mut seed);
    seed
}
