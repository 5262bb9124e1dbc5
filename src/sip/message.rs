//! A SIP message: start line, headers, body (RFC 3261 §7), one to a WebSocket message (RFC 7118 §5).

#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties;
mod read;
mod write;

pub(crate) use write::push_lossy;
pub use write::reason_phrase;

use super::auth::{Challenge, DigestCredentials};
use super::grammar;
use super::{
    CSeq, EventType, Known, MediaType, Method, Name, NameAddr, ParseError, SubscriptionState, Uri, Via,
};
use crate::decimal::{number, small_number};
use core::ops::{Deref, DerefMut};

/// How large a message may be. Each bound has its own error: [`ParseError::TooLarge`], [`ParseError::TooMany`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole message.
    pub message: usize,
    /// Header rows.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 256 * 1024, rows: 512 }
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StartLine {
    /// `METHOD uri SIP/2.0`.
    Request { method: Method, uri: Uri },
    /// `SIP/2.0 code reason`.
    Response { status: u16, reason: String },
}

/// A SIP message. Header rows keep their order and their text; typed values are read on demand. It is handed on often:
/// its parts are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Box<MessageParts>);

/// The parts of a message that are no header rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageParts {
    /// The first line.
    pub start: StartLine,
    headers: Vec<(Name, String)>,
    /// The body; its length in bytes is Content-Length.
    pub body: Vec<u8>,
}

impl Deref for Message {
    type Target = MessageParts;

    fn deref(&self) -> &MessageParts {
        &self.0
    }
}

impl DerefMut for Message {
    fn deref_mut(&mut self) -> &mut MessageParts {
        &mut self.0
    }
}

impl Message {
    fn new(start: StartLine, headers: Vec<(Name, String)>, body: Vec<u8>) -> Self {
        Self(Box::new(MessageParts { start, headers, body }))
    }

    /// A request without headers.
    #[must_use]
    pub fn request(method: Method, uri: Uri) -> Self {
        Self::new(StartLine::Request { method, uri }, Vec::new(), Vec::new())
    }

    /// The response to `request`: Via, From, Call-ID, CSeq as they came, To as it came with `to_tag` added if it had
    /// none (RFC 3261 §8.2.6.2). The reason phrase is the standard one.
    #[must_use]
    pub fn response(request: &Self, status: u16, to_tag: Option<&str>) -> Self {
        let start = StartLine::Response { status, reason: reason_phrase(status).to_owned() };
        let mut response = Self::new(start, Vec::with_capacity(8), Vec::new());
        for name in [Known::Via, Known::From, Known::To, Known::CallId, Known::CSeq] {
            let name = Name::Known(name);
            // A faulty request can have more than one of these; only Via is a list.
            let most = if name == Name::Via { usize::MAX } else { 1 };
            for value in request.rows(&name).take(most) {
                let mut value = value.to_owned();
                // 100 comes from before there is a dialog (RFC 3261 §8.2.6.2).
                if let Some(tag) = to_tag.filter(|_| name == Name::To && status > 100)
                    && NameAddr::parse(&value, Known::To).is_ok_and(|to| !to.params.contains("tag"))
                {
                    value.push_str(";tag=");
                    value.push_str(&sanitize(tag));
                }
                // As it came, byte by byte: not through `push`.
                response.headers.push((name.clone(), value));
            }
        }
        response
    }

