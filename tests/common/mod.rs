//! What the tests share: [`Page`], an agent whose server is the test itself, and [`World`], agents with a real
//! presence server, a virtual clock and a link that can fail.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

pub mod mutation;
pub mod page;
#[cfg(feature = "full")]
pub mod presentity;
#[cfg(feature = "server")]
pub mod relay;
#[cfg(feature = "server")]
pub mod scene;
#[cfg(feature = "server")]
pub mod world;

pub use page::Page;
#[cfg(feature = "full")]
pub use presentity::Presentity;
#[cfg(feature = "server")]
pub use scene::Scene;
#[cfg(feature = "server")]
pub use world::World;

use sip_presence::time::Instant;

/// The time at which every test starts: 2026-01-01T00:00:00Z.
pub const START: Instant = Instant::from_millis(1_767_225_600_000);

/// A document of one open tuple, with an activity and a note.
pub fn pidf(entity: &str, activity: &str, note: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         entity=\"{entity}\"><tuple id=\"t1\"><status><basic>open</basic></status><note>{note}</note></tuple>\
         <dm:person id=\"p1\"><rpid:activities><rpid:{activity}/></rpid:activities></dm:person></presence>"
    )
}
