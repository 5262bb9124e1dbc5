//! Lists of presentities: one subscription that feeds many watches (RFC 4662), of a list that the server keeps, or of
//! one that the request brings along (RFC 5367).
//!
//! A list is a watch with a [`List`]; its members are watches without a subscription. Those of a list at the server are
//! made and forgotten with its rows, and told under the number of the list. Those of a list in the request are watches
//! of the application; each gets a subscription of its own if the server leaves it out, or refuses the list.

use super::documents::{Content, Subject, text};
use super::registration::SUPPORTED;
use super::subscriptions::{Role, SubscriptionId};
use super::watch::Watch;
use super::watches::subscription_departs;
use super::{Agent, Cause, Event, Failure, FailureCode, WatchId, Watching};
use crate::event::subscriber::{End, Notified, Why};
use crate::pieces::concat;
use crate::presence::multipart::{self, Part, RELATED};
use crate::presence::rlmi::{self, Instance, RESOURCE_LISTS, RLMI, State};
use crate::presence::{DocumentError, PIDF, Presence, pidf};
use crate::sip::{Message, Name, Substate, Uri};
use crate::time::{Duration, Instant};
use litemap::LiteMap;
use std::rc::Rc;

/// Whether lists can be watched. The smaller module goes without: they are a sixteenth of it, and few servers have lists.
const LISTS: bool = cfg!(feature = "full");

/// The option tag of lists (RFC 4662 §4.1).
pub(super) const EVENTLIST: &str = "eventlist";
/// What a subscription to a list takes (RFC 4662 §4.3).
const ACCEPT: &str = "application/pidf+xml, application/rlmi+xml, multipart/related";
/// How long a member that a full state does not name is kept: Kamailio cuts one state into several NOTIFYs, of which
/// only the first says that it is full.
const GONE: Duration = Duration::from_secs(1);
/// How long after a new start a state that was not known yet is no change: Kamailio names all members at first, and sends
/// what it learns of them some seconds later.
const YET: Duration = Duration::from_secs(10);
/// Lists inside lists.
const DEPTH: usize = 8;
/// Lists inside one list in all.
const MOST_LISTS: usize = 256;

/// What a watch of a list knows of it.
#[derive(Default)]
pub(super) struct List {
    /// The watches that it feeds, by address.
    pub(super) members: LiteMap<String, WatchId>,
    /// The list was in the request: its members are watches of the application.
    pub(super) ad_hoc: bool,
    /// The list itself, then those inside it.
    levels: Vec<Level>,
}

/// One list as its documents describe it.
struct Level {
    /// The address of its row in the list around it; empty for the outermost.
    address: String,
    version: Option<u32>,
    /// A full state came, and since then nothing but more of the same version.
    whole: bool,
    /// The addresses that it names.
    rows: Vec<String>,
}

impl List {
    fn level(&mut self, address: &str) -> Option<&mut Level> {
        let at = match self.levels.iter().position(|level| level.address == address) {
            Some(at) => at,
            None if self.levels.len() > MOST_LISTS => return None,
            None => {
                let address = address.to_owned();
                self.levels.push(Level { address, version: None, whole: false, rows: Vec::new() });
                self.levels.len() - 1
            }
        };
        self.levels.get_mut(at)
    }

    /// Forgets the lists that no list names any more; the members that none names.
    fn sweep(&mut self) -> Vec<WatchId> {
        let mut named: LiteMap<String, WatchId> = LiteMap::new();
        let mut lists = vec![""];
        while let Some(address) = lists.pop() {
            for level in self.levels.iter().filter(|level| level.address == address) {
                for row in &level.rows {
                    if named.insert(row.clone(), WatchId(0)).is_none() {
                        lists.push(row);
                    }
                }
            }
        }
        self.levels.retain(|level| level.address.is_empty() || named.get(&level.address).is_some());
        // What has become a list is no member.
        for level in &self.levels {
            named.remove(&level.address);
        }
        let gone = self.members.iter().filter(|(address, _)| named.get(*address).is_none());
        gone.map(|(_, id)| *id).collect()
    }
}

