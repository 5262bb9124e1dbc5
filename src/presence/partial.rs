//! Partial presence documents (RFC 5262), as RFC 5263 sends them: the local copy of a watcher, and what a notifier
//! writes.
//!
//! ```text
//!            pidf-full                pidf-diff, one higher
//!   (none) ─────────────> copy ─────────────────────────────> copy, one higher
//!      ^                  │  └── not higher: discarded
//!      └── other type ────┘  └── a gap, a patch that fails: the subscription is to be refreshed
//! ```
//!
//! The copy is kept as it came, and as changes make it. May use: `patch`, `pidf`, `xml`.

mod produce;

use super::patch::{self, PatchError};
use super::pidf::{self, Limits};
use super::xml;
use super::{DocumentError, Presence};
pub use produce::{full, produce};

/// The media type of these documents (RFC 5262 §5.2).
pub const PIDF_DIFF: &str = "application/pidf-diff+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf-diff";
const PIDF: &str = "urn:ietf:params:xml:ns:pidf";

/// What a watcher keeps of a presentity in one subscription (RFC 5263 §4.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCopy {
    /// Empty before the first full document.
    text: String,
    version: Option<u32>,
    /// Patches that failed since the last that did not.
    failed: u8,
}

impl LocalCopy {
    /// Takes a document in. `None`: it is not newer than the copy, and says nothing.
    ///
    /// # Errors
    /// [`DocumentError`]; the copy stays. With [`DocumentError::Version`] and [`DocumentError::Patch`] the subscription
    /// is to be refreshed, which brings the full document.
    pub fn handle(&mut self, body: &[u8], limits: &Limits) -> Result<Option<Presence>, DocumentError> {
        let mut warnings = Vec::new();
        let root = xml::read(body, limits, &mut warnings)?;
        let is_full = match root.name {
            "pidf-full" => true,
            "pidf-diff" => false,
            _ => return Err(DocumentError::Root),
        };
        if root.namespace != NAMESPACE {
            return Err(DocumentError::Root);
        }
        let version: Option<u32> = root.attribute("version").and_then(|text| text.parse().ok());
        let version = version.ok_or(DocumentError::Attribute("version"))?;
        if self.version.is_some_and(|local| version <= local) {
            return Ok(None);
        }
        let presence = if is_full {
            // What is not quite XML cannot be changed later.
            let text = if warnings.is_empty() { body } else { &[] };
            self.text = core::str::from_utf8(text).unwrap_or_default().to_owned();
            pidf::from_tree(&root, &mut warnings)
        } else {
            let next = self.version.and_then(|local| local.checked_add(1));
            if self.text.is_empty() || next != Some(version) {
                return Err(DocumentError::Version);
            }
            self.failed = self.failed.saturating_add(1);
            let presence = self.change(body, root.attribute("entity"), limits)?;
            self.failed = 0;
            presence
        };
        self.version = Some(version);
        Ok(Some(presence))
    }

    fn change(
        &mut self,
        diff: &[u8],
        entity: Option<String>,
        limits: &Limits,
    ) -> Result<Presence, DocumentError> {
        let text = patch::patch(&self.text, diff, limits).map_err(DocumentError::Patch)?;
        let root = xml::read(text.as_bytes(), limits, &mut Vec::new())?;
        // Whose presence it is must be the same (RFC 5262 §3.2).
        if entity.is_some() && entity != root.attribute("entity") {
            return Err(DocumentError::Patch(PatchError::InvalidAttributeValue));
        }
        let presence = pidf::from_tree(&root, &mut Vec::new());
        self.text = text;
        Ok(presence)
    }

    /// The whole document as it stands; empty if there is none that could be changed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Documents of another type come: what is known is not valid any more, but the counter goes on.
    pub fn discard(&mut self) {
        self.text = String::new();
    }

    /// Whether patches have failed twice in a row: partial documents should not be asked for any more.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        self.failed > 1
    }
}
