//! What a subscription is about, and what the documents that it brings are read into.

use super::View;
#[cfg(feature = "full")]
use crate::presence::dialog_info::{self, Dialog};
use crate::presence::dialog_info::{DIALOG_INFO, Merged};
use crate::presence::partial::{LocalCopy, PIDF_DIFF};
use crate::presence::pidf::Limits;
use crate::presence::winfo::WATCHERINFO;
#[cfg(feature = "full")]
use crate::presence::winfo::{self, Watcher};
use crate::presence::xpidf::{self, CPIM_PIDF, XPIDF};
use crate::presence::{DocumentError, PIDF, Presence, Warning, pidf};
use crate::sip::Message;
use crate::time::Instant;
use std::rc::Rc;

/// Whether partial documents are taken. The page's module goes without: they are a tenth of its code, and of the
/// servers that are known to us only our own sends any.
const PARTIAL: bool = cfg!(feature = "partial");

/// What a watcher takes (RFC 5263 §4.2). Without `q` where it counts: Asterisk compares the type with all behind it.
pub(super) const ACCEPT: &str = if PARTIAL {
    "application/pidf+xml, application/pidf-diff+xml, application/xpidf+xml;q=0.1, application/cpim-pidf+xml;q=0.1"
} else {
    ACCEPT_WHOLE
};
/// The same after partial documents have failed.
pub(super) const ACCEPT_WHOLE: &str =
    "application/pidf+xml, application/xpidf+xml;q=0.1, application/cpim-pidf+xml;q=0.1";

/// What is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// The presence of one (RFC 3856).
    #[default]
    Presence,
    /// The presence of the members of a list (RFC 4662).
    List,
    /// Calls (RFC 4235).
    Dialogs,
    /// Who watches a presentity (RFC 3857).
    Watchers,
}

impl Subject {
    /// The event package.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Presence | Self::List => "presence",
            Self::Dialogs => "dialog",
            Self::Watchers => "presence.winfo",
        }
    }

    /// What is taken. Of a list more.
    pub(super) const fn accept(self) -> &'static str {
        match self {
            Self::Presence | Self::List => ACCEPT,
            Self::Dialogs => DIALOG_INFO,
            Self::Watchers => WATCHERINFO,
        }
    }

    /// What sets the key of a watch apart from that of others of one address.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Presence => "",
            Self::List => " list",
            Self::Dialogs => " dialog",
            Self::Watchers => " winfo",
        }
    }

    /// Whether documents of this type are read in a NOTIFY.
    pub(super) fn reads(self, essence: &str) -> bool {
        match self {
            Self::Presence | Self::List => {
                matches!(essence, PIDF | XPIDF | CPIM_PIDF) || PARTIAL && essence == PIDF_DIFF
            }
            Self::Dialogs => essence == DIALOG_INFO,
            Self::Watchers => essence == WATCHERINFO,
        }
    }
}

/// What is told beside, or instead of, a presence document. Only the full module knows any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Details {
    /// The calls of the presentity that are not over, the oldest first.
    #[cfg(feature = "full")]
    Dialogs(Vec<Dialog>),
    /// Those who watch the presentity, or wait for its consent, each with the time from which its spans count.
    #[cfg(feature = "full")]
    Watchers(Vec<(Watcher, Instant)>),
}

/// What is known of whom a watch is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) presence: Option<Rc<Presence>>,
    pub(super) details: Option<Rc<Details>>,
    /// The document as it came, or as changes have made it.
    pub(super) text: String,
    pub(super) warnings: Vec<Warning>,
}

impl Content {
    pub(super) const fn is_empty(&self) -> bool {
        self.presence.is_none() && self.details.is_none()
    }

    pub(super) fn is_in(&self, view: &View) -> bool {
        self.presence == view.presence && self.details == view.details
    }
}

/// What a NOTIFY brought.
pub(super) enum Read {
    /// No body.
    Nothing,
    /// A document that is not newer than what is known.
    Old,
    /// This is known now.
    Content(Content),
    /// The same, but documents before it are missing.
    Part(Content),
}

/// What the documents of one subscription have told so far, as far as later ones change it.
#[derive(Default)]
pub(super) struct Documents {
    copy: LocalCopy,
    #[cfg(feature = "full")]
    dialogs: dialog_info::Table,
    #[cfg(feature = "full")]
    watchers: winfo::Table,
}

impl Documents {
    /// Whether changes have failed twice in a row.
    pub(super) const fn is_hopeless(&self) -> bool {
        self.copy.is_hopeless()
    }

    /// Takes in the document of `notify`.
    pub(super) fn read(
        &mut self,
        subject: Subject,
        notify: &Message,
        limits: &Limits,
        #[cfg_attr(not(feature = "full"), allow(unused_variables))] now: Instant,
    ) -> Result<Read, DocumentError> {
        let body = &notify.body;
        if body.is_empty() {
            return Ok(Read::Nothing);
        }
        let mut content = Content { text: text(body), ..Content::default() };
        let merged = match subject {
            Subject::Presence | Subject::List => {
                if !self.read_presence(notify, limits, &mut content)? {
                    return Ok(Read::Old);
                }
                Merged::Done
            }
            #[cfg(feature = "full")]
            Subject::Dialogs => {
                let info = dialog_info::read(body, limits)?;
                let entity = info.entity.clone();
                let merged = self.dialogs.handle(info)?;
                let dialogs = self.dialogs.dialogs();
                content.presence = Some(Rc::new(dialog_info::presence(&entity, dialogs)));
                content.details = Some(Rc::new(Details::Dialogs(dialogs.to_vec())));
                merged
            }
            #[cfg(feature = "full")]
            Subject::Watchers => {
                let merged = self.watchers.handle(winfo::read(body, limits)?, now)?;
                let mut present = Vec::new();
                for (watcher, told_at) in self.watchers.rows().filter(|(row, _)| row.status != "terminated") {
                    present.push((watcher.clone(), told_at));
                }
                content.details = Some(Rc::new(Details::Watchers(present)));
                merged
            }
            #[cfg(not(feature = "full"))]
            Subject::Dialogs | Subject::Watchers => return Err(DocumentError::MediaType),
        };
        Ok(match merged {
            Merged::Discarded => Read::Old,
            Merged::Done => Read::Content(content),
            Merged::Incomplete => Read::Part(content),
        })
    }

    /// `false`: it is not newer than what is known.
    fn read_presence(
        &mut self,
        notify: &Message,
        limits: &Limits,
        content: &mut Content,
    ) -> Result<bool, DocumentError> {
        let kind = notify.content_type().ok().flatten();
        let presence = match kind.as_ref().map_or("", |kind| kind.essence.as_str()) {
            PIDF_DIFF if PARTIAL => match self.copy.handle(&notify.body, limits)? {
                Some(presence) => {
                    content.text = self.copy.text().to_owned();
                    presence
                }
                None => return Ok(false),
            },
            kind => {
                // Of another type: what partial documents have told is over (RFC 5263 §4.5).
                self.copy.discard();
                let is_old = matches!(kind, XPIDF | CPIM_PIDF);
                let (presence, warnings) = if is_old {
                    xpidf::read(&notify.body, limits)
                } else {
                    pidf::read(&notify.body, limits)
                }?;
                content.warnings = warnings;
                presence
            }
        };
        content.presence = Some(Rc::new(presence));
        Ok(true)
    }
}

/// A document that can be read is UTF-8.
pub(super) fn text(body: &[u8]) -> String {
    core::str::from_utf8(body).unwrap_or_default().to_owned()
}
