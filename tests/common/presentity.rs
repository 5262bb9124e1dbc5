//! Alice's page as presence agent: the test is her server, her watchers, and her own other device that watches who
//! watches.

use super::Page;
use sip_presence::agent::{Audience, Config, Event, Identities};
use sip_presence::event::Decision;
use sip_presence::presence::winfo::{self, Table};
use sip_presence::presence::{PublishedState, Status, pidf};
use sip_presence::sip::auth::{DigestCredentials, Protected, Secret};
use sip_presence::sip::{Message, Method, Name, Reason, Substate, Uri};

pub const ALICE: &str = "sip:alice@example.com";
pub const BOB: &str = "sip:bob@example.com";

/// What came of a request.
pub struct Outcome {
    /// The status code of the answer; 0 if there was none.
    pub status: u16,
    pub answer: Option<Message>,
    /// The NOTIFYs to watchers of Alice.
    pub notifies: Vec<Message>,
}

pub struct Presentity {
    pub page: Page,
    /// What the application says at once; `None`: it thinks about it.
    pub answer: Option<Decision>,
    /// What it was asked.
    pub asked: Vec<Event>,
    /// What NOTIFYs are answered with.
    pub takes: Option<u16>,
    /// The application does not even say that it thinks.
    pub silent: bool,
    /// What PUBLISH is answered with.
    pub publishes: u16,
    /// Published with each status.
    pub activities: Vec<&'static str>,
    register: Option<Message>,
    table: Table,
    /// The documents of watcher information.
    pub documents: Vec<winfo::WatcherInfo>,
    number: u32,
    /// What the proxy of the server challenges NOTIFYs with, if it does.
    pub proxy: Option<String>,
    /// NOTIFYs of Alice to herself.
    pub probes: usize,
}

impl Presentity {
    /// Online, available, and her other device knows of no watcher.
    pub fn new() -> Self {
        Self::with(Identities::Asserted, |_, _| {})
    }

    pub fn with(identities: Identities, adjust: impl FnOnce(&mut Config, &mut Audience)) -> Self {
        let mut scene = Self::alone(identities, adjust);
        let mut own = scene.subscribe(ALICE, 3600);
        own.set(Name::Event, "presence.winfo");
        assert_eq!(scene.send(&own).status, 200);
        scene
    }

    /// The same where the server's word does not count; Alice's other device proves who it is with her password.
    pub fn by_digest(identities: Identities) -> Self {
        let mut scene = Self::alone(identities, |_, _| {});
        let mut own = scene.subscribe(ALICE, 3600);
        own.set(Name::Event, "presence.winfo");
        let mut outcome = scene.send(&own);
        if outcome.status == 401 {
            let challenge = outcome.answer.unwrap().challenges(&Name::WwwAuthenticate).remove(0);
            let protected = Protected { method: "SUBSCRIBE", uri: ALICE, body: b"" };
            let secret = Secret::Password("wonderland".to_owned());
            let row = DigestCredentials::answer(&challenge, "alice", &secret, protected, "c", 1).unwrap();
            own.set(Name::Authorization, row.to_string());
            outcome = scene.send(&own);
        }
        assert_eq!(outcome.status, 200);
        scene
    }

    fn alone(identities: Identities, adjust: impl FnOnce(&mut Config, &mut Audience)) -> Self {
        let page = Page::online_with(|config| {
            let mut audience = Audience::new(identities);
            adjust(config, &mut audience);
            config.audience = Some(audience);
        });
        let mut scene = Self {
            page,
            answer: None,
            asked: Vec::new(),
            takes: Some(200),
            silent: false,
            publishes: 200,
            activities: Vec::new(),
            register: None,
            table: Table::default(),
            documents: Vec::new(),
            number: 0,
            proxy: None,
            probes: 0,
        };
        scene.publish(Status::Available, "here");
        scene
    }

    /// The last REGISTER.
    #[track_caller]
    pub fn registered(&self) -> &Message {
        self.register.as_ref().expect("did not register")
    }

