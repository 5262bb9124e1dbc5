//! Whether the server is still there: it is asked from time to time, and a connection without an answer has failed
//! (RFC 5626 §4.4, RFC 6223; by OPTIONS where nobody has promised an answer to line ends).
//!
//! ```text
//!            ┌────────────── CRLF ──────────────┐
//!            v                                  │
//!   Resting ──due, where pings are wanted──> Pinged ──10 s, never answered and not promised──┐
//!     │  ^                                      └──10 s, else──> the connection has failed   │
//!     │  └──────────── anything ────────────┐                                                v
//!     └──due, and long nothing came──> Asked by OPTIONS <────── from then on, no ping ───────┘
//!                                           └──10 s──> the connection has failed
//! ```

use crate::decimal::small_number;
use crate::random::Random;
use crate::sip::{Message, Name};
use crate::time::{Duration, Instant, earliest};

/// How long an answer may take (RFC 5626 §4.4.1).
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds between two questions where nobody says (RFC 5626 §4.4.1).
const USUAL: u32 = 120;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    /// Send CRLF CRLF.
    Ping,
    /// Send OPTIONS.
    Ask,
    /// The connection has failed.
    Fail,
}

#[derive(Debug)]
pub(super) struct KeepAlive {
    /// Nobody is asked who has not asked for it.
    quiet: bool,
    /// Seconds between pings that the application wants; 0: it does not.
    wanted: u32,
    /// Seconds between pings; 0: none.
    interval: u32,
    /// The server has promised to answer pings.
    promised: bool,
    /// The server has answered a ping over this connection.
    answered: bool,
    /// The server does not answer pings: it is asked by OPTIONS.
    deaf: bool,
    /// The open question is a ping.
    pinged: bool,
    /// When the answer to the open question is overdue.
    overdue_at: Option<Instant>,
    /// When to ask next.
    due_at: Option<Instant>,
}

impl KeepAlive {
    pub(super) const fn new(wanted: Option<u32>) -> Self {
        Self {
            quiet: matches!(wanted, Some(0)),
            wanted: match wanted {
                Some(seconds) => seconds,
                None => 0,
            },
            interval: 0,
            promised: false,
            answered: false,
            deaf: false,
            pinged: false,
            overdue_at: None,
            due_at: None,
        }
    }

    pub(super) fn handle_connected(&mut self, random: &mut Random, now: Instant) {
        self.interval = self.wanted;
        self.promised = false;
        self.answered = false;
        self.due_at = self.next(random, now);
    }

    pub(super) const fn handle_disconnected(&mut self) {
        // A server that hangs up on a ping is asked in another way next time.
        self.deaf |= self.overdue_at.is_some() && self.pinged && !self.promised && !self.answered;
        self.overdue_at = None;
        self.due_at = None;
    }

    /// The registrar has taken our contact: what it says of keep-alives holds until the next time (RFC 6223 §4.2.2).
    pub(super) fn handle_registered(&mut self, response: &Message, random: &mut Random, now: Instant) {
        let timer = response.header(&Name::FlowTimer).and_then(small_number);
        let keep = || small_number(response.via().ok()?.params.value("keep")?);
        let recommended: Option<u32> = timer.or_else(keep);
        let outbound = response.list(&Name::Require).any(|tag| tag.eq_ignore_ascii_case("outbound"));
        self.promised = recommended.is_some();
        self.interval = match (recommended.unwrap_or(0), self.wanted) {
            (0, 0) if self.promised || outbound => USUAL,
            (0, seconds) | (seconds, 0) => seconds,
            (recommended, wanted) => recommended.min(wanted),
        };
        self.due_at = earliest(self.due_at, self.next(random, now));
    }

    /// Something arrived; `pong`: a single CRLF.
    pub(super) const fn handle_heard(&mut self, pong: bool) {
        self.answered |= pong;
        if pong || !self.pinged {
            self.overdue_at = None;
        }
    }

    /// Asks at once, unless an answer is awaited already or nobody is to be asked.
    pub(super) fn ask(&mut self, random: &mut Random, now: Instant) -> Act {
        let next = self.next(random, now);
        if self.overdue_at.is_some() || next.is_none() {
            return Act::Nothing;
        }
        self.due_at = next;
        self.overdue_at = Some(now + PATIENCE);
        self.pinged = self.interval > 0 && (self.promised || !self.deaf);
        if self.pinged { Act::Ping } else { Act::Ask }
    }

    /// `heard_at`: when anything came last.
    pub(super) fn handle_timeout(&mut self, heard_at: Instant, random: &mut Random, now: Instant) -> Act {
        if let Some(overdue_at) = self.overdue_at {
            if overdue_at > now {
                return Act::Nothing;
            }
            self.overdue_at = None;
            if !self.pinged || self.promised || self.answered {
                return Act::Fail;
            }
            self.deaf = true;
            return self.ask(random, now);
        }
        if self.due_at.is_none_or(|at| at > now) {
            return Act::Nothing;
        }
        // Where nobody wants pings, what came meanwhile is answer enough.
        let later = if self.interval == 0 { self.next(random, heard_at) } else { None };
        if later.is_some_and(|at| at > now) {
            self.due_at = later;
            return Act::Nothing;
        }
        self.ask(random, now)
    }

    /// At random between 80 % and the whole of the interval from `now` (RFC 5626 §4.4).
    fn next(&self, random: &mut Random, now: Instant) -> Option<Instant> {
        let seconds = match self.interval {
            0 if self.quiet => return None,
            0 => USUAL,
            seconds => seconds,
        };
        let whole = u64::from(seconds) * 1000;
        Some(now + Duration::from_millis(whole - random.below(whole / 5 + 1)))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.overdue_at.or(self.due_at)
    }
}
