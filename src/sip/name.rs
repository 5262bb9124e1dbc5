//! Header field names with their compact forms (RFC 3261 §7.3.3, §20).

use core::fmt;

macro_rules! names {
    ($($variant:ident $long:literal $($compact:literal)?;)*) => {
        /// A name that this library gives a meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Known { $($variant,)* }

        impl Known {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Long and compact forms, in the order of the variants.
            const TEXTS: &[(&str, &str)] = &[$(($long, concat!($($compact)?)),)*];
        }

        /// The names are written like variants of it: `Name::Via`.
        #[allow(missing_docs, non_upper_case_globals)]
        impl Name {
            $(pub const $variant: Self = Self::Known(Known::$variant);)*
        }
    };
}

impl Known {
    /// The long form, as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::TEXTS[self as usize].0
    }
}

/// A header field name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// One of those below.
    Known(Known),
    /// A name that this library gives no meaning; kept as it came.
    Other(Box<str>),
}

impl Name {
    /// The name that `text` spells, in any case, long or compact.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        for (known, (long, compact)) in Known::ALL.iter().zip(Known::TEXTS) {
            if text.eq_ignore_ascii_case(long) || text.eq_ignore_ascii_case(compact) {
                return Self::Known(*known);
            }
        }
        Self::Other(text.into())
    }

    /// The long form, as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.as_str(),
            Self::Other(text) => text,
        }
    }
}

// The order is that of writing: what a proxy needs comes first (RFC 3261 §7.3.1).
names! {
    Via "Via" "v";
    Route "Route";
    RecordRoute "Record-Route";
    ProxyRequire "Proxy-Require";
    MaxForwards "Max-Forwards";
    ProxyAuthorization "Proxy-Authorization";
    To "To" "t";
    From "From" "f";
    CallId "Call-ID" "i";
    CSeq "CSeq";
    Contact "Contact" "m";
    Event "Event" "o";
    SubscriptionState "Subscription-State";
    Expires "Expires";
    MinExpires "Min-Expires";
    SipETag "SIP-ETag";
    SipIfMatch "SIP-If-Match";
    SuppressIfMatch "Suppress-If-Match";
    Accept "Accept";
    AcceptEncoding "Accept-Encoding";
    AcceptLanguage "Accept-Language";
    Allow "Allow";
    AllowEvents "Allow-Events" "u";
    Supported "Supported" "k";
    Require "Require";
    Unsupported "Unsupported";
    Path "Path";
    FlowTimer "Flow-Timer";
    Authorization "Authorization";
    WwwAuthenticate "WWW-Authenticate";
    ProxyAuthenticate "Proxy-Authenticate";
    AuthenticationInfo "Authentication-Info";
    RetryAfter "Retry-After";
    Warning "Warning";
    Date "Date";
    Subject "Subject" "s";
    UserAgent "User-Agent";
    Server "Server";
    ContentEncoding "Content-Encoding" "e";
    ContentDisposition "Content-Disposition";
    ContentType "Content-Type" "c";
    ContentLength "Content-Length" "l";
}

impl Name {
    /// Whether the header is a comma list that may be spread over rows (RFC 3261 §7.3.1). The rows of others, of
    /// authentication above all, are never split.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(
            *self,
            Self::Via
                | Self::Route
                | Self::RecordRoute
                | Self::ProxyRequire
                | Self::Contact
                | Self::Accept
                | Self::AcceptEncoding
                | Self::AcceptLanguage
                | Self::Allow
                | Self::AllowEvents
                | Self::Supported
                | Self::Require
                | Self::Unsupported
                | Self::Path
                | Self::Warning
                | Self::ContentEncoding
        )
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
