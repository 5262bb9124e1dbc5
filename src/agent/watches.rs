//! The application's watches: which subscription feeds which, and what it is told.

use super::deadlines::Deadlines;
use super::documents::{ACCEPT_WHOLE, Content, Documents, Read, Subject};
use super::requests::{Job, describe, refusal};
use super::subscriptions::{Role, SubscriptionId};
use super::watch::{Watch, nothing_known};
use super::{
    Agent, Cause, Event, Failure, FailureCode, RequestId, SubscriptionView, View, WatchId, Watching,
};
use crate::event::subscriber::{End, Notified, Plan, Subscriber, Update, Why};
use crate::presence::{DocumentError, status};
use crate::sip::{EventType, Message, Reason, Uri};
use crate::time::Instant;
use litemap::LiteMap;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Watches {
    pub(super) all: LiteMap<WatchId, Box<Watch>>,
    by_address: LiteMap<String, WatchId>,
    /// Made, and not begun with.
    pub(super) batch: Vec<WatchId>,
    deadlines: Deadlines,
    next: u32,
}

impl Watches {
    pub(super) fn get(&self, id: WatchId) -> Option<&Watch> {
        self.all.get(&id).map(|watch| &**watch)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }

    pub(super) fn next_id(&mut self) -> WatchId {
        self.next = self.next.wrapping_add(1);
        WatchId(self.next)
    }

    /// Brings the deadlines up to date with a watch that has changed.
    pub(super) fn settle(&mut self, id: WatchId) {
        let Some(watch) = self.all.get_mut(&id) else { return };
        let due = watch.poll_timeout();
        self.deadlines.change(id.0, core::mem::replace(&mut watch.due, due), due);
    }
}

impl Agent {
    /// Starts watching `target`. Several watches of one presentity share one subscription and one [`WatchId`]; one
    /// more begins anew if the subscription has ended for good. A watch that the agent itself refuses is told so and
    /// forgotten: it has no view, and need not be ended.
    pub fn watch(&mut self, target: &Uri, now: Instant) -> WatchId {
        let id = self.hold(target, Subject::Presence);
        self.start(now);
        id
    }

    /// Starts watching something of `target`. Watches of different subjects are different watches.
    pub fn watch_subject(&mut self, target: &Uri, subject: Subject, now: Instant) -> WatchId {
        let id = self.hold(target, subject);
        self.start(now);
        id
    }

    /// A watch of `target`; nothing is sent before [`Self::start`].
    pub(crate) fn hold(&mut self, target: &Uri, subject: Subject) -> WatchId {
        let address = address(target, subject);
        let refusal = self.refusal(target);
        let known = self.watches.by_address.get(&address).copied();
        match (refusal, known) {
            (Some(code), _) => self.refuse_watch(target, code),
            (None, Some(id)) => {
                self.watch_again(id);
                id
            }
            (None, None) if self.watches.all.len() >= self.config.watches => {
                self.refuse_watch(target, FailureCode::TooManyWatches)
            }
            (None, None) => {
                let id = self.watches.next_id();
                let mut watch = Watch::new(target, id);
                watch.count = 1;
                watch.subject = subject;
                watch.list = (subject == Subject::List).then(Box::default);
                self.watches.by_address.insert(address, id);
                self.watches.all.insert(id, Box::new(watch));
                self.watches.batch.push(id);
                id
            }
        }
    }

    /// Why nothing can be asked about `target`, if so.
    fn refusal(&self, target: &Uri) -> Option<FailureCode> {
        if self.is_closing() {
            Some(FailureCode::Closed)
        } else if target.is_secure() && self.config.is_insecure() {
            Some(FailureCode::SecureOnly)
        } else {
            None
        }
    }

    pub(super) fn refuse_watch(&mut self, target: &Uri, code: FailureCode) -> WatchId {
        let id = self.watches.next_id();
        let mut watch = Watch::new(target, id);
        watch.stand(Watching::Terminated, Some(code.as_str().to_owned()), None);
        let mut failure = Failure::new(code);
        failure.uri = Some(watch.view.uri.clone());
        watch.failure = Some(Rc::from(failure.clone()));
        if code != FailureCode::Closed {
            self.tell(Event::Error(failure));
        }
        if let Some(view) = watch.news(Cause::Local) {
            self.tell(Event::State { watch: id, view });
        }
        id
    }

