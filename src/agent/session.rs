//! A page goes away, and comes back: what is said at once, and what is kept for the next load of the tab.
//!
//! A page that goes away may send and cannot wait for answers. So the end of each dialog and of the registration is a
//! letter: a request that ends it. It is sent at once where there is a connection, and kept in any case, with the next
//! CSeq, until an answer says that it is settled: the next connection, or the next load of the tab, sends it then.
//! A publication is not ended so: the next load takes it over by its entity-tag (RFC 3903 §4.4).

use super::registration::{INSTANCE, REG_ID};
use super::subscriptions::Role;
use super::{Agent, Event, Output};
use crate::dialog;
use crate::pieces::{holds, pieces};
use crate::sip::{Message, Name};
use crate::time::{Duration, Instant};
use core::str;

/// Between two times that the session is told to the host, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a session at most; what has no room is left to expire.
const MOST: usize = 1 << 20;
/// After so many lost connections a letter is left to expire with its dialog.
const MOST_LOSSES: u8 = 2;
/// Between the entity-tag and the letters: no message has it, for it is no white space and no printing character.
const BETWEEN: u8 = 0x1e;
/// What every stored message must have to be read again; it is replaced when the message is sent.
const VIA: &str = "SIP/2.0/WS stored.invalid";

/// What is left of earlier dialogs and registrations.
#[derive(Default)]
pub(super) struct Session {
    /// The host keeps it.
    kept: bool,
    pub(super) changed: bool,
    next_save: Instant,
    letters: Vec<Letter>,
    /// The last REGISTER, as long as the registrar may know our contact.
    pub(super) register: Option<Message>,
}

struct Letter {
    /// As it is to be sent next: no number is used twice.
    request: Message,
    /// It is on its way.
    sent: bool,
    /// Connections that were lost while it was.
    losses: u8,
}

impl Letter {
    const fn new(request: Message) -> Self {
        Self { request, sent: false, losses: 0 }
    }

    fn next(&mut self) -> Message {
        let next = next(&self.request);
        core::mem::replace(&mut self.request, next)
    }
}

impl Session {
    /// When the session is to be told.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (self.kept && self.changed).then_some(self.next_save)
    }

    /// The connection is gone: letters without an answer are sent again over the next, but not for ever. One of them
    /// may be why the server hangs up.
    pub(super) fn handle_disconnected(&mut self) {
        for letter in &mut self.letters {
            letter.losses += u8::from(core::mem::take(&mut letter.sent));
        }
        self.letters.retain(|letter| letter.losses < MOST_LOSSES);
    }

    /// The letter of this Call-ID, to be sent now.
    pub(super) fn next(&mut self, call_id: &str) -> Option<Message> {
        let letter = self.letters.iter_mut().find(|letter| letter.request.call_id() == call_id)?;
        Some(letter.next())
    }

    /// A letter was answered, or will not be.
    pub(super) fn settle(&mut self, request: &Message) {
        self.letters.retain(|letter| letter.request.call_id() != request.call_id());
    }
}

impl Agent {
    /// The host keeps what [`Event::Session`] tells, and `text` is what it kept last; "" for nothing. Dialogs and a
    /// registration of that time are ended, a publication is taken over. Call it before the first
    /// [`Self::handle_connected`], or while there is no connection after [`Self::suspend`].
    pub fn restore(&mut self, text: &str) {
        self.session.kept = true;
        self.session.letters.clear();
        let mut parts = pieces(text, BETWEEN);
        self.publication.publisher.adopt(parts.next().unwrap_or_default());
        for letter in parts {
            if let Ok(mut request) = Message::parse(letter.as_bytes(), &self.config.limits) {
                request.remove(&Name::Via);
                // The registration that goes on ends itself: one number must not be used twice.
                if self.registration.as_ref().is_none_or(|own| own.call_id() != request.call_id()) {
                    self.session.letters.push(Letter::new(request));
                }
            }
        }
    }

