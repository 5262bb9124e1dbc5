//! What the server sends unasked: NOTIFY, OPTIONS, and what is to be refused (RFC 3261 §8.2).

use super::documents::ACCEPT;
use super::lists::EVENTLIST;
use super::registration::SUPPORTED;
use super::subscriptions::SubscriptionId;
use super::{Agent, Direction, Event, Failure, FailureCode, Output, Subject};
use crate::decimal::decimal;
use crate::pieces::{concat, joined};
use crate::presence::multipart::RELATED;
use crate::sip::message::push_lossy;
use crate::sip::{Known, Message, Method, Name, ParseError};
use crate::time::Instant;

/// The methods that an agent takes.
const ALLOW: &str = "NOTIFY, OPTIONS";

/// Bytes of what is not a message that a trace shows at most.
const GLIMPSE: usize = 80;

impl Agent {
    /// A request arrived. It is answered before anything is told to the application (RFC 6665 §4.1.3).
    pub(super) fn handle_request(&mut self, request: &Message, now: Instant) {
        let method = request.method();
        if method == Method::Ack {
            return;
        }
        if method == Method::Cancel {
            // Every request is answered at once, so that there is never one left to be cancelled.
            self.answer(request, 481, &[]);
            return;
        }
        if let Method::Other(_) = method {
            self.answer(request, 501, &[(Known::Allow, self.allow())]);
            return;
        }
        let mut required: Vec<&str> = request.list(&Name::Require).collect();
        // A NOTIFY may require what our SUBSCRIBE has offered (RFC 4662 §4.1).
        if self.subscription_of(request).is_some_and(|id| self.is_of_list(id)) {
            required.retain(|tag| *tag != EVENTLIST);
        }
        // Who a SUBSCRIBE comes from is asked first (RFC 3856 §4).
        if method == Method::Subscribe && self.is_presence_agent() {
            required.clear();
        }
        if !required.is_empty() {
            let unsupported = joined(&required, ", ");
            self.answer(request, 420, &[(Known::Unsupported, &unsupported)]);
            return;
        }
        match method {
            #[cfg(feature = "full")]
            Method::Subscribe if self.presentity.is_some() => self.handle_subscribe(request, now),
            Method::Notify => self.handle_notify(request, now),
            Method::Options => {
                let told = [
                    (Known::Allow, self.allow()),
                    (Known::Accept, ACCEPT),
                    (Known::AcceptEncoding, "identity"),
                    (Known::AcceptLanguage, "*"),
                    (Known::Supported, SUPPORTED),
                    #[cfg(feature = "full")]
                    (Known::AllowEvents, super::audience::EVENTS),
                ];
                let most = if self.is_presence_agent() { told.len() } else { 5 };
                self.answer(request, 200, &told[..most]);
            }
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Info
            | Method::Invite
            | Method::Message
            | Method::Prack
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Update
            | Method::Other(_) => self.answer(request, 405, &[(Known::Allow, self.allow())]),
        }
    }