    /// One more watch of what is watched already.
    fn watch_again(&mut self, id: WatchId) {
        let Some(watch) = self.watches.all.get_mut(&id) else { return };
        watch.count += 1;
        watch.linger_until = None;
        let old = watch.subscription;
        let is_over = match old {
            Some(old) => self.subscriptions.get(old).is_some_and(|s| s.subscriber.is_over()),
            // Its list says so, or there is none.
            None => watch.state == Watching::Terminated && watch.retry_at.is_none(),
        };
        self.watches.settle(id);
        if is_over {
            if let Some(old) = old {
                subscription_departs(&mut self.subscriptions, old);
            }
            self.go_alone(id);
        }
    }

    /// An attempt is about to be made.
    pub(super) fn try_watch(&mut self, id: WatchId) {
        if let Some(watch) = self.watches.all.get_mut(&id) {
            watch.stand(Watching::Trying, None, None);
        }
        self.announce(id, Cause::Local);
        self.echo(id, Cause::Local);
    }

    /// Ends one watch; the subscription ends a linger after the last.
    pub fn unwatch(&mut self, id: WatchId, now: Instant) {
        if self.link.is_closed() {
            return;
        }
        let Some(watch) = self.watches.all.get_mut(&id) else { return };
        watch.count = watch.count.saturating_sub(1);
        if watch.count == 0 {
            watch.linger_until = Some(now + self.config.linger);
        }
        self.watches.settle(id);
        self.time_out_watches(now);
        self.run(now);
    }

    /// Asks once for the presence of `target`; answered by [`Event::Fetched`].
    pub fn fetch(&mut self, target: &Uri, now: Instant) -> RequestId {
        self.fetch_subject(target, Subject::Presence, now)
    }

    /// Asks once about `target`, which is no list; answered by [`Event::Fetched`].
    pub fn fetch_subject(&mut self, target: &Uri, subject: Subject, now: Instant) -> RequestId {
        let request = self.next_request_id();
        if let Some(code) = self.refusal(target) {
            let mut failure = Failure::new(code);
            failure.uri = Some(target.text());
            self.tell(Event::Fetched { request, result: Err(failure) });
        } else {
            self.subscribe(target, subject, 0, Role::Fetch(request, target.text()));
            self.run(now);
        }
        request
    }

    pub(super) fn subscribe(
        &mut self,
        target: &Uri,
        subject: Subject,
        expires: u32,
        role: Role,
    ) -> SubscriptionId {
        let mut target = target.clone();
        target.clean();
        // A few may renew together.
        let spread = match self.subscriptions.len() < self.config.window {
            true => 0,
            false => u8::try_from(self.random.below(256)).unwrap_or(0),
        };
        let plan = Plan {
            target,
            from: self.from.clone(),
            event: EventType::new(subject.event()),
            accept: subject.accept(),
            expires,
            spread,
        };
        self.subscriptions.insert(Subscriber::new(plan), subject, role)
    }

    /// Sends SUBSCRIBEs as long as the window has room.
    pub(super) fn send_subscriptions(&mut self, now: Instant) {
        while self.closing.is_some() || self.transactions.len() < self.config.window {
            let Some(id) = self.subscriptions.next_ready() else { return };
            let Some(subscription) = self.subscriptions.get_mut(id) else { continue };
            let request = subscription.subscriber.next_request(&mut self.random, now);
            self.subscriptions.settle(id);
            if let Some(request) = request {
                self.send_subscription(id, request, now);
            }
        }
    }

    /// What the answer to a SUBSCRIBE did.
    pub(super) fn handle_subscription(
        &mut self,
        id: SubscriptionId,
        job: Job,
        update: Update,
        response: Option<&Message>,
        code: Option<FailureCode>,
        now: Instant,
    ) {
        match update {
            Update::Nothing => self.renew(id, None),
            Update::Unchanged => self.renew(id, Some(now)),
            Update::Resend(request) => self.resend(job, request, now),
            Update::Ended(end) => self.handle_end(id, end, response, code),
            Update::Postponed(end) => {
                let watch = self.subscriptions.get(id).map(|subscription| subscription.role.clone());
                if let (Some(Role::Watch(watch)), Some(mut failure)) = (watch, failure(&end, response, code))
                {
                    failure.uri = self.watches.get(watch).map(|watch| watch.view.uri.clone());
                    self.tell(Event::Error(failure));
                }
            }
        }
        self.subscriptions.settle(id);
    }

