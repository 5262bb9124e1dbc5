//! One subscription as its notifier sees it (RFC 6665 §4.2).
//!
//! ```text
//!   SUBSCRIBE ──> Pending <──policy──> Active ──expiry, unsubscribe, policy, failed NOTIFY──> (gone)
//! ```
//!
//! The machine makes the NOTIFYs and keeps the pace; which state a watcher may see, and the document, are the
//! owner's. May use: `dialog`, `sip`, `time`.

use super::rates::Rates;
use crate::dialog::Dialog;
use crate::sip::{
    EventType, Known, Message, Method, Name, NameAddr, ParseError, Reason, SubscriptionState, Substate,
};
use crate::time::{Duration, Instant, earliest};

/// What the watcher's policy allows for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Standing {
    Pending,
    Active,
}

/// The machine.
#[derive(Debug)]
pub struct Notifier {
    dialog: Dialog,
    event: EventType,
    contact: NameAddr,
    standing: Standing,
    expires_at: Instant,
    /// Shortest time between two notifications of changes (RFC 3856 §6.10).
    interval: Duration,
    changed_at: Option<Instant>,
    due_at: Option<Instant>,
    rates: Rates,
    /// A NOTIFY is due then, whether something changes or not (RFC 6446 §6.2).
    again_at: Option<Instant>,
    /// The watcher has asked for silence until then (RFC 3261 §20.33).
    held_until: Option<Instant>,
}

impl Notifier {
    /// The subscription that `subscribe` asks for, granted for `expires` from `now`. `tag` is the To tag of its 200.
    ///
    /// # Errors
    /// [`ParseError`] if a header that makes the dialog cannot be read: answer 400.
    pub fn new(
        subscribe: &Message,
        tag: &str,
        contact: NameAddr,
        standing: Standing,
        expires: Duration,
        interval: Duration,
        now: Instant,
    ) -> Result<Self, ParseError> {
        let event = subscribe.event()?.ok_or(ParseError::Missing(Known::Event))?;
        let mut rates = Rates::default();
        rates.handle_subscribe(subscribe, expires, interval);
        Ok(Self {
            dialog: Dialog::from_request(subscribe, tag, 0)?,
            event,
            contact,
            standing,
            expires_at: now + expires,
            interval,
            changed_at: None,
            due_at: None,
            rates,
            again_at: None,
            held_until: None,
        })
    }

    /// Call-ID and own tag, by which a SUBSCRIBE in the dialog finds it.
    #[must_use]
    pub fn key(&self) -> (String, String) {
        (self.dialog.call_id().to_owned(), self.dialog.local_tag().to_owned())
    }

    /// What the policy allows for now.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// A SUBSCRIBE in the dialog: a refresh, or the end with `expires` zero.
    ///
    /// # Errors
    /// The status code of the refusal: 481 for another dialog or event, 500 out of order. Nothing was changed then.
    pub fn handle_subscribe(
        &mut self,
        subscribe: &Message,
        expires: Duration,
        now: Instant,
    ) -> Result<(), u16> {
        let from = subscribe.from().map_err(|_| 400_u16)?;
        let event = subscribe.event().map_err(|_| 400_u16)?;
        if self.dialog.remote_tag() != from.tag() || event.is_none_or(|event| !event.matches(&self.event)) {
            return Err(481);
        }
        let cseq = subscribe.cseq().map_err(|_| 400_u16)?;
        self.dialog.handle_sequence(cseq.number).map_err(|_| 500_u16)?;
        if let Ok(contact) = subscribe.contact() {
            self.dialog.handle_target(&contact.uri);
        }
        self.rates.handle_subscribe(subscribe, expires, self.interval);
        self.expires_at = now + expires;
        self.held_until = None;
        Ok(())
    }

    /// The CSeq number of the last NOTIFY.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        self.dialog.local_sequence()
    }

    /// When it ends unless it is renewed.
    #[must_use]
    pub const fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// The watcher wants to hear of no change for a while (Retry-After).
    pub fn hold(&mut self, span: Duration, now: Instant) {
        let until = now + span;
        self.held_until = Some(until);
        self.due_at = self.due_at.map(|at| at.max(until));
        self.again_at = self.again_at.map(|at| at.max(until));
    }

    /// A 2xx to a NOTIFY: one with the Event of this subscription has new wishes of the watcher how often it hears
    /// (RFC 6446 §9.3).
    pub fn handle_taken(&mut self, response: &Message, now: Instant) {
        if response.event().ok().flatten().is_some_and(|event| event.matches(&self.event)) {
            self.rates.handle_subscribe(response, self.expires_at.since(now), self.interval);
            self.again_at = self.rates.not_after(now);
        }
    }

    /// The policy changed its mind. Returns whether the watcher is to be told.
    pub fn handle_policy(&mut self, standing: Standing) -> bool {
        core::mem::replace(&mut self.standing, standing) != standing
    }

    /// The state changed. Returns whether to notify now; otherwise [`Self::handle_timeout`] will say when.
    pub fn handle_change(&mut self, now: Instant) -> bool {
        if self.standing == Standing::Pending {
            return false;
        }
        let next = self.changed_at.map(|at| at + self.interval);
        let next = next.max(self.rates.not_before()).max(self.held_until);
        match next.filter(|at| *at > now) {
            Some(at) => {
                self.due_at = Some(at);
                false
            }
            None => {
                self.changed_at = Some(now);
                self.due_at = None;
                true
            }
        }
    }

    /// Whether a notification that waited is due now, or one that is wished for after so long a silence.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.due_at.is_some_and(|at| at <= now);
        if due {
            self.due_at = None;
            self.changed_at = Some(now);
        }
        let again = self.again_at.is_some_and(|at| at <= now);
        if again {
            self.again_at = None;
        }
        due || (again && self.standing == Standing::Active)
    }

    /// Whether nobody renewed it in time.
    #[must_use]
    pub fn is_expired(&self, now: Instant) -> bool {
        self.expires_at <= now
    }

    /// When [`Self::handle_timeout`] or [`Self::is_expired`] has news.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(earliest(self.due_at, self.again_at), Some(self.expires_at))
    }

    /// The NOTIFY with the present standing and the time that is left.
    pub fn notify(&mut self, body: Option<(&str, Vec<u8>)>, now: Instant) -> Message {
        let state = match self.standing {
            Standing::Pending => Substate::Pending,
            Standing::Active => Substate::Active,
        };
        let left = u32::try_from(self.expires_at.since(now).as_secs()).unwrap_or(u32::MAX);
        let header = SubscriptionState { state, expires: Some(left), reason: None, retry_after: None };
        self.rates.handle_sent(now);
        self.again_at = self.rates.not_after(now);
        let state = [header.text(), self.rates.reflection()].concat();
        self.make(state, body)
    }

    /// The last NOTIFY.
    pub fn terminate(
        &mut self,
        reason: Reason,
        retry_after: Option<u32>,
        body: Option<(&str, Vec<u8>)>,
    ) -> Message {
        let state = Substate::Terminated;
        let header = SubscriptionState { state, expires: None, reason: Some(reason), retry_after };
        self.make(header.text(), body)
    }

    fn make(&mut self, state: String, body: Option<(&str, Vec<u8>)>) -> Message {
        let mut notify = self.dialog.request(Method::Notify);
        notify.push(Name::Contact, self.contact.text());
        notify.push(Name::Event, self.event.text());
        notify.push(Name::SubscriptionState, state);
        if let Some((content_type, body)) = body {
            notify.set_body(content_type, body);
        }
        notify
    }
}
