//! Requests of an agent on their way out, and what their final responses do.

use super::authentication::{Attempt, Verdict};
use super::registration::{SUPPORTED, to_server};
use super::subscriptions::SubscriptionId;
use super::{Agent, ChallengeId, Challenged, Direction, Event, Failure, FailureCode, Output, RequestId};
use crate::event::publisher::{self, Why};
use crate::pieces::concat;
use crate::sip::auth::{Challenge, Secret};
use crate::sip::{Message, Method, Name, Uri};
use crate::time::Instant;

/// Realms for which the application is asked at a time.
const MOST_PARKED: usize = 16;

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Publication,
    Registration,
    Subscription(SubscriptionId),
    /// See `session.rs`.
    Letter,
    /// A NOTIFY.
    #[cfg(feature = "full")]
    Watcher(super::audience::Package, crate::event::watchers::WatcherId),
    /// A NOTIFY to ourselves: see `audience/probe.rs`.
    #[cfg(feature = "full")]
    Probe,
}

impl Owner {
    /// Whether it is a NOTIFY: most go to whoever watches, and a stranger may answer them.
    const fn is_watcher(self) -> bool {
        match self {
            #[cfg(feature = "full")]
            Self::Watcher(..) | Self::Probe => true,
            Self::Publication | Self::Registration | Self::Subscription(_) | Self::Letter => false,
        }
    }
}

/// A request in an open transaction. Boxed wherever it is kept or handed on: moving it costs a page more.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) owner: Owner,
    pub(super) request: Message,
    attempt: Attempt,
}

/// Requests that wait for the application to say who it is.
pub(super) struct Parked {
    pub(super) id: ChallengeId,
    pub(super) realm: String,
    /// The answer that the server has refused.
    pub(super) refused: Option<(String, Secret)>,
    pub(super) jobs: Vec<(Box<Job>, Message)>,
}

impl Agent {
    pub(super) fn send_registration(&mut self, request: Message, now: Instant) {
        self.send(Owner::Registration, request, Attempt::default(), now);
    }

    pub(super) fn send_publication(&mut self, mut request: Message, now: Instant) {
        request.push(Name::Supported, SUPPORTED);
        self.send(Owner::Publication, request, Attempt::default(), now);
    }

    pub(super) fn send_subscription(&mut self, id: SubscriptionId, mut request: Message, now: Instant) {
        request.push(Name::Supported, SUPPORTED);
        self.describe_list(id, &mut request);
        if let Some(event) = request.header(&Name::Event).filter(|_| !self.config.rates.is_empty()) {
            let event = concat(&[event, &self.config.rates]);
            request.set(Name::Event, event);
        }
        self.send(Owner::Subscription(id), request, Attempt::default(), now);
    }

    /// The GRUU that the registrar has given, in angle brackets: Contact of requests and of their answers.
    pub(super) fn gruu(&self, now: Instant) -> Option<&str> {
        self.registration.as_ref().and_then(|registration| registration.gruu(now))
    }

    /// A request of `session.rs`.
    pub(super) fn send_letter(&mut self, mut request: Message, now: Instant) {
        if request.header(&Name::Contact).is_none() {
            request.set(Name::Contact, self.contact.text());
        }
        self.send(Owner::Letter, request, Attempt::default(), now);
    }

    #[cfg(feature = "full")]
    pub(super) fn send_notify(
        &mut self,
        package: super::audience::Package,
        id: crate::event::watchers::WatcherId,
        request: Message,
        attempt: Attempt,
        now: Instant,
    ) {
        self.send(Owner::Watcher(package, id), request, attempt, now);
    }

