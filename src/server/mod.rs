//! The root machine of a presence server: registrar, compositor, presence agent of its users, and a proxy between
//! them. Digest users; authorization by rules.
//!
//! It is driven as the agent is: `handle_*` with the time, then [`Server::poll`] until there is nothing, then one
//! timer for [`Server::poll_timeout`]. May use: `event`, `dialog`, `transaction`, `presence`, `sip`, `random`, `time`.
//!
//! A request is checked in this order (RFC 3261 §8.2, RFC 3856 §6.6): parse (400, 505, 513), method (405, 501),
//! dialog (481) or address (416, 404), credentials (401), Require (420), then what its method asks.

mod authentication;
mod config;
mod edge;
mod forward;
mod presence;
mod registrar;
mod rules;
mod state;
mod watchers;
pub mod xcap;

pub use crate::event::Decision;
pub use config::{Config, ConfigError, Limits, Rule, Rules, User};
pub use state::StateError;

use crate::event::watchers::{Changes, WatcherId};
use crate::event::{Compositor, Watchers};
use crate::presence::{PIDF, Presence};
use crate::random::Random;
use crate::sip::auth::Denied;
use crate::sip::{self, Message, Method, Name, NameAddr, ParseError, Scheme, StartLine, Uri};
use crate::time::{Duration, Instant};
use crate::transaction::{ClientTransactions, Response, ServerTransactions, T1};
use authentication::Authentication;
use edge::Edges;
use forward::Forwarded;
use registrar::{Bounds, Registrar};
use rules::AllRules;
use state::Policies;
use std::collections::{BTreeMap, VecDeque};
use watchers::{EVENTS, Package};

/// The methods that the server takes for itself.
const ALLOW: &str = "OPTIONS, PUBLISH, REGISTER, SUBSCRIBE";

/// The same for a user whose page answers watchers.
const WITHOUT_PUBLISH: &str = "OPTIONS, REGISTER, SUBSCRIBE";

/// How long malformed messages are held against a connection.
const FORGIVING: Duration = Duration::from_secs(3600);

/// A connection of the server, numbered by its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u32);

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one WebSocket message.
    Send(ConnectionId, Vec<u8>),
    /// Close the connection with this WebSocket code and reason; then forget it.
    Close(ConnectionId, u16, &'static str),
    /// Something an operator may want to know.
    Event(Event),
}

/// Something an operator may want to know. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    Registered {
        user: String,
    },
    Published {
        user: String,
    },
    /// A user has made or removed rules.
    Ruled {
        user: String,
    },
    /// The publications of a user disagree; all of them are shown.
    Conflict {
        user: String,
        what: String,
    },
    Subscribed {
        watcher: String,
        presentity: String,
    },
    /// A request was refused.
    Refused {
        method: String,
        status: u16,
        /// With 401: who it said it was, and could not prove.
        user: Option<String>,
    },
    /// What is kept about a name that is no user has no effect.
    Ignored {
        user: String,
    },
}

#[derive(Default)]
struct Connection {
    /// Malformed messages since the hour began that ends then.
    malformed: u32,
    forgiven_at: Instant,
    /// Who has authenticated on it.
    user: Option<String>,
}

/// A presence server.
pub struct Server {
    config: Config,
    random: Random,
    connections: BTreeMap<ConnectionId, Connection>,
    authentication: Authentication,
    registrar: Registrar,
    publications: Compositor<Presence>,
    watchers: Watchers,
    /// Who watches who watches.
    winfo: Watchers,
    tables: BTreeMap<WatcherId, Changes>,
    /// What was said while a server ran.
    policies: Policies,
    rules: AllRules,
    /// NOTIFYs on their way.
    transactions: ClientTransactions<(Package, WatcherId, ConnectionId)>,
    /// Requests between users on their way.
    forwarded: BTreeMap<String, Forwarded>,
    /// Subscriptions to pages, over the server.
    edges: Edges,
    unanswered: ServerTransactions,
    outputs: VecDeque<Output>,
}

impl Server {
    /// A server without connections. `seed` must be unguessable.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong with the configuration.
    pub fn new(mut config: Config, seed: [u8; 32], _now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut random = Random::new(seed);
        let authentication = Authentication::new(&config, &mut random);
        let (watchers, winfo) = watchers::sets();
        Ok(Self {
            transactions: ClientTransactions::new(config.domain.clone(), false, T1),
            connections: BTreeMap::new(),
            registrar: Registrar::default(),
            publications: Compositor::default(),
            watchers,
            winfo,
            tables: BTreeMap::new(),
            policies: Policies::new(),
            rules: AllRules::default(),
            forwarded: BTreeMap::new(),
            edges: Edges::default(),
            unanswered: ServerTransactions::default(),
            outputs: VecDeque::new(),
            authentication,
            random,
            config,
        })
    }