impl Level {
    /// Whether a document of `version` is news, and if so whether one before it was missed (RFC 4662 §5.6).
    fn take(&mut self, version: u32, full: bool) -> Option<bool> {
        let more = !full && self.whole && self.version == Some(version);
        if !more && self.version.is_some_and(|known| version <= known) {
            return None;
        }
        let next = self.version.is_some_and(|known| version <= known.saturating_add(1));
        self.version = Some(version);
        self.whole = full || more;
        Some(!full && !next)
    }
}

/// What one NOTIFY does to a list.
struct Round {
    list: WatchId,
    /// It comes after state may have been missed.
    anew: bool,
    /// A document was missed.
    gap: bool,
    /// Members may be gone.
    sweep: bool,
    now: Instant,
}

impl Agent {
    /// Watches the list `target` that the server keeps. Its members are told under the number of the list; its own
    /// view says how the subscription stands.
    pub fn watch_list(&mut self, target: &Uri, now: Instant) -> WatchId {
        let id = self.hold(target, Subject::List);
        self.start(now);
        id
    }

    /// Watches each of `targets`, with one subscription for all that are new if there is a list server.
    pub fn watch_all(&mut self, targets: &[Uri], now: Instant) -> Vec<WatchId> {
        let ids = targets.iter().map(|target| self.hold(target, Subject::Presence)).collect();
        self.start(now);
        ids
    }

    /// Begins with the watches that were made by [`Self::hold`] since the last call.
    pub(crate) fn start(&mut self, now: Instant) {
        let batch = core::mem::take(&mut self.watches.batch);
        if let Some(server) = self.config.list_server.clone().filter(|_| LISTS && batch.len() > 1) {
            let id = self.watches.next_id();
            let mut list = List { ad_hoc: true, ..List::default() };
            for member in batch {
                if let Some(watch) = self.watches.all.get_mut(&member) {
                    watch.member_of = Some(id);
                    list.members.insert(watch.target.address_of_record(), member);
                }
            }
            let mut watch = Watch::new(&server, WatchId(0));
            watch.subject = Subject::List;
            watch.list = Some(Box::new(list));
            self.watches.all.insert(id, Box::new(watch));
            self.go_alone(id);
        } else {
            for id in batch {
                self.go_alone(id);
            }
        }
        self.run(now);
    }

    /// A watch gets a subscription of its own.
    pub(super) fn go_alone(&mut self, id: WatchId) {
        self.leave_list(id);
        let Some(watch) = self.watches.get(id) else { return };
        let (target, subject) = (watch.target.clone(), watch.subject);
        let subscription = self.subscribe(&target, subject, self.config.expires, Role::Watch(id));
        if let Some(watch) = self.watches.all.get_mut(&id) {
            watch.subscription = Some(subscription);
        }
        self.try_watch(id);
    }

    /// The list that feeds a watch feeds it no more, and goes with its last member if it was in a request.
    pub(super) fn leave_list(&mut self, id: WatchId) {
        let Some(watch) = self.watches.all.get_mut(&id) else { return };
        let (list, address) = (watch.member_of.take(), watch.target.address_of_record());
        let Some(list_id) = list else { return };
        let Some(list) = self.list(list_id) else { return };
        list.members.remove(&address);
        if list.ad_hoc && list.members.is_empty() {
            self.forget(list_id);
        }
    }

    /// Whether a subscription is to a list, be it that nobody wants it any more.
    pub(super) fn is_of_list(&self, id: SubscriptionId) -> bool {
        LISTS && self.subscriptions.get(id).is_some_and(|of| of.subject == Subject::List)
    }

    /// The watch that a subscription to a list feeds.
    pub(super) fn list_of(&self, id: SubscriptionId) -> Option<WatchId> {
        let Role::Watch(watch) = self.subscriptions.get(id)?.role else { return None };
        self.watches.get(watch).filter(|_| LISTS)?.list.as_ref().map(|_| watch)
    }

    fn list(&mut self, id: WatchId) -> Option<&mut List> {
        self.watches.all.get_mut(&id).filter(|_| LISTS)?.list.as_deref_mut()
    }

    /// The member of a list that has the address `uri`.
    pub(super) fn member_at(&self, id: WatchId, uri: &str) -> Option<WatchId> {
        let list = self.watches.get(id).filter(|_| LISTS)?.list.as_ref()?;
        list.members.get(&Uri::parse(uri).ok()?.address_of_record()).copied()
    }

