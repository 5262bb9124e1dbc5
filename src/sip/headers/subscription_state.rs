//! Subscription-State: what a NOTIFY says about its subscription (RFC 6665 §4.1.3, §8.2.3).

use crate::decimal::{decimal, number};
use crate::sip::grammar::{self, token};
use crate::sip::{Known, ParseError};

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
    /// Reads the value. A number that is malformed counts as absent, one over 32 bits as the largest; other
    /// parameters are dropped.
    ///
    /// ```abnf
    /// Subscription-State = substate-value *(SEMI subexp-params)
    /// ```
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        const NAME: Known = Known::SubscriptionState;
        let (rest, state) = token(grammar::trim(text)).map_err(|_| ParseError::Header(NAME))?;
        let params = grammar::params(rest, NAME)?;
        let seconds = |name| Some(u32::try_from(number(params.value(name)?)?).unwrap_or(u32::MAX));
        Ok(Self {
            state: Substate::from_token(state),
            expires: seconds("expires"),
            reason: params.value("reason").filter(|r| grammar::is_token(r)).map(Reason::from_token),
            retry_after: seconds("retry-after"),
        })
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(self.state.as_str());
        if let Some(expires) = self.expires {
            out.push_str(";expires=");
            out.push_str(&decimal(expires.into()));
        }
        if let Some(reason) = &self.reason {
            out.push_str(";reason=");
            out.push_str(reason.as_str());
        }
        if let Some(seconds) = self.retry_after {
            out.push_str(";retry-after=");
            out.push_str(&decimal(seconds.into()));
        }
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
    Other(Box<str>),
}

impl Substate {
    /// The state that `token` names, in any case.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        match () {
            () if token.eq_ignore_ascii_case("active") => Self::Active,
            () if token.eq_ignore_ascii_case("pending") => Self::Pending,
            () if token.eq_ignore_ascii_case("terminated") => Self::Terminated,
            () => Self::Other(token.into()),
        }
    }

    /// The token on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Terminated => "terminated",
            Self::Other(token) => token,
        }
    }
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
    Other(Box<str>),
}

impl Reason {
    /// The reason that `token` names, in any case.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        let registered = [
            Self::Deactivated,
            Self::Probation,
            Self::Rejected,
            Self::Timeout,
            Self::Giveup,
            Self::Noresource,
            Self::Invariant,
            Self::BadFilter,
        ];
        let known = registered.into_iter().find(|reason| token.eq_ignore_ascii_case(reason.as_str()));
        known.unwrap_or_else(|| Self::Other(token.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SubscriptionState {
        let value = SubscriptionState::parse(text).unwrap();
        assert_eq!(SubscriptionState::parse(&value.to_string()).as_ref(), Ok(&value), "round trip");
        value
    }

    // pt-04
    #[test]
    fn tokens_have_no_case() {
        let value = read("ACTIVE;EXPIRES=5");
        assert_eq!((value.state, value.expires), (Substate::Active, Some(5)));
        let value = read("Terminated ; Reason=NoResource;retry-after=9");
        assert_eq!(value.reason, Some(Reason::Noresource));
        assert_eq!((value.state, value.retry_after), (Substate::Terminated, Some(9)));
        assert_eq!(read("waiting;reason=new-one").state, Substate::Other("waiting".into()));
    }

    // pt-05
    #[test]
    fn odd_numbers_are_held_or_ignored_and_the_first_counts() {
        for (text, expires) in [
            ("active;expires=4294967296", Some(u32::MAX)),
            ("active;expires=99999999999999999999999", Some(u32::MAX)),
            ("active;expires=-1", None),
            ("active;expires=", None),
            ("active;expires", None),
            ("active;expires=7;expires=9", Some(7)),
        ] {
            assert_eq!(read(text).expires, expires, "{text}");
        }
    }

    #[test]
    fn a_value_without_a_state_is_an_error() {
        for bad in ["", ";expires=1", "active,pending", "active;;"] {
            assert_eq!(
                SubscriptionState::parse(bad),
                Err(ParseError::Header(Known::SubscriptionState)),
                "{bad}"
            );
        }
    }
}
