//! Requests between users: the server as a proxy that keeps the way open (RFC 3261 §16, cut down to WebSocket
//! connections that are there).

use super::edge::{PATIENCE, Routed};
use super::registrar::Binding;
use super::{ConnectionId, Server};
use crate::event::Decision;
use crate::sip::{Known, Message, Method, Name, NameAddr, Params, Uri, Via};
use crate::time::Instant;
use crate::transaction::{Arrival, T1};
use std::collections::BTreeMap;

/// A request on its way between two connections.
pub(super) struct Forwarded {
    pub(super) from: ConnectionId,
    pub(super) to: ConnectionId,
    pub(super) deadline: Instant,
    /// As it came, for the end of its server transaction.
    request: Message,
    /// A SUBSCRIBE to the page that answers it.
    pub(super) routed: Option<Routed>,
}

impl Forwarded {
    pub(super) fn new(
        from: ConnectionId,
        to: ConnectionId,
        request: Message,
        routed: Option<Routed>,
        now: Instant,
    ) -> Self {
        let mut forwarded = Self { from, to, deadline: now + T1.times(64), request, routed };
        if forwarded.is_first() && forwarded.routed.is_some() {
            forwarded.deadline = now + PATIENCE;
        }
        forwarded
    }

    /// Whether it makes a dialog.
    pub(super) fn is_first(&self) -> bool {
        self.request.to().is_ok_and(|to| to.tag().is_none())
    }

    pub(super) const fn request(&self) -> &Message {
        &self.request
    }
}

/// Who sends a request, as the proxy of the domain says it (RFC 3325 §9.1).
const ASSERTED: &str = "P-Asserted-Identity";

impl Server {
    /// Where the addressee is reached. For whom the addressee seems offline, nobody is there.
    fn reached(&self, user: &str, addressee: &str, now: Instant) -> Option<&Binding> {
        let is_hidden = matches!(self.decide(addressee, user, now), Decision::Block | Decision::PoliteBlock);
        self.registrar.newest(addressee, now).filter(|_| !is_hidden)
    }

    /// Whether the addressee has a connection for `user`.
    pub(super) fn is_reachable(&self, user: &str, request: &Message, now: Instant) -> bool {
        self.addressee(request).is_some_and(|addressee| self.reached(user, &addressee, now).is_some())
    }

    /// Forwards a request of `user` outside a dialog to the newest contact of its addressee.
    pub(super) fn forward_to_user(
        &mut self,
        connection: ConnectionId,
        user: &str,
        request: &Message,
        now: Instant,
    ) {
        let Some(addressee) = self.addressee(request) else {
            return self.answer(connection, request, 404, &[]);
        };
        let Some(binding) = self.reached(user, &addressee, now) else {
            return self.answer(connection, request, 480, &[]);
        };
        let (target, contact) = (binding.connection, binding.contact.uri.clone());
        self.forward(connection, target, request, Some(contact), None, now);
    }

    /// Sends `request` on to `target`, with a Via of ours on top, and a Record-Route where it makes a dialog.
    pub(super) fn forward(
        &mut self,
        connection: ConnectionId,
        target: ConnectionId,
        request: &Message,
        uri: Option<Uri>,
        routed: Option<Routed>,
        now: Instant,
    ) {
        let Some(hops) = request.max_forwards().unwrap_or(70).checked_sub(1) else {
            return self.answer(connection, request, 483, &[]);
        };
        let open = self.forwarded.values().filter(|forwarded| forwarded.from == connection).count();
        if open >= self.config.limits.forwarded {
            return self.refuse(connection, request, 503);
        }
        match self.unanswered.handle_request(request, now) {
            Ok(Arrival::New) => {}
            Ok(Arrival::Retransmission) => return,
            Ok(Arrival::Merged) => return self.answer(connection, request, 482, &[]),
            Err(error) => return self.answer(connection, request, error.status(), &[]),
        }
        let branch = ["z9hG4bK", &self.random.token()].concat();
        let mut params = Params::new();
        params.set("branch", Some(&branch));
        let via = Via { transport: "WS".to_owned(), host: self.config.domain.clone(), port: None, params };
        let mut next = request.clone();
        if let Some(uri) = uri {
            next.start = crate::sip::StartLine::Request { method: request.method(), uri };
        }
        // The credentials were for us (RFC 3261 §22.3).
        next.remove(&Name::Authorization);
        next.remove(&Name::ProxyAuthorization);
        self.assert_identity(connection, &mut next);
        while self.top_route_is_ours(&next) {
            let _ = next.pop_first(&Name::Route);
        }
        next.set(Name::MaxForwards, hops.to_string());
        // A subscription is known here for so long: the page must not grant more.
        let most = self.most_routed();
        if routed.is_some() && request.expires().is_none_or(|expires| expires > most) {
            next.set(Name::Expires, most.to_string());
        }
        if matches!(request.method(), Method::Subscribe | Method::Notify | Method::Refer) {
            let mut route = Uri::sip_host(&self.config.domain);
            route.params.set("transport", Some("ws"));
            route.params.set("lr", None);
            next.push_front(Name::RecordRoute, NameAddr::new(route).to_string());
        }
        next.push_front(Name::Via, via.to_string());
        let forwarded = Forwarded::new(connection, target, request.clone(), routed, now);
        self.forwarded.insert(branch, forwarded);
        self.outputs.push_back(super::Output::Send(target, next.to_bytes()));
    }

