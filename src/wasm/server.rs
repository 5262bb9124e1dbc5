//! The class that the JavaScript of a presence server drives: one [`Server`] and its timer. The WebSockets are the
//! host's, for it is the one that accepts them.

use super::clock::Clock;
use super::seed;
use super::timer::Timer;
use crate::event::Decision;
use crate::server::{Config, ConnectionId, Event, Output, Server, xcap};
use crate::time::Instant;
use core::cell::{Cell, RefCell};
use core::str;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Who sends, closes and hears of events. No method may throw.
    pub type ServerHost;
    #[wasm_bindgen(method)]
    fn send(this: &ServerHost, connection: u32, text: &str);
    #[wasm_bindgen(method, js_name = sendBinary)]
    fn send_binary(this: &ServerHost, connection: u32, bytes: &[u8]);
    #[wasm_bindgen(method)]
    fn close(this: &ServerHost, connection: u32, code: u16, reason: &str);
    /// `about`: user, or method. `more`: the presentity who is watched, or the status code and who it was, if known.
    #[wasm_bindgen(method)]
    fn event(this: &ServerHost, kind: &str, about: &str, more: &str);
    /// Calls [`ServerCore::fired`] after so many milliseconds, and not when it was to be called before.
    #[wasm_bindgen(method)]
    fn arm(this: &ServerHost, milliseconds: u32);
}

/// A presence server without its sockets.
#[wasm_bindgen]
pub struct ServerCore(Shell);

struct Shell {
    server: RefCell<Server>,
    host: ServerHost,
    clock: Clock,
    timer: Timer,
    pumping: Cell<bool>,
}

#[wasm_bindgen]
impl ServerCore {
    /// A server from its configuration in JSON.
    ///
    /// # Errors
    /// A sentence that names the field of the configuration that cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &str, host: ServerHost) -> Result<Self, String> {
        let config = Config::from_json(config).map_err(|error| error.to_string())?;
        let clock = Clock::default();
        let server = Server::new(config, seed(), clock.now()).map_err(|error| error.to_string())?;
        Ok(Self(Shell {
            server: RefCell::new(server),
            host,
            clock,
            timer: Timer::default(),
            pumping: Cell::new(false),
        }))
    }

    /// A WebSocket with sub-protocol `sip` was accepted. `connection`: a number of the host's, used once.
    pub fn connected(&self, connection: u32) {
        self.0.tell(|server, now| server.handle_connected(ConnectionId(connection), now));
    }

    /// One message arrived.
    pub fn message(&self, connection: u32, bytes: &[u8]) {
        self.0.tell(|server, now| server.handle_message(ConnectionId(connection), bytes, now));
    }

    /// A WebSocket is gone.
    pub fn disconnected(&self, connection: u32) {
        self.0.tell(|server, now| server.handle_disconnected(ConnectionId(connection), now));
    }

    /// What `watcher` gets of `presentity` from now on; false if one of them is no user, or the word is none.
    #[wasm_bindgen(js_name = setPolicy)]
    pub fn set_policy(&self, presentity: &str, watcher: &str, word: &str) -> bool {
        let decision = Decision::from_word(if word == "confirm" { "ask" } else { word });
        decision.is_some_and(|decision| {
            self.0.tell(|server, now| server.set_policy(presentity, watcher, decision, now))
        })
    }

    /// What is to be kept over a restart, after something was decided.
    ///
    /// # Errors
    /// Why there is no text of it.
    pub fn state(&self) -> Result<String, String> {
        self.0.server.borrow().state().map_err(|error| error.to_string())
    }

    /// Takes over what was kept; before the first connection.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn restore(&self, text: &str) -> Result<(), String> {
        self.0.tell(|server, now| server.restore(text, now)).map_err(|error| error.to_string())
    }

    /// A request below the XCAP root. `request`: method, path below the root, and the headers Authorization, Content-Type,
    /// If-Match and If-None-Match, each "" if it is absent. Gives status code, body, and names and values of headers.
    pub fn xcap(&self, request: Vec<String>, body: &[u8]) -> Vec<String> {
        let field = |at: usize| request.get(at).map(String::as_str).unwrap_or_default();
        let header = |at: usize| Some(field(at)).filter(|value| !value.is_empty());
        let request = xcap::Request {
            method: field(0),
            path: field(1),
            authorization: header(2),
            content_type: header(3),
            if_match: header(4),
            if_none_match: header(5),
            body,
        };
        let answer = self.0.tell(|server, now| server.handle_xcap(&request, now));
        let headers = answer.headers.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        [answer.status.to_string(), answer.body].into_iter().chain(headers).collect()
    }

    /// Tells all watchers that the server goes away.
    pub fn shutdown(&self) {
        self.0.tell(Server::shutdown);
    }

    /// The timer has fired.
    pub fn fired(&self) {
        self.0.timer.handle_fired();
        self.0.tell(Server::handle_timeout);
    }
}

impl Shell {
    /// Tells the server something, in a short borrow, and acts on what follows.
    fn tell<T>(&self, act: impl FnOnce(&mut Server, Instant) -> T) -> T {
        let now = self.clock.now();
        let result = act(&mut self.server.borrow_mut(), now);
        self.pump();
        result
    }

    fn pump(&self) {
        if self.pumping.replace(true) {
            return;
        }
        loop {
            let Some(output) = self.server.borrow_mut().poll() else { break };
            self.act(output);
        }
        self.pumping.set(false);
        let due = self.server.borrow().poll_timeout();
        if let Some(wait) = self.timer.arm(due.map(|(at, _)| at), self.clock.now()) {
            self.host.arm(wait);
        }
    }

    fn act(&self, output: Output) {
        match output {
            Output::Send(connection, bytes) => match str::from_utf8(&bytes) {
                Ok(text) => self.host.send(connection.0, text),
                Err(_) => self.host.send_binary(connection.0, &bytes),
            },
            Output::Close(connection, code, reason) => self.host.close(connection.0, code, reason),
            Output::Event(Event::Registered { user }) => self.host.event("registered", &user, ""),
            Output::Event(Event::Published { user }) => self.host.event("published", &user, ""),
            Output::Event(Event::Ruled { user }) => self.host.event("ruled", &user, ""),
            Output::Event(Event::Ignored { user }) => self.host.event("ignored", &user, ""),
            Output::Event(Event::Conflict { user, what }) => self.host.event("conflict", &user, &what),
            Output::Event(Event::Subscribed { watcher, presentity }) => {
                self.host.event("subscribed", &watcher, &presentity);
            }
            Output::Event(Event::Refused { method, status, user }) => {
                let mut more = status.to_string();
                if let Some(user) = user {
                    more.push(' ');
                    more.push_str(&user);
                }
                self.host.event("refused", &method, &more);
            }
        }
    }
}
