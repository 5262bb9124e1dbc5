//! The class that the JavaScript of a page drives: one [`Agent`], its socket and its timer.

use super::clock::Clock;
use super::fields::{config, credentials, publication};
use super::input::Input;
use super::record::Record;
use super::seed;
use super::socket::Socket;
use super::timer::Timer;
use crate::agent::{Agent, ChallengeId, Direction, Event, Output, Subject, WatchId};
use crate::sip::Uri;
use crate::time::Instant;
use core::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::WebSocket;

#[wasm_bindgen]
extern "C" {
    /// Who hears of events, and tells what its socket and its timer say. No method may throw.
    pub type Host;
    #[wasm_bindgen(method)]
    fn handle(this: &Host, kind: u32, id: u32, words: &[u32], text: &str);
    /// A WebSocket to `url` that gives array buffers and tells all its events but errors. Where there is none, it tells
    /// that it was closed.
    #[wasm_bindgen(method)]
    fn open(this: &Host, url: &str) -> Option<WebSocket>;
    /// Where messages and texts are to be written from now on.
    #[wasm_bindgen(method)]
    pub(super) fn lend(this: &Host, buffer: &mut [u8]);
    /// Writes the options, fields as for [`config`], and says how many bytes they have.
    #[wasm_bindgen(method, js_name = writeOptions)]
    fn write_options(this: &Host) -> u32;
}

/// How much above the limit of a message is read: enough to see that it is too large.
const MORE: usize = 4;

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
    Challenged,
    Timer,
    Explained,
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
    /// The WebSocket is open; 1 if the server has selected the sub-protocol.
    pub const OPENED: u32 = 12;
    /// The WebSocket was closed with this code, and with the reason `text`.
    pub const CLOSED: u32 = 13;
    /// The timer has fired.
    pub const FIRED: u32 = 14;
    /// The answer to a challenge: the fields of credentials, or none to give up.
    pub const CREDENTIALS: u32 = 15;
    /// Tells the host at once what is known of a watch, or of the member `text` of a list: status, rule and element id;
    /// then, if there is any, the last document, and what was wrong in it.
    pub const EXPLAIN: u32 = 16;
}

/// An agent with its connection. A verb only tells the agent; call [`Core::pump`] after it.
#[wasm_bindgen]
pub struct Core(pub(super) Rc<Shell>);

pub(super) struct Shell {
    agent: RefCell<Agent>,
    pub(super) host: Host,
    clock: Clock,
    input: RefCell<Input>,
    socket: RefCell<Option<Rc<Socket>>>,
    timer: Timer,
    pumping: Cell<bool>,
}

#[wasm_bindgen]
impl Core {
    /// An agent that wants to connect. `room`: more bytes than the options have.
    ///
    /// # Errors
    /// A sentence that names the option that cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(room: u32, host: Host) -> Result<Self, String> {
        let mut input = Input::new();
        input.reserve(room as usize, false, &host);
        let config = config(input.text(host.write_options() as usize))?;
        input.most = config.limits.message.saturating_add(MORE);
        let clock = Clock::default();
        let agent = Agent::new(config, seed(), clock.now()).map_err(|error| error.as_str().to_owned())?;
        Ok(Self(Rc::new(Shell {
            agent: RefCell::new(agent),
            clock,
            input: RefCell::new(input),
            socket: RefCell::new(None),
            timer: Timer::default(),
            pumping: Cell::new(false),
            host,
        })))
    }

    /// Acts on everything that is to be done, and arms the timer.
    pub fn pump(&self) {
        self.0.pump();
    }

    /// Tells the agent what the page wants: see [`verb`]. The text has been written, and has `length` bytes. What is
    /// returned is the number of a watch or of a request, 0 if an address cannot be read.
    pub fn tell(&self, verb: u32, number: u32, length: u32) -> u32 {
        // It goes last: a socket of the application's own may call back from there.
        let _closed = if verb == verb::CLOSED { self.0.socket.take() } else { None };
        if verb == verb::FIRED {
            self.0.timer.handle_fired();
        }
        let input = self.0.input.borrow();
        let text = input.text(length as usize);
        if verb == verb::EXPLAIN {
            self.0.explain(WatchId(number), text);
        }
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
                verb::OPENED if number != 0 => agent.handle_connected(now),
                verb::OPENED => agent.handle_wrong_protocol(now),
                verb::CLOSED => {
                    agent.handle_disconnected(u16::try_from(number).unwrap_or_default(), text, now)
                }
                verb::FIRED => agent.handle_timeout(now),
                verb::CREDENTIALS => agent.provide_credentials(ChallengeId(number), credentials(text), now),
                _ => {}
            }
            0
        })
    }

    /// Lends room for a text of `bytes`, or for a message of as many unless none may have them.
    pub fn reserve(&self, bytes: u32, is_message: bool) {
        self.0.input.borrow_mut().reserve(bytes as usize, is_message, &self.0.host);
    }

    /// A message of `length` bytes has been written; acts on it.
    pub fn receive(&self, length: u32) {
        let shell = &self.0;
        shell.tell(|agent, now| agent.handle_message(shell.input.borrow().bytes(length as usize), now));
        shell.pump();
    }

    /// Lets go of the socket. Not from inside a callback.
    pub fn release(&self) {
        self.0.socket.replace(None);
    }
}

