//! One publication as its publisher sees it (RFC 3903 §4, §5): one PUBLISH at a time, always the newest state.
//!
//! ```text
//!                PUBLISH body            200 SIP-ETag
//!   (none) ────────────────────> sent ─────────────────> held ──┐ refresh at half-life: no body, SIP-If-Match
//!      ^                          │  ^                     │    │ modify: body, SIP-If-Match
//!      │   PUBLISH Expires 0      │  └─────────────────────┴────┘
//!      └──────────────────────────┘   412: the tag is dropped, the whole state is published anew
//! ```
//!
//! States asked for while a PUBLISH is on its way coalesce to the newest (RFC 3903 §4: no new PUBLISH before the
//! final response). Each wish has a generation; an answer settles all wishes up to the one it carried.
//! May use: `dialog`, `sip`, `random`.

use super::Backoff;
use crate::decimal::decimal;
use crate::dialog;
use crate::random::Random;
use crate::sip::{CSeq, EventType, Message, Method, Name, NameAddr, Uri};
use crate::time::{Duration, Instant};

/// What to publish, and as whom.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The own address: Request-URI, To and From.
    pub aor: Uri,
    /// From, without a tag.
    pub from: NameAddr,
    /// The event package.
    pub event: EventType,
    /// The media type of the bodies.
    pub content_type: &'static str,
    /// Seconds asked for.
    pub expires: u32,
}

/// Which wish an answer is about: all wishes up to this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u32);

/// Why a wish was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A final response with this status code; a success that grants no time is one.
    Refused(u16),
    /// No final response came (Timer F).
    NoAnswer,
    /// A success without SIP-ETag.
    BadResponse,
}