    /// Puts on what every request has, and opens its transaction.
    #[cfg_attr(not(feature = "full"), allow(unused_mut))]
    pub(super) fn send(&mut self, owner: Owner, mut request: Message, mut attempt: Attempt, now: Instant) {
        // A dialog has a route set of its own, even if that is empty (RFC 3261 §12.1).
        if !self.config.route.is_empty() && request.to().is_ok_and(|to| to.tag().is_none()) {
            request.set(Name::Route, self.config.route.clone());
        }
        if matches!(owner, Owner::Subscription(_)) || owner.is_watcher() {
            let mut contact = self.gruu(now).map_or_else(|| self.contact.text(), str::to_owned);
            // Who is asked over TLS is to answer over TLS (RFC 3261 §8.1.1.8).
            let secure = request.request_uri().is_some_and(Uri::is_secure)
                || request
                    .header(&Name::Route)
                    .is_some_and(|route| route.as_bytes().windows(6).any(|text| text == b"<sips:"));
            if secure && contact.starts_with("<sip:") {
                contact.insert(4, 's');
            }
            request.set(Name::Contact, contact);
        }
        if !self.config.user_agent.is_empty() {
            request.set(Name::UserAgent, self.config.user_agent.clone());
        }
        match owner {
            #[cfg(feature = "full")]
            Owner::Watcher(..) | Owner::Probe => {
                self.authentication.prove(&mut request, &mut attempt, &mut self.random)
            }
            Owner::Publication | Owner::Registration | Owner::Subscription(_) | Owner::Letter => {
                self.authentication.authorize(&mut request, &mut self.random);
            }
        }
        self.session.changed = true;
        if owner == Owner::Registration {
            self.session.register = Some(request.clone());
        }
        let token = self.random.token();
        let mut sent = request.clone();
        self.transactions.start(&mut sent, &token, Box::new(Job { owner, request, attempt }), now);
        self.post(&sent);
    }

    /// OPTIONS, to learn whether the server is there: any answer will do, so that nobody waits for it.
    pub(super) fn send_probe(&mut self) {
        let (call_id, token) = (self.random.token(), self.random.token());
        let mut probe = to_server(Method::Options, &self.from, call_id, 1, &mut self.random);
        self.transactions.stamp(&mut probe, &token);
        self.post(&probe);
    }

    fn post(&mut self, message: &Message) {
        self.trace(Direction::Sent, message);
        self.output(Output::Send(message.to_bytes()));
    }

    /// A final response came.
    pub(super) fn handle_final(&mut self, mut job: Box<Job>, response: &Message, now: Instant) {
        self.session.changed = true;
        match response.status() {
            Some(401 | 407) if !self.is_outdated(&job) => match self.judge(&mut job, response, now) {
                Verdict::Retry => self.retry(*job, now),
                Verdict::Ask { challenge, algorithms, refused } => {
                    self.park(job, response, challenge, algorithms, refused, now);
                }
                #[cfg(feature = "full")]
                Verdict::Hold => self.ask_proxy(job, response, now),
                Verdict::GiveUp(code) => self.refuse(job, response, Some(code), now),
            },
            Some(200..=299) => {
                if !job.owner.is_watcher() {
                    self.authentication.handle_success(response);
                }
                self.refuse(job, response, None, now);
            }
            Some(_) | None => self.refuse(job, response, None, now),
        }
    }

    /// What to do about a 401 or 407.
    fn judge(&mut self, job: &mut Job, response: &Message, now: Instant) -> Verdict {
        match job.owner {
            #[cfg(feature = "full")]
            Owner::Watcher(package, id) => self.judge_notify(package, id, response, &mut job.attempt),
            #[cfg(feature = "full")]
            Owner::Probe => Verdict::GiveUp(FailureCode::Unauthorized),
            Owner::Publication | Owner::Registration | Owner::Subscription(_) | Owner::Letter => {
                self.authentication.handle_challenge(&job.request, response, &mut job.attempt, now)
            }
        }
    }

    /// Whether the subscription that sent the request has begun anew since.
    fn is_outdated(&self, job: &Job) -> bool {
        let Owner::Subscription(id) = job.owner else { return false };
        self.subscriptions.get(id).is_none_or(|subscription| !subscription.subscriber.owns(&job.request))
    }

    fn retry(&mut self, job: Job, now: Instant) {
        let next = match job.owner {
            Owner::Publication => Some(self.publication.publisher.again(&job.request)),
            Owner::Registration => self.registration.as_mut().map(|r| r.again(&job.request)),
            Owner::Subscription(id) => {
                let next = self.subscriptions.get_mut(id).map(|s| s.subscriber.again(&job.request, now));
                self.subscriptions.settle(id);
                next
            }
            Owner::Letter => self.session.next(job.request.call_id()),
            #[cfg(feature = "full")]
            Owner::Watcher(package, id) => self.renotify(package, id, &job.request, now),
            #[cfg(feature = "full")]
            Owner::Probe => None,
        };
        if let Some(next) = next {
            self.send(job.owner, next, job.attempt, now);
        }
    }