    /// A SUBSCRIBE by `uri`, which the server asserts.
    pub fn subscribe(&mut self, uri: &str, expires: u32) -> Message {
        self.number += 1;
        let number = self.number;
        let mut request = Message::request(Method::Subscribe, Uri::parse(ALICE).unwrap());
        request.push(Name::Via, format!("SIP/2.0/WSS example.com;branch=z9hG4bK{number}"));
        request.push(Name::RecordRoute, "<sip:example.com;lr>");
        request.push(Name::MaxForwards, "70");
        request.push(Name::To, format!("<{ALICE}>"));
        request.push(Name::From, format!("<{uri}>;tag=from{number}"));
        request.push(Name::CallId, format!("call{number}"));
        request.push(Name::CSeq, "1 SUBSCRIBE");
        request.push(Name::Contact, format!("<sip:w{number}@watcher.invalid;transport=ws>"));
        request.push(Name::Event, "presence");
        request.push(Name::Expires, expires.to_string());
        request.push(Name::Other("P-Asserted-Identity".into()), format!("<{uri}>"));
        request
    }

    /// A SUBSCRIBE in the dialog that `first` and its answer made.
    pub fn again(&mut self, first: &Message, answer: &Outcome, expires: u32) -> Message {
        self.number += 1;
        let mut request = first.clone();
        let answer = answer.answer.as_ref().unwrap();
        request.set(Name::To, answer.header(&Name::To).unwrap());
        request.set(Name::Via, format!("SIP/2.0/WSS example.com;branch=z9hG4bK{}", self.number));
        request.set(Name::CSeq, format!("{} SUBSCRIBE", self.number + 1));
        request.set(Name::Expires, expires.to_string());
        request
    }

    /// Delivers a request; the application is asked, and each NOTIFY is answered.
    pub fn send(&mut self, request: &Message) -> Outcome {
        self.page.receive(&request.to_bytes());
        self.outcome()
    }

    /// A new subscription.
    pub fn watched_by(&mut self, uri: &str, expires: u32) -> (Message, Outcome) {
        let request = self.subscribe(uri, expires);
        let outcome = self.send(&request);
        (request, outcome)
    }

    /// A new subscription of Bob, whom Alice has said something of before.
    pub fn bob(&mut self, decision: Decision) -> (Message, Outcome) {
        self.decide(BOB, decision);
        self.watched_by(BOB, 600)
    }

    pub fn decide(&mut self, uri: &str, decision: Decision) -> Outcome {
        self.page.agent.set_policy(&Uri::parse(uri).unwrap(), decision, self.page.now);
        self.outcome()
    }

    /// Time passes; the NOTIFYs of that time.
    pub fn seconds(&mut self, seconds: u64) -> Outcome {
        let mut all = self.outcome();
        for _ in 0..seconds {
            self.page.seconds(1);
            all.notifies.extend(self.outcome().notifies);
        }
        all
    }

    pub fn publish(&mut self, status: Status, note: &str) -> Outcome {
        let note = (!note.is_empty()).then(|| note.to_owned());
        let activities = self.activities.iter().map(|word| (*word).to_owned()).collect();
        let state = PublishedState { status, activities, note, until: None, input: None };
        self.page.agent.publish(state, self.page.now);
        self.outcome()
    }