/// What came of an input.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)]
pub enum Update {
    /// Nothing to tell; [`Publisher::is_ready`] may have changed.
    Nothing,
    /// Send this in a new transaction: the same request, corrected.
    Resend(Message),
    /// The server has what was wished.
    Done(Generation),
    /// It was refused. With `retry_at` it is tried again then.
    Failed {
        /// The wishes concerned.
        generation: Generation,
        /// Why.
        why: Why,
        /// When it is tried again; `None`: never by itself.
        retry_at: Option<Instant>,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Publisher {
    plan: Plan,
    wish: Option<Vec<u8>>,
    generation: Generation,
    /// The wish is not at the server yet.
    dirty: bool,
    /// What the PUBLISH on its way carries.
    sent: Option<Sent>,
    tag: Option<String>,
    call_id: String,
    sequence: u32,
    expires_at: Option<Instant>,
    due_at: Option<Instant>,
    /// The server wants nothing before (Retry-After).
    pause: Option<Instant>,
    backoff: Backoff,
    corrected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    generation: Generation,
    operation: Operation,
}

/// The table of RFC 3903 §4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Initial,
    Refresh,
    Modify,
    Remove,
}

impl Publisher {
    /// Nothing published, nothing wished.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            wish: None,
            generation: Generation::default(),
            dirty: false,
            sent: None,
            tag: None,
            call_id: String::new(),
            sequence: 0,
            expires_at: None,
            due_at: None,
            pause: None,
            backoff: Backoff::default(),
            corrected: false,
        }
    }

    /// Wishes `body` to be published.
    pub fn publish(&mut self, body: Vec<u8>) -> Generation {
        self.want(Some(body))
    }

    /// Wishes nothing to be published.
    pub fn unpublish(&mut self) -> Generation {
        self.want(None)
    }

    /// The same for good: it does not wait for a pause to end.
    pub fn leave(&mut self) {
        self.pause = None;
        self.want(None);
    }

    fn want(&mut self, wish: Option<Vec<u8>>) -> Generation {
        self.wish = wish;
        self.dirty = true;
        self.due_at = self.pause;
        self.generation = Generation(self.generation.0.wrapping_add(1));
        self.generation
    }

    /// Whether [`Self::next_request`] has something to send.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.dirty && self.sent.is_none() && self.due_at.is_none()
    }

    /// Until when the server wants nothing: a wish waits.
    #[must_use]
    pub const fn pause(&self) -> Option<Instant> {
        self.pause
    }

    /// Whether nothing is on its way and nothing to be sent now.
    #[must_use]
    pub const fn is_at_rest(&self) -> bool {
        self.sent.is_none() && !self.is_ready()
    }

    /// Whether the wish for nothing is granted already: there is nothing to withdraw.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.wish.is_none() && self.tag.is_none() && self.sent.is_none()
    }

    /// The PUBLISH to send now.
    pub fn next_request(&mut self, random: &mut Random) -> Option<Message> {
        if !self.is_ready() {
            return None;
        }
        self.dirty = false;
        let operation = match (&self.wish, &self.tag) {
            (Some(_), None) => Operation::Initial,
            (Some(_), Some(_)) => Operation::Modify,
            (None, Some(_)) => Operation::Remove,
            (None, None) => return None,
        };
        Some(self.request(operation, random))
    }

    fn request(&mut self, operation: Operation, random: &mut Random) -> Message {
        self.sent = Some(Sent { generation: self.generation, operation });
        self.corrected = false;
        self.call_id = random.token();
        self.sequence = 1;
        let mut request = Message::request(Method::Publish, self.plan.aor.clone());
        request.push(Name::MaxForwards, "70");
        request.push(Name::To, NameAddr::new(self.plan.aor.clone()).text());
        request.push(Name::From, self.plan.from.clone().with_tag(&random.token()).text());
        request.push(Name::CallId, self.call_id.clone());
        request.push(Name::CSeq, CSeq { number: 1, method: Method::Publish }.text());
        request.push(Name::Event, self.plan.event.text());
        let expires = if operation == Operation::Remove { 0 } else { self.plan.expires };
        request.push(Name::Expires, decimal(expires.into()));
        if let (Some(tag), Operation::Refresh | Operation::Modify | Operation::Remove) =
            (&self.tag, operation)
        {
            request.push(Name::SipIfMatch, tag.clone());
        }
        if let (Some(body), Operation::Initial | Operation::Modify) = (&self.wish, operation) {
            request.set_body(self.plan.content_type, body.clone());
        }
        request
    }

    /// The PUBLISH that withdraws what is published, for a page that goes away: what is wished stays so. None while
    /// another is on its way, for the entity-tag is not known then (RFC 3903 §4).
    pub fn withdraw(&mut self, random: &mut Random) -> Option<Message> {
        if self.sent.is_some() || self.tag.is_none() {
            return None;
        }
        let request = self.request(Operation::Remove, random);
        self.sent = None;
        Some(request)
    }

    /// The entity-tag of what is published; "" if there is none.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or_default()
    }

    /// Takes over what was published with this entity-tag before; "" for nothing. The next wish modifies it; if the
    /// server has forgotten it, 412 says so.
    pub fn adopt(&mut self, tag: &str) {
        if !tag.is_empty() {
            self.tag = Some(tag.to_owned());
        }
    }

    /// `request` once more, with the next CSeq and without credentials (RFC 3261 §22.2).
    pub fn again(&mut self, request: &Message) -> Message {
        self.sequence = self.sequence.saturating_add(1);
        dialog::retry(request, self.sequence)
    }

    /// The final response to `request`; 401 and 407 only when they cannot be answered.
    pub fn handle_response(
        &mut self,
        request: &Message,
        response: &Message,
        random: &mut Random,
        now: Instant,
    ) -> Update {
        let Some(sent) = self.sent.take() else { return Update::Nothing };
        let status = response.status().unwrap_or(500);
        match status {
            200..=299 => self.handle_success(sent, response, status, random, now),
            412 if sent.operation != Operation::Initial => self.handle_conditional_failure(sent),
            423 if !self.corrected && sent.operation != Operation::Remove => {
                match response.min_expires().filter(|least| *least > self.plan.expires) {
                    Some(least) => {
                        self.corrected = true;
                        self.sent = Some(sent);
                        self.plan.expires = least;
                        let mut next = self.again(request);
                        next.set(Name::Expires, decimal(least.into()));
                        Update::Resend(next)
                    }
                    None => self.fail(sent, Why::Refused(status), None, random, now),
                }
            }
            _ => {
                let retry_after = response.retry_after().map(|s| Duration::from_secs(u64::from(s)));
                // A tag that a restarted server chokes on is of no use (Kamailio answers 500).
                if status == 500 && sent.operation != Operation::Initial {
                    self.tag = None;
                }
                self.fail(sent, Why::Refused(status), retry_after, random, now)
            }
        }
    }

    fn handle_success(
        &mut self,
        sent: Sent,
        response: &Message,
        status: u16,
        random: &mut Random,
        now: Instant,
    ) -> Update {
        if sent.operation == Operation::Remove {
            self.forget();
            return Update::Done(sent.generation);
        }
        let tag = response.header(&Name::SipETag).filter(|tag| !tag.is_empty());
        let Some(tag) = tag else {
            return self.fail(sent, Why::BadResponse, None, random, now);
        };
        let granted = response.expires().unwrap_or(self.plan.expires).min(self.plan.expires);
        if granted == 0 {
            self.forget();
            return self.fail(sent, Why::Refused(status), None, random, now);
        }
        self.backoff.reset();
        self.tag = Some(tag.to_owned());
        let granted = Duration::from_secs(u64::from(granted));
        self.expires_at = Some(now + granted);
        if !self.dirty {
            self.due_at = Some(now + granted.part(2).max(Duration::from_secs(1)));
        }
        Update::Done(sent.generation)
    }

    /// 412: the server has forgotten; the whole state is published anew, a removal is simply done (RFC 3903 §5).
    fn handle_conditional_failure(&mut self, sent: Sent) -> Update {
        self.forget();
        if sent.operation == Operation::Remove {
            return Update::Done(sent.generation);
        }
        self.dirty = true;
        Update::Nothing
    }

    fn forget(&mut self) {
        self.tag = None;
        self.expires_at = None;
        self.due_at = None;
        self.pause = None;
    }

    fn fail(
        &mut self,
        sent: Sent,
        why: Why,
        floor: Option<Duration>,
        random: &mut Random,
        now: Instant,
    ) -> Update {
        let passing = match why {
            Why::NoAnswer => true,
            Why::Refused(status) => matches!(status, 200..=299 | 408 | 480 | 500 | 502..=599),
            Why::BadResponse => false,
        };
        if sent.operation == Operation::Remove && self.tag.is_none() {
            self.forget();
            return Update::Failed { generation: sent.generation, why, retry_at: None };
        }
        if !passing {
            // A change that was refused leaves what is published (RFC 3903 §6: completely or not at all).
            if sent.operation == Operation::Initial || why == Why::BadResponse {
                self.forget();
            }
            return Update::Failed { generation: sent.generation, why, retry_at: None };
        }
        if self.dirty {
            // What has been wished since is sent at once, or if that must wait, its failure is told too.
            let Some(floor) = floor else { return Update::Nothing };
            self.pause = Some(now + floor);
            self.due_at = self.pause;
            return Update::Failed { generation: self.generation, why, retry_at: self.due_at };
        }
        let wait = self.backoff.next(Duration::from_secs(2), Backoff::MOST, random);
        let retry_at = now + wait.max(floor.unwrap_or(Duration::ZERO));
        self.pause = floor.map(|_| retry_at);
        self.due_at = Some(retry_at);
        self.dirty = true;
        Update::Failed { generation: sent.generation, why, retry_at: Some(retry_at) }
    }

    /// No final response came before Timer F.
    pub fn handle_no_answer(&mut self, random: &mut Random, now: Instant) -> Update {
        match self.sent.take() {
            Some(sent) => self.fail(sent, Why::NoAnswer, None, random, now),
            None => Update::Nothing,
        }
    }

    /// The connection is gone: what is wished is sent again over the next one.
    pub const fn handle_disconnected(&mut self) {
        self.dirty = self.wish.is_some() || self.tag.is_some();
        self.sent = None;
        self.due_at = None;
        self.pause = None;
    }

    /// A deadline may have passed. The refresh of an unchanged publication has no body.
    pub fn handle_timeout(&mut self, random: &mut Random, now: Instant) -> Option<Message> {
        if self.due_at.is_none_or(|at| at > now) || self.sent.is_some() {
            return None;
        }
        self.due_at = None;
        self.pause = None;
        if self.dirty || self.wish.is_none() {
            return None;
        }
        if self.tag.is_none() || self.expires_at.is_none_or(|at| at <= now) {
            self.forget();
            self.dirty = true;
            return None;
        }
        Some(self.request(Operation::Refresh, random))
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due_at
    }
}