    /// A WebSocket was opened, with sub-protocol `sip`.
    pub fn handle_connected(&mut self, connection: ConnectionId, _now: Instant) {
        if self.connections.len() >= self.config.limits.connections {
            self.outputs.push_back(Output::Close(connection, 1013, "too many connections"));
            return;
        }
        self.connections.insert(connection, Connection::default());
    }

    /// A WebSocket is gone: so are the contacts reached over it and the subscriptions notified over it.
    pub fn handle_disconnected(&mut self, connection: ConnectionId, now: Instant) {
        self.connections.remove(&connection);
        self.registrar.handle_disconnected(connection);
        self.transactions.retain(|(_, _, used)| *used != connection);
        self.watchers.lose(connection.0);
        self.winfo.lose(connection.0);
        self.share_news(now);
        self.lose_edges(connection, now);
        self.lose_forwarded(connection, now);
    }

    /// One WebSocket message arrived, text or binary.
    pub fn handle_message(&mut self, connection: ConnectionId, bytes: &[u8], now: Instant) {
        if !self.connections.contains_key(&connection) {
            return;
        }
        self.hear(connection, now);
        let limits = sip::Limits { message: self.config.limits.message, ..sip::Limits::default() };
        match Message::parse(bytes, &limits) {
            Ok(message) if message.is_request() => {
                self.handle_request(connection, &message, now);
                self.share_news(now);
            }
            Ok(message) => {
                self.handle_response(connection, message, now);
                self.share_news(now);
            }
            // A double CRLF asks whether we are there; a single one answers (RFC 5626 §3.5.1).
            Err(ParseError::KeepAlive) if bytes == b"\r\n\r\n" => {
                self.outputs.push_back(Output::Send(connection, b"\r\n".to_vec()));
            }
            Err(ParseError::KeepAlive) => {}
            Err(error) => self.handle_malformed(connection, bytes, &limits, &error, now),
        }
    }

    fn handle_malformed(
        &mut self,
        connection: ConnectionId,
        bytes: &[u8],
        limits: &sip::Limits,
        error: &ParseError,
        now: Instant,
    ) {
        let head = Message::parse_head(bytes, limits);
        if let Some(head) = head.filter(|head| head.is_request() && head.method() != Method::Ack) {
            self.answer(connection, &head, error.status(), &[]);
        }
        let Some(state) = self.connections.get_mut(&connection) else { return };
        if state.forgiven_at <= now {
            state.malformed = 0;
            state.forgiven_at = now + FORGIVING;
        }
        state.malformed += 1;
        if state.malformed > self.config.limits.malformed {
            self.outputs.push_back(Output::Close(connection, 1002, "not SIP"));
            self.handle_disconnected(connection, now);
        }
    }

