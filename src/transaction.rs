//! Transactions of requests other than INVITE on a reliable transport (RFC 3261 §17.1.2, §17.2.2; RFC 7118 §5).
//!
//! ```text
//!  client                                   server
//!  start ──> Trying ──1xx──> Proceeding     request ──> Trying ──final──> Terminated (Timer J = 0)
//!              │ final, Timer F, link lost              │ the same request again: discarded
//!              └──────────> Terminated (Timer K = 0)
//! ```
//!
//! Nothing is ever retransmitted (no Timer E). A deadline is a field; nobody has to cancel a timer.
//! May use: `sip`, `time`.

use crate::sip::{Message, Method, Name, Params, ParseError, Via};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// T1 of RFC 3261 §17.1.1.1. Timers F and N are 64 times this.
pub const T1: Duration = Duration::from_millis(500);

/// A timer that fires this late was kept from it: the machine slept, or the page was frozen.
const LATE: Duration = Duration::from_secs(5);

/// The open client transactions of one user agent, each with the owner that wants its end.
pub struct ClientTransactions<T> {
    transport: &'static str,
    sent_by: String,
    timer_f: Duration,
    /// Mostly oldest first, which is mostly the order of the answers too: the search ends early. An agent has no more than a
    /// window of them, but when it closes; a server has one for each NOTIFY that is not yet answered.
    open: Vec<Open<T>>,
}

struct Open<T> {
    branch: String,
    method: Method,
    deadline: Instant,
    /// The deadline was moved since it passed in the sleep of the machine.
    slept: bool,
    owner: T,
}

/// What a response means.
#[derive(Debug, PartialEq, Eq)]
pub enum Response<T> {
    /// It belongs to no open transaction: dropped without a word (RFC 3261 §18.1.2).
    Stray,
    /// Provisional; the transaction goes on and Timer F with it.
    Provisional,
    /// Final: the transaction is over.
    Final(T),
}

impl<T> ClientTransactions<T> {
    /// No transactions. `sent_by` goes into each Via, with `WSS` where `secure`, else `WS` (RFC 7118 §5.1).
    #[must_use]
    pub const fn new(sent_by: String, secure: bool, t1: Duration) -> Self {
        let transport = if secure { "WSS" } else { "WS" };
        Self { transport, sent_by, timer_f: t1.times(64), open: Vec::new() }
    }

    /// Opens a transaction for `request`: puts a Via with a branch made from `token` on top. Send it then.
    pub fn start(&mut self, request: &mut Message, token: &str, owner: T, now: Instant) {
        let branch = self.stamp(request, token);
        let deadline = now + self.timer_f;
        self.open.push(Open { branch, method: request.method(), deadline, slept: false, owner });
    }

    /// Puts a Via on top of a request whose response nobody waits for, and returns its branch. With a REGISTER goes
    /// the offer to send keep-alives (RFC 6223 §4.3).
    pub fn stamp(&self, request: &mut Message, token: &str) -> String {
        let mut branch = String::from("z9hG4bK");
        branch.push_str(token);
        let mut params = Params::new();
        params.set("branch", Some(&branch));
        if request.method() == Method::Register {
            params.set("keep", None);
        }
        let via =
            Via { transport: self.transport.to_owned(), host: self.sent_by.clone(), port: None, params };
        request.push_front(Name::Via, via.text());
        branch
    }

    /// Finds the transaction of `response` by branch and CSeq method (RFC 3261 §17.1.3). A response with another
    /// sent-by than ours, or with more than one Via, is stray (§18.1.2, §8.1.3.3).
    pub fn handle_response(&mut self, response: &Message) -> Response<T> {
        let (Ok(via), Ok(cseq), Some(status)) = (response.via(), response.cseq(), response.status()) else {
            return Response::Stray;
        };
        let only_via = response.list(&Name::Via).nth(1).is_none();
        if !only_via || !via.host.eq_ignore_ascii_case(&self.sent_by) {
            return Response::Stray;
        }
        let branch = via.branch();
        let Some(at) = self.open.iter().position(|o| o.branch == branch && o.method == cseq.method) else {
            return Response::Stray;
        };
        if status < 200 {
            return Response::Provisional;
        }
        Response::Final(self.open.remove(at).owner)
    }

