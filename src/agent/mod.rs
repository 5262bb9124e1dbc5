//! The root machine of a page: its watches, its publication, its registration, one connection.
//!
//! Drive it so: tell it what happened (`handle_*`) or what the application wants (`watch`, `publish`, …), each with
//! the time; then take outputs with [`Agent::poll`] until there are none; then arm one timer for
//! [`Agent::poll_timeout`] and call [`Agent::handle_timeout`] when it fires, earlier or more often does no harm.
//! May use: `event`, `dialog`, `transaction`, `presence`, `sip`, `random`, `time`.

#[cfg(feature = "full")]
mod audience;
mod authentication;
mod config;
mod deadlines;
mod documents;
mod failure;
mod incoming;
mod keep_alive;
mod link;
mod lists;
mod output;
#[cfg(feature = "full")]
mod proof;
mod publication;
mod registration;
mod requests;
mod session;
mod subscriptions;
mod watch;
mod watches;

#[cfg(feature = "full")]
pub use audience::{Audience, Identities};
pub use config::{Config, ConfigError, Credentials};
pub use documents::{Details, Subject};
pub use failure::{Failure, FailureCode, FailureSource};
pub use output::{
    Cause, ChallengeId, Challenged, ConnectionState, Direction, Event, Output, QuestionId, RequestId,
    SubscriptionView, View, WatchId, Watching,
};

use crate::pieces::concat;
use crate::presence::PublishedState;
use crate::random::Random;
use crate::sip::auth::Secret;
#[cfg(feature = "full")]
use crate::sip::auth::Verifier;
use crate::sip::{Message, NameAddr, ParseError, Scheme, Uri};
use crate::time::{Duration, Instant};
use crate::transaction::{ClientTransactions, Response, T1};
#[cfg(feature = "full")]
use audience::Presentity;
use authentication::Authentication;
use keep_alive::{Act, KeepAlive};
use link::Link;
use publication::Publication;
use registration::Registration;
use requests::{Job, Parked};
use session::Session;
use std::rc::Rc;
use subscriptions::Subscriptions;
use watch::Watch;
use watches::Watches;

/// How long [`Agent::close`] may take.
const CLOSING: Duration = Duration::from_secs(1);

/// A presence agent: watcher and publisher on one connection.
pub struct Agent {
    config: Config,
    random: Random,
    /// From of every request, without a tag.
    from: NameAddr,
    contact: NameAddr,
    link: Link,
    keep_alive: KeepAlive,
    transactions: ClientTransactions<Box<Job>>,
    authentication: Authentication,
    parked: Vec<Parked>,
    registration: Option<Registration>,
    publication: Publication,
    #[cfg(feature = "full")]
    presentity: Option<Presentity>,
    /// Checks notifiers, where they have to prove who they are.
    #[cfg(feature = "full")]
    verifier: Option<Verifier>,
    subscriptions: Subscriptions,
    watches: Watches,
    session: Session,
    outputs: Vec<Option<Output>>,
    /// How many of them were polled; a queue that is a ring costs a page more.
    polled: usize,
    /// When the server was last heard: what is known was true then.
    heard_at: Instant,
    /// When closing ends at the latest.
    closing: Option<Instant>,
    next_id: u32,
}

