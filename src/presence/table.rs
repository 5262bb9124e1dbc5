//! In which order documents of changes are to be taken (RFC 3858 §4, RFC 4235 §4.3). May use: nothing.

use super::DocumentError;
use super::xml::Element;
use crate::decimal::small_number;

/// What the head of such a document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// One higher with each document of a subscription.
    pub version: u32,
    /// Whether it tells everything; otherwise only what changed.
    pub full: bool,
}

impl Head {
    /// The attributes `version` and `state`; that of RFC 4235's own examples is called `notify-state`.
    pub(super) fn read(root: &Element<'_>) -> Result<Self, DocumentError> {
        let version = root.attribute("version").and_then(|text| small_number(&text));
        let state = root.attribute("state").or_else(|| root.attribute("notify-state"));
        let full = match state.as_deref() {
            Some("full") => true,
            Some("partial") => false,
            Some(_) | None => return Err(DocumentError::Attribute("state")),
        };
        Ok(Self { version: version.ok_or(DocumentError::Attribute("version"))?, full })
    }
}

/// What a document did to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It is not newer than the table: nothing.
    Discarded,
    /// It was taken in.
    Done,
    /// It was taken in, but something is missing: refresh the subscription, which brings everything.
    Incomplete,
}

/// The version of a table: `None` before the first document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version(Option<u32>);

impl Version {
    pub(super) fn handle(&mut self, head: Head) -> Merged {
        let next = match self.0 {
            Some(local) if head.version <= local => return Merged::Discarded,
            Some(local) => head.version - local == 1,
            None => false,
        };
        self.0 = Some(head.version);
        if next || head.full { Merged::Done } else { Merged::Incomplete }
    }
}
