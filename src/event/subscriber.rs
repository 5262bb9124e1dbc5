//! One subscription as its subscriber sees it (RFC 6665 §4.1), from the first SUBSCRIBE through all renewals.
//!
//! ```text
//!           SUBSCRIBE               NOTIFY                         NOTIFY
//!   Idle ──────────────> NotifyWait ──────> Pending <──────────> Active
//!    ^  ^                    │                 │ refresh            │ refresh
//!    │  └─ try later ────────┤                 ├────────────────────┤
//!    │     error, Timer N    │                 │ terminated, fatal code, Timer N, expiry
//!    └───────────────────────┼─────────────────┘
//!          leave() ──────────┴──> Leaving ──NOTIFY terminated, Timer N, any error──> Over
//! ```
//!
//! The machine is pulled: when [`Subscriber::is_ready`], ask for [`Subscriber::next_request`] as soon as there is
//! room for a transaction. Contact, credentials and Via are put on by the owner. May use: `dialog`, `sip`, `random`.

mod corrections;
mod farewell;

use super::Backoff;
use crate::decimal::decimal;
use crate::dialog::{self, Dialog};
use crate::random::Random;
use crate::sip::{CSeq, EventType, Message, Method, Name, NameAddr, Reason, Substate, Uri};
use crate::time::{Duration, Instant, earliest};
use crate::transaction::T1;
use corrections::Corrected;

/// Timer N: a SUBSCRIBE that brought no NOTIFY by then, and none a moment after its answer, has failed
/// (RFC 6665 §4.1.2.4).
pub const TIMER_N: Duration = T1.times(64);

/// A subscription that lived this long was not part of a loop: the next failure counts as the first.
const SETTLED: Duration = Duration::from_secs(60);

/// Between a SUBSCRIBE and one that a NOTIFY makes necessary: no notifier can make us ask without end.
const PAUSE: Duration = Duration::from_secs(4);

/// Seconds that cannot be too brief for a SUBSCRIBE: the default of the package (RFC 3856 §6.4, RFC 6665 §4.2.1.1).
const AMPLE: u32 = 3600;

/// What to subscribe to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The resource: Request-URI and To.
    pub target: Uri,
    /// From, without a tag.
    pub from: NameAddr,
    /// The event package.
    pub event: EventType,
    /// The Accept header.
    pub accept: &'static str,
    /// Seconds asked for; 0 fetches once.
    pub expires: u32,
    /// How much earlier than at half-time it is renewed, up to a fifth, so that many do not all renew at once.
    pub spread: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    NotifyWait,
    Pending,
    Active,
    Leaving,
    Over,
}

/// Why a subscription, or the attempt at one, is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A NOTIFY said so.
    Terminated(Option<Reason>),
    /// A final response with this status code.
    Refused(u16),
    /// No final response came (Timer F).
    NoAnswer,
    /// A success, but no NOTIFY (Timer N).
    NoNotify,
    /// Nobody renewed it in time.
    Expired,
    /// The subscriber left.
    Left,
}

/// The end of a subscription or of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub why: Why,
    /// When it is tried again; `None`: never.
    pub retry_at: Option<Instant>,
}

/// What came of an input.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)]
pub enum Update {
    /// Nothing the owner must act on; [`Subscriber::is_ready`] may have changed.
    Nothing,
    /// Send this in a new transaction: the same request, corrected.
    Resend(Message),
    /// The notifier confirmed that nothing has changed since its last NOTIFY (RFC 5839 §5.2).
    Unchanged,
    /// The subscription or the attempt is over.
    Ended(End),
    /// A refresh failed. The subscription lives until it expires, and the refresh is tried again.
    Postponed(End),
}

/// A NOTIFY that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notified {
    /// Its Subscription-State.
    pub state: Substate,
    /// It answers a SUBSCRIBE after state may have been missed: the first of a dialog, or of a new connection.
    pub anew: bool,
    /// It answers a SUBSCRIBE, and so carries the whole state: no body means that there is none (RFC 6665 §4.2.1.2).
    pub answers: bool,
    /// No body because the last one still holds (RFC 5839 §6.2).
    pub unchanged: bool,
    /// The subscription is over.
    pub end: Option<End>,
}

