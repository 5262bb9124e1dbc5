//! SUBSCRIBE and NOTIFY: the presence agent of the server's users, and who watches them (RFC 3856 §6, RFC 3857).

use super::{ConnectionId, Event, Output, Server};
use crate::event::partial::{Forms, Next};
use crate::event::watchers::{Admission, Changes, Content, Limits, Notice, Row, WatcherId, holds};
use crate::event::{Decision, Watchers};
use crate::presence::PIDF;
use crate::presence::partial::{self, PIDF_DIFF};
use crate::presence::table::Head;
use crate::presence::winfo::{self, WATCHERINFO, WatcherInfo};
use crate::sip::{Message, Name, Params, Reason, Uri};
use crate::time::{Duration, Instant};

/// Partial presence (RFC 5262).
const PRESENCE: Forms =
    Forms { whole: PIDF, changes: PIDF_DIFF, full: partial::full, produce: partial::produce };
/// Watcher information has one form for both, and says inside which it is.
const WINFO: Forms = Forms { whole: WATCHERINFO, changes: "", full: |_, _| None, produce: |_, _, _| None };

/// Bytes of watcher information in one document: pages take messages of 256 KiB.
const MOST_TOLD: usize = 200 * 1024;

/// The packages that are served.
pub(super) const EVENTS: &str = "presence, presence.winfo";

/// The package of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Package {
    Presence,
    Winfo,
}

impl Package {
    /// The one that `request` names.
    pub(super) fn of(request: &Message) -> Option<Self> {
        let event = request.event().ok().flatten()?;
        match () {
            () if event.package.eq_ignore_ascii_case("presence") => Some(Self::Presence),
            () if event.package.eq_ignore_ascii_case("presence.winfo") => Some(Self::Winfo),
            () => None,
        }
    }

    fn is_accepted(self, request: &Message) -> bool {
        match self {
            Self::Presence => request.accepts(PIDF, PIDF) || request.accepts(PIDF_DIFF, PIDF),
            Self::Winfo => request.accepts(WATCHERINFO, WATCHERINFO),
        }
    }

    /// Refuses with what is taken.
    pub(super) const fn accept(self) -> &'static str {
        match self {
            Self::Presence => PIDF,
            Self::Winfo => WATCHERINFO,
        }
    }
}

/// Watchers of users, and users who watch their watchers. The bounds of the server are those of its connections.
pub(super) const fn sets() -> (Watchers, Watchers) {
    let giveup = Duration::from_secs(7 * 24 * 3600);
    let most = usize::MAX;
    let limits = Limits { watchers: most, of_one: most, undecided: most, undecided_of_one: 20, giveup };
    (Watchers::new(&PRESENCE, limits), Watchers::new(&WINFO, limits))
}

impl Server {
    pub(super) const fn set(&mut self, package: Package) -> &mut Watchers {
        match package {
            Package::Presence => &mut self.watchers,
            Package::Winfo => &mut self.winfo,
        }
    }

    /// The subscription whose dialog `request` is in.
    pub(super) fn subscription_of(&self, request: &Message) -> Option<(Package, WatcherId)> {
        let sets = [(Package::Presence, &self.watchers), (Package::Winfo, &self.winfo)];
        sets.into_iter().find_map(|(package, set)| Some((package, set.find(request)?)))
    }

