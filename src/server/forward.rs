//! Requests between users: the server as a proxy that keeps the way open (RFC 3261 §16, cut down to WebSocket
//! connections that are there).

use super::{ConnectionId, Server};
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
}

impl Server {
    /// Whether the addressee has a connection.
    pub(super) fn is_reachable(&self, request: &Message, now: Instant) -> bool {
        self.addressee(request).is_some_and(|user| self.registrar.newest(&user, now).is_some())
    }

    /// Forwards a request outside a dialog to the newest contact of its addressee.
    pub(super) fn forward_to_user(&mut self, connection: ConnectionId, request: &Message, now: Instant) {
        let Some(user) = self.addressee(request) else {
            return self.answer(connection, request, 404, &[]);
        };
        let Some(binding) = self.registrar.newest(&user, now) else {
            return self.answer(connection, request, 480, &[]);
        };
        let (target, contact) = (binding.connection, binding.contact.uri.clone());
        self.forward(connection, target, request, Some(contact), now);
    }

    /// Sends `request` on to `target`, with a Via of ours on top, and a Record-Route where it makes a dialog.
    pub(super) fn forward(
        &mut self,
        connection: ConnectionId,
        target: ConnectionId,
        request: &Message,
        uri: Option<Uri>,
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
        while self.top_route_is_ours(&next) {
            let _ = next.pop_first(&Name::Route);
        }
        next.set(Name::MaxForwards, hops.to_string());
        if matches!(request.method(), Method::Subscribe | Method::Notify | Method::Refer) {
            let mut route = Uri::sip_host(&self.config.domain);
            route.params.set("transport", Some("ws"));
            route.params.set("lr", None);
            next.push_front(Name::RecordRoute, NameAddr::new(route).to_string());
        }
        next.push_front(Name::Via, via.to_string());
        let deadline = now + T1.times(64);
        let forwarded = Forwarded { from: connection, to: target, deadline, request: request.clone() };
        self.forwarded.insert(branch, forwarded);
        self.outputs.push_back(super::Output::Send(target, next.to_bytes()));
    }

    fn top_route_is_ours(&self, request: &Message) -> bool {
        let top = request.list(&Name::Route).next().and_then(|text| NameAddr::parse(text, Known::Route).ok());
        top.is_some_and(|top| top.uri.host.eq_ignore_ascii_case(&self.config.domain))
    }

    /// A connection is gone: who waits for an answer over it gets one, and what came over it is forgotten.
    pub(super) fn lose_forwarded(&mut self, connection: ConnectionId) {
        let touches = |forwarded: &Forwarded| forwarded.from == connection || forwarded.to == connection;
        let all = core::mem::take(&mut self.forwarded);
        let (lost, kept): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|(_, forwarded)| touches(forwarded));
        self.forwarded = kept;
        for lost in lost.into_values() {
            self.unanswered.handle_answered(&lost.request);
            if lost.from != connection {
                self.answer(lost.from, &lost.request, 480, &[]);
            }
        }
    }

    /// Takes a response back the way its request came. Only the connection that was asked may answer.
    pub(super) fn forward_back(&mut self, connection: ConnectionId, branch: &str, mut response: Message) {
        let Some(forwarded) = self.forwarded.get(branch).filter(|f| f.to == connection) else { return };
        let from = forwarded.from;
        let _ = response.pop_first(&Name::Via);
        let is_final = response.status().is_some_and(|status| status >= 200);
        if let Some(forwarded) = is_final.then(|| self.forwarded.remove(branch)).flatten() {
            self.unanswered.handle_answered(&forwarded.request);
        }
        self.outputs.push_back(super::Output::Send(from, response.to_bytes()));
    }
}
