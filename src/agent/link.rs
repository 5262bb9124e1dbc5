//! The connection: open it, notice its loss, wait, open it again (RFC 7118; waits in the manner of RFC 5626 §4.5).
//!
//! ```text
//!   Connecting ──open──> Online
//!     │   ^                │ lost
//!     │   └── wait is over ┴──> Waiting      close() from anywhere ──> Closed
//!     └─ refused, 10 s ─────────^
//! ```

use super::{Failure, FailureCode};
use crate::event::Backoff;
use crate::random::Random;
use crate::time::{Duration, Instant};

/// How long opening may take.
const OPENING: Duration = Duration::from_secs(10);
/// The first wait; each failure in a row doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting { give_up_at: Instant },
    Online,
    Waiting { retry_at: Instant },
    Closed,
}

/// The connection of an agent.
#[derive(Debug)]
pub(super) struct Link {
    state: State,
    backoff: Backoff,
    servers: Vec<String>,
    server: usize,
    /// How many servers have put off our registration in a row, and had another tried instead.
    skipped: usize,
    /// How many servers in a row could not be reached.
    unreached: usize,
}

impl Link {
    /// A link that is to be opened: take [`Self::url`].
    pub(super) fn new(servers: Vec<String>, now: Instant) -> Self {
        let state = State::Connecting { give_up_at: now + OPENING };
        Self { state, backoff: Backoff::default(), servers, server: 0, skipped: 0, unreached: 0 }
    }

    /// The server whose turn it is.
    pub(super) fn url(&self) -> String {
        self.servers.get(self.server).cloned().unwrap_or_default()
    }

    pub(super) const fn is_online(&self) -> bool {
        matches!(self.state, State::Online)
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether there is a WebSocket, open or opening.
    pub(super) const fn has_socket(&self) -> bool {
        matches!(self.state, State::Connecting { .. } | State::Online)
    }

    /// Failures in a row.
    pub(super) const fn attempt(&self) -> u32 {
        self.backoff.failures()
    }

    pub(super) const fn handle_connected(&mut self) {
        self.state = State::Online;
    }

    /// The server answered something: the connection is worth its name, and the next failure is the first.
    pub(super) const fn handle_heard(&mut self) {
        self.backoff.reset();
        self.unreached = 0;
    }

    /// The server has taken our registration.
    pub(super) const fn handle_registered(&mut self) {
        self.skipped = 0;
    }

    /// Whether a server of the list is still to be tried since one was heard.
    pub(super) const fn has_another(&self) -> bool {
        self.servers.len() > self.unreached
    }

    /// This server puts us off (503): the next takes its turn, if there is one that has not done so too.
    pub(super) const fn skip(&mut self) -> bool {
        let another = self.skipped + 1 < self.servers.len();
        if another {
            self.skipped += 1;
            self.server = (self.server + 1) % self.servers.len();
        }
        another
    }

    /// The connection is gone, or was not to be had. Returns why, and when it is tried again; the next server takes
    /// its turn if this one could not be reached.
    pub(super) fn handle_disconnected(
        &mut self,
        code: u16,
        reason: &str,
        random: &mut Random,
        now: Instant,
    ) -> Box<Failure> {
        let kind = match self.state {
            State::Connecting { .. } => FailureCode::ConnectionFailed,
            State::Online | State::Waiting { .. } | State::Closed => FailureCode::ConnectionLost,
        };
        self.fail(kind, code, reason, random, now)
    }

    /// The server did not select sub-protocol `sip`.
    pub(super) fn fail(
        &mut self,
        kind: FailureCode,
        code: u16,
        reason: &str,
        random: &mut Random,
        now: Instant,
    ) -> Box<Failure> {
        // What the server closes for on purpose would only happen again (RFC 6455 §7.4).
        let refused = matches!(code, 1002 | 1003 | 1007..=1010 | 4000..=4999);
        // A server that closes what it has opened, and says nothing in between, is as good as none.
        if kind != FailureCode::ConnectionLost || refused || self.backoff.failures() > 0 {
            self.server = (self.server + 1) % self.servers.len().max(1);
            self.unreached += 1;
        }
        let first_wait = if refused && self.server == 0 { LONGEST_WAIT } else { FIRST_WAIT };
        let retry_at = now + self.backoff.next(first_wait, LONGEST_WAIT, random);
        self.state = State::Waiting { retry_at };
        let mut failure = Failure::new(kind);
        failure.status = Some(code).filter(|code| *code != 0);
        failure.reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        failure.retry_at = Some(retry_at);
        failure
    }

    /// Whether to open the connection now: the wait is over, or `at_once` says not to wait.
    pub(super) fn reopen(&mut self, at_once: bool, now: Instant) -> bool {
        let State::Waiting { retry_at } = self.state else { return false };
        let open = at_once || retry_at <= now;
        if open {
            self.state = State::Connecting { give_up_at: now + OPENING };
        }
        open
    }

    /// Whether opening has taken too long.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        matches!(self.state, State::Connecting { give_up_at } if give_up_at <= now)
    }

    pub(super) const fn close(&mut self) {
        self.state = State::Closed;
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { give_up_at } => Some(give_up_at),
            State::Waiting { retry_at } => Some(retry_at),
            State::Online | State::Closed => None,
        }
    }
}
