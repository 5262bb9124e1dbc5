//! Which connection a user is reached over (RFC 3261 §10.3). A contact lives no longer than its connection.

use super::ConnectionId;
use crate::sip::{Known, Message, Name, NameAddr, Uri};
use crate::time::{Duration, Instant, earliest};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Registrar {
    by_user: BTreeMap<String, Vec<Binding>>,
    /// The newest contacts that a user has or had, as long as they would have lived.
    held: BTreeMap<String, Vec<Held>>,
    /// Nothing expires before.
    earliest: Option<Instant>,
}

#[derive(Clone)]
pub(super) struct Binding {
    pub(super) contact: NameAddr,
    pub(super) connection: ConnectionId,
    /// It says that it is a presence agent, and has not proved the contrary.
    is_agent: bool,
    expires_at: Instant,
    call_id: String,
    sequence: u32,
}

/// A contact that is not for others, though its connection may be gone: a request inside a dialog finds its way by the
/// contact alone, and a page that is cut off comes back with the same.
struct Held {
    contact: Uri,
    connection: ConnectionId,
    until: Instant,
}

/// The bounds of a registration.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: u32,
    pub(super) most: u32,
    pub(super) contacts: usize,
}

impl Registrar {
    /// Processes a REGISTER of `user`, completely or not at all. `Err` is the status code of the refusal.
    pub(super) fn handle_register(
        &mut self,
        user: &str,
        request: &Message,
        connection: ConnectionId,
        bounds: Bounds,
        now: Instant,
    ) -> Result<(), u16> {
        let sequence = request.cseq().map_err(|_| 400_u16)?.number;
        let wildcard = request.list(&Name::Contact).any(|contact| contact.trim() == "*");
        if wildcard {
            if request.expires() != Some(0) || request.list(&Name::Contact).count() > 1 {
                return Err(400);
            }
            self.by_user.remove(user);
            return Ok(());
        }
        let contacts = request.addresses(Known::Contact).map_err(|_| 400_u16)?;
        if contacts.iter().any(|contact| self.is_of_another(&contact.uri, user, connection, now)) {
            return Err(403);
        }
        let mut bindings = self.by_user.get(user).cloned().unwrap_or_default();
        Self::apply(&mut bindings, contacts, request, sequence, connection, bounds, now)?;
        self.earliest = earliest(self.earliest, bindings.iter().map(|binding| binding.expires_at).min());
        self.hold(user, &bindings, bounds.contacts, now);
        self.by_user.insert(user.to_owned(), bindings);
        self.by_user.retain(|_, bindings| !bindings.is_empty());
        Ok(())
    }

    /// Whether somebody else holds this contact; two users of one connection may share theirs.
    fn is_of_another(&self, contact: &Uri, user: &str, connection: ConnectionId, now: Instant) -> bool {
        let reached = |held: &&Held| held.until > now && reaches(&held.contact, contact);
        let own = self.held.get(user).into_iter().flatten().filter(reached);
        let own: Vec<ConnectionId> = own.map(|held| held.connection).chain([connection]).collect();
        let others = self.held.iter().filter(|(name, _)| *name != user).flat_map(|(_, held)| held);
        others.filter(reached).any(|held| !own.contains(&held.connection))
    }

    fn hold(&mut self, user: &str, bindings: &[Binding], most: usize, now: Instant) {
        let all = self.held.entry(user.to_owned()).or_default();
        all.retain(|held| held.until > now);
        for binding in bindings {
            let (contact, connection, until) =
                (binding.contact.uri.clone(), binding.connection, binding.expires_at);
            all.retain(|held| !reaches(&held.contact, &contact));
            all.push(Held { contact, connection, until });
        }
        let excess = all.len().saturating_sub(most.saturating_mul(2));
        all.drain(..excess);
    }

    fn apply(
        bindings: &mut Vec<Binding>,
        contacts: Vec<NameAddr>,
        request: &Message,
        sequence: u32,
        connection: ConnectionId,
        bounds: Bounds,
        now: Instant,
    ) -> Result<(), u16> {
        let asked = |contact: &NameAddr| {
            contact.params.value("expires").and_then(|text| text.parse().ok()).or_else(|| request.expires())
        };
        for contact in &contacts {
            if asked(contact).is_some_and(|seconds| seconds > 0 && seconds < bounds.least) {
                return Err(423);
            }
        }
        let is_old = |binding: &Binding| binding.call_id == request.call_id() && binding.sequence >= sequence;
        if bindings.iter().any(|b| is_old(b) && contacts.iter().any(|c| same(&b.contact, c))) {
            return Err(500);
        }
        for contact in contacts {
            let seconds = asked(&contact).unwrap_or(bounds.most).min(bounds.most);
            // Once is enough, as long as it is registered (RFC 3856 §6.11.2).
            let refused = |old: &Binding| !old.is_agent && is_agent(&old.contact);
            let known = bindings.iter().find(|old| old.contact.uri.equivalent(&contact.uri));
            let is_agent = is_agent(&contact) && !known.is_some_and(refused);
            bindings.retain(|binding| !same(&binding.contact, &contact));
            if seconds == 0 {
                continue;
            }
            if bindings.len() >= bounds.contacts {
                return Err(503);
            }
            bindings.push(Binding {
                contact,
                connection,
                is_agent,
                expires_at: now + Duration::from_secs(u64::from(seconds)),
                call_id: request.call_id().to_owned(),
                sequence,
            });
        }
        Ok(())
    }

