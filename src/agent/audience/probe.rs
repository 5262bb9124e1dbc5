//! Whether the user's own proxy challenges requests inside dialogs (RFC 3261 §22.3).
//!
//! Whoever watches can refuse a NOTIFY with 407 and a nonce of its choice, and the answer would help to guess the password.
//! Nothing in a response says who made it. But a request to the user's own address meets the own server alone: what a
//! NOTIFY gets there with a To tag and no credentials tells whether the proxy challenges any. If it does, it takes
//! answers to its own nonces only and lets no others through; if it does not, a 407 is a watcher's, and gets no answer.
//!
//! ```text
//!   NOTIFY ──407──> held ──> is it known of this connection? ──yes: it does─────────> answered
//!                               │ no                       └─yes: it does not, a watcher's─> given up
//!                               └──> NOTIFY to ourselves ──407, 481, none in time──> now it is
//! ```

use crate::agent::Agent;
use crate::agent::authentication::Attempt;
use crate::agent::requests::{Job, Owner};
use crate::sip::{CSeq, Message, Method, Name, NameAddr};
use crate::time::Instant;

impl Agent {
    /// A NOTIFY was refused with 407, and it is not known whether the proxy does that.
    pub(in crate::agent) fn ask_proxy(&mut self, job: Box<Job>, response: &Message, now: Instant) {
        let Some(presentity) = &mut self.presentity else { return };
        presentity.held.push((job, response.clone()));
        if presentity.held.len() > 1 {
            return;
        }
        let mut probe = Message::request(Method::Notify, self.config.aor.clone());
        probe.push(Name::MaxForwards, "70");
        probe.push(Name::From, self.from.clone().with_tag(&self.random.token()).text());
        probe.push(Name::To, NameAddr::new(self.config.aor.clone()).with_tag(&self.random.token()).text());
        probe.push(Name::CallId, self.random.token());
        probe.push(Name::CSeq, CSeq { number: 1, method: Method::Notify }.text());
        probe.push(Name::Event, "presence");
        probe.push(Name::SubscriptionState, "terminated");
        self.send(Owner::Probe, probe, Attempt::default(), now);
    }

    /// What the own server said to our own NOTIFY, `None` for nothing in time.
    pub(in crate::agent) fn handle_probed(&mut self, response: Option<&Message>, now: Instant) {
        self.authentication.learn_of_proxy(response);
        let held = self.presentity.as_mut().map(|presentity| core::mem::take(&mut presentity.held));
        for (job, response) in held.into_iter().flatten() {
            self.handle_final(job, &response, now);
        }
    }

    /// The connection is gone: the next may lead to another proxy.
    pub(super) fn forget_proxy(&mut self) {
        self.authentication.forget_proxy();
        let held = self.presentity.as_mut().map(|presentity| core::mem::take(&mut presentity.held));
        for (job, _) in held.into_iter().flatten() {
            self.handle_lost(&job);
        }
    }
}
