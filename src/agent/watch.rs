//! What is known of one watched presentity, and whether it is news.

#[cfg(feature = "full")]
use super::documents::Read;
use super::documents::{Content, Documents, Subject};
use super::lists::List;
use super::subscriptions::SubscriptionId;
use super::{Cause, Failure, SubscriptionView, View, WatchId, Watching};
#[cfg(feature = "full")]
use crate::presence::DocumentError;
use crate::presence::{Status, Summary, status};
use crate::sip::Uri;
use crate::time::{Duration, Instant};
use std::rc::Rc;

pub(super) struct Watch {
    pub(super) target: Uri,
    pub(super) subject: Subject,
    /// The number under which it is told; 0 if it is not.
    pub(super) told_as: WatchId,
    /// What it knows of its members, if it is of a list.
    pub(super) list: Option<Box<List>>,
    /// The list that feeds it.
    pub(super) member_of: Option<WatchId>,
    /// How many watches of the application share this one.
    pub(super) count: u32,
    /// When the subscription ends because nobody watches any more.
    pub(super) linger_until: Option<Instant>,
    /// The deadline under which the watch is queued.
    pub(super) due: Option<Instant>,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) state: Watching,
    pub(super) reason: Option<String>,
    pub(super) failure: Option<Rc<Failure>>,
    pub(super) expires: Option<Instant>,
    pub(super) retry_at: Option<Instant>,
    pub(super) stale: bool,
    pub(super) as_of: Option<Instant>,
    content: Content,
    pub(super) documents: Documents,
    summary: Summary,
    /// A NOTIFY has come at least once.
    pub(super) known: bool,
    pub(super) view: Rc<View>,
}

impl Watch {
    pub(super) fn new(target: &Uri, told_as: WatchId) -> Self {
        let view = Rc::new(View {
            uri: target.text(),
            summary: nothing_known(),
            presence: None,
            details: None,
            subscription: SubscriptionView {
                state: Watching::Trying,
                reason: None,
                failure: None,
                expires: None,
                retry_at: None,
            },
            stale: false,
            as_of: None,
            cause: Cause::Initial,
        });
        Self {
            target: target.clone(),
            subject: Subject::Presence,
            told_as,
            list: None,
            member_of: None,
            count: 0,
            linger_until: None,
            due: None,
            subscription: None,
            state: Watching::Trying,
            reason: None,
            failure: None,
            expires: None,
            retry_at: None,
            stale: false,
            as_of: None,
            content: Content::default(),
            documents: Documents::default(),
            summary: nothing_known(),
            known: false,
            view,
        }
    }

    pub(super) const fn has_document(&self) -> bool {
        !self.content.is_empty()
    }

    /// The document that was read last.
    pub(super) const fn content(&self) -> &Content {
        &self.content
    }

    /// Replaces what is known; it may be nothing.
    pub(super) fn take(&mut self, content: Content, now: Instant) {
        self.content = content;
        self.summarize(now);
    }

    /// Applies the status rule again: an activity may have begun or ended.
    pub(super) fn summarize(&mut self, now: Instant) {
        self.summary =
            self.content.presence.as_ref().map_or_else(nothing_known, |p| status::summarize(p, now));
    }

    /// `read`, unless it brings what was told before.
    #[cfg(feature = "full")]
    pub(super) fn fresh(&self, read: Read) -> Result<Read, DocumentError> {
        let new = match &read {
            Read::Content(content) | Read::Part(content) => content.presence.as_deref(),
            Read::Nothing | Read::Old => None,
        };
        match (self.content.presence.as_deref(), new) {
            (Some(old), Some(new)) if super::proof::is_stale(old, new) => Err(DocumentError::Stale),
            _ => Ok(read),
        }
    }

    /// The subscription stands differently.
    pub(super) fn stand(&mut self, state: Watching, reason: Option<String>, retry_at: Option<Instant>) {
        self.state = state;
        self.reason = reason;
        self.failure = None;
        self.retry_at = retry_at;
    }

    /// What is known, if it says anything new.
    pub(super) fn news(&mut self, cause: Cause) -> Option<Rc<View>> {
        let mut view = View {
            uri: self.view.uri.clone(),
            summary: self.summary.clone(),
            presence: self.content.presence.clone(),
            details: self.content.details.clone(),
            subscription: SubscriptionView {
                state: self.state,
                reason: self.reason.clone(),
                failure: self.failure.clone(),
                expires: self.expires,
                retry_at: self.retry_at,
            },
            stale: self.stale,
            as_of: self.as_of,
            cause,
        };
        let old = &*self.view;
        let same = old.stale == view.stale
            && old.subscription.state == view.subscription.state
            && old.subscription.reason == view.subscription.reason
            && old.subscription.retry_at == view.subscription.retry_at
            && old.as_of.is_some() == view.as_of.is_some()
            && old.summary == view.summary
            && self.content.is_in(old);
        if same {
            // A renewal is no change of the presentity. A second more or less is the way of the message.
            let (old, new) = (old.subscription.expires?, self.expires?);
            if self.stale || new.since(old).max(old.since(new)) <= Duration::from_secs(2) {
                return None;
            }
            view.cause = Cause::Resync;
        }
        self.view = Rc::new(view);
        Some(Rc::clone(&self.view))
    }

    /// The next moment at which something is due: the end of lingering, or of an activity.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        crate::time::earliest(self.linger_until, self.summary.changes_at)
    }

    pub(super) const fn summary(&self) -> &Summary {
        &self.summary
    }
}

/// The summary of no document.
pub(super) fn nothing_known() -> Summary {
    Summary {
        status: Status::Unknown,
        idle: false,
        out_of_office: false,
        activities: Vec::new(),
        note: None,
        until: None,
        changes_at: None,
        because: ("no-document", String::new()),
    }
}