    fn handle_request(&mut self, connection: ConnectionId, request: &Message, now: Instant) {
        match request.method() {
            Method::Ack => return,
            // Every request is answered at once, or is another user agent's affair.
            Method::Cancel => return self.answer(connection, request, 481, &[]),
            Method::Other(_) => return self.answer(connection, request, 501, &[(Name::Allow, ALLOW)]),
            Method::Invite | Method::Prack => {
                return self.answer(connection, request, 405, &[(Name::Allow, ALLOW)]);
            }
            Method::Bye
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Update => {}
        }
        if request.to().is_ok_and(|to| to.tag().is_some()) {
            self.handle_in_dialog(connection, request, now);
            return;
        }
        let Some(uri) = request.request_uri() else { return };
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Pres) {
            return self.answer(connection, request, 416, &[]);
        }
        if !uri.host.eq_ignore_ascii_case(&self.config.domain) {
            return self.answer(connection, request, 404, &[]);
        }
        if request.method() == Method::Options && uri.user.is_none() {
            return self.handle_options(connection, request);
        }
        let Some(user) = self.authenticate(connection, request, now) else { return };
        if self.demands_too_much(connection, request) {
            return;
        }
        if let (Method::Subscribe, Some(package)) = (request.method(), Package::of(request)) {
            return self.handle_subscribe(connection, &user, package, request, true, now);
        }
        match request.method() {
            Method::Register => self.handle_register(connection, &user, request, now),
            Method::Publish => self.handle_publish(connection, &user, request, now),
            Method::Subscribe if !self.is_reachable(&user, request, now) => {
                self.answer(connection, request, 489, &[(Name::AllowEvents, EVENTS)]);
            }
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Info
            | Method::Invite
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::Prack
            | Method::Refer
            | Method::Subscribe
            | Method::Update
            | Method::Other(_) => self.forward_to_user(connection, &user, request, now),
        }
    }

    fn handle_in_dialog(&mut self, connection: ConnectionId, request: &Message, now: Instant) {
        let ours = self.subscription_of(request).filter(|_| request.method() == Method::Subscribe);
        if let Some(subscription) = ours {
            let Some(user) = self.authenticate(connection, request, now) else { return };
            if !self.demands_too_much(connection, request) {
                self.handle_resubscribe(connection, &user, subscription, request, now);
            }
            return;
        }
        // Between two users: only someone who has proved who they are may use the way, and only as who they are. What
        // the request requires is for its receiver to know (RFC 3261 §16.3).
        let user = self.connections.get(&connection).and_then(|c| c.user.clone());
        let page =
            user.as_deref().filter(|user| request.method() == Method::Notify && self.is_from(request, user));
        let watcher = page.and_then(|user| self.edges.way_of(user, connection, request));
        let target =
            watcher.or_else(|| request.request_uri().and_then(|uri| self.registrar.connection_of(uri, now)));
        match (target, user) {
            (Some(_), Some(user)) if self.is_from(request, &user) && self.is_over(&user, request, now) => {
                self.answer(connection, request, 481, &[]);
            }
            (Some(target), Some(user)) if self.is_from(request, &user) => {
                let routed = self.routed_of(&user, request, now);
                self.forward(connection, target, request, None, routed, now);
            }
            (Some(_), Some(_)) => self.answer(connection, request, 403, &[]),
            (_, None) | (None, _) => self.answer(connection, request, 481, &[]),
        }
    }

    /// Whether `request` requires an extension; there is none here, so that it has been answered then.
    fn demands_too_much(&mut self, connection: ConnectionId, request: &Message) -> bool {
        let required: Vec<&str> = request.list(&Name::Require).collect();
        let unsupported = required.join(", ");
        if !required.is_empty() {
            self.answer(connection, request, 420, &[(Name::Unsupported, &unsupported)]);
        }
        !required.is_empty()
    }

    fn handle_options(&mut self, connection: ConnectionId, request: &Message) {
        let headers = [(Name::Allow, ALLOW), (Name::AllowEvents, EVENTS), (Name::Accept, PIDF)];
        self.answer(connection, request, 200, &headers);
    }

    /// The user who sent `request`, or nobody: then it has been answered. From must be that user (RFC 3261 §22.3).
    fn authenticate(&mut self, connection: ConnectionId, request: &Message, now: Instant) -> Option<String> {
        match self.authentication.verify(request, &self.config, now) {
            Ok(user) => {
                if !self.is_from(request, &user) {
                    self.answer(connection, request, 403, &[]);
                    return None;
                }
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.user = Some(user.clone());
                }
                Some(user)
            }
            Err(denied) => {
                let stale = denied == Denied::Stale;
                let claims = request.credentials(&Name::Authorization);
                if let Some(claim) = claims.into_iter().next().filter(|_| !stale) {
                    let method = request.method().to_string();
                    self.tell(Event::Refused { method, status: 401, user: Some(claim.username) });
                }
                let rows = self.authentication.challenges(stale, &mut self.random, now);
                let rows: Vec<(Name, &str)> =
                    rows.iter().map(|row| (Name::WwwAuthenticate, row.as_str())).collect();
                self.answer(connection, request, 401, &rows);
                None
            }
        }
    }

    /// Whether From is `user`.
    fn is_from(&self, request: &Message, user: &str) -> bool {
        request.from().is_ok_and(|from| self.local_user(&from.uri).as_deref() == Some(user))
    }

    /// The name of the user whose address this is.
    fn local_user(&self, uri: &Uri) -> Option<String> {
        let name = sip::uri::unescape(uri.user.as_deref()?);
        (uri.host.eq_ignore_ascii_case(&self.config.domain) && self.config.users.contains_key(&name))
            .then_some(name)
    }

    /// The user whom `request` is addressed to.
    fn addressee(&self, request: &Message) -> Option<String> {
        request.request_uri().and_then(|uri| self.local_user(uri))
    }

    fn handle_register(&mut self, connection: ConnectionId, user: &str, request: &Message, now: Instant) {
        let address = request.to().ok().and_then(|to| self.local_user(&to.uri));
        if address.as_deref() != Some(user) {
            return self.answer(connection, request, 403, &[]);
        }
        let bounds = Bounds {
            least: self.config.min_expires,
            most: self.config.max_expires,
            contacts: self.config.limits.contacts,
        };
        let had_page = self.page_of(user, now).is_some();
        match self.registrar.handle_register(user, request, connection, bounds, now) {
            Ok(()) => {
                let contacts = self.registrar.contacts(user, now);
                let rows: Vec<(Name, &str)> = contacts.iter().map(|c| (Name::Contact, c.as_str())).collect();
                self.answer(connection, request, 200, &rows);
                self.tell(Event::Registered { user: user.to_owned() });
                if !had_page && self.page_of(user, now).is_some() {
                    self.migrate(user, now);
                }
            }
            Err(status) => self.refuse(connection, request, status),
        }
    }

    /// Refuses with the headers that the status code calls for.
    fn refuse(&mut self, connection: ConnectionId, request: &Message, status: u16) {
        let least = self.config.min_expires.to_string();
        let headers: &[(Name, &str)] = match status {
            405 => &[(Name::Allow, WITHOUT_PUBLISH)],
            423 => &[(Name::MinExpires, &least)],
            406 => &[(Name::Accept, Package::of(request).map_or(PIDF, Package::accept))],
            415 => &[(Name::Accept, PIDF)],
            489 => &[(Name::AllowEvents, EVENTS)],
            503 => &[(Name::RetryAfter, "60")],
            _ => &[],
        };
        self.answer(connection, request, status, headers);
    }

    fn answer(&mut self, connection: ConnectionId, request: &Message, status: u16, headers: &[(Name, &str)]) {
        let tag = self.random.token();
        self.answer_with_tag(connection, request, status, &tag, headers);
    }

    fn answer_with_tag(
        &mut self,
        connection: ConnectionId,
        request: &Message,
        status: u16,
        tag: &str,
        headers: &[(Name, &str)],
    ) {
        let mut response = Message::response(request, status, Some(tag));
        for (name, value) in headers {
            response.push(name.clone(), *value);
        }
        if let (503, StartLine::Response { reason, .. }) = (status, &mut response.start) {
            limit(&request.method()).clone_into(reason);
        }
        if status >= 400 && status != 401 {
            self.tell(Event::Refused { method: request.method().to_string(), status, user: None });
        }
        self.outputs.push_back(Output::Send(connection, response.to_bytes()));
    }

    fn handle_response(&mut self, connection: ConnectionId, response: Message, now: Instant) {
        let branch = response.via().map(|via| via.branch().to_owned()).unwrap_or_default();
        if self.forwarded.contains_key(&branch) {
            self.forward_back(connection, &branch, response, now);
        } else if let Response::Final((package, id, _)) = self.transactions.handle_response(&response) {
            self.handle_notified(package, id, Some(&response), now);
        }
    }

    /// A deadline may have passed. Too early or twice does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (package, id, _) in self.transactions.handle_timeout(now) {
            self.handle_notified(package, id, None, now);
        }
        self.time_out_forwarded(now);
        self.unanswered.handle_timeout(now);
        self.registrar.handle_timeout(now);
        for presentity in self.publications.handle_timeout(now) {
            self.handle_change(&presentity, now);
        }
        self.time_out_edges(now);
        self.time_out_rules(now);
        self.time_out_subscriptions(now);
        self.share_news(now);
    }

    /// Ends all subscriptions, so that watchers look for another server (RFC 6665 §4.1.3 `deactivated`).
    pub fn shutdown(&mut self, now: Instant) {
        self.end_subscriptions(now);
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Contact of the presence agent.
    fn contact(&self) -> NameAddr {
        let mut uri = Uri::sip("presence", &self.config.domain);
        uri.params.set("transport", Some("ws"));
        NameAddr::new(uri)
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is due, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        [
            (self.transactions.poll_timeout(), "Timer F"),
            (self.forwarded.values().map(|forwarded| forwarded.deadline).min(), "forwarded request"),
            (self.edges.poll_timeout(), "subscription to a page"),
            (self.unanswered.poll_timeout(), "unanswered request"),
            (self.registrar.poll_timeout(), "registration"),
            (self.publications.poll_timeout(), "publication"),
            (self.watchers.poll_timeout(), "subscription"),
            (self.rules.poll_timeout(), "rules"),
            (self.winfo.poll_timeout(), "subscription to watcher information"),
        ]
        .into_iter()
        .filter_map(|(at, why)| Some((at?, why)))
        .min()
    }
}

/// Which limit is reached where a request of `method` gets 503: its sender is shown the reason phrase.
fn limit(method: &Method) -> &'static str {
    if *method == Method::Publish {
        "Too many publications of this user"
    } else if *method == Method::Register {
        "Too many contacts of this user"
    } else if *method == Method::Subscribe {
        "Too many subscriptions of this connection"
    } else {
        "Too many unanswered requests of this connection"
    }
}
