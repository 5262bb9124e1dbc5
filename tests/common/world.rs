//! Agents and a real presence server on a virtual clock, with a link between them that can be slow, cut, silent, or
//! end with a restart of the server. Everything follows from the seed.

use super::START;
use super::relay::Relay;
use sip_presence::agent::{self, Agent, Credentials, Event, RequestId, View, WatchId};
use sip_presence::presence::{PublishedState, Status};
use sip_presence::random::Random;
use sip_presence::server::{self, ConnectionId, Server};
use sip_presence::sip::auth::Secret;
use sip_presence::sip::{Limits, Message, Uri};
use sip_presence::time::{Duration, Instant, earliest};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The server's domain.
pub const DOMAIN: &str = "example.com";

/// One agent and its end of the link.
pub struct Seat {
    pub name: String,
    pub agent: Agent,
    pub connection: Option<ConnectionId>,
    cut: bool,
    /// The page is frozen: no timer fires, and what arrives waits in `held`.
    asleep: bool,
    held: Vec<Delivery>,
    /// The connection was lost while the page slept.
    lost: bool,
    pub events: Vec<Event>,
    /// Every view told, oldest first.
    pub views: Vec<Rc<View>>,
}

enum Delivery {
    Open(usize),
    ToServer(ConnectionId, Vec<u8>),
    ToAgent(ConnectionId, Vec<u8>),
    Refuse(usize),
    Lose(usize, ConnectionId, u16),
}

/// A message that crossed, as the test sees it.
pub struct Crossing {
    pub at: Instant,
    pub from_server: bool,
    pub connection: ConnectionId,
    pub message: Message,
}

pub struct World {
    pub now: Instant,
    pub server: Server,
    /// Where it is set, it is in the place of the server.
    pub relay: Option<Relay>,
    config: server::Config,
    pub seats: Vec<Seat>,
    wire: BTreeMap<(Instant, u64), Delivery>,
    order: u64,
    next_connection: u32,
    random: Random,
    /// How long a message is on its way, at least and at most.
    pub latency: (u64, u64),
    /// The server takes messages and never answers.
    pub silent: bool,
    /// Whether what crosses is kept in `log`.
    pub recording: bool,
    pub log: Vec<Crossing>,
    /// Connections that the server has closed, with the WebSocket code.
    pub closed: Vec<(ConnectionId, u16)>,
}

impl World {
    /// A server with the users alice, bob, carol and dave, where everybody may watch everybody.
    pub fn new(seed: u8) -> Self {
        Self::with(seed, |_| {})
    }

    pub fn with(seed: u8, adjust: impl FnOnce(&mut server::Config)) -> Self {
        Self::grown_from([seed; 32], adjust)
    }