    /// Asks the application, once for all requests that want the same realm.
    fn park(
        &mut self,
        mut job: Box<Job>,
        response: &Message,
        challenge: Box<Challenge>,
        algorithms: Vec<&'static str>,
        refused: Option<(String, Secret)>,
        now: Instant,
    ) {
        if let Owner::Subscription(id) = job.owner {
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.subscriber.handle_challenged();
            }
            self.subscriptions.settle(id);
        }
        job.attempt = job.attempt.anew();
        let waiting = (job, response.clone());
        if let Some(parked) = self.parked.iter_mut().find(|parked| parked.realm == challenge.realm) {
            parked.jobs.push(waiting);
            return;
        }
        // A server can invent realms without end.
        if self.parked.len() >= MOST_PARKED {
            return self.refuse(waiting.0, response, Some(FailureCode::NoCredentials), now);
        }
        self.next_id = self.next_id.wrapping_add(1);
        let id = ChallengeId(self.next_id);
        let rejected = refused.is_some();
        self.parked.push(Parked { id, realm: challenge.realm.clone(), refused, jobs: vec![waiting] });
        self.tell(Event::Challenged(Challenged { id, challenge, algorithms, rejected }));
    }

    /// Hands a final response that is not to be answered to its owner. `code` says what a 401 or 407 means.
    #[allow(clippy::boxed_local)]
    pub(super) fn refuse(
        &mut self,
        job: Box<Job>,
        response: &Message,
        code: Option<FailureCode>,
        now: Instant,
    ) {
        match job.owner {
            Owner::Publication => {
                let (request, random) = (&job.request, &mut self.random);
                let update = self.publication.publisher.handle_response(request, response, random, now);
                self.handle_publication(*job, update, Some(response), code, now);
            }
            Owner::Registration => self.handle_registration(Some(response), code, now),
            Owner::Subscription(id) => {
                let Some(subscription) = self.subscriptions.get_mut(id) else { return };
                let (request, random) = (&job.request, &mut self.random);
                let update = subscription.subscriber.handle_response(request, response, random, now);
                self.handle_subscription(id, *job, update, Some(response), code, now);
            }
            Owner::Letter => self.session.settle(&job.request),
            #[cfg(feature = "full")]
            Owner::Watcher(package, id) => self.handle_notified(package, id, Some(response), now),
            #[cfg(feature = "full")]
            Owner::Probe => self.handle_probed(Some(response), now),
        }
    }

    /// Timer F fired.
    #[allow(clippy::boxed_local)]
    pub(super) fn handle_no_answer(&mut self, job: Box<Job>, now: Instant) {
        match job.owner {
            Owner::Publication => {
                let update = self.publication.publisher.handle_no_answer(&mut self.random, now);
                self.handle_publication(*job, update, None, None, now);
            }
            Owner::Registration => self.handle_registration(None, None, now),
            Owner::Subscription(id) => {
                let Some(subscription) = self.subscriptions.get_mut(id) else { return };
                let update = subscription.subscriber.handle_no_answer(&job.request, &mut self.random, now);
                self.handle_subscription(id, *job, update, None, None, now);
            }
            Owner::Letter => self.session.settle(&job.request),
            #[cfg(feature = "full")]
            Owner::Watcher(package, id) => self.handle_notified(package, id, None, now),
            #[cfg(feature = "full")]
            Owner::Probe => self.handle_probed(None, now),
        }
    }

    /// The connection was lost before an answer came.
    #[cfg_attr(not(feature = "full"), allow(clippy::unused_self))]
    pub(super) fn handle_lost(&mut self, job: &Job) {
        match job.owner {
            #[cfg(feature = "full")]
            Owner::Watcher(package, id) => self.lose_notify(package, id, &job.request, &job.attempt),
            #[cfg(feature = "full")]
            Owner::Probe => {}
            Owner::Publication | Owner::Registration | Owner::Subscription(_) | Owner::Letter => {}
        }
    }

    pub(super) fn resend(&mut self, job: Job, request: Message, now: Instant) {
        self.send(job.owner, request, job.attempt, now);
    }

    fn handle_publication(
        &mut self,
        job: Job,
        update: publisher::Update,
        response: Option<&Message>,
        code: Option<FailureCode>,
        now: Instant,
    ) {
        match update {
            publisher::Update::Nothing => {}
            publisher::Update::Resend(request) => self.resend(job, request, now),
            publisher::Update::Done(generation) => {
                #[cfg(feature = "full")]
                self.tell_not_asked();
                for request in self.publication.settle(generation) {
                    self.tell(Event::Published { request, result: Ok(()) });
                }
            }
            publisher::Update::Failed { generation, why, retry_at } => {
                // Where no server takes publications, this page is still its own presence agent.
                #[cfg(feature = "full")]
                if self.presentity.is_some() && matches!(why, Why::Refused(404 | 405 | 489 | 501)) {
                    for request in self.publication.settle(generation) {
                        self.tell(Event::Published { request, result: Ok(()) });
                    }
                    return;
                }
                let code = code.unwrap_or(match why {
                    Why::Refused(status) => refusal(status),
                    Why::NoAnswer => FailureCode::Timeout,
                    Why::BadResponse => FailureCode::BadResponse,
                });
                let failure = self.describe_own(code, response, retry_at);
                let waiting: Vec<RequestId> = self.publication.settle(generation);
                if waiting.is_empty() {
                    self.tell(Event::Error(failure));
                    return;
                }
                for request in waiting {
                    self.tell(Event::Published { request, result: Err(failure.clone()) });
                }
            }
        }
    }

    /// A failure about the user's own address.
    fn describe_own(
        &self,
        code: FailureCode,
        response: Option<&Message>,
        retry_at: Option<Instant>,
    ) -> Box<Failure> {
        let mut failure = describe(code, response);
        failure.retry_at = retry_at;
        failure.uri = Some(self.config.aor.text());
        failure
    }

    fn handle_registration(&mut self, response: Option<&Message>, code: Option<FailureCode>, now: Instant) {
        let Some(registration) = &mut self.registration else { return };
        let was_registered = registration.is_registered();
        let well = registration.handle_response(response, &mut self.random, now);
        let (is_registered, retry_at) = (registration.is_registered(), registration.poll_timeout());
        if well {
            if let Some(response) = response.filter(|_| is_registered) {
                self.link.handle_registered();
                self.keep_alive.handle_registered(response, &mut self.random, now);
            }
            return;
        }
        let status = response.and_then(Message::status);
        let code = code.unwrap_or(status.map_or(FailureCode::Timeout, refusal));
        let failure = self.describe_own(code, response, retry_at);
        // What waits for the registration goes on to, but who wished it does not.
        #[cfg(feature = "full")]
        if self.waits_to_be_asked(now) {
            self.fail_wishes(&failure);
        }
        self.tell(Event::Error(failure));
        // Who has registered keeps the connection and waits (RFC 5626 §4.2.2).
        let asks_to_wait =
            status == Some(503) && response.is_some_and(|r| r.header(&Name::RetryAfter).is_some());
        if asks_to_wait && !was_registered && self.link.skip() {
            self.give_up("the registrar is busy", now);
        }
    }
}

/// What a final response with this status code means to the application.
pub(super) const fn refusal(status: u16) -> FailureCode {
    match status {
        // A success that grants no time.
        200..=299 => FailureCode::BadResponse,
        401 | 407 => FailureCode::Unauthorized,
        403 => FailureCode::Forbidden,
        404 | 604 => FailureCode::NotFound,
        405 | 489 | 501 => FailureCode::UnsupportedEvent,
        503 => FailureCode::Unavailable,
        603 => FailureCode::Rejected,
        500..=599 => FailureCode::ServerError,
        _ => FailureCode::Refused,
    }
}

/// A failure with what the response says of it.
pub(super) fn describe(code: FailureCode, response: Option<&Message>) -> Box<Failure> {
    let mut failure = Failure::new(code);
    if let Some(crate::sip::StartLine::Response { status, reason }) = response.map(|response| &response.start)
    {
        failure.status = Some(*status);
        failure.reason = Some(reason.clone()).filter(|reason| !reason.is_empty());
    }
    failure
}
