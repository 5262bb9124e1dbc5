//! A SIP message: start line, headers, body (RFC 3261 §7), one to a WebSocket message (RFC 7118 §5).

use super::auth::{Challenge, DigestCredentials};
use super::{CSeq, EventType, MediaType, Method, Name, NameAddr, ParseError, SubscriptionState, Uri, Via};

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

/// A SIP message. Header rows keep their order and their text; typed values are read on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: StartLine,
    headers: Vec<(Name, String)>,
    /// The body; its length in bytes is Content-Length.
    pub body: Vec<u8>,
}

impl Message {
    /// A request without headers.
    #[must_use]
    pub const fn request(method: Method, uri: Uri) -> Self {
        Self { start: StartLine::Request { method, uri }, headers: Vec::new(), body: Vec::new() }
    }

    /// The response to `request`: Via, From, Call-ID, CSeq as they came, To as it came with `to_tag` added if it had
    /// none (RFC 3261 §8.2.6.2). The reason phrase is the standard one.
    #[must_use]
    pub fn response(request: &Self, status: u16, to_tag: Option<&str>) -> Self {
        let _ = (request, status, to_tag);
        todo!()
    }

    /// Reads one WebSocket message. CRLFs in front are skipped, bytes after the body are dropped (RFC 3261 §7.5,
    /// §18.3). A message that comes back has Via, From, To, Call-ID and CSeq, each once and well-formed.
    ///
    /// # Errors
    /// [`ParseError`]; [`Self::parse_head`] gives what can be answered.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let _ = (bytes, limits);
        todo!()
    }

    /// As much of a faulty message as a 400 can be made from: a request whose head has a start line and the headers
    /// that a response must copy. `None`: drop it.
    #[must_use]
    pub fn parse_head(bytes: &[u8], limits: &Limits) -> Option<Self> {
        let _ = (bytes, limits);
        todo!()
    }

    /// The bytes on the wire: proxies' headers first, Content-Length always and last (RFC 3261 §7.3.1, §20.14).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// Whether it is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method: of the start line, or of CSeq in a response.
    #[must_use]
    pub fn method(&self) -> Method {
        todo!()
    }

    /// The Request-URI of a request.
    #[must_use]
    pub const fn request_uri(&self) -> Option<&Uri> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
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
    pub fn rows<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All rows, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.headers.iter().map(|(n, v)| (n, v.as_str()))
    }

    /// The values of a list header over all its rows, split at commas (RFC 3261 §7.3.1): Route, Contact, Accept, …
    pub fn list<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a str> {
        self.rows(name)
    }

    /// Adds a row at the end of the rows. Line ends in `value` become spaces.
    pub fn push(&mut self, name: Name, value: impl Into<String>) {
        self.headers.push((name, value.into()));
    }

    /// Adds a row before all others: a Via.
    pub fn push_front(&mut self, name: Name, value: impl Into<String>) {
        self.headers.insert(0, (name, value.into()));
    }

    /// Replaces all rows `name` by one, in the place of the first.
    pub fn set(&mut self, name: Name, value: impl Into<String>) {
        let _ = (name, value.into());
        todo!()
    }

    /// Removes all rows `name`.
    pub fn remove(&mut self, name: &Name) {
        self.headers.retain(|(n, _)| n != name);
    }

    /// Removes the first value of a list header and returns it: the top Via on the way back.
    pub fn pop_first(&mut self, name: &Name) -> Option<String> {
        let _ = name;
        todo!()
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
        todo!()
    }

    /// From.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        todo!()
    }

    /// To.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        todo!()
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
        todo!()
    }

    /// The first Contact that is an address (not `*`).
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn contact(&self) -> Result<NameAddr, ParseError> {
        todo!()
    }

    /// The addresses of a list header: Contact, Route, Record-Route, Path.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn addresses(&self, name: &Name) -> Result<Vec<NameAddr>, ParseError> {
        let _ = name;
        todo!()
    }

    /// Event, if it is there.
    ///
    /// # Errors
    /// As [`Self::via`]; two Event headers are [`ParseError::Duplicate`].
    pub fn event(&self) -> Result<Option<EventType>, ParseError> {
        todo!()
    }

    /// Subscription-State, if it is there.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState>, ParseError> {
        todo!()
    }

    /// Expires in seconds; `None` when absent or malformed (RFC 3261 §20.19).
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        todo!()
    }

    /// Min-Expires in seconds.
    #[must_use]
    pub fn min_expires(&self) -> Option<u32> {
        todo!()
    }

    /// Retry-After in seconds, its comment and parameters dropped.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        todo!()
    }

    /// Content-Type, if it is there.
    ///
    /// # Errors
    /// As [`Self::via`].
    pub fn content_type(&self) -> Result<Option<MediaType>, ParseError> {
        todo!()
    }

    /// Whether the Accept header takes `essence`; without the header, whether it is `default`.
    #[must_use]
    pub fn accepts(&self, essence: &str, default: &str) -> bool {
        let _ = (essence, default);
        todo!()
    }

    /// The digest and bearer challenges of `name` (WWW-Authenticate or Proxy-Authenticate), in order; rows that
    /// cannot be read are left out.
    #[must_use]
    pub fn challenges(&self, name: &Name) -> Vec<Challenge> {
        let _ = name;
        todo!()
    }

    /// The digest credentials of `name` (Authorization or Proxy-Authorization), in order.
    #[must_use]
    pub fn credentials(&self, name: &Name) -> Vec<DigestCredentials> {
        let _ = name;
        todo!()
    }

    /// The message as text for a log, with the secrets of authentication headers blanked.
    #[must_use]
    pub fn redacted(&self) -> String {
        todo!()
    }
}

/// The standard reason phrase of a status code (RFC 3261 §21, RFC 6665, RFC 3903); the class's for an unknown one.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    let _ = status;
    todo!()
}