    pub(super) fn members(&self, id: WatchId) -> Vec<WatchId> {
        let list = self.watches.get(id).filter(|_| LISTS).and_then(|watch| watch.list.as_ref());
        list.map(|list| list.members.values().copied().collect()).unwrap_or_default()
    }

    /// What a SUBSCRIBE to a list has besides.
    pub(super) fn describe_list(&self, id: SubscriptionId, request: &mut Message) {
        if !self.is_of_list(id) {
            return;
        }
        request.set(Name::Accept, ACCEPT);
        request.set(Name::Supported, concat(&[EVENTLIST, ", ", SUPPORTED]));
        let Some(list) = self.list_of(id).and_then(|id| self.watches.get(id)?.list.as_ref()) else { return };
        // Later ones in the dialog do not repeat it (RFC 5367 §3.2).
        if list.ad_hoc && request.to().is_ok_and(|to| to.tag().is_none()) {
            request.push(Name::Require, "recipient-list-subscribe");
            request.push(Name::ContentDisposition, "recipient-list");
            let members = list.members.values().filter_map(|id| self.watches.get(*id));
            let text = rlmi::write(members.map(|watch| watch.view.uri.as_str()));
            request.set_body(RESOURCE_LISTS, text.into_bytes());
        }
    }

    /// The subscription to a list stands as its watch says: so do its members.
    pub(super) fn echo(&mut self, id: WatchId, cause: Cause) {
        for member in self.members(id) {
            let Some(watch) = self.watches.get(id) else { return };
            let (state, reason, retry_at) = (watch.state, watch.reason.clone(), watch.retry_at);
            let (failure, stale) = (watch.failure.clone(), watch.stale);
            if let Some(watch) = self.watches.all.get_mut(&member) {
                watch.stale = watch.known && stale;
                watch.expires = None;
                watch.stand(state, reason, retry_at);
                watch.failure = failure;
            }
            self.announce(member, cause);
        }
    }

    /// The subscription to a list has ended: if that is for good it is a failure. `true` if the members go on alone.
    pub(super) fn lose_list(&mut self, id: WatchId, end: &End, failure: &mut Option<Box<Failure>>) -> bool {
        if end.retry_at.is_some() || self.list(id).is_none() {
            return false;
        }
        let Some(mut lost) = failure.clone() else { return false };
        let by_notifier = matches!(end.why, Why::Terminated(_));
        if by_notifier || lost.status == Some(420) {
            lost.code = FailureCode::NoList;
        }
        if self.disband(id, &mut lost) {
            return true;
        }
        if by_notifier {
            self.tell(Event::Error(lost));
        } else {
            *failure = Some(lost);
        }
        false
    }

    /// The watches of a list go on without it, if it was in the request; `false` if it was not.
    fn disband(&mut self, id: WatchId, failure: &mut Failure) -> bool {
        let Some(watch) = self.watches.get(id) else { return false };
        failure.uri = Some(watch.view.uri.clone());
        let ad_hoc = watch.list.as_ref().is_some_and(|list| list.ad_hoc);
        if ad_hoc {
            // It would refuse the next one too.
            self.config.list_server = None;
            failure.code = FailureCode::NoList;
            self.tell(Event::Error(Box::new(failure.clone())));
            for member in self.members(id) {
                self.go_alone(member);
            }
        }
        ad_hoc
    }

