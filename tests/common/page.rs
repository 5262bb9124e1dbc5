//! An agent whose server is the test: it reads what the agent sends, message by message, and answers by hand.

use super::START;
use sip_presence::agent::{
    Agent, Config, ConnectionState, Credentials, Event, Failure, Output, View, WatchId,
};
use sip_presence::sip::auth::Secret;
use sip_presence::sip::{Limits, Message, Name, NameAddr, Uri};
use sip_presence::time::{Duration, Instant};
use std::collections::VecDeque;
use std::rc::Rc;

/// Alice's page.
pub struct Page {
    pub agent: Agent,
    pub now: Instant,
    sent: VecDeque<Message>,
    pub events: Vec<Event>,
    pub connects: Vec<String>,
    pub closes: usize,
    /// Keep-alives of line ends that were sent.
    pub pings: usize,
    /// CSeq of the notifications that the test sends.
    notify_sequence: u32,
}

impl Page {
    /// Not connected yet. It sends no keep-alive by itself, so that a test may let hours pass in silence.
    pub fn new(adjust: impl FnOnce(&mut Config)) -> Self {
        let aor = Uri::parse("sip:alice@example.com").unwrap();
        let mut config = Config::new("wss://example.com/ws", aor);
        config.credentials = Credentials::Fixed {
            username: "alice".to_owned(),
            secret: Secret::Password("wonderland".to_owned()),
        };
        config.keep_alive = Some(0);
        adjust(&mut config);
        let agent = Agent::new(config, [42; 32], START).unwrap();
        let mut page = Self {
            agent,
            now: START,
            sent: VecDeque::new(),
            events: Vec::new(),
            connects: Vec::new(),
            closes: 0,
            pings: 0,
            notify_sequence: 100,
        };
        page.drain();
        page
    }

    /// Connected.
    pub fn online() -> Self {
        Self::online_with(|_| {})
    }

