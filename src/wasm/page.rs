//! The class that the JavaScript of a page drives: one [`Agent`], its socket and its timer.

use super::clock::Clock;
use super::fields::{config, credentials, publication};
use super::input::Input;
use super::record::Record;
use super::seed;
use super::socket::{Handlers, Socket, send};
use super::timer::Timer;
use crate::agent::{Agent, Challenged, Direction, Event, Output, Subject, WatchId};
use crate::pieces::{concat, joined};
use crate::sip::Uri;
use crate::time::Instant;
use core::cell::{Cell, RefCell};
use js_sys::{Function, JsString, Promise};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{CloseEvent, MessageEvent};

#[wasm_bindgen]
extern "C" {
    /// Who hears of events. No method may throw.
    pub type Host;
    #[wasm_bindgen(method)]
    fn handle(this: &Host, kind: u32, id: u32, words: &[u32], text: &str);
    /// Resolves to fields as for [`credentials`], or to undefined.
    #[wasm_bindgen(method, js_name = askCredentials)]
    fn ask_credentials(this: &Host, words: &[u32], text: &str) -> Promise;
    /// A WebSocket to `url` that gives array buffers, or a text why there is none.
    #[wasm_bindgen(method)]
    fn open(this: &Host, url: &str) -> JsValue;
    /// The function, so that nothing which it throws gets lost.
    #[wasm_bindgen(method)]
    fn guard(this: &Host, callback: &Function) -> Function;
}

/// The kinds of events, in the order of `src/js/core.ts`.
#[derive(Clone, Copy)]
enum Kind {
    State,
    Connection,
    Error,
    Trace,
    Settled,
    Fetched,
    Closed,
    Member,
    Session,
    #[cfg(feature = "full")]
    Watchers,
}

/// The order is that of `src/js/core.ts`.
const SUBJECTS: [Subject; 4] = [Subject::Presence, Subject::List, Subject::Dialogs, Subject::Watchers];

fn subject(number: u32) -> Subject {
    SUBJECTS.get(number as usize).copied().unwrap_or_default()
}

/// What [`Core::tell`] tells, with the numbers of `src/js/core.ts`: an export for each would cost a page more.
pub mod verb {
    /// The address `text`, with the number of `SUBJECTS`. [`START`] after one or several.
    pub const WATCH: u32 = 0;
    /// Begins with what is to be watched.
    pub const START: u32 = 1;
    /// Tells the host the state of a watch, whether it is news or not; of a list also the states of its members.
    pub const RECALL: u32 = 2;
    /// Ends one watch.
    pub const UNWATCH: u32 = 3;
    /// Asks once about the address `text`, with the number of `SUBJECTS`.
    pub const FETCH: u32 = 4;
    /// Publishes the fields `text`.
    pub const PUBLISH: u32 = 5;
    /// Withdraws the publication.
    pub const UNPUBLISH: u32 = 6;
    /// The page is awake, or with 1 the network is back.
    pub const WAKE: u32 = 7;
    /// `text` is what the tab has kept of an earlier load; from now on it is told what to keep.
    pub const RESTORE: u32 = 8;
    /// The page goes away, perhaps for ever: everything is ended without waiting for answers.
    pub const SUSPEND: u32 = 9;
    /// With 1 messages are told as traces.
    pub const TRACE: u32 = 10;
    /// Ends everything within a second; the last event says that it is done.
    pub const CLOSE: u32 = 11;
}

/// An agent with its connection. A verb only tells the agent; call [`Core::pump`] after it.
#[wasm_bindgen]
pub struct Core(pub(super) Rc<Shell>);

pub(super) struct Shell {
    agent: RefCell<Agent>,
    pub(super) host: Host,
    clock: Clock,
    input: RefCell<Input>,
    socket: RefCell<Option<Socket>>,
    /// What the socket and the timer call. They hold the shell, and so keep an agent alive that nobody holds; it ends
    /// with [`Core::release`].
    handlers: RefCell<Option<Rc<Handlers>>>,
    timer: RefCell<Option<Timer>>,
    pumping: Cell<bool>,
}

