//! What happens to subscriptions, and whom that has to be told (the tables of RFC 3857 §4.7.1 and RFC 6665 §4.2).

use super::{Cause, Decision, Limits, Notice, Status, Usage, Watcher, WatcherId, Watchers};
use crate::event::Notifier;
use crate::event::notifier::Standing;
use crate::event::partial::{Next, Partial};
use crate::event::subscriber::ends_the_usage;
use crate::sip::{Message, Name, NameAddr, Reason};
use crate::time::{Duration, Instant};

/// Bytes of an Event row or an address at most.
const MOST_TEXT: usize = 512;
/// Characters of a watcher's name that are kept.
const MOST_NAME: usize = 128;

/// A SUBSCRIBE outside a dialog that is well formed and whose sender is known.
#[derive(Debug)]
pub struct Admission<'a> {
    /// The request.
    pub subscribe: &'a Message,
    /// To tag of its answer.
    pub tag: &'a str,
    /// Contact of the NOTIFYs.
    pub contact: NameAddr,
    /// Who sent it: a proved address.
    pub uri: String,
    /// What the sender calls itself.
    pub display: Option<String>,
    /// Who is watched.
    pub resource: String,
    /// The same as the watcher wrote it.
    pub entity: String,
    /// What the watcher gets.
    pub decision: Decision,
    /// What is granted; zero for a fetch.
    pub expires: Duration,
    /// Between two notifications of changes at least.
    pub interval: Duration,
    /// The way to the watcher.
    pub connection: u32,
}

impl Watchers {
    /// Takes a subscription. Answer its SUBSCRIBE, then tell the notice.
    ///
    /// # Errors
    /// The status code of the refusal: 403, 503 for too many, 400 for a header that cannot be read. Nothing was changed.
    pub fn admit(&mut self, admission: Admission<'_>, now: Instant) -> Result<Notice, u16> {
        let Admission { subscribe, decision, expires, .. } = admission;
        if decision == Decision::Block {
            return Err(403);
        }
        let event = subscribe.header(&Name::Event).unwrap_or_default().to_owned();
        // What is kept and told of a watcher must not be as long as it likes.
        if [&event, &admission.uri, &admission.entity].into_iter().any(|text| text.len() > MOST_TEXT) {
            return Err(400);
        }
        let display = admission.display.map(|name| name.chars().take(MOST_NAME).collect());
        let again = self.waiting(&admission.resource, &admission.uri, &event);
        if !self.has_room(&admission.resource, &admission.uri, decision, again.is_some()) {
            return Err(503);
        }
        let standing = if decision.accepts() { Standing::Active } else { Standing::Pending };
        let notifier = Notifier::new(
            subscribe,
            admission.tag,
            admission.contact,
            standing,
            expires,
            admission.interval,
            now,
        )
        .map_err(|error| error.status())?;
        if let Some(again) = again {
            self.turn(again, Status::Terminated, Cause::Giveup);
            self.remove(again);
        }
        let mut partial = Partial::new(self.forms);
        partial.handle_subscribe(subscribe, true);
        let usage =
            Usage { notifier, partial, connection: admission.connection, quenched: false, missed: false };
        let is_fetch = expires == Duration::ZERO;
        let id = self.insert(Watcher {
            uri: admission.uri,
            display,
            resource: admission.resource,
            entity: admission.entity,
            event,
            decision,
            // A fetch that is answered is over at once, which nobody needs to hear of (RFC 3857 §4.7.2).
            status: Status::Terminated,
            cause: Cause::Subscribe,
            since: now,
            giveup_at: (!decision.accepts()).then(|| now + self.limits.giveup),
            usage: Some(usage),
            due: None,
        });
        match (decision.accepts(), is_fetch) {
            (true, true) => {}
            (true, false) => self.turn(id, Status::Active, Cause::Subscribe),
            (false, true) => self.turn(id, Status::Waiting, Cause::Timeout),
            (false, false) => self.turn(id, Status::Pending, Cause::Subscribe),
        }
        Ok(self.notice(id, Next::Whole, is_fetch.then_some((Reason::Timeout, None))))
    }