    /// Connected, with another configuration.
    pub fn online_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut page = Self::new(adjust);
        page.connect();
        page
    }

    /// Connected, and watching Bob: the SUBSCRIBE has been sent and not answered.
    pub fn trying() -> (Self, WatchId, Message) {
        let mut page = Self::online();
        let id = page.watch("sip:bob@example.com");
        let subscribe = page.next_sent();
        (page, id, subscribe)
    }

    /// Connected, and watching Bob with an active subscription of 3600 s and no document yet.
    pub fn watching() -> (Self, WatchId, Message) {
        let (mut page, id, subscribe) = Self::trying();
        page.accept(&subscribe, 3600);
        assert_eq!(page.notify(&subscribe, "active;expires=3600", ""), 200);
        (page, id, subscribe)
    }

    pub fn connect(&mut self) {
        self.agent.handle_connected(self.now);
        self.drain();
    }

    pub fn disconnect(&mut self) {
        self.agent.handle_disconnected(1006, "", self.now);
        self.drain();
    }

    pub fn watch(&mut self, uri: &str) -> WatchId {
        let id = self.agent.watch(&Uri::parse(uri).unwrap(), self.now);
        self.drain();
        id
    }

    pub fn unwatch(&mut self, id: WatchId) {
        self.agent.unwatch(id, self.now);
        self.drain();
    }

    /// Moves the clock, firing each deadline at its time.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        let mut rounds = 0;
        while let Some((at, why)) = self.agent.poll_timeout().filter(|(at, _)| *at <= end) {
            rounds += 1;
            assert!(rounds < 100_000, "the agent wants to be woken for {why} again and again");
            self.now = self.now.max(at);
            self.agent.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        self.agent.handle_timeout(end);
        self.drain();
    }

    /// Moves the clock while no timer fires, as in a tab that is hidden; then one does.
    pub fn throttled(&mut self, span: Duration) {
        self.now = self.now + span;
        self.agent.handle_timeout(self.now);
        self.drain();
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.agent.handle_message(bytes, self.now);
        self.drain();
    }

    /// Takes the outputs of what the test has done with the agent by itself.
    pub fn drain_now(&mut self) {
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send(bytes) if bytes == b"\r\n\r\n" => self.pings += 1,
                Output::Send(bytes) => {
                    self.sent.push_back(Message::parse(&bytes, &Limits::default()).unwrap());
                }
                Output::Connect { url } => self.connects.push(url),
                Output::Close => self.closes += 1,
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The oldest message that was sent and not looked at.
    #[track_caller]
    pub fn next_sent(&mut self) -> Message {
        self.sent.pop_front().expect("nothing was sent")
    }

    /// Whether all that was sent has been looked at.
    pub fn is_silent(&self) -> bool {
        self.sent.is_empty()
    }

    /// How many messages were sent and not looked at.
    pub fn pending(&self) -> usize {
        self.sent.len()
    }

    /// Answers `request` with `status` and header lines.
    pub fn respond(&mut self, request: &Message, status: u16, headers: &[(Name, &str)]) {
        let mut response = Message::response(request, status, Some("server-tag"));
        for (name, value) in headers {
            response.push(name.clone(), *value);
        }
        self.receive(&response.to_bytes());
    }

    /// Answers a SUBSCRIBE with 200.
    pub fn accept(&mut self, subscribe: &Message, expires: u32) {
        let expires = expires.to_string();
        let contact = (Name::Contact, "<sip:pa.example.com;transport=ws>");
        self.respond(subscribe, 200, &[(Name::Expires, &expires), contact]);
    }

    /// A NOTIFY for `subscribe` by the notifier `server-tag`; the status code of the answer to it.
    pub fn notify(&mut self, subscribe: &Message, state: &str, body: &str) -> u16 {
        self.notify_sequence += 1;
        let notify = notification(subscribe, "server-tag", self.notify_sequence, state, body);
        self.deliver(&notify)
    }

    /// Delivers any request; the status code of the answer to it.
    pub fn deliver(&mut self, request: &Message) -> u16 {
        let before = self.sent.len();
        self.receive(&request.to_bytes());
        let answer = self.sent.remove(before).expect("no answer");
        assert_eq!(answer.call_id(), request.call_id());
        answer.status().expect("an answer is a response")
    }

    /// A message as another program writes it, line by line: `{call}`, `{tag}`, `{user}`, `{via}` and `{cseq}` stand for
    /// Call-ID, From tag, the user of the Contact, Via and CSeq of our `request`, `{length}` for the size of
    /// `body`. The status code of the answer, if there is one.
    pub fn wire(&mut self, request: &Message, head: &str, body: &str) -> Option<u16> {
        self.wire_bytes(request, head, body.as_bytes())
    }

    /// The same with a body of any bytes.
    pub fn wire_bytes(&mut self, request: &Message, head: &str, body: &[u8]) -> Option<u16> {
        let contact = request.contact().unwrap().uri;
        let text = head
            .replace("{call}", request.call_id())
            .replace("{tag}", request.from().unwrap().tag().unwrap())
            .replace("{user}", contact.user.as_deref().unwrap())
            .replace("{via}", request.header(&Name::Via).unwrap())
            .replace("{cseq}", request.header(&Name::CSeq).unwrap())
            .replace("{length}", &body.len().to_string());
        let before = self.sent.len();
        let head = [text.trim_end(), "\n\n"].concat().replace('\n', "\r\n");
        self.receive(&[head.as_bytes(), body].concat());
        let answer = self.sent.get(before)?.status();
        answer.inspect(|_| drop(self.sent.remove(before)))
    }

    /// The view of a watch.
    #[track_caller]
    pub fn view(&self, id: WatchId) -> Rc<View> {
        Rc::clone(self.agent.view(id).expect("no such watch"))
    }

    /// The views told since the last call.
    pub fn told(&mut self) -> Vec<Rc<View>> {
        let events = core::mem::take(&mut self.events);
        let views = events.iter().filter_map(|event| match event {
            Event::State { view, .. } | Event::Member { view, .. } => Some(Rc::clone(view)),
            _ => None,
        });
        let views = views.collect();
        self.events = events
            .into_iter()
            .filter(|event| !matches!(event, Event::State { .. } | Event::Member { .. }))
            .collect();
        views
    }

    /// The failures told so far, of all kinds of events.
    pub fn failures(&self) -> Vec<Failure> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Error(failure)
                | Event::Published { result: Err(failure), .. }
                | Event::Fetched { result: Err(failure), .. }
                | Event::Connection(ConnectionState::Reconnecting { reason: failure, .. }) => {
                    Some(failure.as_ref().clone())
                }
                _ => None,
            })
            .collect()
    }
}

/// A NOTIFY inside the dialog that `subscribe` asked for.
pub fn notification(subscribe: &Message, tag: &str, cseq: u32, state: &str, body: &str) -> Message {
    let target = subscribe.contact().unwrap().uri;
    let mut notify = Message::request(sip_presence::sip::Method::Notify, target);
    notify.push(Name::Via, format!("SIP/2.0/WSS pa.example.com;branch=z9hG4bKn{tag}{cseq}"));
    notify.push(Name::MaxForwards, "70");
    notify.push(Name::To, subscribe.header(&Name::From).unwrap());
    let mut from = subscribe.to().unwrap();
    from.params.remove("tag");
    notify.push(Name::From, from.with_tag(tag).to_string());
    notify.push(Name::CallId, subscribe.call_id());
    notify.push(Name::CSeq, format!("{cseq} NOTIFY"));
    notify.push(Name::Contact, NameAddr::new(Uri::sip_host("pa.example.com")).to_string());
    notify.push(Name::Event, "presence");
    notify.push(Name::SubscriptionState, state);
    if !body.is_empty() {
        notify.set_body("application/pidf+xml", body.as_bytes().to_vec());
    }
    notify
}
