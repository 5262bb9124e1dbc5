//! The root machine of a page: its watches, its publication, its registration, one connection.
//!
//! Drive it so: tell it what happened (`handle_*`) or what the application wants (`watch`, `publish`, …), each with
//! the time; then take outputs with [`Agent::poll`] until there are none; then arm one timer for
//! [`Agent::poll_timeout`] and call [`Agent::handle_timeout`] when it fires, earlier or more often does no harm.
//! May use: `event`, `dialog`, `transaction`, `presence`, `sip`, `random`, `time`.

mod config;
mod failure;
mod output;

pub use config::{Config, ConfigError, Credentials};
pub use failure::{Failure, FailureCode, FailureSource};
pub use output::{
    Cause, ChallengeId, Challenged, ConnectionState, Direction, Event, Output, RequestId, SubscriptionView,
    View, WatchId, Watching,
};

use crate::presence::PublishedState;
use crate::sip::Uri;
use crate::sip::auth::Secret;
use crate::time::Instant;
use std::rc::Rc;

/// A presence agent: watcher and publisher on one connection.
pub struct Agent {}

impl Agent {
    /// An agent that wants a connection at once. `seed` must be unguessable: tags, branches and nonces come from it.
    ///
    /// # Errors
    /// [`ConfigError`] says which field cannot be used.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, ConfigError> {
        let _ = (config, seed, now);
        todo!()
    }

    /// The connection asked for by [`Output::Connect`] is open, with sub-protocol `sip`.
    pub fn handle_connected(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// One WebSocket message arrived, text or binary.
    pub fn handle_message(&mut self, bytes: &[u8], now: Instant) {
        let _ = (bytes, now);
        todo!()
    }

    /// The connection is gone, or could not be opened. `code` is the WebSocket close code (1006 if there is none),
    /// `reason` its text.
    pub fn handle_disconnected(&mut self, code: u16, reason: &str, now: Instant) {
        let _ = (code, reason, now);
        todo!()
    }

    /// A deadline may have passed. Too early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// The host says that the network is back or the page is awake: connect now rather than at the next retry.
    pub fn handle_online(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// Starts watching `target`. Several watches of one presentity share one subscription and one [`WatchId`].
    pub fn watch(&mut self, target: &Uri, now: Instant) -> WatchId {
        let _ = (target, now);
        todo!()
    }

    /// Ends one watch; the subscription ends a linger after the last.
    pub fn unwatch(&mut self, id: WatchId, now: Instant) {
        let _ = (id, now);
        todo!()
    }

    /// Asks once for the presence of `target`; answered by [`Event::Fetched`].
    pub fn fetch(&mut self, target: &Uri, now: Instant) -> RequestId {
        let _ = (target, now);
        todo!()
    }

    /// Publishes `state`; answered by [`Event::Published`]. A state that is overtaken by a newer one before it was
    /// sent is answered together with the newer one.
    pub fn publish(&mut self, state: PublishedState, now: Instant) -> RequestId {
        let _ = (state, now);
        todo!()
    }

    /// Withdraws the publication; answered by [`Event::Published`].
    pub fn unpublish(&mut self, now: Instant) -> RequestId {
        let _ = now;
        todo!()
    }

    /// Answers [`Event::Challenged`]: user name and secret, or `None` to give up.
    pub fn provide_credentials(&mut self, id: ChallengeId, answer: Option<(String, Secret)>, now: Instant) {
        let _ = (id, answer, now);
        todo!()
    }

    /// Ends everything: un-SUBSCRIBE, un-PUBLISH, un-REGISTER, then [`Output::Close`] and [`Event::Closed`], at the
    /// latest one second from now.
    pub fn close(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// What is known of a watched presentity.
    #[must_use]
    pub fn view(&self, id: WatchId) -> Option<&Rc<View>> {
        let _ = id;
        todo!()
    }

    /// Which rule and element gave the status of a watched presentity: `(status word, rule, element id)`.
    #[must_use]
    pub fn explain(&self, id: WatchId) -> Option<(&'static str, &'static str, String)> {
        let _ = id;
        todo!()
    }

    /// The next thing to do, in order. Call until `None` after each mutation.
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }

    /// When [`Self::handle_timeout`] is due, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        todo!()
    }
}
