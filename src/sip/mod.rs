//! SIP messages: text to values and back (RFC 3261 §7, §19, §20, §25; RFC 7118; RFC 6665 §8; RFC 3903 §11).
//!
//! Nothing here knows a transaction, a dialog or an event package. May use: `time`.

pub mod auth;
pub mod error;
pub(crate) mod grammar;
pub mod headers;
pub mod message;
pub mod method;
pub mod name;
pub mod params;
mod text;
pub mod uri;

pub use error::{ParseError, UriError};
pub use headers::{CSeq, EventType, MediaType, NameAddr, Reason, SubscriptionState, Substate, Via};
pub use message::{Limits, Message, StartLine};
pub use method::Method;
pub use name::{Known, Name};
pub use params::Params;
pub use uri::{Scheme, Uri};