    /// Whether it is a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method: of the start line, or of CSeq in a response.
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { .. } => {
                self.cseq().map_or_else(|_| Method::Other(Box::default()), |cseq| cseq.method)
            }
        }
    }

    /// The Request-URI of a request.
    #[must_use]
    pub fn request_uri(&self) -> Option<&Uri> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(*status),
        }
    }

    /// The raw value of the first row `name`.
    #[must_use]
    pub fn header(&self, name: &Name) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The raw values of all rows `name`, in order, not split at commas.
    pub fn rows<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All rows, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.headers.iter().map(|(n, v)| (n, v.as_str()))
    }

    /// The values of a list header over all its rows, split at commas (RFC 3261 §7.3.1): Route, Contact, Accept, …
    ///
    /// Rows of headers that are no lists, such as Authorization or Date, and of unknown ones come whole.
    pub fn list<'a>(&'a self, name: &Name) -> std::vec::IntoIter<&'a str> {
        let mut values = Vec::new();
        for row in self.rows(name) {
            if name.is_list() {
                grammar::push_list(row, &mut values);
            } else if !row.is_empty() {
                values.push(row);
            }
        }
        values.into_iter()
    }

    /// Adds a row at the end of the rows. Line ends and NULs in `value` become spaces; blanks around it are dropped.
    /// A row Content-Length is never written: the body has a length.
    pub fn push(&mut self, name: Name, value: impl Into<String>) {
        self.insert(self.headers.len(), name, value.into());
    }

    fn insert(&mut self, at: usize, name: Name, value: String) {
        self.headers.insert(at, (name, sanitize_owned(value)));
    }

    /// Adds a row before all others: a Via.
    pub fn push_front(&mut self, name: Name, value: impl Into<String>) {
        self.insert(0, name, value.into());
    }

    /// Replaces all rows `name` by one, in the place of the first.
    pub fn set(&mut self, name: Name, value: impl Into<String>) {
        self.replace(name, value.into());
    }

    fn replace(&mut self, name: Name, value: String) {
        let at = self.headers.iter().position(|(n, _)| *n == name);
        self.remove(&name);
        self.insert(at.unwrap_or(self.headers.len()), name, value);
    }

    /// Removes all rows `name`.
    pub fn remove(&mut self, name: &Name) {
        self.headers.retain(|(n, _)| n != name);
    }

    /// Removes the first value of a list header and returns it: the top Via on the way back.
    pub fn pop_first(&mut self, name: &Name) -> Option<String> {
        let at = self.headers.iter().position(|(n, _)| n == name)?;
        let row = &mut self.headers.get_mut(at)?.1;
        if name.is_list()
            && let (first, Some(rest)) = grammar::split_list(row)
        {
            let first = first.to_owned();
            *row = grammar::trim(rest).to_owned();
            return Some(first);
        }
        Some(self.headers.remove(at).1)
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: Vec<u8>) {
        self.set(Name::ContentType, content_type);
        self.body = body;
    }

    /// The top Via.
    ///
    /// # Errors
    /// [`ParseError::Missing`] or [`ParseError::Header`]; the same holds for the accessors below.
    pub fn via(&self) -> Result<Via, ParseError> {
        Via::parse(self.list(&Name::Via).next().ok_or(ParseError::Missing(Known::Via))?)
    }

    /// From.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.address(Known::From)
    }

    /// To.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.address(Known::To)
    }

    pub(super) fn address(&self, name: Known) -> Result<NameAddr, ParseError> {
        NameAddr::parse(self.header(&Name::Known(name)).ok_or(ParseError::Missing(name))?, name)
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.header(&Name::CallId).unwrap_or_default()
    }

    /// CSeq.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        CSeq::parse(self.header(&Name::CSeq).ok_or(ParseError::Missing(Known::CSeq))?)
    }

    /// The first Contact that is an address (not `*`).
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn contact(&self) -> Result<NameAddr, ParseError> {
        let value = self.list(&Name::Contact).find(|value| *value != "*");
        NameAddr::parse(value.ok_or(ParseError::Missing(Known::Contact))?, Known::Contact)
    }

    /// The addresses of a list header: Contact, Route, Record-Route, Path. A Contact `*` is left out.
    ///
    /// # Errors
    /// As [`Self::via`], but no row at all is an empty list.
    pub fn addresses(&self, name: Known) -> Result<Vec<NameAddr>, ParseError> {
        let mut addresses = Vec::new();
        for value in self.list(&Name::Known(name)) {
            if name != Known::Contact || value != "*" {
                addresses.push(NameAddr::parse(value, name)?);
            }
        }
        Ok(addresses)
    }

    /// Event, if it is there.
    ///
    /// # Errors
    /// As [`Self::via`]; two Event headers are [`ParseError::Duplicate`].
    pub fn event(&self) -> Result<Option<EventType>, ParseError> {
        self.single(Known::Event)?.map(EventType::parse).transpose()
    }

    /// Subscription-State, if it is there.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState>, ParseError> {
        self.single(Known::SubscriptionState)?.map(SubscriptionState::parse).transpose()
    }

    /// Expires in seconds; `None` when absent or malformed (RFC 3261 §20.19).
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.seconds(&Name::Expires)
    }

    /// Min-Expires in seconds.
    #[must_use]
    pub fn min_expires(&self) -> Option<u32> {
        self.seconds(&Name::MinExpires)
    }

    /// Max-Forwards; `None` when absent or not a number from 0 to 255 (RFC 3261 §20.22).
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        u8::try_from(number(self.header(&Name::MaxForwards)?)?).ok()
    }

    /// Retry-After in seconds, its comment and parameters dropped; one over 32 bits counts as the largest.
    ///
    /// ```abnf
    /// Retry-After = delta-seconds [comment] *(SEMI retry-param)
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.header(&Name::RetryAfter)?;
        let (rest, digits) = grammar::span(value, |c| c.is_ascii_digit());
        let rest = grammar::trim(rest);
        let rest = grammar::comment(rest).map_or(rest, |(rest, _)| rest);
        grammar::params(rest, Known::RetryAfter).ok()?;
        Some(u32::try_from(number(digits)?).unwrap_or(u32::MAX))
    }

    /// Content-Type, if it is there.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn content_type(&self) -> Result<Option<MediaType>, ParseError> {
        match self.single(Known::ContentType)? {
            Some(text) => Ok(Some(MediaType::parse(text)?)),
            None => Ok(None),
        }
    }

    /// Whether the Accept header takes `essence`; without the header, whether it is `default`. The range that names
    /// `essence` most closely decides (RFC 3261 §20.1), so that `*/*, text/plain;q=0` refuses plain text.
    #[must_use]
    pub fn accepts(&self, essence: &str, default: &str) -> bool {
        if self.header(&Name::Accept).is_none() {
            return essence.eq_ignore_ascii_case(default);
        }
        let ranges = self.list(&Name::Accept).filter_map(|range| MediaType::parse(range).ok());
        let closest = ranges
            .filter_map(|range| Some((range.precision(essence)?, !range.refuses())))
            .max_by_key(|(precision, _)| *precision);
        closest.is_some_and(|(_, takes)| takes)
    }

    /// The digest and bearer challenges of `name` (WWW-Authenticate or Proxy-Authenticate), in order; rows that
    /// cannot be read are left out.
    #[must_use]
    pub fn challenges(&self, name: &Name) -> Vec<Challenge> {
        let mut challenges = Vec::new();
        for row in self.rows(name) {
            challenges.extend(
                Challenge::parse(row).ok().filter(|c| matches!(c.scheme.as_str(), "digest" | "bearer")),
            );
        }
        challenges
    }

    /// The digest credentials of `name` (Authorization or Proxy-Authorization), in order.
    #[must_use]
    pub fn credentials(&self, name: &Name) -> Vec<DigestCredentials> {
        self.rows(name).filter_map(|row| DigestCredentials::parse(row).ok()).collect()
    }

    /// The value of a header that may stand once.
    fn single(&self, name: Known) -> Result<Option<&str>, ParseError> {
        let name_of_row = Name::Known(name);
        let mut rows = self.rows(&name_of_row);
        let first = rows.next();
        if rows.next().is_some() { Err(ParseError::Duplicate(name)) } else { Ok(first) }
    }

    fn seconds(&self, name: &Name) -> Option<u32> {
        small_number(self.header(name)?)
    }
}

