//! PUBLISH, SUBSCRIBE and NOTIFY: the compositor and the presence agent of the server's users (RFC 3856, RFC 3903).
//!
//! A user of whom nothing is published is offline, not unknown: the server would know. A politely blocked watcher
//! gets the same document, so that the two cannot be told apart.

use super::{ConnectionId, Decision, Event, Output, Server};
use crate::event::Notifier;
use crate::event::notifier::Standing;
use crate::event::partial::{Forms, Next, Partial};
use crate::event::subscriber::ends_the_usage;
use crate::presence::partial::{self, PIDF_DIFF};
use crate::presence::{Basic, Component, Contact, DocumentError, PIDF, Presence, compose, pidf};
use crate::sip::{Message, Name, Reason};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// Partial presence (RFC 5262).
const FORMS: Forms =
    Forms { whole: PIDF, changes: PIDF_DIFF, full: partial::full, produce: partial::produce };

/// Names a subscription inside the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatcherId(u32);

struct Watcher {
    notifier: Notifier,
    /// The user who watches.
    user: String,
    presentity: String,
    /// The presentity's address as the watcher wrote it.
    entity: String,
    decision: Decision,
    connection: ConnectionId,
    due: Option<Instant>,
    partial: Partial,
}

/// The subscriptions of a server, found by dialog, by presentity and by deadline.
#[derive(Default)]
pub(super) struct Subscriptions {
    all: BTreeMap<WatcherId, Watcher>,
    by_dialog: BTreeMap<(String, String), WatcherId>,
    by_presentity: BTreeMap<String, BTreeSet<WatcherId>>,
    by_connection: BTreeMap<ConnectionId, BTreeSet<WatcherId>>,
    deadlines: BTreeSet<(Instant, WatcherId)>,
    next: u32,
}

impl Subscriptions {
    /// The subscription whose dialog `request` is in.
    pub(super) fn find(&self, request: &Message) -> Option<WatcherId> {
        let tag = request.to().ok()?.tag()?.to_owned();
        self.by_dialog.get(&(request.call_id().to_owned(), tag)).copied()
    }

    fn insert(&mut self, watcher: Watcher) -> WatcherId {
        let id = WatcherId(self.next);
        self.next = self.next.wrapping_add(1);
        self.by_dialog.insert(watcher.notifier.key(), id);
        self.by_presentity.entry(watcher.presentity.clone()).or_default().insert(id);
        self.by_connection.entry(watcher.connection).or_default().insert(id);
        self.all.insert(id, watcher);
        self.settle(id);
        id
    }

    /// Brings the deadline up to date with a subscription that has changed.
    fn settle(&mut self, id: WatcherId) {
        let Some(watcher) = self.all.get_mut(&id) else { return };
        let due = watcher.notifier.poll_timeout();
        if let Some(old) = core::mem::replace(&mut watcher.due, due) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, id));
        }
    }

    /// The way to the watcher is now this connection.
    fn move_to(&mut self, id: WatcherId, connection: ConnectionId) {
        let Some(watcher) = self.all.get_mut(&id) else { return };
        let old = core::mem::replace(&mut watcher.connection, connection);
        if let Some(ids) = self.by_connection.get_mut(&old) {
            ids.remove(&id);
        }
        self.by_connection.entry(connection).or_default().insert(id);
    }

    pub(super) fn remove(&mut self, id: WatcherId) {
        let Some(watcher) = self.all.remove(&id) else { return };
        self.by_dialog.remove(&watcher.notifier.key());
        if let Some(due) = watcher.due {
            self.deadlines.remove(&(due, id));
        }
        if let Some(ids) = self.by_presentity.get_mut(&watcher.presentity) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_presentity.remove(&watcher.presentity);
            }
        }
        if let Some(ids) = self.by_connection.get_mut(&watcher.connection) {
            ids.remove(&id);
        }
    }

    /// Subscriptions cannot be notified without their connection: a failed NOTIFY ends them (RFC 6665 §4.2.2).
    pub(super) fn handle_disconnected(&mut self, connection: ConnectionId) {
        for id in self.by_connection.remove(&connection).unwrap_or_default() {
            self.remove(id);
        }
    }

    fn count(&self, connection: ConnectionId) -> usize {
        self.by_connection.get(&connection).map_or(0, BTreeSet::len)
    }

    fn of(&self, presentity: &str) -> Vec<WatcherId> {
        self.by_presentity.get(presentity).into_iter().flatten().copied().collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}

