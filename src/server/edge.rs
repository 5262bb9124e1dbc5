//! Pages that answer by themselves those who watch their user (RFC 3856 §6.11.2): the server hands SUBSCRIBEs on to
//! them, and answers again when they are gone.
//!
//! ```text
//!   nothing published, and a page that is a presence agent ──SUBSCRIBE──> the page
//!        │ page gone, or it has no presence agent                          │ NOTIFYs, over the server
//!        └──> the server <──SUBSCRIBE── watcher <──────────────────────────┘
//! ```
//!
//! The server is only the way, but it knows the dialogs that go over it: watchers that are not registered are reached as
//! long as their connection lives, and when a page is lost without a word, the server says the last one for it.

use super::forward::Forwarded;
use super::watchers::Package;
use super::{ConnectionId, Event, Output, Server};
use crate::dialog::Dialog;
use crate::event::Decision;
use crate::sip::{Message, Method, Name, Substate, Uri};
use crate::time::{Duration, Instant, earliest};
use crate::transaction::T1;
use std::collections::BTreeMap;

/// How long a page may take to answer a SUBSCRIBE: the browser may have frozen it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// After so many without an answer in between it is not asked again over its connection.
const MOST_SILENCES: u32 = 3;

/// How long a page that was cut off may take to come back before its watchers are told.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes of the headers of a subscription that are kept, at most.
const MOST_TEXT: usize = 4096;

/// What is too much.
#[derive(Clone, Copy)]
struct Bounds {
    /// Subscriptions of one connection.
    subscriptions: usize,
    /// Seconds that one lives.
    expires: u32,
}

/// A SUBSCRIBE that was handed on.
#[derive(Clone)]
pub(super) struct Routed {
    pub(super) presentity: String,
    pub(super) watcher: String,
    /// Contact of the page.
    pub(super) contact: Uri,
}

/// A page that did not answer.
#[derive(Default)]
struct Silence {
    times: u32,
    /// It has not been heard since.
    lasts: bool,
}

/// A subscription of one page to another.
struct Edge {
    routed: Routed,
    watcher: ConnectionId,
    page: ConnectionId,
    /// As the page has it.
    dialog: Dialog,
    event: String,
    /// The highest CSeq number of its NOTIFYs.
    sequence: u32,
    expires_at: Instant,
    /// The connection of the page is lost; it may be back by then.
    lost_until: Option<Instant>,
}

impl Edge {
    fn due(&self) -> Instant {
        self.lost_until.map_or(self.expires_at, |until| until.min(self.expires_at))
    }
}

/// All of them, by Call-ID and the page's tag.
#[derive(Default)]
pub(super) struct Edges {
    all: BTreeMap<(String, String), Edge>,
    /// Nothing is due before.
    earliest: Option<Instant>,
    silences: BTreeMap<ConnectionId, Silence>,
}

impl Edges {
    /// How many watchers are told of over `connection`.
    pub(super) fn over(&self, connection: ConnectionId) -> usize {
        self.all.values().filter(|edge| edge.watcher == connection).count()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.earliest.filter(|_| !self.all.is_empty())
    }

    /// A page has accepted a SUBSCRIBE, for `most` seconds at most. What would take too much room is not known, and lasts as
    /// long as its watcher can be reached otherwise.
    fn handle_accepted(
        &mut self,
        forwarded: &Forwarded,
        routed: Routed,
        response: &Message,
        bounds: Bounds,
        now: Instant,
    ) {
        let request = forwarded.request();
        let Some(tag) = response.to().ok().and_then(|to| to.tag().map(str::to_owned)) else { return };
        let key = (request.call_id().to_owned(), tag);
        let known = self.all.get(&key);
        // Call-ID and tag are of the two's choice: nobody takes those of others.
        let is_same = |edge: &Edge| {
            (&edge.routed.presentity, &edge.routed.watcher) == (&routed.presentity, &routed.watcher)
        };
        if known.is_some_and(|edge| !is_same(edge)) {
            return;
        }
        let known = known.map(|edge| edge.sequence);
        let names = [Name::CallId, Name::From, Name::To, Name::Contact, Name::Event, Name::RecordRoute];
        let size: usize = names.iter().flat_map(|name| request.rows(name)).map(str::len).sum();
        let has_room = known.is_some() || self.over(forwarded.from) < bounds.subscriptions;
        let Ok(dialog) = Dialog::from_request(request, &key.1, 0) else { return };
        if !has_room || size + key.1.len() > MOST_TEXT {
            return;
        }
        let expires = response.expires().or_else(|| request.expires()).unwrap_or(3600).min(bounds.expires);
        // The last NOTIFY of one that is over has to find its way too.
        let expires = Duration::from_secs(u64::from(expires)).max(T1.times(64));
        let edge = Edge {
            routed,
            watcher: forwarded.from,
            page: forwarded.to,
            dialog,
            event: request.header(&Name::Event).unwrap_or_default().to_owned(),
            sequence: known.unwrap_or_default(),
            expires_at: now + expires,
            lost_until: None,
        };
        self.earliest = earliest(self.earliest, Some(edge.due()));
        self.all.insert(key, edge);
    }