/// The machine.
#[derive(Debug)]
pub struct Subscriber {
    plan: Plan,
    state: State,
    call_id: String,
    local_tag: String,
    sequence: u32,
    dialog: Option<Dialog>,
    wanted: bool,
    ready: bool,
    in_flight: bool,
    anew: bool,
    sent_at: Instant,
    timer_n: Option<Instant>,
    expires_at: Option<Instant>,
    refresh_at: Option<Instant>,
    retry_at: Option<Instant>,
    alive_since: Option<Instant>,
    /// A NOTIFY has said when it expires since the last SUBSCRIBE was made: a 2xx that comes later is older.
    told: bool,
    /// The entity-tag of the last NOTIFY (RFC 5839 §5.3).
    entity_tag: Option<String>,
    backoff: Backoff,
    corrected: Corrected,
}

impl Subscriber {
    /// A subscription that is ready to be started.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::Idle,
            call_id: String::new(),
            local_tag: String::new(),
            sequence: 0,
            dialog: None,
            wanted: true,
            ready: true,
            in_flight: false,
            anew: true,
            sent_at: Instant::default(),
            timer_n: None,
            expires_at: None,
            refresh_at: None,
            retry_at: None,
            alive_since: None,
            told: false,
            entity_tag: None,
            backoff: Backoff::default(),
            corrected: Corrected::default(),
        }
    }

    /// Whether [`Self::next_request`] has something to send.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.ready && !self.in_flight && !matches!(self.state, State::Over)
    }

    /// Whether nothing will come of it any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Call-ID and own tag of the present attempt, by which a NOTIFY finds it; `None` while there is none.
    #[must_use]
    pub fn key(&self) -> Option<(&str, &str)> {
        let open = !matches!(self.state, State::Idle | State::Over);
        open.then_some((self.call_id.as_str(), self.local_tag.as_str()))
    }

    /// Whether `request` is of the present attempt. What becomes of one of an older attempt concerns nobody.
    #[must_use]
    pub fn owns(&self, request: &Message) -> bool {
        self.key().is_some_and(|(call_id, _)| call_id == request.call_id())
    }

    /// Whether the notifier has not decided yet.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending)
    }

    /// When the subscription ends unless it is renewed.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }

    /// When the next attempt is made.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The SUBSCRIBE to send now: initial, refresh or un-SUBSCRIBE. Starts Timer N.
    pub fn next_request(&mut self, random: &mut Random, now: Instant) -> Option<Message> {
        if !self.is_ready() {
            return None;
        }
        let mut request = match (self.state, &mut self.dialog) {
            (State::Idle, _) => self.initial(random),
            (State::Pending | State::Active | State::Leaving, Some(dialog)) => {
                dialog.request(Method::Subscribe)
            }
            (State::NotifyWait | State::Over | State::Pending | State::Active | State::Leaving, _) => {
                return None;
            }
        };
        let expires = if self.state == State::Leaving { 0 } else { self.plan.expires };
        request.push(Name::Event, self.plan.event.text());
        request.push(Name::Accept, self.plan.accept);
        request.push(Name::Expires, decimal(expires.into()));
        self.condition(&mut request);
        self.told = false;
        self.ready = false;
        self.in_flight = true;
        self.refresh_at = None;
        self.timer_n = Some(now + TIMER_N);
        self.sent_at = now;
        Some(request)
    }

    /// A SUBSCRIBE outside a dialog, with a new Call-ID and tag (RFC 6665 §4.1.2.2).
    fn initial(&mut self, random: &mut Random) -> Message {
        self.state = State::NotifyWait;
        self.call_id = random.token();
        self.local_tag = random.token();
        self.sequence = 1;
        self.dialog = None;
        self.anew = true;
        self.retry_at = None;
        self.expires_at = None;
        self.entity_tag = None;
        self.corrected = Corrected::default();
        let mut request = Message::request(Method::Subscribe, self.plan.target.clone());
        request.push(Name::MaxForwards, "70");
        request.push(Name::To, NameAddr::new(self.plan.target.clone()).text());
        request.push(Name::From, self.plan.from.clone().with_tag(&self.local_tag).text());
        request.push(Name::CallId, self.call_id.clone());
        request.push(Name::CSeq, CSeq { number: self.sequence, method: Method::Subscribe }.text());
        request
    }

    /// What the last NOTIFY brought is not known: the next SUBSCRIBE asks for it whatever its entity-tag.
    pub fn forget_entity(&mut self) {
        self.entity_tag = None;
    }

    /// What the next SUBSCRIBE says it takes.
    pub const fn accept(&mut self, accept: &'static str) {
        self.plan.accept = accept;
    }

    /// Sends a SUBSCRIBE to be told the whole state: now, unless the last one is fresh or the answer to it still due.
    pub fn refresh(&mut self, now: Instant) {
        self.forget_entity();
        if matches!(self.state, State::Pending | State::Active) && self.timer_n.is_none() {
            let at = self.sent_at + PAUSE;
            self.ready |= at <= now;
            self.refresh_at = earliest(self.refresh_at, Some(at)).filter(|_| !self.ready);
        }
    }

    /// A challenge is being answered, which may take a user's time: Timer N stops until [`Self::again`].
    pub const fn handle_challenged(&mut self) {
        self.timer_n = None;
    }

    /// `request` once more, with the next CSeq and without credentials (RFC 3261 §22.2). Restarts Timer N.
    pub fn again(&mut self, request: &Message, now: Instant) -> Message {
        let number = match &mut self.dialog {
            Some(dialog) => dialog.next_sequence(),
            None => {
                self.sequence = self.sequence.saturating_add(1);
                self.sequence
            }
        };
        self.in_flight = true;
        self.timer_n = Some(now + TIMER_N);
        let mut next = dialog::retry(request, number);
        self.condition(&mut next);
        next
    }

    /// Says what is known already, and nothing older (RFC 5839 §5.2).
    fn condition(&self, request: &mut Message) {
        request.remove(&Name::SuppressIfMatch);
        let in_dialog = request.to().is_ok_and(|to| to.tag().is_some());
        if let Some(tag) = self.entity_tag.as_ref().filter(|_| in_dialog) {
            request.push(Name::SuppressIfMatch, tag.clone());
        }
    }

    /// The final response to `request`; 401 and 407 only when they cannot be answered.
    pub fn handle_response(
        &mut self,
        request: &Message,
        response: &Message,
        random: &mut Random,
        now: Instant,
    ) -> Update {
        if !self.owns(request) {
            return Update::Nothing;
        }
        self.in_flight = false;
        let status = response.status().unwrap_or(500);
        if (200..300).contains(&status) {
            return self.handle_success(request, response, status, now);
        }
        let corrected = self.correct(request, response, status, now);
        if let Some(next) = corrected.or_else(|| self.redirect(request, response, status, now)) {
            return Update::Resend(next);
        }
        let retry_after = response.retry_after().map(|s| Duration::from_secs(u64::from(s)));
        // A NOTIFY has made the dialog before another branch of the fork refused the first SUBSCRIBE: that ends nothing.
        let in_dialog = request.to().is_ok_and(|to| to.tag().is_some());
        let ended = in_dialog && ends_the_usage(status);
        match self.state {
            State::NotifyWait if is_worth_a_retry(status) => {
                self.end(Why::Refused(status), Again::After(retry_after), random, now)
            }
            State::NotifyWait => self.end(Why::Refused(status), Again::Never, random, now),
            State::Pending | State::Active if ended => {
                self.end(Why::Refused(status), Again::AtOnce, random, now)
            }
            State::Pending | State::Active => {
                self.postpone_refresh(Why::Refused(status), retry_after, random, now)
            }
            // It was a refresh; the un-SUBSCRIBE is still to be sent.
            State::Leaving if self.ready && !ended => Update::Nothing,
            State::Leaving => Update::Ended(self.finish()),
            State::Idle | State::Over => Update::Nothing,
        }
    }

    fn handle_success(&mut self, request: &Message, response: &Message, status: u16, now: Instant) -> Update {
        if status == 204 && self.state == State::Leaving && !self.ready {
            // It promises that no NOTIFY comes.
            return Update::Ended(self.finish());
        }
        // A 2xx of another branch of the fork only ends the transaction (RFC 6665 §5.4.9).
        let tag = response.to().ok().and_then(|to| to.tag().map(str::to_owned));
        if let Some(dialog) = &mut self.dialog {
            if dialog.remote_tag() != tag.as_deref() {
                self.schedule_refresh(now);
                return Update::Nothing;
            }
            if let Ok(contact) = response.contact() {
                dialog.handle_target(&contact.uri);
            }
        }
        // After a sleep the answer is heard first: a moment more for the NOTIFY behind it.
        self.timer_n = self.timer_n.map(|at| at.max(now + T1.times(2)));
        let asked = request.expires().unwrap_or(self.plan.expires);
        match self.state {
            State::NotifyWait if self.plan.expires > 0 => {
                let granted = response.expires().unwrap_or(asked).min(asked);
                self.expires_at = Some(now + Duration::from_secs(u64::from(granted)));
            }
            State::Pending | State::Active => {
                if self.alive_since.is_some_and(|since| now.since(since) >= SETTLED) {
                    self.backoff.reset();
                }
                let granted = response.expires().filter(|_| asked > 0 && (!self.told || status == 204));
                if let Some(granted) = granted {
                    self.expires_at = Some(now + Duration::from_secs(u64::from(granted.min(asked))));
                }
                self.schedule_refresh(now);
                // After a gap, who did not name what it knows cannot be told that this is unchanged.
                if status == 204 && (!self.anew || request.header(&Name::SuppressIfMatch).is_some()) {
                    self.timer_n = None;
                    self.anew = false;
                    return Update::Unchanged;
                }
            }
            // Without a dialog there is nothing that could be unchanged: 204 is as 200 (RFC 5839 §7.1).
            State::NotifyWait | State::Leaving | State::Idle | State::Over => {}
        }
        Update::Nothing
    }

    /// No final response to `request` came before Timer F.
    pub fn handle_no_answer(&mut self, request: &Message, random: &mut Random, now: Instant) -> Update {
        if !self.owns(request) {
            return Update::Nothing;
        }
        self.in_flight = false;
        match self.state {
            State::NotifyWait => {
                // Asterisk drops a request to an address that it cannot read.
                self.speak_sip();
                self.end(Why::NoAnswer, Again::After(None), random, now)
            }
            State::Pending | State::Active => self.postpone_refresh(Why::NoAnswer, None, random, now),
            State::Leaving if self.ready => Update::Nothing,
            State::Leaving => Update::Ended(self.finish()),
            State::Idle | State::Over => Update::Nothing,
        }
    }

    /// The connection is gone. A dialog survives and is refreshed over the next one.
    pub fn handle_disconnected(&mut self) {
        self.in_flight = false;
        self.timer_n = None;
        self.refresh_at = None;
        self.anew = true;
        match self.state {
            State::NotifyWait if self.wanted => {
                self.state = State::Idle;
                self.ready = true;
            }
            State::Pending | State::Active => self.ready = true,
            State::NotifyWait | State::Leaving => {
                self.finish();
            }
            State::Idle | State::Over => {}
        }
    }

    /// A NOTIFY with this Call-ID and tag. `Err` is the status code of the refusal; nothing was changed then.
    ///
    /// # Errors
    /// 400 without Subscription-State, 481 for another fork or an old attempt, 489 for another event, 500 out of
    /// order (RFC 6665 §4.1.3, RFC 3261 §12.2.2).
    pub fn handle_notify(
        &mut self,
        notify: &Message,
        random: &mut Random,
        now: Instant,
    ) -> Result<Notified, u16> {
        let Ok(event) = notify.event() else { return Err(489) };
        // flexisip writes `Presence`; servers of the liblinphone family may leave the header out.
        if let Some(event) = event {
            if !event.package.eq_ignore_ascii_case(&self.plan.event.package) {
                return Err(489);
            }
            if event.id != self.plan.event.id {
                return Err(481);
            }
        }
        if matches!(self.state, State::Idle | State::Over) {
            return Err(481);
        }
        let Ok(Some(header)) = notify.subscription_state() else { return Err(400) };
        let (Ok(from), Ok(cseq)) = (notify.from(), notify.cseq()) else { return Err(400) };
        match &mut self.dialog {
            Some(dialog) => {
                if dialog.remote_tag() != from.tag() {
                    return Err(481);
                }
                if dialog.handle_sequence(cseq.number).is_err() {
                    // FreeSWITCH counts by the clock and begins anew at New Year: a refresh shows whether the dialog
                    // still works, or Timer N makes another. An equal number is only a copy.
                    if cseq.number < dialog.remote_sequence() {
                        self.refresh(now);
                    }
                    return Err(500);
                }
                if let Ok(contact) = notify.contact() {
                    dialog.handle_target(&contact.uri);
                }
            }
            None if header.state == Substate::Terminated || self.plan.expires == 0 => {}
            None => {
                let made = Dialog::from_request(notify, &self.local_tag, self.sequence);
                self.dialog = Some(made.map_err(|_| 400_u16)?);
            }
        }
        let entity_tag = notify.header(&Name::SipETag).map(str::to_owned);
        let unchanged = notify.body.is_empty() && entity_tag.is_some() && entity_tag == self.entity_tag;
        self.entity_tag = entity_tag;
        // Who leaves waits for the last NOTIFY, but no longer than Timer N.
        let anew = core::mem::take(&mut self.anew);
        let answers = anew || self.timer_n.is_some();
        if self.state != State::Leaving {
            self.timer_n = None;
        }
        let end = match header.state {
            Substate::Terminated => {
                Some(self.handle_terminated(header.reason, header.retry_after, random, now))
            }
            Substate::Active | Substate::Pending | Substate::Other(_) if self.plan.expires == 0 => {
                Some(self.finish())
            }
            Substate::Active => {
                self.confirm(State::Active, header.expires, now);
                None
            }
            Substate::Pending | Substate::Other(_) => {
                self.confirm(State::Pending, header.expires, now);
                None
            }
        };
        Ok(Notified { state: header.state, anew, answers, unchanged, end })
    }

    fn confirm(&mut self, state: State, expires: Option<u32>, now: Instant) {
        self.alive_since.get_or_insert(now);
        let before = self.expires_at;
        self.told |= expires.is_some();
        // Where nobody has named a time, it is the one that was asked for; it is never longer.
        let most = self.plan.expires;
        if let Some(expires) = expires.or(before.is_none().then_some(most)) {
            self.expires_at = Some(now + Duration::from_secs(u64::from(expires.min(most))));
        }
        match self.state {
            // The application left while the first NOTIFY was on its way.
            State::NotifyWait if !self.wanted => {
                self.state = State::Leaving;
                self.ready = true;
            }
            State::NotifyWait | State::Pending | State::Active => {
                self.state = state;
                let shrunk = before.is_some_and(|before| {
                    self.expires_at.is_some_and(|at| at + Duration::from_secs(2) < before)
                });
                if self.refresh_at.is_none() || shrunk {
                    self.schedule_refresh(now);
                }
            }
            State::Leaving | State::Idle | State::Over => {}
        }
    }

    /// At half of the time left: early enough for a hidden page whose timers run once a minute.
    fn schedule_refresh(&mut self, now: Instant) {
        let at = self.expires_at.filter(|_| !self.in_flight && !self.ready);
        let Some(left) = at.map(|at| at.since(now)) else { return };
        let half = now + left.part(2).max(Duration::from_secs(1));
        let early = left.part(2560).times(u64::from(self.plan.spread));
        self.refresh_at = earliest(self.refresh_at, Some(half - early));
    }

    /// A failure that leaves the subscription as it is until it expires (RFC 6665 §4.1.2.2).
    fn postpone_refresh(
        &mut self,
        why: Why,
        floor: Option<Duration>,
        random: &mut Random,
        now: Instant,
    ) -> Update {
        self.timer_n = None;
        self.forget_entity();
        let wait = self.backoff.next(Duration::from_secs(4), Backoff::MOST, random);
        self.refresh_at = Some(now + wait.max(floor.unwrap_or(Duration::ZERO)));
        Update::Postponed(End { why, retry_at: self.refresh_at })
    }

    /// The reason table of RFC 6665 §4.1.3.
    fn handle_terminated(
        &mut self,
        reason: Option<Reason>,
        retry_after: Option<u32>,
        random: &mut Random,
        now: Instant,
    ) -> End {
        let retry_after = retry_after.map(|s| Duration::from_secs(u64::from(s)));
        let again = match &reason {
            Some(Reason::Deactivated | Reason::Timeout) => Again::AtOnce,
            Some(Reason::Probation) => Again::After(retry_after),
            Some(Reason::Giveup | Reason::Other(_)) | None => match retry_after {
                Some(_) => Again::After(retry_after),
                None => Again::AtOnce,
            },
            Some(Reason::Rejected | Reason::Noresource | Reason::Invariant | Reason::BadFilter) => {
                Again::Never
            }
        };
        match self.end(Why::Terminated(reason), again, random, now) {
            Update::Ended(end) => end,
            Update::Nothing | Update::Resend(_) | Update::Unchanged | Update::Postponed(_) => self.finish(),
        }
    }

    /// Ends the attempt or the subscription, and plans the next one if it is wanted.
    fn end(&mut self, why: Why, again: Again, random: &mut Random, now: Instant) -> Update {
        if !self.wanted || self.plan.expires == 0 {
            let mut end = self.finish();
            if self.plan.expires == 0 {
                end.why = why;
            }
            return Update::Ended(end);
        }
        if self.alive_since.take().is_some_and(|since| now.since(since) >= SETTLED) {
            self.backoff.reset();
        }
        self.clear();
        let wait = match again {
            Again::Never => {
                self.state = State::Over;
                return Update::Ended(End { why, retry_at: None });
            }
            // At once, but a server that ends every subscription at once is not to be stormed.
            Again::AtOnce if self.backoff.failures() == 0 => {
                let _ = self.backoff.next(Duration::ZERO, Duration::ZERO, random);
                Duration::ZERO
            }
            Again::AtOnce => self.backoff.next(Duration::from_secs(1), Backoff::MOST, random),
            Again::After(floor) => {
                let wait = self.backoff.next(Duration::from_secs(2), Backoff::MOST, random);
                wait.max(floor.unwrap_or(Duration::ZERO))
            }
        };
        self.state = State::Idle;
        self.retry_at = Some(now + wait);
        Update::Ended(End { why, retry_at: self.retry_at })
    }

    fn finish(&mut self) -> End {
        self.clear();
        self.state = State::Over;
        End { why: Why::Left, retry_at: None }
    }

    fn clear(&mut self) {
        self.dialog = None;
        self.entity_tag = None;
        self.ready = false;
        self.in_flight = false;
        self.timer_n = None;
        self.expires_at = None;
        self.refresh_at = None;
        self.retry_at = None;
    }

    /// A deadline may have passed.
    pub fn handle_timeout(&mut self, random: &mut Random, now: Instant) -> Update {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let timer_n = self.timer_n();
        match self.state {
            State::Idle if due(self.retry_at) => self.ready = true,
            State::NotifyWait if due(timer_n) => {
                return self.end(Why::NoNotify, Again::After(None), random, now);
            }
            State::Leaving if due(timer_n) || due(self.expires_at) => {
                return Update::Ended(self.finish());
            }
            State::Pending | State::Active => {
                if due(self.expires_at) {
                    return self.end(Why::Expired, Again::AtOnce, random, now);
                }
                if due(timer_n) {
                    return self.end(Why::NoNotify, Again::AtOnce, random, now);
                }
                if due(self.refresh_at) {
                    self.refresh_at = None;
                    self.ready = true;
                }
            }
            State::Idle | State::NotifyWait | State::Leaving | State::Over => {}
        }
        Update::Nothing
    }

    /// The next deadline, and what it is for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Over => None,
            State::Idle => self.retry_at.filter(|_| !self.ready),
            State::NotifyWait => self.timer_n(),
            State::Pending | State::Active => {
                earliest(self.timer_n(), earliest(self.refresh_at.filter(|_| !self.ready), self.expires_at))
            }
            State::Leaving => earliest(self.timer_n(), self.expires_at),
        }
    }

    /// While there is no answer, the transaction says when to wait no longer: it knows of sleeps.
    fn timer_n(&self) -> Option<Instant> {
        self.timer_n.filter(|_| !self.in_flight)
    }
}

/// When to try again after an end.
enum Again {
    Never,
    AtOnce,
    After(Option<Duration>),
}

/// Final codes of a first SUBSCRIBE that may pass by themselves.
const fn is_worth_a_retry(status: u16) -> bool {
    matches!(status, 408 | 480 | 486 | 500 | 502..=504 | 506..=512 | 514..=599 | 600)
}

/// Codes that end the dialog usage (RFC 6665 §4.1.2.2, RFC 5057 §5.1).
#[must_use]
pub const fn ends_the_usage(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}