    /// What was sent since: the answer to a SUBSCRIBE and the NOTIFYs. PUBLISH is taken.
    pub fn outcome(&mut self) -> Outcome {
        let mut outcome = Outcome { status: 0, answer: None, notifies: Vec::new() };
        loop {
            self.page.drain_now();
            self.hear();
            if self.page.is_silent() {
                return outcome;
            }
            let message = self.page.next_sent();
            match message.status() {
                Some(status) => {
                    outcome.status = status;
                    outcome.answer = Some(message);
                }
                None if message.request_uri() == Some(&Uri::parse(ALICE).unwrap())
                    && message.method() == Method::Notify =>
                {
                    self.probes += 1;
                    match self.proxy.clone() {
                        Some(row) => self.page.respond(&message, 407, &[(Name::ProxyAuthenticate, &row)]),
                        None => self.page.respond(&message, 481, &[]),
                    }
                }
                None if message.method() == Method::Notify => self.take(message, &mut outcome),
                None if message.method() == Method::Register => {
                    let mut contact = message.contact().unwrap();
                    if contact.params.contains("+sip.instance") {
                        contact.params.set("pub-gruu", Some("\"sip:alice@example.com;gr=here\""));
                    }
                    let contact = contact.to_string();
                    self.page.respond(&message, 200, &[(Name::Contact, &contact), (Name::Expires, "3600")]);
                    self.register = Some(message);
                }
                None => {
                    let headers = [(Name::SipETag, "tag"), (Name::Expires, "3600")];
                    self.page.respond(&message, self.publishes, &headers);
                }
            }
        }
    }

    fn take(&mut self, notify: Message, outcome: &mut Outcome) {
        let is_own = notify.header(&Name::Event) == Some("presence.winfo");
        if let Some(status) = if is_own { Some(200) } else { self.takes } {
            self.page.respond(&notify, status, &[]);
        }
        if is_own && notify.body.is_empty() {
            assert_eq!(state(&notify).0, Substate::Terminated);
        } else if is_own {
            let document = winfo::read(&notify.body, &pidf::Limits::default()).unwrap();
            self.table.handle(document.clone(), self.page.now).unwrap();
            self.documents.push(document);
        } else {
            outcome.notifies.push(notify);
        }
    }

    fn hear(&mut self) {
        let (asked, others) = core::mem::take(&mut self.page.events)
            .into_iter()
            .partition::<Vec<_>, _>(|event| matches!(event, Event::Asked { .. }));
        self.page.events = others;
        for event in asked {
            match &event {
                Event::Asked { question, .. } if !self.silent => {
                    self.page.agent.answer_question(*question, self.answer, self.page.now);
                }
                _ => {}
            }
            self.asked.push(event);
        }
        self.page.drain_now();
    }

    /// The rows about `uri` that Alice's other device has: status and event.
    pub fn rows(&mut self, uri: &str) -> Vec<(String, String)> {
        // Changes are told to it at most every five seconds.
        self.seconds(6);
        let rows = self.table.watchers().filter(|row| row.uri == uri);
        rows.map(|row| (row.status.clone(), row.event.clone())).collect()
    }

    #[track_caller]
    pub fn assert_rows(&mut self, uri: &str, expected: &[(&str, &str)]) {
        let rows = self.rows(uri);
        let rows: Vec<(&str, &str)> = rows.iter().map(|(s, e)| (s.as_str(), e.as_str())).collect();
        assert_eq!(rows, expected);
    }
}

/// Subscription-State: what it is, seconds left, why it ended.
pub fn state(notify: &Message) -> (Substate, Option<u32>, Option<Reason>) {
    let state = notify.subscription_state().unwrap().unwrap();
    (state.state, state.expires, state.reason)
}

/// What the only document in `notify` says: the note of its tuple, `offline` for the neutral one, "" for none.
pub fn shows(notify: &Message) -> String {
    if notify.body.is_empty() {
        assert_eq!(notify.header(&Name::ContentType), None);
        return String::new();
    }
    let (document, _) = pidf::read(&notify.body, &pidf::Limits::default()).unwrap();
    assert_eq!(document.entity, ALICE);
    let [tuple] = document.tuples.as_slice() else { panic!("{document:?}") };
    match tuple.notes.first() {
        Some(note) => note.text.clone(),
        None => {
            assert!(document.persons.is_empty() && document.devices.is_empty(), "{document:?}");
            assert_eq!(tuple.basic, Some(sip_presence::presence::Basic::Closed));
            "offline".to_owned()
        }
    }
}
