//! SIP presence for the web (RFC 3856): watcher, publisher and presence server in one deterministic core.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod presence;
pub mod random;
pub mod sip;
pub mod time;