    /// A first SUBSCRIBE, or a fetch; `may_route` to a page.
    pub(super) fn handle_subscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        package: Package,
        request: &Message,
        may_route: bool,
        now: Instant,
    ) {
        if let Err(status) = self.subscribe(connection, user, package, request, may_route, now) {
            self.refuse(connection, request, status);
        }
    }

    fn subscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        package: Package,
        request: &Message,
        may_route: bool,
        now: Instant,
    ) -> Result<(), u16> {
        let presentity = self.addressee(request).ok_or(404_u16)?;
        if !package.is_accepted(request) {
            return Err(406);
        }
        let expires = self.grant(request.expires(), true)?;
        let decision = match package {
            Package::Presence => self.decide(&presentity, user, now),
            // RFC 3857 §4.6 would show others their own row, which they know.
            Package::Winfo if presentity == user => Decision::Allow,
            Package::Winfo => Decision::Block,
        };
        let held = self.watchers.over(connection.0) + self.winfo.over(connection.0);
        let held = held + self.edges.over(connection);
        if decision != Decision::Block && held >= self.config.limits.subscriptions {
            return Err(503);
        }
        let may_route = may_route && package == Package::Presence;
        if may_route && self.route_to_page(connection, user, &presentity, decision, request, now) {
            return Ok(());
        }
        let tag = self.random.token();
        let mut entity: Uri = request.request_uri().cloned().ok_or(400_u16)?;
        entity.params = Params::new();
        let admission = Admission {
            subscribe: request,
            tag: &tag,
            contact: self.contact(),
            uri: user.to_owned(),
            display: request.from().ok().and_then(|from| from.display),
            resource: presentity.clone(),
            entity: entity.to_string(),
            decision,
            expires: Duration::from_secs(u64::from(expires)),
            interval: Duration::from_millis(u64::from(self.config.notify_interval)),
            connection: connection.0,
        };
        let notice = self.set(package).admit(admission, now)?;
        if package == Package::Winfo {
            self.tables.insert(notice.id, Changes::default());
        }
        self.accept(connection, request, 200, &tag, expires);
        if package == Package::Presence {
            self.tell(Event::Subscribed { watcher: user.to_owned(), presentity });
        }
        self.tell_watchers(package, &[notice], Some(request), now);
        Ok(())
    }

    fn accept(&mut self, connection: ConnectionId, request: &Message, status: u16, tag: &str, expires: u32) {
        let (expires, contact) = (expires.to_string(), self.contact().to_string());
        let routes: Vec<String> = request.rows(&Name::RecordRoute).map(str::to_owned).collect();
        let mut headers: Vec<(Name, &str)> = routes.iter().map(|r| (Name::RecordRoute, r.as_str())).collect();
        headers.push((Name::Contact, &contact));
        headers.push((Name::Expires, &expires));
        headers.push((Name::AllowEvents, EVENTS));
        self.answer_with_tag(connection, request, status, tag, &headers);
    }

    /// A SUBSCRIBE inside a dialog: refresh or end.
    pub(super) fn handle_resubscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        (package, id): (Package, WatcherId),
        request: &Message,
        now: Instant,
    ) {
        if let Err(status) = self.resubscribe(connection, user, package, id, request, now) {
            self.refuse(connection, request, status);
        }
    }

    fn resubscribe(
        &mut self,
        connection: ConnectionId,
        user: &str,
        package: Package,
        id: WatcherId,
        request: &Message,
        now: Instant,
    ) -> Result<(), u16> {
        let expires = self.grant(request.expires(), true)?;
        if !package.is_accepted(request) {
            return Err(406);
        }
        if self.set(package).who(id).is_none_or(|(watcher, _, _)| watcher != user) {
            return Err(403);
        }
        let span = Duration::from_secs(u64::from(expires));
        let notice = self.set(package).handle_subscribe(id, request, span, connection.0, now)?;
        let tag = request.to().ok().and_then(|to| to.tag().map(str::to_owned)).unwrap_or_default();
        // What the watcher has already is not sent again (RFC 5839 §6.3).
        let unchanged = package == Package::Presence
            && request.header(&Name::SuppressIfMatch).is_some()
            && holds(request, self.presence_of(&notice, now).as_deref());
        if unchanged {
            self.accept(connection, request, 204, &tag, expires);
            self.watchers.suppress(&notice, request);
        } else {
            self.accept(connection, request, 200, &tag, expires);
            self.tell_watchers(package, &[notice], Some(request), now);
        }
        Ok(())
    }

    /// Sends what is due; `subscribe` is the request that it follows.
    pub(super) fn tell_watchers(
        &mut self,
        package: Package,
        notices: &[Notice],
        subscribe: Option<&Message>,
        now: Instant,
    ) {
        for notice in notices {
            let document = match package {
                Package::Presence => self.presence_of(notice, now),
                Package::Winfo => self.watchers_of(notice, now),
            };
            let Some((connection, mut notify)) = self.set(package).tell(notice, document, subscribe, now)
            else {
                continue;
            };
            if package == Package::Winfo && notice.end.is_some() {
                self.tables.remove(&notice.id);
            }
            let (token, connection) = (self.random.token(), ConnectionId(connection));
            self.transactions.start(&mut notify, &token, (package, notice.id, connection), now);
            self.outputs.push_back(Output::Send(connection, notify.to_bytes()));
        }
    }

    /// Everything after a SUBSCRIBE, otherwise what changed (RFC 3857 §4.3). What is too much for one document stays in
    /// the table; if nothing comes after it, the document does not say that it is all.
    fn watchers_of(&mut self, notice: &Notice, now: Instant) -> Option<String> {
        let (_, presentity, _) = self.winfo.who(notice.id)?;
        let table = self.tables.get_mut(&notice.id)?;
        let asked = notice.content != Content::Nothing;
        if !asked && table.is_empty() {
            return None;
        }
        let full = asked && notice.next == Next::Whole;
        let (version, changed) = table.take();
        let rows: Vec<Row> = if full { self.watchers.rows(presentity).collect() } else { changed };
        let domain = &self.config.domain;
        let mut watchers: Vec<winfo::Watcher> = rows.iter().map(|row| described(row, domain, now)).collect();
        watchers.truncate(winfo::fitting(&watchers, MOST_TOLD));
        table.put_back(&rows[watchers.len()..]);
        let full = full && (notice.end.is_none() || !table.is_cut());
        Some(winfo::write(&WatcherInfo { head: Head { version, full }, watchers }))
    }

    /// The final response to a NOTIFY, `None` for none in time. A challenge cannot be answered: the server has no
    /// credentials with its users.
    pub(super) fn handle_notified(
        &mut self,
        package: Package,
        id: WatcherId,
        response: Option<&Message>,
        now: Instant,
    ) {
        let notice = self.set(package).handle_answer(id, response, now);
        // What was too much for one document follows when that was taken.
        let taken = matches!(response.and_then(Message::status), Some(200..=299));
        let cut = package == Package::Winfo && self.tables.get(&id).is_some_and(Changes::is_cut);
        let notice = notice.or_else(|| self.winfo.more(id).filter(|_| taken && cut));
        self.tell_watchers(package, notice.as_slice(), None, now);
    }

    /// The state of `presentity` changed.
    pub(super) fn handle_change(&mut self, presentity: &str, now: Instant) {
        // Where nothing is published any more, a page may be asked.
        if self.page_of(presentity, now).is_some() {
            return self.migrate(presentity, now);
        }
        let notices = self.watchers.handle_change(presentity, now);
        self.tell_watchers(Package::Presence, &notices, None, now);
    }

    pub(super) fn time_out_subscriptions(&mut self, now: Instant) {
        for package in [Package::Presence, Package::Winfo] {
            let notices = self.set(package).handle_timeout(now);
            self.tell_watchers(package, &notices, None, now);
        }
    }

    pub(super) fn end_subscriptions(&mut self, now: Instant) {
        for package in [Package::Presence, Package::Winfo] {
            let notices = self.set(package).end(&Reason::Deactivated, None);
            self.tell_watchers(package, &notices, None, now);
            self.share_news(now);
        }
    }

    /// Tells the changes of rows to those who watch their watchers.
    pub(super) fn share_news(&mut self, now: Instant) {
        // Nobody watches who watches the watchers.
        for row in self.winfo.news() {
            if self.winfo.is_gone(row.id) {
                self.tables.remove(&row.id);
            }
        }
        let mut concerned = Vec::new();
        for row in self.watchers.news() {
            for id in self.winfo.ids(&row.resource) {
                if let Some(table) = self.tables.get_mut(&id) {
                    table.note(&row);
                }
            }
            if concerned.last() != Some(&row.resource) {
                concerned.push(row.resource);
            }
        }
        for presentity in concerned {
            let notices = self.winfo.handle_change(&presentity, now);
            self.tell_watchers(Package::Winfo, &notices, None, now);
        }
    }
}

fn described(row: &Row, domain: &str, now: Instant) -> winfo::Watcher {
    winfo::Watcher {
        resource: Uri::sip(&row.resource, domain).to_string(),
        package: "presence".to_owned(),
        id: ["w", &row.id.0.to_string()].concat(),
        uri: Uri::sip(&row.uri, domain).to_string(),
        status: row.status.as_str().to_owned(),
        event: row.cause.as_str().to_owned(),
        display_name: row.display.clone(),
        lang: None,
        expiration: row.expires.map(|at| at.since(now).as_secs()),
        duration_subscribed: Some(now.since(row.since).as_secs()),
    }
}