#[wasm_bindgen]
impl Core {
    /// An agent that wants to connect. `options`: fields, see [`config`]. `seed`: 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// A sentence that names the field of `options` that cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str, host: Host, seed: &[u8]) -> Result<Self, String> {
        let config = config(options)?;
        let clock = Clock::default();
        let input = RefCell::new(Input::new(config.limits.message));
        let agent =
            Agent::new(config, self::seed(seed)?, clock.now()).map_err(|error| error.as_str().to_owned())?;
        let shell = Rc::new(Shell {
            agent: RefCell::new(agent),
            clock,
            input,
            socket: RefCell::new(None),
            handlers: RefCell::new(None),
            timer: RefCell::new(None),
            pumping: Cell::new(false),
            host,
        });
        shell.listen();
        Ok(Self(shell))
    }

    /// Acts on everything that is to be done, and arms the timer.
    pub fn pump(&self) {
        self.0.pump();
    }

    /// Tells the agent what the page wants: see [`verb`]. What is returned is the number of a watch or of a request, 0 if
    /// an address cannot be read.
    pub fn tell(&self, verb: u32, number: u32, text: &str) -> u32 {
        self.0.tell(|agent, now| {
            match verb {
                verb::WATCH => {
                    return Uri::parse(text).map_or(0, |target| agent.hold(&target, subject(number)).0);
                }
                verb::START => agent.start(now),
                verb::RECALL => agent.recall(WatchId(number)),
                verb::UNWATCH => agent.unwatch(WatchId(number), now),
                verb::FETCH => {
                    return Uri::parse(text)
                        .map_or(0, |target| agent.fetch_subject(&target, subject(number), now).0);
                }
                verb::PUBLISH => return agent.publish(publication(text), now).0,
                verb::UNPUBLISH => return agent.unpublish(now).0,
                verb::WAKE if number != 0 => agent.handle_online(now),
                verb::WAKE => agent.handle_awake(now),
                verb::RESTORE => agent.restore(text),
                verb::SUSPEND => agent.suspend(now),
                verb::TRACE => agent.set_trace(number != 0),
                verb::CLOSE => agent.close(now),
                _ => {}
            }
            0
        })
    }

    /// Status, rule and element id of a watch, or of the member `uri` of a list, with U+0000 between them.
    pub fn explain(&self, watch: u32, uri: &str) -> Option<String> {
        let (status, rule, element) = self.0.agent.borrow().explain(WatchId(watch), uri)?;
        Some(concat(&[status, "\0", rule, "\0", &element]))
    }

    /// The last document of a watch, or of the member `uri` of a list, and what was wrong in it, with U+0000 between
    /// them: no document has that character.
    pub fn document(&self, watch: u32, uri: &str) -> Option<String> {
        let texts = self.0.agent.borrow().last_document(WatchId(watch), uri)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Some(joined(&texts, "\0"))
    }

    /// Lets go of socket, timer and callbacks. Not from inside a callback.
    pub fn release(&self) {
        self.0.socket.replace(None);
        self.0.timer.replace(None);
        self.0.handlers.replace(None);
    }
}

impl Shell {
    fn listen(self: &Rc<Self>) {
        let guard = |callback: &JsValue| self.host.guard(callback.unchecked_ref());
        let shell = Rc::clone(self);
        let open = Closure::new(move || shell.handle_open());
        let shell = Rc::clone(self);
        let message = Closure::new(move |event: MessageEvent| shell.handle_message(&event));
        let shell = Rc::clone(self);
        let close = Closure::new(move |event: CloseEvent| shell.handle_close(event.code(), &event.reason()));
        self.handlers.replace(Some(Rc::new(Handlers::new(open, message, close, guard))));
        let shell = Rc::clone(self);
        self.timer.replace(Some(Timer::new(move || shell.handle_timer(), guard)));
    }

    /// Tells the agent something, in a short borrow.
    pub(super) fn tell<T>(&self, act: impl FnOnce(&mut Agent, Instant) -> T) -> T {
        let now = self.clock.now();
        act(&mut self.agent.borrow_mut(), now)
    }

    fn handle_open(self: &Rc<Self>) {
        let speaks_sip = self.socket.borrow().as_ref().is_some_and(Socket::speaks_sip);
        self.tell(
            |agent, now| {
                if speaks_sip { agent.handle_connected(now) } else { agent.handle_wrong_protocol(now) }
            },
        );
        self.pump();
    }

