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
//! The copy is kept as the text of a plain PIDF document, whatever its root was called. May use: `patch`, `pidf`, `xml`.

mod produce;

use super::patch::{self, PatchError};
use super::pidf::{self, Limits};
use super::xml::{self, Element, Node, split_name};
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
        let document = xml::read_whole(body, limits, Some(&mut warnings))?;
        let root = document.root().filter(|root| root.namespace == NAMESPACE).ok_or(DocumentError::Root)?;
        let is_full = match split_name(root.name).1 {
            "pidf-full" => true,
            "pidf-diff" => false,
            _ => return Err(DocumentError::Root),
        };
        let version: Option<u32> = root.attribute("version").and_then(|text| text.parse().ok());
        let version = version.ok_or(DocumentError::Attribute("version"))?;
        if self.version.is_some_and(|local| version <= local) {
            return Ok(None);
        }
        if is_full {
            let presence = self.keep(as_presence(document), limits)?;
            self.version = Some(version);
            return Ok(Some(presence));
        }
        let next = self.version.and_then(|local| local.checked_add(1));
        if self.text.is_empty() || next != Some(version) {
            return Err(DocumentError::Version);
        }
        let entity = root.attribute("entity");
        let result = if warnings.is_empty() {
            self.patched(document, entity, limits)
        } else {
            Err(DocumentError::Patch(PatchError::InvalidDiffFormat))
        };
        match result {
            Ok(presence) => {
                self.version = Some(version);
                self.failed = 0;
                Ok(Some(presence))
            }
            Err(error) => {
                self.failed = self.failed.saturating_add(1);
                Err(error)
            }
        }
    }

    fn patched(
        &mut self,
        diff: Element<'_>,
        entity: Option<String>,
        limits: &Limits,
    ) -> Result<Presence, DocumentError> {
        let text = core::mem::take(&mut self.text);
        let result = (|| {
            let mut document = xml::read_whole(text.as_bytes(), limits, None)?;
            // Whose presence it is must be the same (RFC 5262 §3.2).
            let ours = document.root().and_then(|root| root.attribute("entity"));
            if entity.is_some() && entity != ours {
                return Err(DocumentError::Patch(PatchError::InvalidAttributeValue));
            }
            patch::apply(&mut document, diff).map_err(DocumentError::Patch)?;
            self.keep(document, limits)
        })();
        if result.is_err() {
            self.text = text;
        }
        result
    }

    /// Keeps `document` if it can be read.
    fn keep(&mut self, document: Element<'_>, limits: &Limits) -> Result<Presence, DocumentError> {
        let text = xml::write_document(&document);
        let (presence, _) = pidf::read(text.as_bytes(), limits)?;
        self.text = text;
        Ok(presence)
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

/// The document with its `pidf-full` as what it stands for.
fn as_presence(mut document: Element<'_>) -> Element<'_> {
    for node in &mut document.children {
        if let Node::Element(root) = node {
            // The default namespace may be another one.
            let is_default = xml::declared(root).all(|(prefix, uri)| !prefix.is_empty() || uri == PIDF);
            root.name = if is_default { "presence" } else { "pidf:presence" };
            root.namespace = PIDF;
            root.attributes.retain(|attribute| attribute.name != "version");
        }
    }
    document
}