    /// The contacts of `user` as the 200 lists them.
    pub(super) fn contacts(&self, user: &str, now: Instant) -> Vec<String> {
        let bindings = self.by_user.get(user).into_iter().flatten();
        bindings
            .filter(|binding| binding.expires_at > now)
            .map(|binding| {
                let mut contact = binding.contact.clone();
                let left = binding.expires_at.since(now).as_secs().to_string();
                contact.params.set("expires", Some(&left));
                contact.to_string()
            })
            .collect()
    }

    /// The newest contact of `user`.
    pub(super) fn newest(&self, user: &str, now: Instant) -> Option<&Binding> {
        self.by_user.get(user)?.iter().rev().find(|binding| binding.expires_at > now)
    }

    /// The newest contact of `user` that is a presence agent, and not silent.
    pub(super) fn agent(
        &self,
        user: &str,
        is_silent: &dyn Fn(ConnectionId) -> bool,
        now: Instant,
    ) -> Option<&Binding> {
        let mut agents = self.by_user.get(user)?.iter().rev().filter(|binding| binding.is_agent);
        agents.find(|binding| binding.expires_at > now && !is_silent(binding.connection))
    }

    /// It is none.
    pub(super) fn refuse_agent(&mut self, user: &str, contact: &Uri) {
        for binding in self.by_user.get_mut(user).into_iter().flatten() {
            binding.is_agent &= !reaches(&binding.contact.uri, contact);
        }
    }

    /// Whose contact this is.
    pub(super) fn owner_of(&self, target: &Uri, now: Instant) -> Option<&str> {
        let reached = |binding: &Binding| binding.expires_at > now && reaches(&binding.contact.uri, target);
        let owner = self.by_user.iter().find(|(_, bindings)| bindings.iter().any(reached));
        owner.map(|(user, _)| user.as_str())
    }

    /// The connection behind a contact: the target of a request inside a dialog.
    pub(super) fn connection_of(&self, target: &Uri, now: Instant) -> Option<ConnectionId> {
        let bindings = self.by_user.values().flatten();
        bindings
            .filter(|binding| binding.expires_at > now)
            .find(|binding| reaches(&binding.contact.uri, target))
            .map(|binding| binding.connection)
    }

    pub(super) fn handle_disconnected(&mut self, connection: ConnectionId) {
        self.drop_bindings(|binding| binding.connection == connection);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.earliest.is_some_and(|at| at <= now) {
            self.drop_bindings(|binding| binding.expires_at <= now);
        }
    }

    fn drop_bindings(&mut self, gone: impl Fn(&Binding) -> bool) {
        self.by_user.retain(|_, bindings| {
            bindings.retain(|binding| !gone(binding));
            !bindings.is_empty()
        });
        self.earliest = self.by_user.values().flatten().map(|binding| binding.expires_at).min();
    }

    /// When the next binding expires, or a little earlier: one that was prolonged is still counted, so that nobody
    /// has to look at all of them after each message.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.earliest.filter(|_| !self.by_user.is_empty())
    }
}

/// Whether a request to `target` goes to `contact`. Parameters may have been rewritten on the way, the user part is
/// unique.
fn reaches(contact: &Uri, target: &Uri) -> bool {
    contact.user.is_some() && contact.user == target.user && contact.host.eq_ignore_ascii_case(&target.host)
}

/// Whether a contact says that it takes subscriptions to presence (RFC 3840 §10, RFC 3856 §6.11.2).
fn is_agent(contact: &NameAddr) -> bool {
    let has = |name: &str, wanted: &str| {
        let list = contact.params.value(name).unwrap_or_default().trim_matches('"');
        list.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    has("methods", "SUBSCRIBE") && has("events", "presence")
}

/// Whether both are contacts of one instance (RFC 5626 §4.1), or the same address.
fn same(one: &NameAddr, other: &NameAddr) -> bool {
    let instance = |contact: &NameAddr| contact.params.value("+sip.instance").map(str::to_owned);
    match (instance(one), instance(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.uri.equivalent(&other.uri),
    }
}
