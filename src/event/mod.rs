//! Event notification, for any package (RFC 6665, RFC 3903): the machines of one subscription or publication.
//!
//! Nothing here knows presence. May use: `dialog`, `transaction`, `sip`, `random`, `time`.

mod backoff;
pub mod compositor;
pub mod notifier;
pub mod partial;
pub mod publisher;
mod rates;
pub mod subscriber;
mod targets;
pub mod watchers;

pub use backoff::Backoff;
pub use compositor::Compositor;
pub use notifier::Notifier;
pub use partial::Partial;
pub use publisher::Publisher;
pub use subscriber::Subscriber;
pub use watchers::{Decision, Watchers};
