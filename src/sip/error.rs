//! What can be wrong with the bytes of a SIP message, and what to answer.

use super::Known;
use crate::pieces::concat;
use core::fmt;

/// Why bytes are not a SIP message that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// Nothing but line ends: a keep-alive or its answer (RFC 5626 §3.5.1). Not a fault.
    KeepAlive,
    /// The start line is neither a Request-Line nor a Status-Line (RFC 3261 §7.1, §7.2).
    StartLine,
    /// The SIP version is not 2.0: answer 505.
    Version,
    /// The head is not UTF-8 text.
    Encoding,
    /// A header line has no colon, or the head does not end in an empty line.
    HeaderLine,
    /// A header that is needed is absent.
    Missing(Known),
    /// A header that may stand once stands more often.
    Duplicate(Known),
    /// A header's value does not follow its grammar.
    Header(Known),
    /// The method of CSeq is not that of the request (RFC 3261 §8.1.1.5).
    CSeqMethod,
    /// The body is shorter than Content-Length says (RFC 3261 §18.3).
    Truncated,
    /// The message is larger than [`super::Limits`] allows: answer 513.
    TooLarge,
    /// More header rows or parameters than [`super::Limits`] allows.
    TooMany,
}

impl ParseError {
    /// The status code that answers a request with this fault (RFC 3261 §21.4).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLarge | Self::TooMany => 513,
            Self::KeepAlive
            | Self::StartLine
            | Self::Encoding
            | Self::HeaderLine
            | Self::Missing(_)
            | Self::Duplicate(_)
            | Self::Header(_)
            | Self::CSeqMethod
            | Self::Truncated => 400,
        }
    }

    /// The fault in words. `Display` gives the same and costs a page more.
    pub(crate) fn text(&self) -> String {
        let (text, header) = match self {
            Self::KeepAlive => ("keep-alive, no message", ""),
            Self::StartLine => ("the first line is not one of SIP", ""),
            Self::Version => ("the SIP version is not 2.0", ""),
            Self::Encoding => ("the head is not UTF-8", ""),
            Self::HeaderLine => ("a header line is malformed", ""),
            Self::Missing(name) => ("missing header ", name.as_str()),
            Self::Duplicate(name) => ("repeated header ", name.as_str()),
            Self::Header(name) => ("malformed header ", name.as_str()),
            Self::CSeqMethod => ("CSeq names another method", ""),
            Self::Truncated => ("the body is shorter than Content-Length", ""),
            Self::TooLarge => ("the message is too large", ""),
            Self::TooMany => ("too many headers or parameters", ""),
        };
        concat(&[text, header])
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for ParseError {}

/// Why text is not a URI that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// There is no `scheme:` in front.
    NoScheme,
    /// The host is missing or malformed.
    Host,
    /// The user part is empty before `@`, or has a character that must be escaped.
    User,
    /// The port is not a number from 0 to 65535.
    Port,
    /// A parameter or header part is malformed or repeated.
    Parameter,
}

impl UriError {
    /// The fault in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoScheme => "a URI starts with its scheme, such as sip:",
            Self::Host => "the host of the URI is missing or malformed",
            Self::User => "the user part of the URI is malformed",
            Self::Port => "the port of the URI is not a number from 0 to 65535",
            Self::Parameter => "a parameter of the URI is malformed or stands twice",
        }
    }
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for UriError {}
