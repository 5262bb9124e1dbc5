//! Typed values of the headers this library understands, one file per family. Each has `parse` and `text`, which
//! are inverse.

mod cseq;
mod event;
mod media_type;
mod name_addr;
mod subscription_state;
mod via;

pub use cseq::CSeq;
pub use event::EventType;
pub use media_type::MediaType;
pub use name_addr::NameAddr;
pub use subscription_state::{Reason, SubscriptionState, Substate};
pub use via::Via;
