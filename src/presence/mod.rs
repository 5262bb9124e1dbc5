//! Presence documents: XML to values and back (RFC 3863, RFC 4479, RFC 4480), what they say in one word, and how
//! several become one; the documents about lists of presentities (RFC 4662);
//! authorization rules (RFC 5025); patches of XML (RFC 5261) and
//! partial documents (RFC 5262, RFC 5263). Nothing here knows SIP. May use: `time`.

pub mod compose;
pub mod dialog_info;
pub mod error;
pub mod filter;
pub mod model;
pub mod multipart;
pub mod partial;
pub mod patch;
pub mod pidf;
#[cfg(feature = "full")]
pub mod pres_rules;
pub mod published;
pub mod rlmi;
pub mod status;
pub mod table;
mod vocabulary;
pub mod winfo;
mod xml;
pub mod xpidf;

pub use error::{DocumentError, Warning};
pub use model::{
    Attribute, AttributeName, Basic, Component, Contact, Extension, Note, Presence, UserInput, Value,
};
pub use patch::PatchError;
pub use published::PublishedState;
pub use status::{Status, Summary};

/// The media type of a presence document (RFC 3863 §6).
pub const PIDF: &str = "application/pidf+xml";
