//! Values as text, without the formatting machinery of the standard library: it costs a page more than all of this.
//! Code that a page downloads calls `text`; `Display` gives the same to everybody else.

use super::auth::{Challenge, DigestCredentials};
use super::{CSeq, EventType, MediaType, NameAddr, Params, SubscriptionState, Uri, Via};
use crate::decimal::decimal;
use core::fmt;

macro_rules! texts {
    ($($value:ident)*) => {
        $(
            impl $value {
                /// As it stands in a message.
                #[must_use]
                pub fn text(&self) -> String {
                    let mut text = String::new();
                    self.write(&mut text);
                    text
                }
            }

            impl fmt::Display for $value {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.text())
                }
            }
        )*
    };
}

texts! { CSeq Challenge DigestCredentials EventType MediaType NameAddr Params SubscriptionState Uri Via }

/// Appends `:port`, if there is one.
pub(super) fn push_port(port: Option<u16>, out: &mut String) {
    if let Some(port) = port {
        out.push(':');
        out.push_str(&decimal(port.into()));
    }
}