    /// The methods that this agent takes.
    const fn allow(&self) -> &'static str {
        if self.is_presence_agent() { "NOTIFY, OPTIONS, SUBSCRIBE" } else { ALLOW }
    }

    #[cfg(feature = "full")]
    const fn is_presence_agent(&self) -> bool {
        self.presentity.is_some()
    }

    #[cfg(not(feature = "full"))]
    #[allow(clippy::unused_self)]
    const fn is_presence_agent(&self) -> bool {
        false
    }

    fn handle_notify(&mut self, request: &Message, now: Instant) {
        let Some(id) = self.subscription_of(request) else {
            self.answer(request, 481, &[]);
            return;
        };
        #[cfg(feature = "full")]
        {
            let proved = self.is_proved(request, now);
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.unproved = !proved;
            }
            if !proved {
                return;
            }
        }
        let subject = self.subscriptions.get(id).map_or(Subject::Presence, |s| s.subject);
        let coding = request.header(&Name::ContentEncoding);
        let readable = match request.content_type() {
            Ok(Some(media)) => {
                subject.reads(&media.essence) || (media.essence == RELATED && self.is_of_list(id))
            }
            // A body without a type: taken for what was asked for.
            Ok(None) => true,
            Err(_) => false,
        };
        let refusal = if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            Some((Known::AcceptEncoding, "identity"))
        } else if !request.body.is_empty() && !readable {
            Some((Known::Accept, subject.accept()))
        } else {
            None
        };
        if let Some(takes) = refusal {
            self.answer(request, 415, &[takes]);
            self.miss_document(id);
            return;
        }
        let Some(subscription) = self.subscriptions.get_mut(id) else { return };
        match subscription.subscriber.handle_notify(request, &mut self.random, now) {
            Ok(notified) => {
                self.session.changed |= notified.anew || notified.end.is_some();
                let gruu = self.gruu(now).map(str::to_owned);
                let rows =
                    [(Known::Contact, gruu.as_deref().unwrap_or_default()), (Known::Supported, SUPPORTED)];
                self.answer(request, 200, &rows[..if gruu.is_some() { 2 } else { 0 }]);
                self.deliver(id, notified, request, now);
            }
            Err(489) => self.answer(request, 489, &[(Known::AllowEvents, subject.event())]),
            Err(status) => self.answer(request, status, &[]),
        }
        self.subscriptions.settle(id);
    }

    /// The subscription that a NOTIFY belongs to.
    fn subscription_of(&self, request: &Message) -> Option<SubscriptionId> {
        let to = request.to().ok()?;
        self.subscriptions.find(request.call_id(), to.tag())
    }

    /// Something arrived that is not a SIP message. A request is answered if it can be; the application is told.
    pub(super) fn handle_malformed(&mut self, bytes: &[u8], error: &ParseError) {
        if self.config.trace {
            self.tell(Event::Trace { direction: Direction::Received, text: glimpse(bytes) });
        }
        let head = Message::parse_head(bytes, &self.config.limits);
        if let Some(head) = head.filter(|head| head.is_request() && head.method() != Method::Ack) {
            self.answer(&head, error.status(), &[]);
        }
        let code = match error {
            ParseError::TooLarge | ParseError::TooMany => FailureCode::TooLarge,
            ParseError::KeepAlive
            | ParseError::StartLine
            | ParseError::Version
            | ParseError::Encoding
            | ParseError::HeaderLine
            | ParseError::Missing(_)
            | ParseError::Duplicate(_)
            | ParseError::Header(_)
            | ParseError::CSeqMethod
            | ParseError::Truncated => FailureCode::BadMessage,
        };
        let mut failure = Failure::new(code);
        failure.reason = Some(error.text());
        self.tell(Event::Error(failure));
    }

    pub(super) fn answer(&mut self, request: &Message, status: u16, headers: &[(Known, &str)]) {
        let tag = self.random.token();
        self.answer_with_tag(request, status, &tag, headers);
    }

    pub(super) fn answer_with_tag(
        &mut self,
        request: &Message,
        status: u16,
        tag: &str,
        headers: &[(Known, &str)],
    ) {
        let mut response = Message::response(request, status, Some(tag));
        for (name, value) in headers {
            response.push(Name::Known(*name), *value);
        }
        if !self.config.user_agent.is_empty() {
            response.push(Name::UserAgent, self.config.user_agent.clone());
        }
        self.trace(Direction::Sent, &response);
        self.output(Output::Send(response.to_bytes()));
    }
}

/// What a trace shows of bytes that are not a message, and that may hold a secret anywhere: the beginning of the first
/// line, as far as no URI and no header value stands in it, and how many bytes there are.
fn glimpse(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
    let line = line.and_then(|line| line.split(|byte| *byte == b':').next()).unwrap_or_default();
    let mut text = String::new();
    push_lossy(line.get(..GLIMPSE).unwrap_or(line), &mut text);
    concat(&[&text, "\r\n\r\n(malformed: ", &decimal(bytes.len() as u64), " bytes)"])
}