    /// A SUBSCRIBE was accepted: the subscription may last longer. With `unchanged`, what is known was confirmed then.
    fn renew(&mut self, id: SubscriptionId, unchanged: Option<Instant>) {
        let Some(subscription) = self.subscriptions.get(id) else { return };
        let Role::Watch(watch_id) = subscription.role else { return };
        let Some(watch) = self.watches.all.get_mut(&watch_id) else { return };
        watch.expires = subscription.subscriber.expires_at();
        if unchanged.is_some() {
            watch.as_of = unchanged;
            watch.stale = false;
            let pending = subscription.subscriber.is_pending();
            watch.stand(if pending { Watching::Pending } else { Watching::Active }, None, None);
        }
        self.announce(watch_id, Cause::Resync);
    }

    /// A NOTIFY was accepted: tell whom it concerns.
    pub(super) fn deliver(
        &mut self,
        id: SubscriptionId,
        notified: Notified,
        message: &Message,
        now: Instant,
    ) {
        if let Some(list) = self.list_of(id) {
            return self.deliver_list(id, list, notified, message, now);
        }
        let Some(subscription) = self.subscriptions.get(id) else { return };
        let (role, expires_at) = (subscription.role.clone(), subscription.subscriber.expires_at());
        let subject = subscription.subject;
        let limits = &self.config.document_limits;
        match role {
            Role::Watch(watch_id) => {
                let Some(watch) = self.watches.all.get_mut(&watch_id) else { return };
                if notified.anew {
                    watch.documents = Documents::default();
                }
                let document = watch.documents.read(subject, message, limits, now);
                #[cfg(feature = "full")]
                let document = document.and_then(|read| match self.config.notifiers.is_some() {
                    true => watch.fresh(read),
                    false => Ok(read),
                });
                let cause = if !watch.known {
                    Cause::Initial
                } else if notified.anew {
                    Cause::Resync
                } else {
                    Cause::Change
                };
                let (mut fault, mut ask, mut is_fresh) = (None, false, true);
                match document {
                    Ok(Read::Content(content)) => watch.take(content, now),
                    Ok(Read::Part(content)) => {
                        watch.take(content, now);
                        ask = true;
                    }
                    Ok(Read::Old) => is_fresh = false,
                    Ok(Read::Nothing) if notified.unchanged => {}
                    Ok(Read::Nothing) if notified.answers && notified.end.is_none() => {
                        watch.take(Content::default(), now);
                    }
                    // The document before stays valid (RFC 3856 §6.8). But servers also send this when the last
                    // publication has run out: ask for the whole state.
                    Ok(Read::Nothing) => ask = watch.has_document() && notified.end.is_none(),
                    // What could not be read makes nothing fresher.
                    Err(error) => {
                        is_fresh = false;
                        // The whole document mends these (RFC 5263 §4.5).
                        ask = matches!(error, DocumentError::Version | DocumentError::Patch(_));
                        fault = Some(error).filter(|error| *error != DocumentError::Version);
                    }
                }
                let is_hopeless = watch.documents.is_hopeless();
                watch.known |= is_fresh;
                if is_fresh {
                    watch.as_of = Some(now);
                    watch.stale = false;
                }
                watch.expires = expires_at;
                watch.stand(Watching::from(&notified.state), None, None);
                let uri = fault.is_some().then(|| watch.view.uri.clone());
                if let Some(subscription) = self.subscriptions.get_mut(id) {
                    if fault.is_some() {
                        subscription.subscriber.forget_entity();
                    }
                    if is_hopeless {
                        subscription.subscriber.accept(ACCEPT_WHOLE);
                    }
                    if ask && notified.end.is_none() {
                        subscription.subscriber.refresh(now);
                    }
                }
                if let Some(error) = fault {
                    self.tell(Event::Error(bad_document(&error, uri)));
                }
                match notified.end {
                    Some(end) => self.handle_end(id, end, None, None),
                    None => self.announce(watch_id, cause),
                }
                self.watches.settle(watch_id);
            }
            Role::Fetch(request, uri) => {
                let nothing =
                    matches!(&notified.end, Some(End { why: Why::Terminated(Some(Reason::Noresource)), .. }));
                let subscription =
                    self.subscriptions.get_mut(id).filter(|_| nothing && message.body.is_empty());
                if subscription.is_some_and(|subscription| subscription.subscriber.insist()) {
                    return;
                }
                let state = Watching::from(&notified.state);
                let reason = match notified.end.map(|end| end.why) {
                    Some(Why::Terminated(reason)) => reason.map(|reason| reason.as_str().to_owned()),
                    Some(Why::Refused(_) | Why::NoAnswer | Why::NoNotify | Why::Expired | Why::Left)
                    | None => None,
                };
                let result = match Documents::default().read(subject, message, limits, now) {
                    Ok(Read::Content(content) | Read::Part(content)) => {
                        Ok(Rc::new(fetched(uri, content, state, reason, now)))
                    }
                    Ok(Read::Nothing | Read::Old) => {
                        Ok(Rc::new(fetched(uri, Content::default(), state, reason, now)))
                    }
                    Err(error) => Err(bad_document(&error, Some(uri))),
                };
                self.tell(Event::Fetched { request, result });
                // It has ended itself, unless the notifier made a subscription of it.
                subscription_departs(&mut self.subscriptions, id);
            }
            Role::Departed => {}
        }
    }

