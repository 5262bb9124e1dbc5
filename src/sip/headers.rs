//! Typed values of the headers this library understands. Each has `parse` and `Display`, which are inverse.

use super::{Method, Params, ParseError, Uri};
use core::fmt;

/// `"Display" <uri>;params`: From, To, Contact, Route, Record-Route, Path (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted and unescaped.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Header parameters, such as `tag`, `expires`, `q`.
    pub params: Params,
}

impl NameAddr {
    /// `<uri>` and nothing else.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::new() }
    }

    /// The same with `;tag=`.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// Reads one value. `name` is the header it stands in, for the error.
    ///
    /// # Errors
    /// [`ParseError::Header`] with `name`.
    pub fn parse(text: &str, name: &'static str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header(name))
    }
}

impl fmt::Display for NameAddr {
    /// Always with `<>`; the display name quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport: `WS`, `WSS`, `TCP`, … in upper case.
    pub transport: String,
    /// The host of sent-by.
    pub host: String,
    /// The port of sent-by.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, …
    pub params: Params,
}

impl Via {
    /// Reads one value.
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("Via"))
    }

    /// The `branch` parameter, or "" where a peer of RFC 2543 left it out.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.params.value("branch").unwrap_or_default()
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

/// CSeq (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// The number.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the value.
    ///
    /// # Errors
    /// [`ParseError::Header`], also for a number over 32 bits.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("CSeq"))
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

/// The Event header (RFC 6665 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// The package with its templates, such as `presence` or `presence.winfo`.
    pub package: String,
    /// The `id` parameter.
    pub id: Option<String>,
}

impl EventType {
    /// The package without an id.
    #[must_use]
    pub fn new(package: &str) -> Self {
        Self { package: package.to_owned(), id: None }
    }

    /// Reads the value; parameters but `id` are dropped.
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("Event"))
    }

    /// Whether both are the same event by RFC 6665 §8.2.1: package and id byte by byte.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

/// The state that a NOTIFY gives to a subscription (RFC 6665 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Substate {
    Active,
    Pending,
    Terminated,
    /// An extension; to be treated like pending.
    Other(String),
}

/// Why a notifier ended a subscription (RFC 6665 §4.1.3, RFC 4660).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reason {
    Deactivated,
    Probation,
    Rejected,
    Timeout,
    Giveup,
    Noresource,
    Invariant,
    BadFilter,
    /// A reason that is not registered.
    Other(String),
}

impl Reason {
    /// The reason that `token` names, in any case.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        for (name, reason) in [
            ("deactivated", Self::Deactivated),
            ("probation", Self::Probation),
            ("rejected", Self::Rejected),
            ("timeout", Self::Timeout),
            ("giveup", Self::Giveup),
            ("noresource", Self::Noresource),
            ("invariant", Self::Invariant),
            ("badfilter", Self::BadFilter),
        ] {
            if token.eq_ignore_ascii_case(name) {
                return reason;
            }
        }
        Self::Other(token.to_owned())
    }

    /// The token on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::Noresource => "noresource",
            Self::Invariant => "invariant",
            Self::BadFilter => "badfilter",
            Self::Other(token) => token,
        }
    }
}

/// The Subscription-State header (RFC 6665 §8.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// active, pending or terminated.
    pub state: Substate,
    /// Seconds left.
    pub expires: Option<u32>,
    /// Why it was terminated.
    pub reason: Option<Reason>,
    /// Seconds to wait before another SUBSCRIBE.
    pub retry_after: Option<u32>,
}

impl SubscriptionState {
    /// Reads the value.
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("Subscription-State"))
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

/// `type/subtype;params` of Content-Type, or a range of Accept (RFC 3261 §20.1, §20.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// `charset`, `boundary`, `q`, …
    pub params: Params,
}

impl MediaType {
    /// Reads the value.
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("Content-Type"))
    }

    /// Whether this range of an Accept header takes `essence`; `q=0` refuses.
    #[must_use]
    pub fn accepts(&self, essence: &str) -> bool {
        let _ = essence;
        todo!()
    }
}