    /// The way of a NOTIFY of `user`'s page, if it goes to one of these watchers.
    pub(super) fn way_of(
        &mut self,
        user: &str,
        page: ConnectionId,
        notify: &Message,
    ) -> Option<ConnectionId> {
        let tag = notify.from().ok()?.tag()?.to_owned();
        let key = (notify.call_id().to_owned(), tag);
        let edge = self.all.get_mut(&key).filter(|edge| edge.routed.presentity == user)?;
        let number = notify.cseq().map_or(0, |cseq| cseq.number);
        edge.sequence = edge.sequence.max(number);
        (edge.page, edge.lost_until) = (page, None);
        let watcher = edge.watcher;
        let state = notify.subscription_state().ok().flatten();
        if state.is_some_and(|state| state.state == Substate::Terminated) {
            self.all.remove(&key);
        }
        Some(watcher)
    }

    fn handle_disconnected(&mut self, connection: ConnectionId, now: Instant) {
        self.silences.remove(&connection);
        self.all.retain(|_, edge| edge.watcher != connection);
        for edge in self.all.values_mut().filter(|edge| edge.page == connection) {
            edge.lost_until = Some(now + GRACE);
            self.earliest = earliest(self.earliest, edge.lost_until);
        }
    }

    /// Takes out those that `is_over` says.
    fn take(&mut self, is_over: impl Fn(&mut Edge) -> bool) -> Vec<Edge> {
        let mut taken = Vec::new();
        for (key, mut edge) in core::mem::take(&mut self.all) {
            match is_over(&mut edge) {
                true => taken.push(edge),
                false => {
                    self.all.insert(key, edge);
                }
            }
        }
        self.earliest = self.all.values().map(Edge::due).min();
        taken
    }
}

impl Server {
    /// The page that is the presence agent of `user`: nothing is published for the user, so that nobody has to put
    /// together what several say.
    pub(super) fn page_of(&self, user: &str, now: Instant) -> Option<(ConnectionId, Uri)> {
        let is_silent = |page| self.edges.silences.get(&page).is_some_and(|silence| silence.lasts);
        let binding = self.registrar.agent(user, &is_silent, now)?;
        let is_alone = self.publications.documents(user).is_empty();
        is_alone.then(|| (binding.connection, binding.contact.uri.clone()))
    }

    /// Whether there is such a page, silent or not: what is published would be shown to whom the page may not want to.
    pub(super) fn has_page(&self, user: &str, now: Instant) -> bool {
        let agent = self.registrar.agent(user, &|_| false, now);
        agent.is_some() && self.publications.documents(user).is_empty()
    }

    /// Hands a SUBSCRIBE on to the page, if there is one and it may decide: whom the rules block, or block politely, it is
    /// not asked about.
    pub(super) fn route_to_page(
        &mut self,
        connection: ConnectionId,
        watcher: &str,
        presentity: &str,
        decision: Decision,
        request: &Message,
        now: Instant,
    ) -> bool {
        if !is_for_page(decision) {
            return false;
        }
        let Some((page, contact)) = self.page_of(presentity, now) else { return false };
        let routed = Routed {
            presentity: presentity.to_owned(),
            watcher: watcher.to_owned(),
            contact: contact.clone(),
        };
        self.forward(connection, page, request, Some(contact), Some(routed), now);
        true
    }

    /// A SUBSCRIBE in a dialog with a page is to be known as well.
    pub(super) fn routed_of(&self, user: &str, request: &Message, now: Instant) -> Option<Routed> {
        let is_ours =
            request.method() == Method::Subscribe && Package::of(request) == Some(Package::Presence);
        let contact = request.request_uri().filter(|_| is_ours)?.clone();
        let presentity = self.registrar.owner_of(&contact, now)?.to_owned();
        Some(Routed { presentity, watcher: user.to_owned(), contact })
    }

    /// How long a subscription to a page may live, in seconds. Pages have an idea of their own of what is too short, but an
    /// hour never is (RFC 6665 §4.2.1.1).
    pub(super) fn most_routed(&self) -> u32 {
        self.config.max_expires.max(3600)
    }

