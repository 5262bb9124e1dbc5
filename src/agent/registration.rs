//! REGISTER: makes this page reachable under its address (RFC 3261 §10.2), again over each new connection, as one
//! flow of RFC 5626; what the registrar gives it as a GRUU (RFC 5627).

use crate::decimal::{decimal, small_number};
use crate::dialog;
use crate::event::Backoff;
use crate::pieces::concat;
use crate::random::Random;
use crate::sip::{CSeq, Known, Message, Method, Name, NameAddr, Uri};
use crate::time::{Duration, Instant};

/// Names this device in a Contact (RFC 5626 §4.1).
pub(super) const INSTANCE: &str = "+sip.instance";
/// Names the flow in a Contact; there is one at a time (RFC 5626 §4.2).
pub(super) const REG_ID: &str = "reg-id";

/// The registration of one contact.
#[derive(Debug)]
pub(super) struct Registration {
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
    /// Contact of other requests: the GRUU in angle brackets, as the registrar wrote it (RFC 5627 §4.2).
    gruu: Option<String>,
    /// When the registrar forgets the contact unless it is refreshed.
    lapses_at: Instant,
}

/// The first wait after a failure (RFC 5626 §4.5).
const WAIT: Duration = Duration::from_secs(60);
/// The same where the registrar has not answered, us or the proxy before it: what answers other requests lives, and may find
/// the registrar again soon.
const UNANSWERED_WAIT: Duration = Duration::from_secs(10);
/// How many times the first wait the longest is.
const MOST_WAIT: u64 = 30;

/// The extensions that each request offers (RFC 5626 §4.3, RFC 5627 §4.4).
pub(super) const SUPPORTED: &str = "outbound, gruu";

/// Says in a Contact what the agent takes, so that a server can leave subscriptions to it (RFC 3840 §10.2,
/// RFC 3856 §6.11.2).
#[cfg(feature = "full")]
pub(super) fn describe(contact: &mut NameAddr) {
    contact.params.set("methods", Some("\"SUBSCRIBE,NOTIFY,OPTIONS\""));
    contact.params.set("events", Some("\"presence\""));
}

/// A request of `method` to the server itself, outside any dialog.
pub(super) fn to_server(
    method: Method,
    from: &NameAddr,
    call_id: String,
    number: u32,
    random: &mut Random,
) -> Message {
    let mut server = Uri::sip_host(&from.uri.host);
    server.scheme = from.uri.scheme.clone();
    server.port = from.uri.port;
    let mut request = Message::request(method.clone(), server);
    let from = from.text();
    request.push(Name::MaxForwards, "70");
    request.push(Name::From, concat(&[&from, ";tag=", &random.token()]));
    request.push(Name::To, from);
    request.push(Name::CallId, call_id);
    request.push(Name::CSeq, CSeq { number, method }.text());
    request
}

impl Registration {
    /// `contact` is ours with its instance parameters; one Call-ID serves for all (RFC 3261 §10.2).
    pub(super) fn new(from: NameAddr, contact: NameAddr, expires: u32, random: &mut Random) -> Self {
        Self {
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
            gruu: None,
            lapses_at: Instant::default(),
        }
    }

    /// Contact of other requests, while the registration that gave it stands (RFC 5627 §4.4).
    pub(super) fn gruu(&self, now: Instant) -> Option<&str> {
        self.gruu.as_deref().filter(|_| now < self.lapses_at)
    }

    /// That of all its requests.
    pub(super) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Whether the registrar has taken our contact over this connection.
    pub(super) const fn is_registered(&self) -> bool {
        self.registered
    }

    /// Whether the registrar may hold our contact, or is about to.
    pub(super) const fn is_held(&self) -> bool {
        self.registered || self.in_flight
    }