    /// The same from a whole seed.
    pub fn grown_from(seed: [u8; 32], adjust: impl FnOnce(&mut server::Config)) -> Self {
        let mut config = server::Config { domain: DOMAIN.to_owned(), ..server::Config::default() };
        for name in ["alice", "bob", "carol", "dave"] {
            let password = ["pw-", name].concat();
            config.users.insert(name.to_owned(), server::User::Password(password));
        }
        config.rules.otherwise = server::Decision::Allow;
        adjust(&mut config);
        let mut random = Random::new(seed);
        Self {
            now: START,
            server: Server::new(config.clone(), random.seed(), START).unwrap(),
            relay: None,
            config,
            seats: Vec::new(),
            wire: BTreeMap::new(),
            order: 0,
            next_connection: 0,
            random,
            latency: (5, 5),
            silent: false,
            recording: true,
            log: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Seats an agent; its index.
    pub fn seat(&mut self, name: &str) -> usize {
        self.seat_with(name, |_| {})
    }

    pub fn seat_with(&mut self, name: &str, adjust: impl FnOnce(&mut agent::Config)) -> usize {
        let agent = self.agent(name, adjust);
        self.seats.push(Seat {
            name: name.to_owned(),
            agent,
            connection: None,
            cut: false,
            asleep: false,
            held: Vec::new(),
            lost: false,
            events: Vec::new(),
            views: Vec::new(),
        });
        let seat = self.seats.len() - 1;
        self.drain_agent(seat);
        seat
    }

    fn agent(&mut self, name: &str, adjust: impl FnOnce(&mut agent::Config)) -> Agent {
        let aor = Uri::parse(&address(name)).unwrap();
        let mut config = agent::Config::new("ws://127.0.0.1/", aor);
        let secret = Secret::Password(["pw-", name].concat());
        config.credentials = Credentials::Fixed { username: name.to_owned(), secret };
        adjust(&mut config);
        Agent::new(config, self.random.seed(), self.now).unwrap()
    }

    /// The page of a seat is loaded anew: the old agent is gone without a word, its connection too.
    pub fn reload(&mut self, seat: usize, adjust: impl FnOnce(&mut agent::Config)) {
        self.hang_up(seat);
        self.wire.retain(|_, delivery| {
            !matches!(delivery, Delivery::Open(of) | Delivery::Refuse(of) | Delivery::Lose(of, _, _) if *of == seat)
        });
        let name = self.seats[seat].name.clone();
        let agent = self.agent(&name, adjust);
        let seat_now = &mut self.seats[seat];
        (seat_now.agent, seat_now.asleep, seat_now.lost) = (agent, false, false);
        seat_now.held.clear();
        seat_now.events.clear();
        self.drain_agent(seat);
    }

    /// The page of a seat is frozen, as a browser does with one that is hidden, or with all when the machine sleeps.
    pub fn sleep(&mut self, seat: usize) {
        self.seats[seat].asleep = true;
    }

    /// The page goes on: its timers and what has arrived come in either order.
    pub fn wake(&mut self, seat: usize, timers_first: bool) {
        self.seats[seat].asleep = false;
        if timers_first {
            self.seats[seat].agent.handle_timeout(self.now);
            self.drain_agent(seat);
        }
        let held = core::mem::take(&mut self.seats[seat].held);
        if core::mem::take(&mut self.seats[seat].lost) {
            self.seats[seat].agent.handle_disconnected(1006, "", self.now);
            self.drain_agent(seat);
        }
        for delivery in held {
            self.deliver(delivery);
        }
        self.seats[seat].agent.handle_timeout(self.now);
        self.drain_agent(seat);
    }

    /// The connection of a seat is gone; a page that sleeps hears of it when it wakes.
    fn lose(&mut self, seat: usize) {
        if self.seats[seat].asleep {
            self.seats[seat].lost = true;
            self.seats[seat].held.clear();
        } else {
            self.seats[seat].agent.handle_disconnected(1006, "", self.now);
            self.drain_agent(seat);
        }
    }

    fn post(&mut self, delivery: Delivery) {
        let (least, most) = self.latency;
        let delay = least + self.random.below(most - least + 1);
        let mut at = self.now + Duration::from_millis(delay);
        // A stream keeps its order.
        let last =
            self.wire.iter().rev().find(|(_, d)| stream(d) == stream(&delivery)).map(|((at, _), _)| *at);
        at = at.max(last.unwrap_or(at));
        self.order += 1;
        self.wire.insert((at, self.order), delivery);
    }

    fn drain_agent(&mut self, seat: usize) {
        while let Some(output) = self.seats[seat].agent.poll() {
            match output {
                agent::Output::Connect { .. } if self.seats[seat].cut => self.post(Delivery::Refuse(seat)),
                agent::Output::Connect { .. } => self.post(Delivery::Open(seat)),
                agent::Output::Send(bytes) => {
                    if let Some(connection) = self.seats[seat].connection {
                        self.record(false, connection, &bytes);
                        self.post(Delivery::ToServer(connection, bytes));
                    }
                }
                agent::Output::Close => self.hang_up(seat),
                agent::Output::Event(event) => {
                    if let Event::State { view, .. } = &event {
                        self.seats[seat].views.push(Rc::clone(view));
                    }
                    self.seats[seat].events.push(event);
                }
            }
        }
    }

    fn drain_server(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                server::Output::Send(connection, bytes) => {
                    self.record(true, connection, &bytes);
                    self.post(Delivery::ToAgent(connection, bytes));
                }
                server::Output::Close(connection, code, _) => {
                    self.closed.push((connection, code));
                    if let Some(seat) = self.seats.iter().position(|s| s.connection == Some(connection)) {
                        self.post(Delivery::Lose(seat, connection, code));
                    }
                }
                server::Output::Event(_) => {}
            }
        }
    }