    /// The same subscription, of which only the question is left (RFC 3857 §4.7.1).
    fn waiting(&self, resource: &str, uri: &str, event: &str) -> Option<WatcherId> {
        let ids = self.by_resource.get(resource)?;
        ids.keys().copied().find(|id| {
            self.all.get(id).is_some_and(|watcher| {
                watcher.status == Status::Waiting && watcher.uri == uri && watcher.event == event
            })
        })
    }

    fn has_room(&self, resource: &str, uri: &str, decision: Decision, replaces: bool) -> bool {
        let Limits { watchers, of_one, undecided, undecided_of_one, .. } = self.limits;
        if decision.accepts() && watchers == usize::MAX && of_one == usize::MAX {
            return true;
        }
        let Some(ids) = self.by_resource.get(resource) else { return true };
        let room = |most: usize| most.saturating_add(usize::from(replaces));
        if ids.len() >= room(watchers) {
            return false;
        }
        let (mut of_this, mut open, mut open_of_this) = (0, 0, 0);
        for watcher in ids.keys().filter_map(|id| self.all.get(id)) {
            let (same, waits) = (watcher.uri == uri, watcher.is_undecided());
            of_this += usize::from(same);
            open += usize::from(waits);
            open_of_this += usize::from(waits && same);
        }
        of_this < room(of_one)
            && (decision.accepts() || (open < room(undecided) && open_of_this < room(undecided_of_one)))
    }

    /// A SUBSCRIBE in the dialog of `id`, over `connection`, granted for `expires`; zero ends it. Answer it, then tell
    /// the notice; or where [`super::holds`] says so, answer 204 and call [`Self::suppress`].
    ///
    /// # Errors
    /// The status code of the refusal. Nothing was changed.
    pub fn handle_subscribe(
        &mut self,
        id: WatcherId,
        subscribe: &Message,
        expires: Duration,
        connection: u32,
        now: Instant,
    ) -> Result<Notice, u16> {
        let usage = self.all.get_mut(&id).and_then(|watcher| watcher.usage.as_mut()).ok_or(481_u16)?;
        usage.notifier.handle_subscribe(subscribe, expires, now)?;
        usage.partial.handle_subscribe(subscribe, usage.connection != connection);
        let old = core::mem::replace(&mut usage.connection, connection);
        usage.quenched = false;
        self.leave(id, old);
        self.by_connection.entry(connection).or_default().insert(id, ());
        let ends = expires == Duration::ZERO;
        if ends {
            self.time_out(id);
        }
        self.settle(id);
        Ok(self.notice(id, Next::Whole, ends.then_some((Reason::Timeout, None))))
    }

    /// The end of a subscription by expiry, or because its watcher says so: who waited for a decision waits on.
    fn time_out(&mut self, id: WatcherId) {
        let pending = self.all.get(&id).is_some_and(|watcher| watcher.status == Status::Pending);
        self.turn(id, if pending { Status::Waiting } else { Status::Terminated }, Cause::Timeout);
    }

