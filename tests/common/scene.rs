//! A presence server with Alice and Bob, who are agents, and Carol, who is the test: she sends what she likes.

use super::World;
use super::world::{Crossing, address};
use sip_presence::agent::{Config, WatchId, Watching};
use sip_presence::presence::Status;
use sip_presence::server::{self, ConnectionId};
use sip_presence::sip::auth::{Challenge, DigestCredentials, Protected, Secret};
use sip_presence::sip::{Message, Method, Name, Uri};

/// Alice and Bob, who watches Alice; and Carol, who is no agent but the test.
pub struct Scene {
    pub world: World,
    pub alice: usize,
    pub bob: usize,
    pub watch: WatchId,
    pub carol: Carol,
}

/// Sends what she likes over a connection of her own, with credentials that are right.
pub struct Carol {
    pub connection: ConnectionId,
    pub challenge: Option<Challenge>,
    /// Uses of the nonce.
    pub count: u32,
    /// CSeq, branches and Call-IDs.
    pub sequence: u32,
}

impl Scene {
    pub fn new(seed: u8) -> Self {
        Self::with(seed, |_| {})
    }

    pub fn with(seed: u8, adjust: impl FnOnce(&mut server::Config)) -> Self {
        let mut world = World::with(seed, adjust);
        let register = |config: &mut Config| config.register = true;
        let (alice, bob) = (world.seat_with("alice", register), world.seat("bob"));
        let watch = world.watch(bob, "alice");
        world.publish(alice, Status::Busy, "good");
        world.seconds(10);
        assert_eq!(world.sees(bob, watch), (Status::Busy, Some("good".to_owned())));
        world.log.clear();
        let carol = Carol { connection: world.stranger(), challenge: None, count: 0, sequence: 0 };
        let mut scene = Self { world, alice, bob, watch, carol };
        let options = scene.request(Method::Publish, "carol");
        let challenged = scene.send(&options).pop().unwrap();
        assert_eq!(challenged.status(), Some(401));
        scene
    }

    /// A request of Carol to another user, without credentials.
    pub fn request(&mut self, method: Method, to: &str) -> Message {
        self.carol.sequence += 1;
        let number = self.carol.sequence;
        let mut request = Message::request(method.clone(), Uri::parse(&address(to)).unwrap());
        request.push(Name::Via, format!("SIP/2.0/WS carol.invalid;branch=z9hG4bKcarol{number}"));
        request.push(Name::MaxForwards, "70");
        request.push(Name::From, "<sip:carol@example.com>;tag=carol");
        request.push(Name::To, format!("<{}>", address(to)));
        request.push(Name::CallId, format!("carol-{number}"));
        request.push(Name::CSeq, format!("{number} {method}"));
        request.push(Name::Contact, "<sip:carol@carol.invalid;transport=ws>");
        request.push(Name::Event, "presence");
        request
    }

    /// The same with her credentials.
    pub fn signed(&mut self, mut request: Message) -> Message {
        let Some(challenge) = self.carol.challenge.clone() else { return request };
        let (method, uri) = (request.method(), request.request_uri().unwrap().to_string());
        self.carol.count += 1;
        let secret = Secret::Password("pw-carol".to_owned());
        let protected = Protected { method: method.as_str(), uri: &uri, body: &request.body };
        let row = DigestCredentials::answer(&challenge, "carol", &secret, protected, "c", self.carol.count);
        request.set(Name::Authorization, row.unwrap().to_string());
        request
    }

    /// Bytes from Carol arrive; what the server sends her for them.
    pub fn arrive(&mut self, bytes: &[u8]) -> Vec<Message> {
        let before = self.world.log.len();
        self.world.arrive(self.carol.connection, bytes);
        let mine =
            |crossing: &&Crossing| crossing.from_server && crossing.connection == self.carol.connection;
        let sent: Vec<Message> =
            self.world.log[before..].iter().filter(mine).map(|crossing| crossing.message.clone()).collect();
        for challenge in sent.iter().flat_map(|message| message.challenges(&Name::WwwAuthenticate)) {
            if self.carol.challenge.as_ref().is_none_or(|known| known.nonce != challenge.nonce) {
                (self.carol.challenge, self.carol.count) = (Some(challenge), 0);
            }
        }
        sent
    }

    pub fn send(&mut self, message: &Message) -> Vec<Message> {
        self.arrive(&message.to_bytes())
    }

    /// Sends with credentials; the status code of the answer.
    #[track_caller]
    pub fn answer(&mut self, request: Message) -> u16 {
        let request = self.signed(request);
        let sent = self.send(&request);
        sent.iter().find_map(Message::status).expect("no answer")
    }

    /// A PUBLISH of Carol's with this document.
    pub fn publish(&mut self, body: &str) -> Message {
        let mut request = self.request(Method::Publish, "carol");
        request.push(Name::Expires, "600");
        request.set_body("application/pidf+xml", body.as_bytes().to_vec());
        request
    }

    /// Alice and Bob have noticed nothing.
    #[track_caller]
    pub fn is_well(&mut self) {
        let world = &mut self.world;
        assert_eq!(world.view(self.bob, self.watch).subscription.state, Watching::Active);
        let (_, note) = world.sees(self.bob, self.watch);
        let next = [note.as_deref().unwrap_or_default(), "!"].concat();
        let request = world.publish(self.alice, Status::Away, &next);
        world.seconds(10);
        assert_eq!(world.published(self.alice, request), Some(Ok(())));
        assert_eq!(world.sees(self.bob, self.watch), (Status::Away, Some(next)));
    }
}
