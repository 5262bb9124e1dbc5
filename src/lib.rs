//! SIP presence for the web (RFC 3856): watcher, publisher and presence server in one deterministic core.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agent;
mod decimal;
pub mod dialog;
pub mod event;
mod pieces;
pub mod presence;
pub mod random;
#[cfg(feature = "server")]
pub mod server;
pub mod sip;
pub mod time;
pub mod transaction;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