    /// From now on `uri` gets this of `resource`.
    pub fn decide(&mut self, resource: &str, uri: &str, decision: Decision, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        for id in self.ids(resource) {
            let Some(watcher) = self.all.get_mut(&id).filter(|watcher| watcher.uri == uri) else { continue };
            let before = core::mem::replace(&mut watcher.decision, decision);
            let accepts = decision.accepts();
            match (watcher.status, &mut watcher.usage) {
                (Status::Terminated, _) | (Status::Pending | Status::Active, None) => {}
                (Status::Pending | Status::Active, Some(_)) if decision == Decision::Block => {
                    self.turn(id, Status::Terminated, Cause::Rejected);
                    notices.push(self.notice(id, Next::Whole, Some((Reason::Rejected, None))));
                }
                (Status::Pending, Some(usage)) if accepts => {
                    let _ = usage.notifier.handle_policy(Standing::Active);
                    watcher.giveup_at = None;
                    self.turn(id, Status::Active, Cause::Approved);
                    notices.push(self.notice(id, Next::Whole, None));
                }
                (Status::Pending, Some(_)) => {}
                // Between what is true and what is not: in the time that any other change would take.
                (Status::Active, Some(usage)) if accepts => {
                    if before != decision && !usage.quenched && usage.notifier.handle_change(now) {
                        notices.push(self.notice(id, Next::Changes, None));
                    }
                }
                (Status::Active, Some(usage)) => {
                    let _ = usage.notifier.handle_policy(Standing::Pending);
                    watcher.giveup_at = Some(now + self.limits.giveup);
                    let cause = watcher.cause;
                    self.turn(id, Status::Pending, cause);
                    notices.push(self.notice(id, Next::Whole, None));
                }
                (Status::Waiting, _) if decision == Decision::Confirm => {}
                (Status::Waiting, _) => {
                    let cause = if accepts { Cause::Approved } else { Cause::Rejected };
                    self.turn(id, Status::Terminated, cause);
                    self.remove(id);
                }
            }
            self.settle(id);
        }
        notices
    }

    /// The state of `resource` changed. Who is blocked politely hears nothing, or the time would tell.
    pub fn handle_change(&mut self, resource: &str, now: Instant) -> Vec<Notice> {
        self.tell_change(resource, None, now)
    }

    /// What `uri` is shown of `resource` changed.
    #[cfg(feature = "server")]
    pub fn handle_change_for(&mut self, resource: &str, uri: &str, now: Instant) -> Vec<Notice> {
        self.tell_change(resource, Some(uri), now)
    }

    fn tell_change(&mut self, resource: &str, uri: Option<&str>, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        for id in self.ids(resource) {
            let Some(watcher) = self.all.get_mut(&id) else { continue };
            if uri.is_some_and(|uri| watcher.uri != uri) {
                continue;
            }
            let Some(usage) = watcher.usage.as_mut().filter(|usage| !usage.quenched) else { continue };
            let tell = watcher.decision == Decision::Allow && usage.notifier.handle_change(now);
            self.settle(id);
            if tell {
                notices.push(self.notice(id, Next::Changes, None));
            }
        }
        notices
    }