    /// Whether a request in a dialog of `user` goes on with what is over: the rules do not let them watch any more, whatever
    /// the two have agreed on.
    pub(super) fn is_over(&self, user: &str, request: &Message, now: Instant) -> bool {
        let other = request.request_uri().and_then(|uri| self.registrar.owner_of(uri, now));
        let other = other.filter(|_| Package::of(request) == Some(Package::Presence));
        let (is_subscribe, is_notify) =
            (request.method() == Method::Subscribe, request.method() == Method::Notify);
        other.is_some_and(|other| {
            is_subscribe && !is_for_page(self.decide(other, user, now))
                || is_notify && !is_for_page(self.decide(user, other, now))
        })
    }

    /// The final response of a page; false if it goes back to the watcher.
    pub(super) fn handle_page_response(
        &mut self,
        forwarded: &Forwarded,
        response: &Message,
        now: Instant,
    ) -> bool {
        let Some(routed) = forwarded.routed.clone() else { return false };
        let is_first = forwarded.is_first();
        self.edges.silences.remove(&forwarded.to);
        match response.status() {
            Some(200..=299) => {
                if is_first {
                    let (watcher, presentity) = (routed.watcher.clone(), routed.presentity.clone());
                    self.tell(Event::Subscribed { watcher, presentity });
                }
                let subscriptions = self.config.limits.subscriptions;
                let bounds = Bounds { subscriptions, expires: self.most_routed() };
                self.edges.handle_accepted(forwarded, routed, response, bounds, now);
                false
            }
            // It has no presence agent, whatever it said (RFC 3856 §6.11.2).
            Some(405 | 489 | 501) if is_first => {
                self.registrar.refuse_agent(&routed.presentity, &routed.contact);
                self.subscribe_instead(forwarded, &routed, true, now);
                true
            }
            // It is about to go, or knows nothing of this.
            Some(404 | 480) if is_first => {
                self.subscribe_instead(forwarded, &routed, false, now);
                true
            }
            Some(_) | None => false,
        }
    }

    /// A page did not answer in time: the server does, until the page is heard again.
    pub(super) fn handle_silence(&mut self, forwarded: &Forwarded, routed: &Routed, now: Instant) {
        let silence = self.edges.silences.entry(forwarded.to).or_default();
        silence.times += u32::from(!silence.lasts);
        silence.lasts = true;
        self.subscribe_instead(forwarded, routed, true, now);
    }

    /// A page is heard: if it had fallen silent, it is asked again.
    pub(super) fn hear(&mut self, page: ConnectionId, now: Instant) {
        let silence = self.edges.silences.get_mut(&page);
        let Some(silence) = silence.filter(|silence| silence.lasts && silence.times < MOST_SILENCES) else {
            return;
        };
        silence.lasts = false;
        let user = self.connections.get(&page).and_then(|connection| connection.user.clone());
        if let Some(user) = user.filter(|user| self.page_of(user, now).is_some()) {
            self.migrate(&user, now);
        }
    }

    /// Who was handed on and got no answer is answered here; `again`: or by another page.
    pub(super) fn subscribe_instead(
        &mut self,
        forwarded: &Forwarded,
        routed: &Routed,
        again: bool,
        now: Instant,
    ) {
        let (connection, package) = (forwarded.from, Package::Presence);
        self.handle_subscribe(connection, &routed.watcher, package, forwarded.request(), again, now);
    }

    /// Watchers go over to the page, which is the presence agent from now on (RFC 3856 §6.11.2).
    pub(super) fn migrate(&mut self, user: &str, now: Instant) {
        let notices = self.watchers.migrate(user);
        self.tell_watchers(Package::Presence, &notices, None, now);
        self.share_news(now);
    }

    /// What the rules say of those who watch a page, or of one `watcher`, may have changed.
    pub(super) fn check_edges(&mut self, presentity: &str, watcher: Option<&str>, now: Instant) {
        let mut forbidden = Vec::new();
        let is_meant = |edge: &&Edge| {
            edge.routed.presentity == presentity
                && watcher.is_none_or(|watcher| edge.routed.watcher == watcher)
        };
        for edge in self.edges.all.values().filter(is_meant) {
            if !is_for_page(self.decide(presentity, &edge.routed.watcher, now)) {
                forbidden.push(edge.routed.watcher.clone());
            }
        }
        if !forbidden.is_empty() {
            let is_over = |edge: &mut Edge| {
                edge.routed.presentity == presentity && forbidden.contains(&edge.routed.watcher)
            };
            let over = self.edges.take(is_over);
            self.end_edges(over);
        }
    }

