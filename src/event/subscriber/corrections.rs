//! What a subscriber changes of a SUBSCRIBE when the notifier wants it otherwise (RFC 3261 §8.1.3.4, §8.1.3.5).

use super::{AMPLE, State, Subscriber};
use crate::decimal::decimal;
use crate::event::targets::Targets;
use crate::sip::{Message, Method, Name, Scheme, StartLine, Uri};
use crate::time::Instant;

/// Corrections made to one attempt; each at most once (RFC 3261 §8.1.3.5).
#[derive(Debug, Default)]
pub(super) struct Corrected {
    expires: bool,
    scheme: bool,
    targets: Targets,
}

impl Subscriber {
    /// The request with the one thing changed that the response asks for: 400, 423 and 416 (RFC 3261 §8.1.3.5).
    pub(super) fn correct(
        &mut self,
        request: &Message,
        response: &Message,
        status: u16,
        now: Instant,
    ) -> Option<Message> {
        match status {
            // Not the end of a subscription: it would be made longer. Asterisk has a 400 for who only asks; then a
            // subscription is made, which the owner leaves after its first NOTIFY.
            400 | 423
                if !self.corrected.expires
                    && (self.plan.expires == 0 || status == 423 && request.expires() != Some(0)) =>
            {
                // Asterisk does not say how long is long enough.
                let least = response.min_expires().unwrap_or(AMPLE);
                if least <= self.plan.expires {
                    return None;
                }
                self.corrected.expires = true;
                self.plan.expires = least;
                let mut next = self.again(request, now);
                next.set(Name::Expires, decimal(least.into()));
                Some(next)
            }
            416 if !self.corrected.scheme
                && self.plan.target.scheme == Scheme::Pres
                && self.dialog.is_none() =>
            {
                self.corrected.scheme = true;
                self.speak_sip();
                Some(self.again_to(self.plan.target.clone(), request, now))
            }
            _ => None,
        }
    }

    /// The first SUBSCRIBE to the next of the targets that redirections have named (RFC 3261 §8.1.3.4).
    pub(super) fn redirect(
        &mut self,
        request: &Message,
        response: &Message,
        status: u16,
        now: Instant,
    ) -> Option<Message> {
        if self.state != State::NotifyWait || !self.wanted || status >= 600 {
            return None;
        }
        // 305 and 380 lead to something else.
        if status <= 302 {
            self.corrected.targets.learn(response, &self.plan.target);
        }
        let uri = self.corrected.targets.next()?;
        Some(self.again_to(uri, request, now))
    }

    /// The answer to who only asks was that there is nothing, of FreeSWITCH always: makes a subscription in its place, once,
    /// which the owner leaves after its first NOTIFY.
    pub fn insist(&mut self) -> bool {
        let insists = self.plan.expires == 0;
        if insists {
            self.plan.expires = AMPLE;
            self.state = State::Idle;
            self.ready = true;
        }
        insists
    }

    /// From now on the address is asked as `sip:`, with the same user and host.
    pub(super) fn speak_sip(&mut self) {
        if self.plan.target.scheme == Scheme::Pres {
            self.plan.target.scheme = Scheme::Sip;
            self.plan.target.headers = None;
        }
    }

    fn again_to(&mut self, uri: Uri, request: &Message, now: Instant) -> Message {
        let mut next = self.again(request, now);
        next.start = StartLine::Request { method: Method::Subscribe, uri };
        next
    }
}