impl Agent {
    /// An agent that wants a connection at once. `seed` must be unguessable: tags, branches and nonces come from it.
    ///
    /// # Errors
    /// [`ConfigError`] says which field cannot be used.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut random = Random::new(seed);
        let host = concat(&[random.token().as_str(), ".invalid"]);
        let secure = config.servers.iter().all(|url| url.starts_with("wss:"));
        let mut from = NameAddr::new(config.aor.clone());
        from.display.clone_from(&config.display_name);
        // The user part alone tells this instance from others: some servers rewrite the host.
        let mut contact = Uri::sip(&random.token(), &host);
        if config.aor.is_secure() {
            contact.scheme = Scheme::Sips;
        }
        contact.params.set("transport", Some("ws"));
        contact.params.set("ob", None);
        let contact = NameAddr::new(contact);
        let registration = config.register.then(|| {
            let mut registered = contact.clone();
            if !config.instance.is_empty() {
                let instance = concat(&["\"<", &config.instance, ">\""]);
                registered.params.set(registration::INSTANCE, Some(&instance));
                registered.params.set(registration::REG_ID, Some("1"));
            }
            #[cfg(feature = "full")]
            if config.audience.is_some() {
                registration::describe(&mut registered);
            }
            Registration::new(from.clone(), registered, config.expires, &mut random)
        });
        let publication = Publication::new(&config, &from, &mut random);
        #[cfg(feature = "full")]
        let presentity = match config.audience.clone() {
            Some(audience) => Some(Presentity::new(audience, &config.aor.host, &mut random, now)),
            None => None,
        };
        #[cfg(feature = "full")]
        let verifier = proof::verifier(&config, &mut random);
        let link = Link::new(config.servers.clone(), now);
        let mut agent = Self {
            random,
            from,
            contact,
            transactions: ClientTransactions::new(host, secure, T1),
            authentication: Authentication::new(
                config.credentials.clone(),
                config.trusted(),
                config.aor.host.to_ascii_lowercase(),
            ),
            parked: Vec::new(),
            registration,
            publication,
            #[cfg(feature = "full")]
            presentity,
            #[cfg(feature = "full")]
            verifier,
            subscriptions: Subscriptions::default(),
            watches: Watches::default(),
            session: Session::default(),
            outputs: Vec::new(),
            polled: 0,
            heard_at: now,
            closing: None,
            next_id: 0,
            keep_alive: KeepAlive::new(config.keep_alive),
            link,
            config,
        };
        agent.connect();
        Ok(agent)
    }

    fn connect(&mut self) {
        self.tell(Event::Connection(ConnectionState::Connecting { attempt: self.link.attempt() }));
        self.output(Output::Connect { url: self.link.url() });
    }

    /// The connection asked for by [`Output::Connect`] is open, with sub-protocol `sip`.
    pub fn handle_connected(&mut self, now: Instant) {
        if !self.link.has_socket() {
            return;
        }
        self.link.handle_connected();
        self.keep_alive.handle_connected(&mut self.random, now);
        self.tell(Event::Connection(ConnectionState::Online));
        self.run(now);
        #[cfg(feature = "full")]
        self.regain_watchers(now);
    }

    /// One WebSocket message arrived, text or binary.
    pub fn handle_message(&mut self, bytes: &[u8], now: Instant) {
        if !self.link.is_online() {
            return;
        }
        self.keep_alive.handle_heard(bytes == b"\r\n");
        match Message::parse(bytes, &self.config.limits) {
            Ok(message) => {
                self.heard_at = now;
                self.link.handle_heard();
                self.trace(Direction::Received, &message);
                if message.is_request() {
                    self.handle_request(&message, now);
                } else if let Response::Final(job) = self.transactions.handle_response(&message) {
                    self.handle_final(job, &message, now);
                }
            }
            Err(ParseError::KeepAlive) => self.heard_at = now,
            Err(error) => self.handle_malformed(bytes, &error),
        }
        self.run(now);
    }

    /// The connection is gone, or could not be opened. `code` is the WebSocket close code (1006 if there is none),
    /// `reason` its text.
    pub fn handle_disconnected(&mut self, code: u16, reason: &str, now: Instant) {
        if self.link.has_socket() {
            let failure = self.link.handle_disconnected(code, reason, &mut self.random, now);
            self.lose(failure, now);
        }
    }

    /// The server opened the WebSocket without selecting sub-protocol `sip` (RFC 7118 §4.1). The socket is closed.
    pub fn handle_wrong_protocol(&mut self, now: Instant) {
        if self.link.has_socket() {
            self.output(Output::Close);
            let failure = self.link.fail(FailureCode::SubProtocol, 0, "", &mut self.random, now);
            self.lose(failure, now);
        }
    }

    /// Everything that hung on the connection hears of its loss.
    fn lose(&mut self, failure: Box<Failure>, now: Instant) {
        // The questions stay open: what is answered to them serves the requests over the next connection.
        for parked in &mut self.parked {
            parked.jobs.clear();
        }
        // The machines are told one by one below; the transactions have nobody else to tell.
        for job in self.transactions.handle_disconnected() {
            self.handle_lost(&job);
        }
        #[cfg(feature = "full")]
        self.lose_watchers();
        self.keep_alive.handle_disconnected();
        self.session.handle_disconnected();
        self.part(false);
        self.publication.publisher.handle_disconnected();
        if let Some(registration) = &mut self.registration {
            registration.handle_disconnected();
        }
        // Who waits goes on to wait for a server that has not been tried.
        let is_lost = failure.code == FailureCode::ConnectionLost;
        let waits = self.link.has_another() && !is_lost;
        if !waits {
            self.end_fetches(&failure);
        }
        self.lose_subscriptions();
        if self.closing.is_some() {
            self.finish(now);
            return;
        }
        // 1009: what was sent is larger than the server takes. And a connection that is lost again and again brings nothing.
        let is_hopeless = !is_lost || failure.status == Some(1009) || self.link.attempt() > 1;
        if is_hopeless && !waits {
            // The wish stays and is sent when there is a connection; who waits shall not wait for ever.
            self.fail_wishes(&failure);
        }
        let attempt = self.link.attempt();
        let retry_at = failure.retry_at.unwrap_or(now);
        if attempt == 1 && !is_lost {
            self.tell(Event::Error(failure.clone()));
        }
        self.tell(Event::Connection(ConnectionState::Reconnecting { attempt, retry_at, reason: failure }));
    }

    /// A deadline may have passed. Too early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.link.is_closed() {
            return;
        }
        if self.closing.is_some_and(|at| at <= now) {
            self.finish(now);
            return;
        }
        if self.link.is_stuck(now) {
            self.give_up("", now);
        } else if self.link.reopen(false, now) {
            self.connect();
        }
        let act = self.keep_alive.handle_timeout(self.heard_at, &mut self.random, now);
        self.act(act, now);
        let unanswered = self.transactions.handle_timeout(now);
        if !unanswered.is_empty() && now.since(self.heard_at) >= T1.times(64) {
            self.ask(now);
        }
        for job in unanswered {
            self.handle_no_answer(job, now);
        }
        if let Some(registration) = &mut self.registration {
            registration.handle_timeout(now);
        }
        let refresh = match self.link.is_online() {
            true => self.publication.publisher.handle_timeout(&mut self.random, now),
            false => None,
        };
        if let Some(refresh) = refresh {
            self.send_publication(refresh, now);
        }
        self.time_out_subscriptions(now);
        self.time_out_watches(now);
        #[cfg(feature = "full")]
        self.time_out_watchers(now);
        self.run(now);
    }

    /// The host says that the network is back: connect now rather than at the next retry, and ask whether the
    /// connection that there is has outlived the change.
    pub fn handle_online(&mut self, now: Instant) {
        if self.link.reopen(true, now) {
            self.connect();
        }
        self.ask(now);
        self.handle_timeout(now);
    }

    /// The host says that the page is awake or in front again: what is overdue is done, and a server that has not been
    /// heard for a while is asked whether it is there.
    pub fn handle_awake(&mut self, now: Instant) {
        if now.since(self.heard_at) >= keep_alive::PATIENCE {
            self.ask(now);
        }
        self.handle_timeout(now);
    }

    /// Asks the server whether it is there.
    fn ask(&mut self, now: Instant) {
        if self.link.is_online() {
            let act = self.keep_alive.ask(&mut self.random, now);
            self.act(act, now);
        }
    }

    fn act(&mut self, act: Act, now: Instant) {
        match act {
            Act::Nothing => {}
            Act::Ping => self.output(Output::Send(b"\r\n\r\n".to_vec())),
            Act::Ask => self.send_probe(),
            Act::Fail => self.give_up("no answer to a keep-alive", now),
        }
    }

    /// Closes the connection, to open another.
    fn give_up(&mut self, reason: &str, now: Instant) {
        self.output(Output::Close);
        let failure = self.link.handle_disconnected(0, reason, &mut self.random, now);
        self.lose(failure, now);
    }

    /// Publishes `state`; answered by [`Event::Published`]. A state that is overtaken by a newer one before it was
    /// sent is answered together with the newer one.
    pub fn publish(&mut self, state: PublishedState, now: Instant) -> RequestId {
        let request = self.next_request_id();
        if self.is_closing() {
            self.tell(Event::Published { request, result: Err(Failure::new(FailureCode::Closed)) });
        } else {
            self.publication.publish(request, &state, now);
            self.tell_pause();
            #[cfg(feature = "full")]
            self.handle_own_change(now);
            self.run(now);
        }
        request
    }

    /// Withdraws the publication; answered by [`Event::Published`].
    pub fn unpublish(&mut self, now: Instant) -> RequestId {
        let request = self.next_request_id();
        if self.is_closing() {
            self.tell(Event::Published { request, result: Err(Failure::new(FailureCode::Closed)) });
        } else {
            self.publication.unpublish(request);
            self.tell_pause();
            #[cfg(feature = "full")]
            self.handle_own_change(now);
            self.run(now);
        }
        request
    }

    /// While the server wants a pause, a wish waits, and who wished it hears how long.
    fn tell_pause(&mut self) {
        let publisher = &self.publication.publisher;
        if let Some(at) = publisher.pause().filter(|_| !publisher.is_settled()) {
            let mut failure = Failure::new(FailureCode::Unavailable);
            failure.retry_at = Some(at);
            self.fail_wishes(&failure);
        }
    }

    /// Whoever wished something to be published is told that it is not.
    fn fail_wishes(&mut self, failure: &Failure) {
        for request in self.publication.settle_all() {
            self.tell(Event::Published { request, result: Err(Box::new(failure.clone())) });
        }
    }

    /// Answers [`Event::Challenged`]: user name and secret, or `None` to give up.
    pub fn provide_credentials(&mut self, id: ChallengeId, answer: Option<(String, Secret)>, now: Instant) {
        let Some(at) = self.parked.iter().position(|parked| parked.id == id) else { return };
        let parked = self.parked.remove(at);
        let code = match answer {
            None => Some(FailureCode::NoCredentials),
            // The same again would be refused again, and locks an account at last.
            Some(answer) if parked.refused.as_ref() == Some(&answer) => Some(FailureCode::Unauthorized),
            Some((username, secret)) => {
                self.authentication.learn(&parked.realm, username, secret);
                None
            }
        };
        for (job, response) in parked.jobs {
            match code {
                Some(_) => self.refuse(job, &response, code, now),
                None => self.handle_final(job, &response, now),
            }
        }
        self.run(now);
    }

    /// Ends everything: un-SUBSCRIBE, un-PUBLISH, un-REGISTER, then [`Output::Close`] and [`Event::Closed`], at the
    /// latest one second from now.
    pub fn close(&mut self, now: Instant) {
        if self.is_closing() {
            return;
        }
        self.closing = Some(now + CLOSING);
        self.parked.clear();
        self.leave_all();
        #[cfg(feature = "full")]
        self.leave_watchers(now);
        self.publication.publisher.leave();
        if let Some(registration) = &mut self.registration {
            registration.leave();
        }
        self.run(now);
    }

    fn is_closing(&self) -> bool {
        self.closing.is_some() || self.link.is_closed()
    }

    /// The last act.
    fn finish(&mut self, now: Instant) {
        let failure = Failure::new(FailureCode::Closed);
        self.fail_wishes(&failure);
        self.end_fetches(&failure);
        if self.link.has_socket() {
            self.output(Output::Close);
        }
        self.link.close();
        self.closing = None;
        if !self.registration.as_ref().is_some_and(Registration::is_held) {
            self.session.register = None;
        }
        self.save(now);
        self.parked.clear();
        drop(self.transactions.handle_disconnected());
        self.tell(Event::Connection(ConnectionState::Closed { reason: None }));
        self.tell(Event::Closed);
    }

    /// Sends whatever is ready, while the connection and the window allow it.
    fn run(&mut self, now: Instant) {
        #[cfg(feature = "full")]
        self.share_news(now);
        if self.link.is_online() {
            self.send_letters(now);
            if let Some(register) = self.registration.as_mut().and_then(|r| r.next_request(&mut self.random))
            {
                self.send_registration(register, now);
            }
            #[cfg(feature = "full")]
            let waits = self.waits_to_be_asked(now);
            #[cfg(not(feature = "full"))]
            let waits = false;
            if !waits && let Some(publish) = self.publication.publisher.next_request(&mut self.random) {
                self.send_publication(publish, now);
            }
            self.send_subscriptions(now);
        }
        let withdrawn = self.publication.publisher.is_settled();
        // Also where a refusal or a server that has forgotten it left nothing to be withdrawn.
        if withdrawn && self.closing.is_none() {
            for request in self.publication.settle_all() {
                self.tell(Event::Published { request, result: Ok(()) });
            }
        }
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.save(now);
        }
        let settled = self.subscriptions.is_empty()
            && self.publication.publisher.is_at_rest()
            && !self.registration.as_ref().is_some_and(Registration::is_held);
        if self.closing.is_some() && (settled || !self.link.is_online()) {
            self.finish(now);
        }
    }

    fn tell(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    fn output(&mut self, output: Output) {
        self.outputs.push(Some(output));
    }

    /// Whether each message is told as [`Event::Trace`] from now on.
    pub const fn set_trace(&mut self, on: bool) {
        self.config.trace = on;
    }

    fn trace(&mut self, direction: Direction, message: &Message) {
        if self.config.trace {
            let text = message.redacted();
            self.tell(Event::Trace { direction, text });
        }
    }

    fn next_request_id(&mut self) -> RequestId {
        self.next_id = self.next_id.wrapping_add(1);
        RequestId(self.next_id)
    }

    /// What is known of a watched list, then of each of its members; of a watched presentity just the one.
    #[must_use]
    pub fn views(&self, id: WatchId) -> Vec<Rc<View>> {
        let members = self.members(id).into_iter();
        core::iter::once(id).chain(members).filter_map(|id| self.view(id).cloned()).collect()
    }

    /// What is known of a watched presentity, or how the subscription to a list stands.
    #[must_use]
    pub fn view(&self, id: WatchId) -> Option<&Rc<View>> {
        self.watches.get(id).map(|watch| &watch.view)
    }

    /// Which rule and element gave the status of a watched presentity, or of the member `uri` of a watched list:
    /// `(status word, rule, element id)`.
    #[must_use]
    pub fn explain(&self, id: WatchId, uri: &str) -> Option<(&'static str, &'static str, String)> {
        let id = self.member_at(id, uri).unwrap_or(id);
        let summary = self.watches.get(id)?.summary();
        Some((summary.status.as_str(), summary.because.0, summary.because.1.clone()))
    }

    /// The last document about what is watched, or about the member `uri` of a watched list, as text: as it came, or as
    /// the changes made it that came after. Then, in a sentence each, what was wrong in it and was read over.
    #[must_use]
    pub fn last_document(&self, id: WatchId, uri: &str) -> Option<Vec<String>> {
        let id = self.member_at(id, uri).unwrap_or(id);
        let content = self.watches.get(id).map(Watch::content).filter(|content| !content.is_empty())?;
        let mut texts = vec![content.text.clone()];
        for warning in &content.warnings {
            texts.push(warning.explain());
        }
        Some(texts)
    }

    /// The next thing to do, in order. Call until `None` after each mutation.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.get_mut(self.polled).and_then(Option::take);
        self.polled += 1;
        if output.is_none() {
            self.outputs.clear();
            self.polled = 0;
        }
        output
    }

    /// When [`Self::handle_timeout`] is due, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if self.link.is_closed() {
            return None;
        }
        let online = self.link.is_online();
        [
            (self.closing, "closing"),
            (self.link.poll_timeout(), "connection"),
            (self.keep_alive.poll_timeout(), "keep-alive"),
            (self.transactions.poll_timeout(), "Timer F"),
            (self.registration.as_ref().and_then(Registration::poll_timeout), "REGISTER"),
            (self.publication.publisher.poll_timeout().filter(|_| online), "PUBLISH"),
            (self.subscriptions.poll_timeout(), "SUBSCRIBE"),
            (self.watches.poll_timeout(), "watch"),
            (self.session.poll_timeout(), "session"),
            #[cfg(feature = "full")]
            (self.presentity.as_ref().and_then(Presentity::poll_timeout), "watchers"),
        ]
        .into_iter()
        .filter_map(|(at, why)| Some((at?, why)))
        .min()
    }
}