    /// A deadline may have passed. Too early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        let due: Vec<WatcherId> =
            self.deadlines.keys().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for id in due {
            let Some(watcher) = self.all.get_mut(&id) else { continue };
            let gives_up = watcher.giveup_at.is_some_and(|at| at <= now) && watcher.is_undecided();
            let expired = watcher.usage.as_ref().is_some_and(|usage| usage.notifier.is_expired(now));
            if gives_up {
                let has_dialog = watcher.usage.is_some();
                self.turn(id, Status::Terminated, Cause::Giveup);
                if has_dialog {
                    notices.push(self.notice(id, Next::Whole, Some((Reason::Giveup, None))).without());
                } else {
                    self.remove(id);
                }
            } else if expired {
                self.time_out(id);
                notices.push(self.notice(id, Next::Whole, Some((Reason::Timeout, None))).without());
            } else if let Some(usage) = &mut watcher.usage {
                let tell = usage.notifier.handle_timeout(now) && !usage.quenched;
                if tell {
                    notices.push(self.notice(id, Next::Changes, None));
                }
            }
            // Its last NOTIFY is told next; until then it has no deadline.
            if let Some(old) = self.all.get_mut(&id).and_then(|watcher| watcher.due.take()) {
                self.deadlines.remove(&(old, id));
            }
            if !gives_up && !expired {
                self.settle(id);
            }
        }
        notices
    }

    /// The final response to a NOTIFY, `None` for none in time; 401 and 407 only when they cannot be answered.
    pub fn handle_answer(
        &mut self,
        id: WatcherId,
        response: Option<&Message>,
        now: Instant,
    ) -> Option<Notice> {
        let usage = self.all.get_mut(&id).and_then(|watcher| watcher.usage.as_mut())?;
        let status = response.and_then(Message::status).unwrap_or(408);
        if response.is_none() || ends_the_usage(status) || matches!(status, 401 | 407) {
            // Nobody is told (RFC 6665 §4.2.2).
            self.turn(id, Status::Terminated, Cause::Timeout);
            self.remove(id);
            return None;
        }
        if let Some(seconds) = response.and_then(Message::retry_after).filter(|_| status >= 300) {
            usage.notifier.hold(Duration::from_secs(u64::from(seconds)), now);
        }
        if let Some(response) = response.filter(|_| matches!(status, 200..=299)) {
            usage.notifier.handle_taken(response, now);
        }
        let next = usage.partial.handle_answer(status);
        self.settle(id);
        Some(self.notice(id, next?, None))
    }

    /// The NOTIFY with this CSeq number was challenged: what is to be told instead of it. `None` if something newer was
    /// told since.
    pub fn again(&mut self, id: WatcherId, number: u32) -> Option<Notice> {
        let usage = self.all.get_mut(&id)?.usage.as_mut()?;
        if usage.notifier.sequence() != number {
            return None;
        }
        usage.partial.handle_disconnected();
        Some(self.notice(id, Next::Whole, None))
    }

    /// Ends all subscriptions (RFC 6665 §4.1.3): `deactivated`, `probation` or `noresource`.
    pub fn end(&mut self, reason: &Reason, retry_after: Option<u32>) -> Vec<Notice> {
        let cause = match reason {
            Reason::Noresource => Cause::Noresource,
            Reason::Probation => Cause::Probation,
            Reason::Deactivated
            | Reason::Rejected
            | Reason::Timeout
            | Reason::Giveup
            | Reason::Invariant
            | Reason::BadFilter
            | Reason::Other(_) => Cause::Deactivated,
        };
        let mut notices = Vec::new();
        let ids: Vec<WatcherId> = self.all.keys().copied().collect();
        for id in ids {
            let has_dialog = self.all.get(&id).is_some_and(|watcher| watcher.usage.is_some());
            if has_dialog {
                self.turn(id, Status::Terminated, cause);
                notices.push(self.notice(id, Next::Whole, Some((reason.clone(), retry_after))).without());
            } else if cause == Cause::Noresource {
                self.turn(id, Status::Terminated, cause);
                self.remove(id);
            }
        }
        notices
    }

    /// Another presence agent takes over `resource`: who waits for a decision or sees what is true may subscribe there
    /// (RFC 3856 §6.11.2). Who is blocked politely stays.
    #[cfg(feature = "server")]
    pub fn migrate(&mut self, resource: &str) -> Vec<Notice> {
        let mut notices = Vec::new();
        for id in self.ids(resource) {
            let goes = |watcher: &Watcher| {
                watcher.usage.is_some() && matches!(watcher.decision, Decision::Allow | Decision::Confirm)
            };
            if self.all.get(&id).is_some_and(|watcher| goes(watcher)) {
                self.turn(id, Status::Terminated, Cause::Deactivated);
                notices.push(self.notice(id, Next::Whole, Some((Reason::Deactivated, None))).without());
            }
        }
        notices
    }

    /// What is told of a subscription from now on.
    fn turn(&mut self, id: WatcherId, status: Status, cause: Cause) {
        let Some(watcher) = self.all.get_mut(&id) else { return };
        if (watcher.status, watcher.cause) != (status, cause) || status == Status::Active {
            (watcher.status, watcher.cause) = (status, cause);
            let row = watcher.row(id);
            self.news.push(row);
        }
    }

    pub(super) fn notice(&self, id: WatcherId, next: Next, end: Option<(Reason, Option<u32>)>) -> Notice {
        let content = self.all.get(&id).map_or(super::Content::Nothing, |watcher| watcher.content());
        Notice { id, content, next, end }
    }
}

impl Notice {
    /// The same without a document.
    const fn without(mut self) -> Self {
        self.content = super::Content::Nothing;
        self
    }
}