    /// A document came in a form that is not read, such as the `application/xpidf+xml` of Asterisk. The last good
    /// state stays, and the application hears that it is not the newest.
    pub(super) fn miss_document(&mut self, id: SubscriptionId) {
        let Some(Role::Watch(watch)) = self.subscriptions.get(id).map(|s| &s.role) else { return };
        let uri = self.watches.get(*watch).map(|watch| watch.view.uri.clone());
        let failure = bad_document(&DocumentError::MediaType, uri);
        self.tell(Event::Error(failure));
    }

    /// A subscription, or an attempt at one, is over.
    pub(super) fn handle_end(
        &mut self,
        id: SubscriptionId,
        end: End,
        response: Option<&Message>,
        code: Option<FailureCode>,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(id) else { return };
        let mut failure = failure(&end, response, code);
        let subject = subscription.subject;
        #[cfg(feature = "full")]
        let unproved = subscription.unproved;
        #[cfg(not(feature = "full"))]
        let unproved = false;
        match subscription.role.clone() {
            Role::Watch(watch_id) => {
                if self.lose_list(watch_id, &end, &mut failure) {
                    return;
                }
                let Some(watch) = self.watches.all.get_mut(&watch_id) else { return };
                // What is invariant stays true (RFC 6665 §4.1.3).
                watch.stale = watch.known && end.why != Why::Terminated(Some(Reason::Invariant));
                watch.expires = None;
                // The server has forgotten the dialog, as after a restart, and a new one is asked for: nothing has
                // failed yet.
                let cause = if end.why == Why::Refused(481) && end.retry_at.is_some() {
                    watch.stand(Watching::Trying, None, end.retry_at);
                    self.announce(watch_id, Cause::Disconnect);
                    Cause::Disconnect
                } else {
                    let Some(mut failure) = failure else { return };
                    specify(&mut failure, subject, unproved);
                    self.fail_watch(watch_id, failure, matches!(end.why, Why::Terminated(_)));
                    Cause::Expired
                };
                self.echo(watch_id, cause);
            }
            Role::Fetch(request, uri) => {
                let mut failure = failure.unwrap_or_else(|| Failure::new(FailureCode::ConnectionLost));
                specify(&mut failure, subject, unproved);
                failure.uri = Some(uri);
                failure.retry_at = None;
                self.tell(Event::Fetched { request, result: Err(failure) });
                // A fetch is answered once: a late NOTIFY finds nobody.
                subscription_departs(&mut self.subscriptions, id);
            }
            Role::Departed => {}
        }
    }