    /// Whether the registrar does not hold our contact, or may forget it while a request is on its way; and will hold it if
    /// all goes well.
    #[cfg(feature = "full")]
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        let is_held = self.registered && now + Duration::from_secs(10) < self.lapses_at;
        !is_held && !self.leaving && (self.ready || self.in_flight || self.due_at.is_some())
    }

    /// The REGISTER to send now.
    pub(super) fn next_request(&mut self, random: &mut Random) -> Option<Message> {
        if !self.ready || self.in_flight {
            return None;
        }
        self.ready = false;
        self.in_flight = true;
        self.sequence += 1;
        let call_id = self.call_id.clone();
        let mut request = to_server(Method::Register, &self.from, call_id, self.sequence, random);
        request.push(Name::Contact, self.contact.text());
        request.push(Name::Expires, decimal(if self.leaving { 0 } else { u64::from(self.expires) }));
        let outbound = self.contact.params.contains(REG_ID);
        request.push(Name::Supported, if outbound { "path, outbound, gruu" } else { "path, gruu" });
        Some(request)
    }

    /// `request` once more, with the next CSeq and without credentials.
    pub(super) fn again(&mut self, request: &Message) -> Message {
        self.sequence += 1;
        dialog::retry(request, self.sequence)
    }

    /// The final response; 401 and 407 only when they cannot be answered. `None`: Timer F. Whether that is well, or
    /// the next request will make it so; if not, [`Self::poll_timeout`] says when it is tried again.
    pub(super) fn handle_response(
        &mut self,
        response: Option<&Message>,
        random: &mut Random,
        now: Instant,
    ) -> bool {
        self.in_flight = false;
        let status = response.and_then(Message::status);
        if let (Some(200..=299), Some(response)) = (status, response) {
            let (granted, gruu) = self.granted(response);
            // A success that grants no time is none: to register again at once would be to do so for ever.
            if self.leaving || granted > 0 {
                self.backoff.reset();
                self.corrected = false;
                self.registered = !self.leaving;
                self.gruu = gruu;
                let granted = Duration::from_secs(u64::from(granted));
                self.lapses_at = now + granted;
                self.due_at = self.registered.then(|| now + granted.part(2).max(Duration::from_secs(1)));
                return true;
            }
        }
        // Who leaves has done what could be done.
        if self.leaving {
            self.registered = false;
            return false;
        }
        if !self.corrected {
            let least = response.and_then(Message::min_expires).unwrap_or(0);
            if status == Some(423) && least > self.expires {
                self.expires = least;
                self.ready = true;
            }
            // The first hop does not know flows: without, this contact is as good as any (RFC 5626 §4.2.1).
            if status == Some(439) && self.contact.params.contains(REG_ID) {
                self.contact.params.remove(REG_ID);
                self.ready = true;
            }
            self.corrected = self.ready;
            if self.ready {
                return true;
            }
        }
        if !matches!(status, Some(400..=407 | 409..=479 | 600..=699)) {
            // The waits of RFC 5626 §4.5, but that 0 seconds are at once, one time (§4.2.1).
            let floor = response.and_then(Message::retry_after);
            let at_once = floor == Some(0) && self.backoff.failures() == 0;
            let unanswered = matches!(status, None | Some(408 | 504));
            let first = if unanswered { UNANSWERED_WAIT } else { WAIT };
            let wait = self.backoff.next(first, first.times(MOST_WAIT), random);
            let floor = Duration::from_secs(u64::from(floor.unwrap_or(0)));
            self.due_at = Some(now + if at_once { floor } else { wait.max(floor) });
        }
        false
    }

    /// For how many seconds the registrar holds our contact: its own `expires`, else the header, else what we asked
    /// for (RFC 3261 §10.2.4). And the GRUU it has. A registrar that writes contacts anew keeps the instance.
    fn granted(&self, response: &Message) -> (u32, Option<String>) {
        let contacts = response.addresses(Known::Contact).unwrap_or_default();
        let ours = &self.contact;
        let mut own = None;
        for contact in &contacts {
            let same = |name| contact.params.value(name) == ours.params.value(name);
            let instance = own.is_none() && ours.params.contains(INSTANCE) && same(INSTANCE) && same(REG_ID);
            if instance || contact.uri.equivalent(&ours.uri) {
                own = Some(contact);
            }
        }
        let value = |name| own.and_then(|own| own.params.value(name));
        let granted = value("expires").and_then(small_number);
        let granted = granted.or_else(|| response.expires()).unwrap_or(self.expires);
        let gruu = value("pub-gruu").or_else(|| value("temp-gruu")).map(|quoted| quoted.trim_matches('"'));
        let gruu = gruu.filter(|gruu| Uri::parse(gruu).is_ok()).map(|gruu| concat(&["<", gruu, ">"]));
        (granted, gruu)
    }

    /// The connection is gone, and the contact with it.
    pub(super) fn handle_disconnected(&mut self) {
        // The next first hop may know flows again; the same reg-id replaces this one (RFC 5626 §4.5).
        if self.contact.params.contains(INSTANCE) {
            self.contact.params.set(REG_ID, Some("1"));
        }
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