    /// The receiver is told who sends this, and not what the sender says of it.
    fn assert_identity(&self, connection: ConnectionId, request: &mut Message) {
        let names = request.headers().map(|(name, _)| name);
        let asserted: Vec<Name> =
            names.filter(|name| name.as_str().eq_ignore_ascii_case(ASSERTED)).cloned().collect();
        for name in &asserted {
            request.remove(name);
        }
        if let Some(user) = self.connections.get(&connection).and_then(|state| state.user.as_deref()) {
            let address = NameAddr::new(Uri::sip(user, &self.config.domain));
            request.push(Name::from_text(ASSERTED), address.to_string());
        }
    }

    fn top_route_is_ours(&self, request: &Message) -> bool {
        let top = request.list(&Name::Route).next().and_then(|text| NameAddr::parse(text, Known::Route).ok());
        top.is_some_and(|top| top.uri.host.eq_ignore_ascii_case(&self.config.domain))
    }

    /// A connection is gone: who waits for an answer over it gets one, and what came over it is forgotten.
    pub(super) fn lose_forwarded(&mut self, connection: ConnectionId, now: Instant) {
        let touches = |forwarded: &Forwarded| forwarded.from == connection || forwarded.to == connection;
        let all = core::mem::take(&mut self.forwarded);
        let (lost, kept): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|(_, forwarded)| touches(forwarded));
        self.forwarded = kept;
        for lost in lost.into_values() {
            self.unanswered.handle_answered(&lost.request);
            match lost.routed.clone().filter(|_| lost.is_first()) {
                _ if lost.from == connection => {}
                Some(routed) => self.subscribe_instead(&lost, &routed, true, now),
                None => self.answer(lost.from, &lost.request, 480, &[]),
            }
        }
    }

    /// Nobody has answered. Who subscribes to a page need not wait for it.
    pub(super) fn time_out_forwarded(&mut self, now: Instant) {
        let is_due = |forwarded: &Forwarded| forwarded.deadline <= now;
        if !self.forwarded.values().any(is_due) {
            return;
        }
        let all = core::mem::take(&mut self.forwarded);
        let (late, kept): (BTreeMap<_, _>, _) = all.into_iter().partition(|(_, forwarded)| is_due(forwarded));
        self.forwarded = kept;
        for late in late.into_values() {
            if let Some(routed) = late.routed.clone().filter(|_| late.is_first()) {
                self.unanswered.handle_answered(&late.request);
                self.handle_silence(&late, &routed, now);
            }
        }
    }

    /// Takes a response back the way its request came. Only the connection that was asked may answer.
    pub(super) fn forward_back(
        &mut self,
        connection: ConnectionId,
        branch: &str,
        mut response: Message,
        now: Instant,
    ) {
        let Some(forwarded) = self.forwarded.get(branch).filter(|f| f.to == connection) else { return };
        let from = forwarded.from;
        let _ = response.pop_first(&Name::Via);
        let is_final = response.status().is_some_and(|status| status >= 200);
        let forwarded = is_final.then(|| self.forwarded.remove(branch)).flatten();
        if let Some(forwarded) = &forwarded {
            self.unanswered.handle_answered(&forwarded.request);
            if self.handle_page_response(forwarded, &response, now) {
                return;
            }
        }
        self.outputs.push_back(super::Output::Send(from, response.to_bytes()));
        // The rules may have changed meanwhile.
        if let Some(routed) = forwarded.and_then(|forwarded| forwarded.routed) {
            self.check_edges(&routed.presentity, Some(&routed.watcher), now);
        }
    }
}