    /// A watch has ended. For a notifier to say so is its right, and to expire the way of time: these are no errors.
    pub(super) fn fail_watch(&mut self, id: WatchId, mut failure: Box<Failure>, by_notifier: bool) {
        let Some(watch) = self.watches.all.get_mut(&id) else { return };
        failure.uri = Some(watch.view.uri.clone());
        let reason =
            if by_notifier { failure.reason.clone() } else { Some(failure.code.as_str().to_owned()) };
        watch.stand(Watching::Terminated, reason, failure.retry_at);
        watch.failure = Some(Rc::from(failure.clone()));
        if !by_notifier && failure.code != FailureCode::Expired {
            self.tell(Event::Error(failure));
        }
        self.announce(id, Cause::Expired);
    }

    /// Tells the application what is known, if that is news.
    pub(super) fn announce(&mut self, id: WatchId, cause: Cause) {
        if self.watches.all.get_mut(&id).is_some_and(|watch| watch.news(cause).is_some()) {
            self.recount(id);
        }
    }

    /// Tells the application what is known of one watch, whether it is news or not.
    pub(super) fn recount(&mut self, id: WatchId) {
        let Some(watch) = self.watches.all.get(&id) else { return };
        let (told_as, view) = (watch.told_as, Rc::clone(&watch.view));
        if told_as == id {
            self.tell(Event::State { watch: id, view });
        } else if told_as.0 > 0 {
            self.tell(Event::Member { list: told_as, view });
        }
    }

    /// The same of a watch, then of its members if it is of a list.
    pub fn recall(&mut self, id: WatchId) {
        self.recount(id);
        for member in self.members(id) {
            self.recount(member);
        }
    }

    /// The connection is gone: what was known may be old from the moment the server was last heard.
    pub(super) fn lose_subscriptions(&mut self) {
        for id in self.subscriptions.ids() {
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.subscriber.handle_disconnected();
                self.subscriptions.settle(id);
            }
        }
        let ids: Vec<WatchId> = self.watches.all.keys().copied().collect();
        for id in ids {
            let Some(watch) = self.watches.all.get_mut(&id) else { continue };
            if watch.state != Watching::Terminated {
                if watch.known && !watch.stale {
                    watch.stale = true;
                    watch.as_of = Some(self.heard_at);
                }
                watch.stand(Watching::Trying, None, None);
            }
            self.announce(id, Cause::Disconnect);
        }
    }

    /// Each is told once: what is due again at once waits for the next call.
    pub(super) fn time_out_subscriptions(&mut self, now: Instant) {
        for id in self.subscriptions.due(now) {
            let Some(subscription) = self.subscriptions.get_mut(id) else { continue };
            let update = subscription.subscriber.handle_timeout(&mut self.random, now);
            // The time of the next attempt has come; without a connection, or room for it, it is still to be made.
            let trying = subscription.subscriber.is_ready() && subscription.subscriber.key().is_none();
            match (update, &subscription.role) {
                (Update::Ended(end), _) => self.handle_end(id, end, None, None),
                (_, &Role::Watch(watch)) if trying => self.try_watch(watch),
                (_, _) => {}
            }
            self.subscriptions.settle(id);
        }
    }

    pub(super) fn time_out_watches(&mut self, now: Instant) {
        while let Some((_, id)) = self.watches.deadlines.first().filter(|(at, _)| *at <= now) {
            let id = WatchId(id);
            let Some(watch) = self.watches.all.get_mut(&id) else { return };
            if watch.linger_until.is_some_and(|at| at <= now) {
                if watch.told_as != id {
                    // Its list names it no more.
                    watch.stale = watch.known;
                    watch.stand(Watching::Terminated, Some("removed".to_owned()), None);
                    self.announce(id, Cause::Change);
                }
                self.forget(id);
                continue;
            }
            watch.summarize(now);
            self.announce(id, Cause::Expired);
            self.watches.settle(id);
        }
    }

    /// Nobody watches any more.
    pub(super) fn forget(&mut self, id: WatchId) {
        self.leave_list(id);
        let Some(watch) = self.watches.all.remove(&id) else { return };
        let address = address(&watch.target, watch.subject);
        if self.watches.by_address.get(&address) == Some(&id) {
            self.watches.by_address.remove(&address);
        }
        self.watches.deadlines.change(id.0, watch.due, None);
        if let Some(subscription) = watch.subscription {
            subscription_departs(&mut self.subscriptions, subscription);
        }
        for member in watch.list.iter().flat_map(|list| list.members.values()) {
            self.forget(*member);
        }
    }

    /// The agent is being closed.
    pub(super) fn leave_all(&mut self) {
        for id in self.subscriptions.ids() {
            if matches!(self.subscriptions.get(id).map(|s| &s.role), Some(Role::Watch(_))) {
                subscription_departs(&mut self.subscriptions, id);
            }
        }
    }

    /// Fetches that were not answered fail.
    pub(super) fn end_fetches(&mut self, failure: &Failure) {
        for id in self.subscriptions.ids() {
            let Some(Role::Fetch(request, uri)) = self.subscriptions.get(id).map(|s| s.role.clone()) else {
                continue;
            };
            let mut failure = Box::new(failure.clone());
            failure.uri = Some(uri);
            self.tell(Event::Fetched { request, result: Err(failure) });
            subscription_departs(&mut self.subscriptions, id);
        }
    }
}

