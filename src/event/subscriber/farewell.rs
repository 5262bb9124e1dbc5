//! How a subscriber leaves: at its leisure, or because its page goes away (RFC 6665 §4.1.2.3).

use super::{End, State, Subscriber};
use crate::sip::{Message, Method, Name};

impl Subscriber {
    /// The application does not want it any more. What is to be said is sent as [`Self::next_request`]; the answer to
    /// whether it is over at once.
    pub fn leave(&mut self) -> Option<End> {
        self.wanted = false;
        match self.state {
            State::Idle => Some(self.finish()),
            State::Pending | State::Active => {
                self.state = State::Leaving;
                self.ready = true;
                None
            }
            State::NotifyWait | State::Leaving | State::Over => None,
        }
    }

    /// The un-SUBSCRIBE that would end the dialog now, if there is one.
    #[must_use]
    pub fn farewell(&self) -> Option<Message> {
        let dialog = self.dialog.as_ref()?;
        let mut request = dialog.numbered(Method::Subscribe, dialog.local_sequence().saturating_add(1));
        request.push(Name::Event, self.plan.event.text());
        request.push(Name::Expires, "0");
        Some(request)
    }

    /// Gives up the dialog, or the attempt at one, without a word: see [`Self::farewell`]. If it is wanted it begins
    /// anew.
    pub fn restart(&mut self) {
        if self.key().is_none() {
            return;
        }
        self.clear();
        self.ready = self.wanted;
        self.state = if self.wanted { State::Idle } else { State::Over };
    }
}