    pub(super) fn lose_edges(&mut self, connection: ConnectionId, now: Instant) {
        self.edges.handle_disconnected(connection, now);
    }

    pub(super) fn time_out_edges(&mut self, now: Instant) {
        if self.edges.earliest.is_none_or(|at| at > now) {
            return;
        }
        let registrar = &self.registrar;
        let over = self.edges.take(|edge| {
            let is_lost = edge.lost_until.is_some_and(|until| until <= now);
            if let Some(page) = registrar.connection_of(&edge.routed.contact, now).filter(|_| is_lost) {
                (edge.page, edge.lost_until) = (page, None);
            }
            edge.due() <= now
        });
        self.end_edges(over.into_iter().filter(|edge| edge.expires_at > now).collect());
    }

    /// Tells watchers in the place of their page that it is over, so that they subscribe again at once.
    fn end_edges(&mut self, edges: Vec<Edge>) {
        for edge in edges {
            let mut notify = edge.dialog.numbered(Method::Notify, edge.sequence.saturating_add(1));
            notify.push(Name::Contact, self.contact().to_string());
            notify.push(Name::Event, edge.event);
            notify.push(Name::SubscriptionState, "terminated;reason=deactivated");
            let token = self.random.token();
            // Whether the watcher takes it changes nothing.
            let _ = self.transactions.stamp(&mut notify, &token);
            self.outputs.push_back(Output::Send(edge.watcher, notify.to_bytes()));
        }
    }
}

/// Whether the page of the user may decide about such a watcher.
const fn is_for_page(decision: Decision) -> bool {
    matches!(decision, Decision::Allow | Decision::Confirm)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(1_767_225_600_000);
    const BOUNDS: Bounds = Bounds { subscriptions: 3, expires: 600 };

    /// Carol's page accepts a SUBSCRIBE with this Call-ID, with whatever it likes.
    fn accepted(edges: &mut Edges, call_id: &str, tag: &str, expires: &str) {
        accepted_by("carol", edges, call_id, tag, expires);
    }

    fn accepted_by(presentity: &str, edges: &mut Edges, call_id: &str, tag: &str, expires: &str) {
        let contact = Uri::parse("sip:page@carol.invalid").unwrap();
        let mut request = Message::request(Method::Subscribe, contact.clone());
        request.push(Name::Via, "SIP/2.0/WS bob.invalid;branch=z9hG4bK1");
        request.push(Name::From, "<sip:bob@example.com>;tag=bob");
        request.push(Name::To, "<sip:carol@example.com>");
        request.push(Name::CallId, call_id);
        request.push(Name::CSeq, "1 SUBSCRIBE");
        request.push(Name::Contact, "<sip:bob@bob.invalid>");
        request.push(Name::Event, "presence");
        let mut response = Message::response(&request, 200, Some(tag));
        response.push(Name::Expires, expires);
        let routed = Routed { presentity: presentity.to_owned(), watcher: "bob".to_owned(), contact };
        let forwarded = Forwarded::new(ConnectionId(1), ConnectionId(2), request, Some(routed.clone()), NOW);
        edges.handle_accepted(&forwarded, routed, &response, BOUNDS, NOW);
    }

    #[test]
    fn who_accepts_without_end_takes_no_room_without_end() {
        let mut edges = Edges::default();
        for number in 0..20 {
            accepted(&mut edges, &number.to_string(), "a", "600");
            accepted(&mut edges, "0", &number.to_string(), "600");
        }
        assert_eq!(edges.over(ConnectionId(1)), 3);
        let mut edges = Edges::default();
        accepted(&mut edges, &"x".repeat(MOST_TEXT), "a", "600");
        accepted(&mut edges, "1", &"x".repeat(MOST_TEXT), "600");
        assert_eq!((edges.over(ConnectionId(1)), edges.poll_timeout()), (0, None));
        // Nor for ever.
        accepted(&mut edges, "1", "a", "4294967295");
        assert_eq!(edges.poll_timeout(), Some(NOW + Duration::from_secs(600)));
        accepted(&mut edges, "1", "a", "0");
        edges.handle_disconnected(ConnectionId(1), NOW);
        assert_eq!((edges.over(ConnectionId(1)), edges.poll_timeout()), (0, None));
    }

    #[test]
    fn no_page_takes_a_dialog_of_another() {
        let mut edges = Edges::default();
        accepted(&mut edges, "0", "a", "600");
        accepted_by("dave", &mut edges, "0", "a", "600");
        let presentities: Vec<&str> =
            edges.all.values().map(|edge| edge.routed.presentity.as_str()).collect();
        assert_eq!(presentities, ["carol"]);
    }
}