/// `text` with a space for each character that is not wanted in it.
fn with_blanks(text: &str, unwanted: fn(char) -> bool) -> String {
    text.chars().map(|c| if unwanted(c) { ' ' } else { c }).collect()
}

const fn is_line_end_or_nul(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\0')
}

/// `text` with line ends and NULs as spaces, without blanks around it: safe as the value of a row.
fn sanitize(text: &str) -> String {
    sanitize_owned(text.to_owned())
}

fn sanitize_owned(text: String) -> String {
    if text.bytes().any(|byte| is_line_end_or_nul(char::from(byte))) {
        return grammar::trim(&with_blanks(&text, is_line_end_or_nul)).to_owned();
    }
    let trimmed = grammar::trim(&text);
    if trimmed.len() < text.len() { trimmed.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::request(Method::Subscribe, Uri::sip("bob", "example.com"))
    }

    fn values(message: &Message, name: &Name) -> Vec<String> {
        message.list(name).map(str::to_owned).collect()
    }

    // 3261-7.3.1-d, 3261-7.3.1-e
    #[test]
    fn lists_are_the_same_however_they_are_spread_over_rows() {
        let rows = |rows: &[&str]| {
            let mut message = message();
            for row in rows {
                message.push(Name::Route, *row);
                message.push(Name::Subject, "between");
            }
            values(&message, &Name::Route)
        };
        let expected = ["<sip:a>", "\"x, y\" <sip:b,c@d>", "<sip:e>"];
        assert_eq!(rows(&["<sip:a>", "\"x, y\" <sip:b,c@d>", "<sip:e>"]), expected);
        assert_eq!(rows(&["<sip:a>,\"x, y\" <sip:b,c@d>", " <sip:e>,"]), expected);
        assert_eq!(rows(&["<sip:a>  ,  \"x, y\" <sip:b,c@d>,<sip:e>"]), expected);
        assert_ne!(rows(&["<sip:e>,\"x, y\" <sip:b,c@d>", "<sip:a>"]), expected);
        assert_ne!(rows(&["<sip:a>", "<sip:e>", "\"x, y\" <sip:b,c@d>"]), expected);
    }

    // 3261-7.3.1-f, 3261-7.3.1-g
    #[test]
    fn headers_that_are_no_lists_are_never_split() {
        for name in
            [Name::Authorization, Name::WwwAuthenticate, Name::Date, Name::Subject, Name::Other("X".into())]
        {
            let mut message = message();
            message.push(name.clone(), "Digest realm=\"a\", nonce=\"b\", ;;,,");
            assert_eq!(values(&message, &name), ["Digest realm=\"a\", nonce=\"b\", ;;,,"]);
            assert_eq!(message.pop_first(&name).as_deref(), Some("Digest realm=\"a\", nonce=\"b\", ;;,,"));
        }
    }

    #[test]
    fn rows_are_set_removed_and_popped_in_place() {
        let mut message = message();
        message.push(Name::Via, "SIP/2.0/WS a, SIP/2.0/WS b");
        message.push(Name::Expires, "1");
        message.push(Name::Subject, "s");
        message.push(Name::Expires, "2");
        message.push_front(Name::Via, "SIP/2.0/WS c");
        message.set(Name::Expires, 3.to_string());
        let rows: Vec<_> = message.headers().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(
            rows,
            [
                ("Via", "SIP/2.0/WS c"),
                ("Via", "SIP/2.0/WS a, SIP/2.0/WS b"),
                ("Expires", "3"),
                ("Subject", "s")
            ]
        );
        for host in ["c", "a", "b"] {
            assert_eq!(message.via().unwrap().host, host);
            assert!(message.pop_first(&Name::Via).unwrap().ends_with(host));
        }
        assert_eq!(message.pop_first(&Name::Via), None);
        assert_eq!(message.via(), Err(ParseError::Missing(Known::Via)));
        message.remove(&Name::Expires);
        message.set(Name::Event, "presence");
        assert_eq!(
            message.headers().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["Subject", "Event"]
        );
    }

    #[test]
    fn no_value_can_add_a_line() {
        let mut message = message();
        message.push(Name::Subject, " a\r\nEvil: b\0 ");
        message.push_front(Name::Via, "v\nEvil: c");
        message.set(Name::Subject, message.header(&Name::Subject).unwrap().to_owned() + "\rEvil: d");
        assert_eq!(message.header(&Name::Subject), Some("a  Evil: b Evil: d"));
        assert_eq!(message.header(&Name::Via), Some("v Evil: c"));
    }

    // 3261-8.2.6.2-a
    #[test]
    fn a_response_copies_what_it_must_byte_by_byte() {
        let mut request = message();
        for (name, value) in [
            (Name::Via, "SIP / 2.0 / WS  a ; branch=1, SIP/2.0/WSS b"),
            (Name::From, "\"F\"  <sip:a@b> ; tag = x"),
            (Name::To, "Bob <sip:b@c>;p"),
            (Name::Via, "SIP/2.0/WS c"),
            (Name::CallId, "c(1)@h"),
            (Name::CSeq, "0007   SUBSCRIBE"),
            (Name::Event, "presence"),
        ] {
            request.push(name, value);
        }
        let response = Message::response(&request, 200, Some("t1"));
        assert_eq!(response.start, StartLine::Response { status: 200, reason: "OK".into() });
        let rows: Vec<_> = response.headers().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(
            rows,
            [
                ("Via", "SIP / 2.0 / WS  a ; branch=1, SIP/2.0/WSS b"),
                ("Via", "SIP/2.0/WS c"),
                ("From", "\"F\"  <sip:a@b> ; tag = x"),
                ("To", "Bob <sip:b@c>;p;tag=t1"),
                ("Call-ID", "c(1)@h"),
                ("CSeq", "0007   SUBSCRIBE"),
            ]
        );
        assert_eq!(response.method(), Method::Subscribe);
        assert_eq!(Message::response(&request, 100, Some("t1")).to().unwrap().tag(), None);
        assert_eq!(Message::response(&request, 200, None).to().unwrap().tag(), None);
        request.set(Name::To, "sip:b@c;tag=old");
        assert_eq!(Message::response(&request, 200, Some("t1")).header(&Name::To), Some("sip:b@c;tag=old"));
        request.set(Name::To, "\"unbalanced <sip:b@c>");
        assert_eq!(
            Message::response(&request, 400, Some("t")).header(&Name::To),
            Some("\"unbalanced <sip:b@c>")
        );
    }

    // 3261-20.19-a, 3261-20.22-a
    #[test]
    fn numbers_out_of_range_count_as_absent() {
        for (text, seconds, hops) in [
            ("0", Some(0), Some(0)),
            ("0068", Some(68), Some(68)),
            ("300", Some(300), None),
            ("4294967295", Some(u32::MAX), None),
            ("4294967296", None, None),
            ("-1", None, None),
            ("", None, None),
            ("Thu, 01 Dec 1994", None, None),
        ] {
            let mut message = message();
            assert_eq!(
                (message.expires(), message.min_expires(), message.max_forwards()),
                (None, None, None)
            );
            message.push(Name::Expires, text);
            message.push(Name::MinExpires, text);
            message.push(Name::MaxForwards, text);
            assert_eq!((message.expires(), message.min_expires()), (seconds, seconds), "{text}");
            assert_eq!(message.max_forwards(), hops, "{text}");
        }
    }

    // 3261-20.33-a
    #[test]
    fn retry_after_may_have_a_comment_and_parameters() {
        for (text, seconds) in [
            ("120 (I'm in a (long) meeting)", Some(120)),
            ("18000;duration=3600", Some(18000)),
            ("5", Some(5)),
            ("99999999999", Some(u32::MAX)),
            ("5 (open", None),
            ("soon", None),
            ("-5", None),
        ] {
            let mut message = message();
            message.push(Name::RetryAfter, text);
            assert_eq!(message.retry_after(), seconds, "{text}");
        }
    }

    // 3261-20-a
    #[test]
    fn the_closest_range_of_accept_decides() {
        let accepts = |rows: &[&str], essence| {
            let mut message = message();
            rows.iter().for_each(|row| message.push(Name::Accept, *row));
            message.accepts(essence, "application/pidf+xml")
        };
        assert!(accepts(&[], "application/PIDF+xml"));
        assert!(!accepts(&[], "text/plain"));
        assert!(!accepts(&[""], "application/pidf+xml"));
        assert!(accepts(&["text/plain", "application/*;q=0.1"], "application/pidf+xml"));
        assert!(accepts(&["text/plain, */*"], "application/pidf+xml"));
        assert!(!accepts(&["application/pidf+xml;q=0, */*"], "application/pidf+xml"));
        assert!(!accepts(&["text/nobody"], "application/pidf+xml"));
    }

    // 3261-20.10-d
    #[test]
    fn addresses_leave_the_star_out() {
        let mut message = message();
        assert_eq!(message.contact(), Err(ParseError::Missing(Known::Contact)));
        assert_eq!(message.addresses(Known::Contact), Ok(vec![]));
        message.push(Name::Contact, "*");
        assert_eq!(message.contact(), Err(ParseError::Missing(Known::Contact)));
        assert_eq!(message.addresses(Known::Contact), Ok(vec![]));
        message.push(Name::Contact, "<sip:a>, sip:b;q=1");
        assert_eq!(message.contact().unwrap().uri.to_string(), "sip:a");
        assert_eq!(message.addresses(Known::Contact).unwrap().len(), 2);
        message.push(Name::Contact, "a b");
        assert_eq!(message.addresses(Known::Contact), Err(ParseError::Header(Known::Contact)));
    }

    #[test]
    fn typed_headers_stand_once_or_not_at_all() {
        let mut message = message();
        assert_eq!((message.event(), message.content_type()), (Ok(None), Ok(None)));
        assert_eq!(message.subscription_state(), Ok(None));
        message.push(Name::Event, "presence;id=1");
        message.push(Name::SubscriptionState, "active;expires=59");
        message.set_body("application/pidf+xml", vec![0xFF]);
        assert_eq!(message.event().unwrap().unwrap().id.as_deref(), Some("1"));
        assert_eq!(message.subscription_state().unwrap().unwrap().expires, Some(59));
        assert_eq!(message.content_type().unwrap().unwrap().essence, "application/pidf+xml");
        message.push(Name::Event, "presence");
        assert_eq!(message.event(), Err(ParseError::Duplicate(Known::Event)));
    }

    #[test]
    fn challenges_keep_their_order_and_leave_out_what_cannot_be_read() {
        let mut message = message();
        for row in [
            "Digest realm=\"a\", nonce=\"1\", algorithm=SHA-256, qop=\"auth\"",
            "Basic realm=\"b\"",
            "Digest realm=\"no nonce\"",
            "Bearer realm=\"c\"",
            "Digest realm=\"d\", nonce=\"2\"",
        ] {
            message.push(Name::WwwAuthenticate, row);
        }
        let realms: Vec<_> =
            message.challenges(&Name::WwwAuthenticate).into_iter().map(|c| c.realm).collect();
        assert_eq!(realms, ["a", "c", "d"]);
        assert!(message.challenges(&Name::ProxyAuthenticate).is_empty());
        message.push(Name::Authorization, "Bearer x");
        message.push(Name::Authorization, "Digest username=u, realm=r, nonce=n, uri=\"sip:h\", response=00");
        assert_eq!(message.credentials(&Name::Authorization).len(), 1);
    }
}