impl Shell {
    /// Tells the agent something, in a short borrow.
    pub(super) fn tell<T>(&self, act: impl FnOnce(&mut Agent, Instant) -> T) -> T {
        let now = self.clock.now();
        act(&mut self.agent.borrow_mut(), now)
    }

    fn explain(&self, watch: WatchId, uri: &str) {
        let mut record = Record::default();
        let mut texts = Vec::new();
        if let Some((status, rule, element)) = self.agent.borrow().explain(watch, uri) {
            texts = vec![status.to_owned(), rule.to_owned(), element];
            texts.extend(self.agent.borrow().last_document(watch, uri).unwrap_or_default());
        }
        record.list(&texts, |record, text| record.text(text));
        self.handle(Kind::Explained, 0, &record);
    }

    /// A call from inside a callback does nothing: the pump that runs finds what it did.
    pub(super) fn pump(self: &Rc<Self>) {
        if self.pumping.replace(true) {
            return;
        }
        loop {
            let Some(output) = self.agent.borrow_mut().poll() else { break };
            self.act(output);
        }
        self.pumping.set(false);
        let due = self.agent.borrow().poll_timeout();
        if let Some(wait) = self.timer.arm(due.map(|(at, _)| at), self.clock.now()) {
            self.handle(Kind::Timer, wait, &Record::default());
        }
    }

    /// Has the host act as soon as it can.
    #[cfg(feature = "full")]
    pub(super) fn hurry(&self) {
        self.handle(Kind::Timer, 0, &Record::default());
    }

    fn act(self: &Rc<Self>, output: Output) {
        match output {
            Output::Connect { url } => self.connect(&url),
            Output::Send(bytes) => {
                // Not borrowed while it sends: a socket of the application's own may call back from there.
                let socket = self.socket.borrow().clone();
                if let Some(socket) = socket {
                    socket.send(&bytes);
                }
            }
            Output::Close => drop(self.socket.replace(None)),
            Output::Event(event) => self.announce(event),
        }
    }

    fn connect(&self, url: &str) {
        if let Some(socket) = self.host.open(url) {
            self.socket.replace(Some(Rc::new(Socket::new(socket))));
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
                record.result(result.err().as_deref());
                (Kind::Settled, request.0)
            }
            Event::Fetched { request, result } => {
                record.result(result.as_ref().err().map(|failure| &**failure));
                if let Ok(view) = &result {
                    record.view(view);
                }
                (Kind::Fetched, request.0)
            }
            Event::Challenged(challenged) => {
                record.challenge(&challenged);
                (Kind::Challenged, challenged.id.0)
            }
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
}