fn bad_document(error: &DocumentError, uri: Option<String>) -> Box<Failure> {
    let mut failure = Failure::new(FailureCode::BadDocument);
    failure.uri = uri;
    failure.reason = Some(error.text());
    failure
}

/// Why a subscription ended, or a refresh of it failed; `None` for who has left. `code` says what a 401 or 407 means.
fn failure(end: &End, response: Option<&Message>, code: Option<FailureCode>) -> Option<Box<Failure>> {
    let code = code.or(match end.why {
        Why::Refused(status) => Some(refusal(status)),
        Why::NoAnswer => Some(FailureCode::Timeout),
        Why::NoNotify => Some(FailureCode::NoNotify),
        Why::Expired | Why::Terminated(Some(Reason::Timeout)) => Some(FailureCode::Expired),
        Why::Terminated(Some(Reason::Deactivated)) => Some(FailureCode::Deactivated),
        Why::Terminated(Some(Reason::Probation)) => Some(FailureCode::Probation),
        Why::Terminated(Some(Reason::Rejected)) => Some(FailureCode::Rejected),
        Why::Terminated(Some(Reason::Giveup)) => Some(FailureCode::Giveup),
        Why::Terminated(Some(Reason::Noresource)) => Some(FailureCode::Noresource),
        Why::Terminated(Some(Reason::Invariant)) => Some(FailureCode::Invariant),
        Why::Terminated(Some(Reason::BadFilter)) => Some(FailureCode::BadFilter),
        Why::Terminated(Some(Reason::Other(_)) | None) => Some(FailureCode::Ended),
        Why::Left => None,
    })?;
    let mut failure = describe(code, response);
    if let Why::Terminated(Some(reason)) = &end.why {
        failure.reason = Some(reason.as_str().to_owned());
    }
    failure.retry_at = end.retry_at;
    Some(failure)
}

/// The detail that helps more than the reason phrase: the package that is not there, and that NOTIFYs came but could not
/// be believed.
fn specify(failure: &mut Failure, subject: Subject, unproved: bool) {
    if failure.code == FailureCode::UnsupportedEvent {
        failure.reason = Some(subject.event().to_owned());
    } else if unproved && failure.code == FailureCode::NoNotify {
        failure.reason = Some("no NOTIFY proved who sent it".to_owned());
    }
}

/// Ends the interest in a subscription; what is to be said to the notifier is still sent.
pub(super) fn subscription_departs(subscriptions: &mut super::Subscriptions, id: SubscriptionId) {
    if let Some(subscription) = subscriptions.get_mut(id) {
        let _ = subscription.subscriber.leave();
    }
    subscriptions.remove(id);
}

/// The key of a watch of `target`.
fn address(target: &Uri, subject: Subject) -> String {
    let mut address = target.address_of_record();
    address.push_str(subject.mark());
    address
}

fn fetched(uri: String, content: Content, state: Watching, reason: Option<String>, now: Instant) -> View {
    View {
        uri,
        summary: content.presence.as_ref().map_or_else(nothing_known, |p| status::summarize(p, now)),
        presence: content.presence,
        details: content.details,
        subscription: SubscriptionView { state, reason, failure: None, expires: None, retry_at: None },
        stale: false,
        as_of: Some(now),
        cause: Cause::Initial,
    }
}
