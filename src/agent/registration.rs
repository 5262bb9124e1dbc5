//! REGISTER: makes this page reachable under its address (RFC 3261 §10.2), again over each new connection.

use crate::dialog;
use crate::event::Backoff;
use crate::random::Random;
use crate::sip::{CSeq, Message, Method, Name, NameAddr, Uri};
use crate::time::{Duration, Instant};

/// What came of a response.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(super) enum Update {
    Done,
    Resend(Message),
    Failed { status: Option<u16>, retry_at: Option<Instant> },
}

/// The registration of one contact.
#[derive(Debug)]
pub(super) struct Registration {
    aor: Uri,
    from: NameAddr,
    contact: NameAddr,
    expires: u32,
    call_id: String,
    sequence: u32,
    ready: bool,
    in_flight: bool,
    registered: bool,
    leaving: bool,
    due_at: Option<Instant>,
    backoff: Backoff,
    corrected: bool,
}

impl Registration {
    /// `contact` is ours with its instance parameters; one Call-ID serves for all (RFC 3261 §10.2).
    pub(super) fn new(
        aor: Uri,
        from: NameAddr,
        contact: NameAddr,
        expires: u32,
        random: &mut Random,
    ) -> Self {
        Self {
            aor,
            from,
            contact,
            expires,
            call_id: random.token(),
            sequence: 0,
            ready: true,
            in_flight: false,
            registered: false,
            leaving: false,
            due_at: None,
            backoff: Backoff::default(),
            corrected: false,
        }
    }

    /// Whether the registrar may hold our contact, or is about to.
    pub(super) const fn is_held(&self) -> bool {
        self.registered || self.in_flight
    }

    /// The REGISTER to send now.
    pub(super) fn next_request(&mut self, random: &mut Random) -> Option<Message> {
        if !self.ready || self.in_flight {
            return None;
        }
        self.ready = false;
        self.in_flight = true;
        self.corrected = false;
        self.sequence += 1;
        let mut registrar = Uri::sip_host(&self.aor.host);
        registrar.scheme = self.aor.scheme.clone();
        registrar.port = self.aor.port;
        let mut request = Message::request(Method::Register, registrar);
        request.push(Name::MaxForwards, "70");
        request.push(Name::To, NameAddr::new(self.aor.clone()).to_string());
        request.push(Name::From, self.from.clone().with_tag(&random.token()).to_string());
        request.push(Name::CallId, self.call_id.clone());
        request.push(Name::CSeq, CSeq { number: self.sequence, method: Method::Register }.to_string());
        request.push(Name::Contact, self.contact.to_string());
        request.push(Name::Expires, if self.leaving { "0".to_owned() } else { self.expires.to_string() });
        request.push(Name::Supported, "path, outbound, gruu");
        Some(request)
    }

    /// `request` once more, with the next CSeq and without credentials.
    pub(super) fn again(&mut self, request: &Message) -> Message {
        self.sequence += 1;
        dialog::retry(request, self.sequence)
    }

    /// The final response; 401 and 407 only when they cannot be answered. `None`: Timer F.
    pub(super) fn handle_response(
        &mut self,
        request: &Message,
        response: Option<&Message>,
        random: &mut Random,
        now: Instant,
    ) -> Update {
        self.in_flight = false;
        let status = response.and_then(Message::status);
        match (status, response) {
            // A success that grants no time is none: to register again at once would be to do so for ever.
            (Some(200..=299), Some(response)) if self.leaving || self.granted(response) > 0 => {
                self.backoff.reset();
                self.registered = !self.leaving;
                let granted = Duration::from_secs(u64::from(self.granted(response)));
                self.due_at = self.registered.then(|| now + granted.part(2).max(Duration::from_secs(1)));
                Update::Done
            }
            (Some(423), Some(response)) if !self.corrected && !self.leaving => {
                match response.min_expires().filter(|least| *least > self.expires) {
                    Some(least) => {
                        self.corrected = true;
                        self.in_flight = true;
                        self.expires = least;
                        let mut next = self.again(request);
                        next.set(Name::Expires, least.to_string());
                        Update::Resend(next)
                    }
                    None => Update::Failed { status, retry_at: None },
                }
            }
            _ => {
                // Who leaves has done what could be done.
                self.registered &= !self.leaving;
                let passing = !matches!(status, Some(400..=407 | 409..=479 | 600..=699));
                let floor = response.and_then(Message::retry_after).unwrap_or(0);
                if passing && !self.leaving {
                    let wait = self.backoff.next(Duration::from_secs(30), Duration::from_secs(1800), random);
                    self.due_at = Some(now + wait.max(Duration::from_secs(u64::from(floor))));
                }
                Update::Failed { status, retry_at: self.due_at }
            }
        }
    }

    /// What the registrar granted our contact: its own `expires`, else the header, else what we asked for
    /// (RFC 3261 §10.2.4).
    fn granted(&self, response: &Message) -> u32 {
        let contacts = response.addresses(&Name::Contact).unwrap_or_default();
        contacts
            .iter()
            .find(|contact| contact.uri.equivalent(&self.contact.uri))
            .and_then(|contact| contact.params.value("expires")?.parse().ok())
            .or_else(|| response.expires())
            .unwrap_or(self.expires)
    }

    /// The connection is gone, and the contact with it.
    pub(super) const fn handle_disconnected(&mut self) {
        self.ready = !self.leaving;
        self.in_flight = false;
        self.registered = false;
        self.due_at = None;
    }

    /// Removes the contact.
    pub(super) const fn leave(&mut self) {
        self.ready = self.is_held();
        self.leaving = true;
        self.due_at = None;
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.due_at.is_some_and(|at| at <= now) {
            self.due_at = None;
            self.ready = true;
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due_at
    }
}