    /// A connection of somebody who is no agent.
    pub fn stranger(&mut self) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.server.handle_connected(connection, self.now);
        self.drain_server();
        connection
    }

    /// Bytes arrive at the server. What it sends to a stranger is in the log only.
    pub fn arrive(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.server.handle_message(connection, bytes, self.now);
        self.drain_server();
    }

    /// The server is told something that comes over no connection.
    pub fn tell_server<T>(&mut self, act: impl FnOnce(&mut Server, Instant) -> T) -> T {
        let result = act(&mut self.server, self.now);
        self.drain_server();
        result
    }

    fn record(&mut self, from_server: bool, connection: ConnectionId, bytes: &[u8]) {
        if !self.recording {
            return;
        }
        if let Ok(message) = Message::parse(bytes, &Limits::default()) {
            self.log.push(Crossing { at: self.now, from_server, connection, message });
        }
    }

    fn hang_up(&mut self, seat: usize) {
        if let Some(connection) = self.seats[seat].connection.take() {
            if let Some(relay) = &mut self.relay {
                relay.lose(connection);
            }
            self.server.handle_disconnected(connection, self.now);
            self.drain_server();
        }
    }

    /// Cuts the link of a seat; it cannot connect until [`Self::restore`].
    pub fn cut(&mut self, seat: usize) {
        self.seats[seat].cut = true;
        if self.seats[seat].connection.is_some() {
            self.hang_up(seat);
            self.lose(seat);
        }
    }

    /// Lets a seat connect again.
    pub fn restore(&mut self, seat: usize) {
        self.seats[seat].cut = false;
    }

    /// The server forgets everything, and all links are lost.
    pub fn restart_server(&mut self) {
        self.server = Server::new(self.config.clone(), self.random.seed(), self.now).unwrap();
        self.relay = self.relay.take().map(|_| Relay::default());
        self.wire.clear();
        for seat in 0..self.seats.len() {
            if self.seats[seat].connection.take().is_some() {
                self.lose(seat);
            }
        }
    }

    /// Moves the clock by `span`, with everything that happens meanwhile.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let mut rounds = 0_u32;
        loop {
            rounds += 1;
            assert!(rounds < 1_000_000, "the world does not come to rest");
            let wire = self.wire.keys().next().map(|(at, _)| *at);
            let server = self.server.poll_timeout().map(|(at, _)| at);
            let agents = self
                .seats
                .iter()
                .filter(|s| !s.asleep)
                .filter_map(|s| s.agent.poll_timeout())
                .map(|(at, _)| at)
                .min();
            let Some(next) = earliest(wire, earliest(server, agents)).filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if wire.is_some_and(|at| at <= self.now) {
                if let Some((_, delivery)) = self.wire.pop_first() {
                    self.deliver(delivery);
                }
                continue;
            }
            self.server.handle_timeout(self.now);
            self.drain_server();
            for seat in 0..self.seats.len() {
                if !self.seats[seat].asleep {
                    self.seats[seat].agent.handle_timeout(self.now);
                    self.drain_agent(seat);
                }
            }
        }
        self.now = end;
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// The seat whose page `delivery` is for.
    fn receiver(&self, delivery: &Delivery) -> Option<usize> {
        match delivery {
            Delivery::Open(seat) | Delivery::Refuse(seat) | Delivery::Lose(seat, _, _) => Some(*seat),
            Delivery::ToAgent(connection, _) => {
                self.seats.iter().position(|s| s.connection == Some(*connection))
            }
            Delivery::ToServer(..) => None,
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        if let Some(seat) = self.receiver(&delivery).filter(|seat| self.seats[*seat].asleep) {
            self.seats[seat].held.push(delivery);
            return;
        }
        match delivery {
            Delivery::Open(seat) if self.seats[seat].cut => {
                self.seats[seat].agent.handle_disconnected(1006, "", self.now);
                self.drain_agent(seat);
            }
            Delivery::Open(seat) => {
                let connection = ConnectionId(self.next_connection);
                self.next_connection += 1;
                self.seats[seat].connection = Some(connection);
                self.server.handle_connected(connection, self.now);
                self.drain_server();
                self.seats[seat].agent.handle_connected(self.now);
                self.drain_agent(seat);
            }
            Delivery::Refuse(seat) => {
                self.seats[seat].agent.handle_disconnected(1006, "", self.now);
                self.drain_agent(seat);
            }
            Delivery::ToServer(connection, bytes) => {
                let name =
                    self.seats.iter().find(|s| s.connection == Some(connection)).map(|s| s.name.clone());
                if self.silent {
                    return;
                }
                if let Some(relay) = &mut self.relay {
                    if let Some((to, bytes)) = name.and_then(|name| relay.handle(connection, &name, &bytes)) {
                        self.record(true, to, &bytes);
                        self.post(Delivery::ToAgent(to, bytes));
                    }
                    return;
                }
                self.server.handle_message(connection, &bytes, self.now);
                self.drain_server();
            }
            Delivery::ToAgent(connection, bytes) => {
                if let Some(seat) = self.seats.iter().position(|s| s.connection == Some(connection)) {
                    self.seats[seat].agent.handle_message(&bytes, self.now);
                    self.drain_agent(seat);
                }
            }
            Delivery::Lose(seat, connection, code) => {
                if self.seats[seat].connection == Some(connection) {
                    self.hang_up(seat);
                    self.seats[seat].agent.handle_disconnected(code, "", self.now);
                    self.drain_agent(seat);
                }
            }
        }
    }

    pub fn watch(&mut self, seat: usize, name: &str) -> WatchId {
        let id = self.seats[seat].agent.watch(&Uri::parse(&address(name)).unwrap(), self.now);
        self.drain_agent(seat);
        id
    }

    /// Watches several in one call.
    pub fn watch_all(&mut self, seat: usize, names: impl Iterator<Item = String>) -> Vec<WatchId> {
        let targets: Vec<Uri> = names.map(|name| Uri::parse(&address(&name)).unwrap()).collect();
        let ids = self.seats[seat].agent.watch_all(&targets, self.now);
        self.drain_agent(seat);
        ids
    }

    /// The server is told what `watcher` gets of `presentity`.
    pub fn decide(&mut self, presentity: &str, watcher: &str, decision: server::Decision) {
        self.server.set_policy(presentity, watcher, decision, self.now);
        self.drain_server();
    }

    /// The page of `seat`, a presence agent, is told what `watcher` gets.
    pub fn set_policy(&mut self, seat: usize, watcher: &str, decision: server::Decision) {
        self.seats[seat].agent.set_policy(&Uri::parse(&address(watcher)).unwrap(), decision, self.now);
        self.drain_agent(seat);
    }

    pub fn unwatch(&mut self, seat: usize, id: WatchId) {
        self.seats[seat].agent.unwatch(id, self.now);
        self.drain_agent(seat);
    }

    pub fn fetch(&mut self, seat: usize, name: &str) -> RequestId {
        let id = self.seats[seat].agent.fetch(&Uri::parse(&address(name)).unwrap(), self.now);
        self.drain_agent(seat);
        id
    }

    pub fn publish(&mut self, seat: usize, status: Status, note: &str) -> RequestId {
        let note = Some(note.to_owned()).filter(|note| !note.is_empty());
        self.publish_state(
            seat,
            PublishedState { status, activities: Vec::new(), note, until: None, input: None },
        )
    }

    pub fn publish_state(&mut self, seat: usize, state: PublishedState) -> RequestId {
        let id = self.seats[seat].agent.publish(state, self.now);
        self.drain_agent(seat);
        id
    }

    pub fn unpublish(&mut self, seat: usize) -> RequestId {
        let id = self.seats[seat].agent.unpublish(self.now);
        self.drain_agent(seat);
        id
    }

    pub fn close(&mut self, seat: usize) {
        self.seats[seat].agent.close(self.now);
        self.drain_agent(seat);
    }

    #[track_caller]
    pub fn view(&self, seat: usize, id: WatchId) -> Rc<View> {
        Rc::clone(self.seats[seat].agent.view(id).expect("no such watch"))
    }

    /// Status and note that a seat sees.
    #[track_caller]
    pub fn sees(&self, seat: usize, id: WatchId) -> (Status, Option<String>) {
        let view = self.view(seat, id);
        (view.summary.status, view.summary.note.clone())
    }

    /// How a publication ended; `None` if it has not.
    pub fn published(&self, seat: usize, id: RequestId) -> Option<Result<(), Box<agent::Failure>>> {
        self.seats[seat].events.iter().find_map(|event| match event {
            Event::Published { request, result } if *request == id => Some(result.clone()),
            _ => None,
        })
    }
}

/// Messages of one stream keep their order.
fn stream(delivery: &Delivery) -> (u8, u32) {
    match delivery {
        Delivery::Open(seat) | Delivery::Refuse(seat) => (0, u32::try_from(*seat).unwrap()),
        Delivery::ToServer(connection, _) => (1, connection.0),
        Delivery::ToAgent(connection, _) | Delivery::Lose(_, connection, _) => (2, connection.0),
    }
}

/// The address of a user.
pub fn address(name: &str) -> String {
    ["sip:", name, "@", DOMAIN].concat()
}
