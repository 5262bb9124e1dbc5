//! The shell: the only code that has a socket, a timer and a clock, and that knows JavaScript.
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

/// 6 KB smaller in the page than the allocator of the standard library.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// A random source's seed from the 32 bytes that JavaScript made with `crypto.getRandomValues`.
fn seed(bytes: &[u8]) -> Result<[u8; 32], String> {
    bytes.try_into().map_err(|_| "seed: give 32 random bytes".to_owned())
}