impl Server {
    /// PUBLISH, step by step as RFC 3903 §6 has them.
    pub(super) fn handle_publish(
        &mut self,
        connection: ConnectionId,
        user: &str,
        request: &Message,
        now: Instant,
    ) {
        match self.publish(user, request, now) {
            Ok((tag, expires)) => {
                let expires = expires.to_string();
                self.answer(connection, request, 200, &[(Name::Expires, &expires), (Name::SipETag, &tag)]);
                self.tell(Event::Published { user: user.to_owned() });
            }
            Err(status) => self.refuse(connection, request, status),
        }
    }

    fn publish(&mut self, user: &str, request: &Message, now: Instant) -> Result<(String, u32), u16> {
        match self.addressee(request) {
            None => return Err(404),
            Some(presentity) if presentity != user => return Err(403),
            Some(_) => {}
        }
        let event = request.event().map_err(|_| 400_u16)?.ok_or(489_u16)?;
        if !event.package.eq_ignore_ascii_case("presence") {
            return Err(489);
        }
        let mut tags = request.list(&Name::SipIfMatch).map(str::to_owned);
        let tag = tags.next();
        // One tag, in one row (RFC 3903 §11.3.2).
        if tags.next().is_some() || tag.as_ref().is_some_and(|tag| tag.contains(',')) {
            return Err(400);
        }
        let expires = self.grant(request.expires(), false)?;
        let document = match request.body.as_slice() {
            [] => None,
            body => {
                let media = request.content_type().map_err(|_| 400_u16)?;
                if media.is_none_or(|media| media.essence != PIDF) {
                    return Err(415);
                }
                let most = self.config.limits.publication;
                let limits = pidf::Limits { bytes: most, ..pidf::Limits::default() };
                let (document, _) = pidf::read(body, &limits).map_err(|error| match error {
                    DocumentError::Limit(_) => 413_u16,
                    DocumentError::Malformed
                    | DocumentError::Encoding
                    | DocumentError::Entity
                    | DocumentError::Root
                    | DocumentError::MediaType
                    | DocumentError::Attribute(_)
                    | DocumentError::Part
                    | DocumentError::Stale
                    | DocumentError::Version
                    | DocumentError::Patch(_) => 400,
                })?;
                // What is written can be larger than what was read, so that the bodies alone say too little.
                let mut all = self.publications.others(user, tag.as_deref());
                all.push(&document);
                let (whole, conflicts) = compose::compose(user, &all);
                if pidf::write(&whole).len() > most.saturating_mul(4) {
                    return Err(413);
                }
                // One is enough to know that there are some.
                if let Some(conflict) = conflicts.first() {
                    let what = conflict.to_string();
                    self.outputs.push_back(Output::Event(Event::Conflict { user: user.to_owned(), what }));
                }
                Some(document)
            }
        };
        let expires_at = now + Duration::from_secs(u64::from(expires));
        let changed = document.is_some() || expires == 0;
        let tag = match (tag, document) {
            (None, None) => return Err(400),
            (None, Some(_)) if expires == 0 => self.random.token(),
            (None, Some(document)) => {
                if self.publications.documents(user).len() >= self.config.limits.publications {
                    return Err(503);
                }
                self.publications.insert(user, document, expires_at, &mut self.random)
            }
            (Some(tag), _) if expires == 0 => {
                self.publications.remove(user, &tag).map_err(|_| 412_u16)?;
                self.random.token()
            }
            (Some(tag), document) => self
                .publications
                .update(user, &tag, document, expires_at, &mut self.random)
                .map_err(|_| 412_u16)?,
        };
        if changed {
            self.handle_change(user, now);
        }
        Ok((tag, expires))
    }

    /// The life that is granted. Too short is refused; a subscription's of an hour and more never is (RFC 6665 §4.2.1.1).
    fn grant(&self, asked: Option<u32>, subscription: bool) -> Result<u32, u16> {
        let asked = asked.unwrap_or(3600);
        let brief = asked > 0 && asked < self.config.min_expires;
        if brief && !(subscription && asked >= 3600) {
            return Err(423);
        }
        Ok(asked.min(self.config.max_expires))
    }