    fn handle_message(self: &Rc<Self>, event: &MessageEvent) {
        let data = event.data();
        {
            let mut input = self.input.borrow_mut();
            let bytes = match data.dyn_ref::<JsString>() {
                Some(text) => input.text(text),
                None => input.binary(data.unchecked_ref()),
            };
            self.tell(|agent, now| agent.handle_message(bytes, now));
        }
        self.pump();
    }

    fn handle_close(self: &Rc<Self>, code: u16, reason: &str) {
        self.socket.replace(None);
        self.tell(|agent, now| agent.handle_disconnected(code, reason, now));
        self.pump();
    }

    fn handle_timer(self: &Rc<Self>) {
        if let Some(timer) = &*self.timer.borrow() {
            timer.handle_fired();
        }
        self.tell(Agent::handle_timeout);
        self.pump();
    }

    /// A call from inside a callback does nothing: the pump that runs finds what it did.
    fn pump(self: &Rc<Self>) {
        if self.pumping.replace(true) {
            return;
        }
        loop {
            let Some(output) = self.agent.borrow_mut().poll() else { break };
            self.act(output);
        }
        self.pumping.set(false);
        let due = self.agent.borrow().poll_timeout();
        if let Some(timer) = &*self.timer.borrow() {
            timer.arm(due.map(|(at, _)| at), self.clock.now());
        }
    }

    fn act(self: &Rc<Self>, output: Output) {
        match output {
            Output::Connect { url } => self.connect(&url),
            Output::Send(bytes) => {
                // Not borrowed while it sends: a socket of the application's own may call back from there.
                let socket = self.socket.borrow().as_ref().map(Socket::handle);
                if let Some(socket) = socket {
                    send(&socket, &bytes);
                }
            }
            Output::Close => drop(self.socket.replace(None)),
            Output::Event(event) => self.announce(event),
        }
    }

    fn connect(&self, url: &str) {
        let Some(handlers) = self.handlers.borrow().clone() else { return };
        let opened = self.host.open(url);
        match opened.as_string() {
            None => drop(self.socket.replace(Some(Socket::new(opened.unchecked_into(), &handlers)))),
            Some(reason) => self.tell(|agent, now| agent.handle_disconnected(0, &reason, now)),
        }
    }

    fn announce(self: &Rc<Self>, event: Event) {
        let mut record = Record::default();
        let (kind, id) = match event {
            Event::State { watch, view } => {
                record.view(&view);
                (Kind::State, watch.0)
            }
            Event::Member { list, view } => {
                record.view(&view);
                (Kind::Member, list.0)
            }
            Event::Connection(state) => {
                record.connection(&state);
                (Kind::Connection, 0)
            }
            Event::Error(failure) => {
                record.failure(&failure);
                (Kind::Error, 0)
            }
            Event::Trace { direction, text } => {
                record.text(&text);
                (Kind::Trace, u32::from(direction == Direction::Received))
            }
            Event::Published { request, result } => {
                record.result(result.err().as_ref());
                (Kind::Settled, request.0)
            }
            Event::Fetched { request, result } => {
                record.result(result.as_ref().err());
                if let Ok(view) = &result {
                    record.view(view);
                }
                (Kind::Fetched, request.0)
            }
            Event::Challenged(challenged) => return self.ask(challenged),
            #[cfg(feature = "full")]
            Event::Asked { question, uri, display } => {
                return super::audience::ask(self, question, &uri, display.as_deref());
            }
            #[cfg(feature = "full")]
            Event::Watchers(rows) => {
                super::audience::list(&mut record, &rows);
                (Kind::Watchers, 0)
            }
            Event::Session(text) => {
                record.text(&text);
                (Kind::Session, 0)
            }
            Event::Closed => (Kind::Closed, 0),
        };
        self.handle(kind, id, &record);
    }

    fn handle(&self, kind: Kind, id: u32, record: &Record) {
        self.host.handle(kind as u32, id, &record.words, &record.text);
    }

    fn ask(self: &Rc<Self>, challenged: Challenged) {
        let mut record = Record::default();
        record.challenge(&challenged);
        let promise = self.host.ask_credentials(&record.words, &record.text);
        let shell = Rc::clone(self);
        spawn_local(async move {
            let answer = JsFuture::from(promise).await.ok().and_then(|answer| answer.as_string());
            let answer = answer.and_then(|answer| credentials(&answer));
            shell.tell(|agent, now| agent.provide_credentials(challenged.id, answer, now));
            shell.pump();
        });
    }
}