    /// The page goes away, perhaps for ever: says un-SUBSCRIBE, un-PUBLISH and un-REGISTER without waiting for answers,
    /// then closes the connection. Everything that is wished is begun anew over the next one: see
    /// [`Self::handle_online`].
    pub fn suspend(&mut self, now: Instant) {
        if self.link.is_closed() {
            return;
        }
        let first = self.session.letters.len();
        #[cfg(feature = "full")]
        {
            self.authentication.hurries = true;
            self.leave_watchers(now);
            self.authentication.hurries = false;
        }
        self.part(true);
        if self.link.is_online() {
            for at in first..self.session.letters.len() {
                if let Some(letter) = self.session.letters.get_mut(at) {
                    let request = letter.next();
                    self.send_letter(request, now);
                }
            }
            if let Some(request) = self.publication.publisher.withdraw(&mut self.random) {
                self.send_publication(request, now);
            }
            if let (Some(registration), Some(last)) = (&mut self.registration, &self.session.register) {
                let mut request = registration.again(last);
                request.set(Name::Expires, "0");
                self.send_registration(request, now);
            }
        }
        self.save(now);
        if self.link.has_socket() {
            self.output(Output::Close);
            let failure = self.link.handle_disconnected(0, "", &mut self.random, now);
            self.lose(failure, now);
        }
    }

    /// Makes letters of the dialogs that nobody wants any more, or of all; those that are wanted are begun anew.
    pub(super) fn part(&mut self, all: bool) {
        for id in self.subscriptions.ids() {
            let Some(subscription) = self.subscriptions.get_mut(id) else { continue };
            let part = match subscription.role {
                Role::Watch(_) => all,
                Role::Departed => true,
                Role::Fetch(..) => false,
            };
            if part {
                if let Some(request) = subscription.subscriber.farewell() {
                    self.session.letters.push(Letter::new(request));
                }
                subscription.subscriber.restart();
                self.subscriptions.settle(id);
            }
        }
    }

    /// Sends letters, while at least half of the window is left for what is wished now.
    pub(super) fn send_letters(&mut self, now: Instant) {
        while self.transactions.len() <= self.config.window / 2 {
            let Some(letter) = self.session.letters.iter_mut().find(|letter| !letter.sent) else { return };
            letter.sent = true;
            let request = letter.next();
            self.send_letter(request, now);
        }
    }

    /// Tells the host what to keep.
    pub(super) fn save(&mut self, now: Instant) {
        if !self.session.kept {
            return;
        }
        self.session.changed = false;
        self.session.next_save = now + PAUSE;
        let mut text = self.publication.publisher.tag().to_owned();
        let mut add = |mut letter: Message| {
            letter.set(Name::Via, VIA);
            let bytes = letter.to_bytes();
            // What a peer has put into it must not make two of it.
            let fits = |letter: &&str| text.len() + letter.len() < MOST && !holds(letter, BETWEEN);
            if let Some(letter) = str::from_utf8(&bytes).ok().filter(fits) {
                text.push(char::from(BETWEEN));
                text.push_str(letter);
            }
        };
        for letter in &self.session.letters {
            add(letter.request.clone());
        }
        for id in self.subscriptions.ids() {
            if let Some(letter) = self.subscriptions.get(id).and_then(|s| s.subscriber.farewell()) {
                add(letter);
            }
        }
        if let Some(last) = &self.session.register {
            let mut removal = next(last);
            removal.set(Name::Expires, "0");
            // Named by its URI alone: the next load of the tab registers as the same instance (RFC 5626 §6).
            if let Ok(mut contact) = removal.contact() {
                contact.params.remove(INSTANCE);
                contact.params.remove(REG_ID);
                removal.set(Name::Contact, contact.text());
            }
            add(removal);
        }
        self.tell(Event::Session(text));
    }
}

/// `request` once more, with the next CSeq.
fn next(request: &Message) -> Message {
    dialog::retry(request, request.cseq().map_or(1, |cseq| cseq.number.saturating_add(1)))
}