    /// A first SUBSCRIBE, or a fetch.
    pub(super) fn handle_subscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        request: &Message,
        now: Instant,
    ) {
        if let Err(status) = self.subscribe(connection, user, request, now) {
            self.refuse(connection, request, status);
        }
    }

    fn subscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        request: &Message,
        now: Instant,
    ) -> Result<(), u16> {
        let presentity = self.addressee(request).ok_or(404_u16)?;
        if !request.accepts(PIDF, PIDF) && !request.accepts(PIDF_DIFF, PIDF) {
            return Err(406);
        }
        let expires = self.grant(request.expires(), true)?;
        let decision = self.config.decide(&presentity, user);
        let standing = match decision {
            Decision::Block => return Err(403),
            Decision::Confirm => Standing::Pending,
            Decision::PoliteBlock | Decision::Allow => Standing::Active,
        };
        if self.subscriptions.count(connection) >= self.config.limits.subscriptions {
            return Err(503);
        }
        let tag = self.random.token();
        let notifier = Notifier::new(
            request,
            &tag,
            self.contact(),
            standing,
            Duration::from_secs(u64::from(expires)),
            Duration::from_millis(u64::from(self.config.notify_interval)),
            now,
        )
        .map_err(|error| error.status())?;
        self.accept(connection, request, &tag, expires);
        let mut entity = request.request_uri().cloned().ok_or(400_u16)?;
        entity.params = crate::sip::Params::new();
        let mut partial = Partial::new(&FORMS);
        partial.handle_subscribe(request, true);
        let watcher = Watcher {
            notifier,
            user: user.to_owned(),
            presentity: presentity.clone(),
            entity: entity.to_string(),
            decision,
            connection,
            due: None,
            partial,
        };
        let id = self.subscriptions.insert(watcher);
        self.tell(Event::Subscribed { watcher: user.to_owned(), presentity });
        if expires == 0 {
            self.end(id, Reason::Timeout, true, now);
        } else {
            self.notify(id, Next::Whole, now);
        }
        Ok(())
    }

    fn accept(&mut self, connection: ConnectionId, request: &Message, tag: &str, expires: u32) {
        let (expires, contact) = (expires.to_string(), self.contact().to_string());
        let routes: Vec<String> = request.rows(&Name::RecordRoute).map(str::to_owned).collect();
        let mut headers: Vec<(Name, &str)> = routes.iter().map(|r| (Name::RecordRoute, r.as_str())).collect();
        headers.push((Name::Contact, &contact));
        headers.push((Name::Expires, &expires));
        headers.push((Name::AllowEvents, "presence"));
        self.answer_with_tag(connection, request, 200, tag, &headers);
    }

    /// A SUBSCRIBE inside a dialog: refresh or end.
    pub(super) fn handle_resubscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        request: &Message,
        now: Instant,
    ) {
        let Some(id) = self.subscriptions.find(request) else { return };
        let expires = match self.grant(request.expires(), true) {
            Ok(expires) => expires,
            Err(status) => return self.refuse(connection, request, status),
        };
        if !request.accepts(PIDF, PIDF) && !request.accepts(PIDF_DIFF, PIDF) {
            return self.refuse(connection, request, 406);
        }
        let Some(watcher) = self.subscriptions.all.get_mut(&id) else { return };
        if watcher.user != user {
            return self.answer(connection, request, 403, &[]);
        }
        let span = Duration::from_secs(u64::from(expires));
        if let Err(status) = watcher.notifier.handle_subscribe(request, span, now) {
            return self.answer(connection, request, status, &[]);
        }
        watcher.partial.handle_subscribe(request, watcher.connection != connection);
        let tag = watcher.notifier.key().1;
        self.subscriptions.move_to(id, connection);
        self.accept(connection, request, &tag, expires);
        if expires == 0 {
            self.end(id, Reason::Timeout, true, now);
        } else {
            self.notify(id, Next::Whole, now);
        }
    }

    /// What a watcher is shown; `None` while it is pending.
    fn document(&self, watcher: &Watcher) -> Option<String> {
        let presence = match watcher.decision {
            Decision::Block | Decision::Confirm => return None,
            Decision::PoliteBlock => offline(&watcher.entity),
            Decision::Allow => match self.publications.documents(&watcher.presentity).as_slice() {
                [] => offline(&watcher.entity),
                documents => {
                    let (whole, _) = compose::compose(&watcher.entity, documents);
                    self.config.transformations(&watcher.presentity, &watcher.user).apply(whole)
                }
            },
        };
        Some(pidf::write(&presence))
    }

    /// Tells the state.
    fn notify(&mut self, id: WatcherId, next: Next, now: Instant) {
        let Some(watcher) = self.subscriptions.all.get_mut(&id) else { return };
        if !watcher.partial.may_tell(next) {
            return;
        }
        let Some(watcher) = self.subscriptions.all.get(&id) else { return };
        let document = self.document(watcher);
        let Some(watcher) = self.subscriptions.all.get_mut(&id) else { return };
        let body = document.map(|text| watcher.partial.tell(text, next));
        let notify = watcher.notifier.notify(body, now);
        let connection = watcher.connection;
        self.subscriptions.settle(id);
        self.send_notify(id, connection, notify, now);
    }

    /// Sends the last NOTIFY and forgets the subscription.
    fn end(&mut self, id: WatcherId, reason: Reason, with_document: bool, now: Instant) {
        let Some(watcher) = self.subscriptions.all.get(&id) else { return };
        let document = if with_document { self.document(watcher) } else { None };
        let Some(watcher) = self.subscriptions.all.get_mut(&id) else { return };
        let body = document.map(|text| watcher.partial.end(text));
        let notify = watcher.notifier.terminate(reason, None, body);
        let connection = watcher.connection;
        self.subscriptions.remove(id);
        self.send_notify(id, connection, notify, now);
    }

    fn send_notify(&mut self, id: WatcherId, connection: ConnectionId, mut notify: Message, now: Instant) {
        let token = self.random.token();
        self.transactions.start(&mut notify, &token, (id, connection), now);
        self.outputs.push_back(Output::Send(connection, notify.to_bytes()));
    }

    /// The final response to a NOTIFY.
    pub(super) fn handle_notified(&mut self, id: WatcherId, status: u16, now: Instant) {
        // A challenge cannot be answered: the server has no credentials with its users.
        if ends_the_usage(status) || matches!(status, 401 | 407) {
            return self.subscriptions.remove(id);
        }
        let watcher = self.subscriptions.all.get_mut(&id);
        if let Some(next) = watcher.and_then(|watcher| watcher.partial.handle_answer(status)) {
            self.notify(id, next, now);
        }
    }

    /// The state of `presentity` changed. A politely blocked watcher hears nothing, or the time would tell.
    pub(super) fn handle_change(&mut self, presentity: &str, now: Instant) {
        for id in self.subscriptions.of(presentity) {
            let Some(watcher) = self.subscriptions.all.get_mut(&id) else { continue };
            let tell = watcher.decision == Decision::Allow && watcher.notifier.handle_change(now);
            self.subscriptions.settle(id);
            if tell {
                self.notify(id, Next::Changes, now);
            }
        }
    }

    pub(super) fn time_out_subscriptions(&mut self, now: Instant) {
        while let Some((_, id)) = self.subscriptions.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            let Some(watcher) = self.subscriptions.all.get_mut(&id) else { return };
            if watcher.notifier.is_expired(now) {
                self.end(id, Reason::Timeout, false, now);
                continue;
            }
            let due = watcher.notifier.handle_timeout(now);
            self.subscriptions.settle(id);
            if due {
                self.notify(id, Next::Changes, now);
            }
        }
    }

    pub(super) fn end_subscriptions(&mut self, now: Instant) {
        let ids: Vec<WatcherId> = self.subscriptions.all.keys().copied().collect();
        for id in ids {
            self.end(id, Reason::Deactivated, false, now);
        }
    }
}

/// The document of a user of whom nothing is published.
fn offline(entity: &str) -> Presence {
    let tuple = Component {
        id: "t0".to_owned(),
        basic: Some(Basic::Closed),
        contact: Some(Contact { uri: entity.to_owned(), priority: None }),
        ..Component::default()
    };
    Presence { entity: entity.to_owned(), tuples: vec![tuple], ..Presence::default() }
}