    /// A NOTIFY of the subscription to a list was accepted.
    pub(super) fn deliver_list(
        &mut self,
        id: SubscriptionId,
        list: WatchId,
        notified: Notified,
        request: &Message,
        now: Instant,
    ) {
        let kind = request.header(&Name::ContentType).unwrap_or_default();
        // Whatever else is required has been refused.
        let says_so = request.header(&Name::Require).is_some();
        let expires_at = self.subscriptions.get(id).and_then(|s| s.subscriber.expires_at());
        let Some(watch) = self.watches.all.get_mut(&list) else { return };
        let is_list = match request.body.is_empty() {
            // Who knows nothing of lists answers with the presence of an unknown user: nothing.
            true => says_so || watch.known || notified.state != Substate::Active,
            false => multipart::is(kind, RELATED),
        };
        if !is_list {
            watch.subscription = None;
            watch.stale = watch.known;
            subscription_departs(&mut self.subscriptions, id);
            let mut failure = Failure::new(FailureCode::NoList);
            if !self.disband(list, &mut failure) {
                self.fail_watch(list, failure, false);
                self.echo(list, Cause::Expired);
            }
            return;
        }
        watch.known |= !request.body.is_empty();
        watch.expires = expires_at;
        watch.stand(Watching::from(&notified.state), None, None);
        let cause = if notified.anew { Cause::Resync } else { Cause::Change };
        let mut round = Round { list, anew: notified.anew, gap: false, sweep: false, now };
        if let Some(list) = self.list(list).filter(|_| notified.anew) {
            for level in &mut list.levels {
                level.version = None;
            }
        }
        // What tells nothing after a gap, or cannot be read, makes nothing fresher.
        let mut is_fresh = !notified.anew;
        if !request.body.is_empty() {
            let applied = self.apply(&mut round, "", kind, &request.body, 0);
            is_fresh = applied.is_ok();
            if let Err(error) = applied {
                self.tell_unreadable(list, &error);
                round.gap = true;
            }
        }
        if let Some(watch) = self.watches.all.get_mut(&list).filter(|_| is_fresh) {
            watch.as_of = Some(now);
            watch.stale = false;
        }
        if round.sweep {
            self.drop_missing(list, now);
        }
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            // "Unchanged since" (RFC 5839) says too little where states come in parts.
            subscription.subscriber.forget_entity();
            // What answers a SUBSCRIBE and is not whole will not be whole the next time either.
            if round.gap && !notified.answers {
                subscription.subscriber.refresh(now);
            }
        }
        match notified.end {
            Some(end) => self.handle_end(id, end, None, None),
            None => self.announce(list, cause),
        }
    }

    fn tell_unreadable(&mut self, id: WatchId, error: &DocumentError) {
        let mut failure = Failure::new(FailureCode::BadDocument);
        failure.reason = Some(error.text());
        failure.uri = self.watches.get(id).map(|watch| watch.view.uri.clone());
        self.tell(Event::Error(failure));
    }

    /// Takes what `body` says of the list whose row has `address`.
    fn apply(
        &mut self,
        round: &mut Round,
        address: &str,
        kind: &str,
        body: &[u8],
        depth: usize,
    ) -> Result<(), DocumentError> {
        let limits = self.config.document_limits;
        let mut parts = multipart::read(kind, body, limits.elements)?;
        if parts.is_empty() {
            return Err(DocumentError::Part);
        }
        let root = parts.remove(0);
        if !multipart::is(&root.kind, RLMI) {
            return Err(DocumentError::Root);
        }
        let document = rlmi::read(root.body, &limits)?;
        let level = self.list(round.list).and_then(|list| list.level(address));
        let level = level.ok_or(DocumentError::Limit("lists"))?;
        let Some(gap) = level.take(document.version, document.full) else { return Ok(()) };
        if document.full {
            level.rows.clear();
        }
        round.gap |= gap;
        round.sweep |= document.full;
        for (uri, instances) in document.resources() {
            let Ok(uri) = Uri::parse(&uri) else {
                self.tell_unreadable(round.list, &DocumentError::Attribute("uri"));
                continue;
            };
            let row = uri.address_of_record();
            if self.apply_resource(round, &uri, &row, &instances, document.full, &mut parts, depth) {
                let level = self.list(round.list).and_then(|list| list.level(address));
                let level = level.filter(|level| level.rows.len() < limits.elements);
                if let Some(level) = level.filter(|level| document.full || !level.rows.contains(&row)) {
                    level.rows.push(row);
                }
            }
        }
        Ok(())
    }

    /// Takes what a document says of one resource; `false` if there are too many.
    #[allow(clippy::too_many_arguments)]
    fn apply_resource(
        &mut self,
        round: &mut Round,
        uri: &Uri,
        row: &str,
        instances: &[Instance],
        full: bool,
        parts: &mut Vec<Part<'_>>,
        depth: usize,
    ) -> bool {
        let mut found: Option<Presence> = None;
        let mut content = Content::default();
        let mut fault = None;
        for cid in instances.iter().filter_map(|instance| instance.cid.as_ref()) {
            // A part is for one instance: a small message must not become a large state.
            let part = parts.iter().position(|part| part.id == *cid).map(|at| parts.swap_remove(at));
            let result = match part {
                Some(part) if multipart::is(&part.kind, RELATED) => {
                    let result = match depth < DEPTH {
                        true => self.apply(round, row, &part.kind, part.body, depth + 1),
                        false => Err(DocumentError::Limit("lists")),
                    };
                    if let Err(error) = result {
                        self.tell_unreadable(round.list, &error);
                    }
                    return true;
                }
                Some(part) if multipart::is(&part.kind, PIDF) => {
                    content.text = text(part.body);
                    pidf::read(part.body, &self.config.document_limits)
                }
                Some(_) => Err(DocumentError::MediaType),
                None => Err(DocumentError::Part),
            };
            match (result, &mut found) {
                (Ok((one, warnings)), None) => {
                    found = Some(one);
                    content.warnings = warnings;
                }
                // Instances of one resource are parts of one presence.
                (Ok((mut one, _)), Some(all)) => {
                    all.tuples.append(&mut one.tuples);
                    all.persons.append(&mut one.persons);
                    all.devices.append(&mut one.devices);
                    all.notes.append(&mut one.notes);
                }
                (Err(error), _) => fault = Some(error),
            }
        }
        let best = instances.iter().min_by_key(|instance| instance.state as u8);
        let state = match best.map(|instance| instance.state) {
            Some(State::Active) | None => Watching::Active,
            Some(State::Pending) => Watching::Pending,
            Some(State::Terminated) => Watching::Terminated,
        };
        if let Some(list) = self.list(round.list)
            && list.levels.iter().any(|level| level.address == row)
        {
            // A list of which nothing is known now: its members are as they were.
            if found.is_none() && state != Watching::Terminated {
                return true;
            }
            // It is none any more.
            list.levels.retain(|level| level.address != row);
            round.sweep = true;
        }
        let Some(id) = self.member(round, uri, row) else { return false };
        let reason = best.and_then(|best| best.reason.clone()).filter(|_| state == Watching::Terminated);
        // A row that names no state has none; but part of a state may leave out what has not changed.
        let is_news = state == Watching::Pending || full || instances.is_empty();
        let Some(watch) = self.watches.all.get_mut(&id) else { return false };
        let cause = match () {
            () if !watch.known && watch.as_of.is_none_or(|at| round.now.since(at) < YET) => Cause::Initial,
            () if round.anew => Cause::Resync,
            () => Cause::Change,
        };
        if fault.is_none() || found.is_some() {
            let is_over = state == Watching::Terminated;
            watch.stale = is_over && watch.known;
            if found.is_some() || (is_news && !is_over) {
                content.presence = found.map(Rc::new);
                watch.take(content, round.now);
            }
            watch.known = !(round.anew && instances.is_empty());
            watch.as_of = Some(round.now);
        }
        watch.stand(state, reason, None);
        self.watches.settle(id);
        if let Some(error) = fault {
            self.tell_unreadable(id, &error);
        }
        self.announce(id, cause);
        true
    }

    /// The watch of a row.
    fn member(&mut self, round: &Round, uri: &Uri, row: &str) -> Option<WatchId> {
        let list = self.list(round.list)?;
        if let Some(id) = list.members.get(row).copied() {
            let ad_hoc = list.ad_hoc;
            let watch = self.watches.all.get_mut(&id).filter(|_| !ad_hoc);
            if let Some(watch) = watch {
                watch.linger_until = None;
            }
            return Some(id);
        }
        // Nobody asked for it.
        if list.ad_hoc {
            return None;
        }
        if self.watches.all.len() >= self.config.watches {
            self.refuse_watch(uri, FailureCode::TooManyWatches);
            return None;
        }
        let id = self.watches.next_id();
        let mut watch = Watch::new(uri, round.list);
        watch.member_of = Some(round.list);
        self.watches.all.insert(id, Box::new(watch));
        self.list(round.list)?.members.insert(row.to_owned(), id);
        Some(id)
    }

    /// Members that no list names any more.
    fn drop_missing(&mut self, id: WatchId, now: Instant) {
        let Some(list) = self.list(id) else { return };
        let (ad_hoc, gone) = (list.ad_hoc, list.sweep());
        for member in gone {
            if ad_hoc {
                self.go_alone(member);
            } else if let Some(watch) = self.watches.all.get_mut(&member) {
                watch.linger_until.get_or_insert(now + GONE);
                self.watches.settle(member);
            }
        }
    }
}