    /// Ends the transactions whose Timer F has fired, and returns their owners. After a sleep the timer fires before
    /// what has arrived meanwhile is handled: there is a moment more, once, for an answer among it.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<T> {
        for open in &mut self.open {
            if !open.slept && open.deadline + LATE < now {
                open.slept = true;
                open.deadline = now + T1.times(2);
            }
        }
        self.end_until(now)
    }

    /// One may have very many: each that ends leaves its place to the last.
    fn end_until(&mut self, deadline: Instant) -> Vec<T> {
        let mut owners = Vec::new();
        let mut at = 0;
        while let Some(open) = self.open.get(at) {
            if open.deadline <= deadline {
                owners.push(self.open.swap_remove(at).owner);
            } else {
                at += 1;
            }
        }
        owners
    }

    /// Ends all transactions because the connection is gone (RFC 3261 §17.1.4), and returns their owners.
    pub fn handle_disconnected(&mut self) -> Vec<T> {
        self.end_until(Instant::from_millis(u64::MAX))
    }

    /// Ends the transactions whose owner is not to be kept, without telling it: their connection is gone.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.open.retain(|open| keep(&open.owner));
    }

    /// When Timer F fires next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.deadline).min()
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// The requests that have arrived and have no final response yet. A machine that answers at once never needs it;
/// one that forwards requests does.
#[derive(Default)]
pub struct ServerTransactions {
    open: BTreeMap<Key, (MergeId, Instant)>,
}

type Key = (String, String, Method);
type MergeId = (String, String, u32);

/// What an arriving request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A new request.
    New,
    /// The same request again: discard it (RFC 3261 §17.2.2).
    Retransmission,
    /// The same request over another path: answer 482 (RFC 3261 §8.2.2.2).
    Merged,
}

impl ServerTransactions {
    /// Takes note of `request` (RFC 3261 §17.2.3: branch, sent-by and method).
    ///
    /// # Errors
    /// [`ParseError`] if Via, From or CSeq cannot be read.
    pub fn handle_request(&mut self, request: &Message, now: Instant) -> Result<Arrival, ParseError> {
        let (key, merge) = Self::keys(request)?;
        if self.open.contains_key(&key) {
            return Ok(Arrival::Retransmission);
        }
        if request.to()?.tag().is_none() && self.open.values().any(|(other, _)| *other == merge) {
            return Ok(Arrival::Merged);
        }
        self.open.insert(key, (merge, now + T1.times(64)));
        Ok(Arrival::New)
    }

    /// Forgets `request`: its final response was sent (Timer J = 0).
    pub fn handle_answered(&mut self, request: &Message) {
        if let Ok((key, _)) = Self::keys(request) {
            self.open.remove(&key);
        }
    }

    /// Forgets requests that nobody answered; a 408 is never sent (RFC 4320 §4.2).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.open.retain(|_, (_, deadline)| *deadline > now);
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.open.values().map(|(_, deadline)| *deadline).min()
    }

    fn keys(request: &Message) -> Result<(Key, MergeId), ParseError> {
        let via = request.via()?;
        let cseq = request.cseq()?;
        let mut sent_by = via.host.to_ascii_lowercase();
        if let Some(port) = via.port {
            sent_by.push(':');
            sent_by.push_str(&port.to_string());
        }
        let from_tag = request.from()?.tag().unwrap_or_default().to_owned();
        let key = (via.branch().to_owned(), sent_by, cseq.method);
        Ok((key, (from_tag, request.call_id().to_owned(), cseq.number)))
    }
}
