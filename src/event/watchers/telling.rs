//! NOTIFYs with their documents: whole or as changes, with an entity-tag, or none where the watcher has it already
//! (RFC 5839).

use super::{Next, Notice, Status, WatcherId, Watchers};
use crate::sip::auth::Algorithm;
use crate::sip::{Message, Name};
use crate::time::Instant;
use litemap::LiteMap;

/// Whether the condition of `subscribe` holds: the watcher has `document` already, or wants none.
#[must_use]
pub fn holds(subscribe: &Message, document: Option<&str>) -> bool {
    let condition = subscribe.header(&Name::SuppressIfMatch).unwrap_or_default().trim();
    condition == "*" || condition == entity_tag(document)
}

/// The tag of a document: another for another one, and never `*`. It stands for the whole document, also where
/// changes are told (RFC 5839 §4).
fn entity_tag(document: Option<&str>) -> String {
    let mut tag = Algorithm::Sha256.hash(document.unwrap_or_default().as_bytes());
    tag.truncate(32);
    tag
}

impl Watchers {
    /// Makes the NOTIFY of `notice` with its document, a whole one; and on which connection it goes. `None` if it has
    /// to wait for the answer to the one before, or the watcher is gone. `subscribe` is the request that it follows.
    pub fn tell(
        &mut self,
        notice: &Notice,
        document: Option<String>,
        subscribe: Option<&Message>,
        now: Instant,
    ) -> Option<(u32, Message)> {
        let usage = self.all.get_mut(&notice.id).and_then(|watcher| watcher.usage.as_mut())?;
        let unchanged = subscribe.is_some_and(|subscribe| holds(subscribe, document.as_deref()));
        if let Some(subscribe) = subscribe {
            usage.quenched = wants_silence(subscribe);
        }
        let is_last = notice.end.is_some();
        if !is_last && document.is_some() && !unchanged && !usage.partial.may_tell(notice.next) {
            return None;
        }
        let tag = entity_tag(document.as_deref());
        let text = document.filter(|_| !unchanged && !usage.quenched);
        let body = text.map(|text| match is_last {
            true => usage.partial.end(text),
            false => usage.partial.tell(text, notice.next),
        });
        let mut notify = match &notice.end {
            Some((reason, retry_after)) => usage.notifier.terminate(reason.clone(), *retry_after, body),
            None => usage.notifier.notify(body, now),
        };
        notify.push(Name::SipETag, tag);
        let connection = usage.connection;
        if is_last {
            self.end_usage(notice.id);
        } else {
            self.settle(notice.id);
        }
        Some((connection, notify))
    }

    /// The NOTIFY for what the last one, which was taken, had no room for. `None` where no changes are wanted.
    #[must_use]
    pub fn more(&self, id: WatcherId) -> Option<Notice> {
        let usage = self.all.get(&id)?.usage.as_ref()?;
        (!usage.quenched).then(|| self.notice(id, Next::Changes, None))
    }

    /// The document of `notify` once more, because that was challenged. For documents that say themselves which of them
    /// are older; otherwise see [`Self::again`].
    pub fn repeat(&mut self, id: WatcherId, notify: &Message, now: Instant) -> Option<Message> {
        let usage = self.all.get_mut(&id)?.usage.as_mut()?;
        let body = (!notify.body.is_empty()).then(|| (self.forms.whole, notify.body.clone()));
        let mut next = usage.notifier.notify(body, now);
        if let Some(tag) = notify.header(&Name::SipETag) {
            next.push(Name::SipETag, tag.to_owned());
        }
        self.settle(id);
        Some(next)
    }

    /// Instead of [`Self::tell`]: `subscribe` was answered with 204 (RFC 5839 §6.3).
    pub fn suppress(&mut self, notice: &Notice, subscribe: &Message) {
        let usage = self.all.get_mut(&notice.id).and_then(|watcher| watcher.usage.as_mut());
        if let Some(usage) = usage {
            usage.quenched = wants_silence(subscribe);
        }
        if notice.end.is_some() {
            self.end_usage(notice.id);
        }
    }

    /// A NOTIFY to `id` could not be sent.
    pub fn miss(&mut self, id: WatcherId) {
        if let Some(usage) = self.all.get_mut(&id).and_then(|watcher| watcher.usage.as_mut()) {
            usage.missed = true;
        }
    }

    /// The connection is gone, and will be back: what is on its way may not arrive.
    pub fn handle_disconnected(&mut self) {
        for (_, watcher) in self.all.iter_mut() {
            if let Some(usage) = &mut watcher.usage {
                usage.missed |= usage.partial.is_in_flight();
                usage.partial.handle_disconnected();
            }
        }
    }

    /// The connection is back: what may not have arrived is told again.
    pub fn handle_connected(&mut self) -> Vec<Notice> {
        let mut ids = Vec::new();
        for (id, watcher) in self.all.iter_mut() {
            let live = watcher.status != Status::Terminated;
            let missed = watcher.usage.as_mut().is_some_and(|usage| core::mem::take(&mut usage.missed));
            if live && missed {
                ids.push(*id);
            }
        }
        ids.into_iter().map(|id| self.notice(id, Next::Whole, None)).collect()
    }

    /// A connection is gone for good: a NOTIFY cannot be sent, which ends a subscription (RFC 6665 §4.2.2).
    pub fn lose(&mut self, connection: u32) {
        let ids: Vec<WatcherId> =
            self.by_connection.get(&connection).into_iter().flat_map(LiteMap::keys).copied().collect();
        for id in ids {
            let _ = self.handle_answer(id, None, Instant::default());
        }
    }
}

fn wants_silence(subscribe: &Message) -> bool {
    subscribe.header(&Name::SuppressIfMatch).is_some_and(|condition| condition.trim() == "*")
}
