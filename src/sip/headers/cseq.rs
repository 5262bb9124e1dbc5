//! CSeq: the number of a request in its sequence (RFC 3261 §20.16).

use crate::decimal::{decimal, small_number};
use crate::sip::grammar::{self, is_token};
use crate::sip::{Known, Method, ParseError};

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
    /// ```abnf
    /// CSeq = 1*DIGIT LWS Method
    /// ```
    ///
    /// # Errors
    /// [`ParseError::Header`], also for a number over 32 bits.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let read = || {
            let text = grammar::trim(text);
            let (digits, method) = text.split_at(grammar::find_blank(text)?);
            let method = grammar::trim(method);
            let number = small_number(digits)?;
            is_token(method).then(|| Self { number, method: Method::from_token(method) })
        };
        read().ok_or(ParseError::Header(Known::CSeq))
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(&decimal(self.number.into()));
        out.push(' ');
        out.push_str(self.method.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 3261-20.16-a
    #[test]
    fn the_number_fits_32_bits_and_the_method_keeps_its_case() {
        let cseq = CSeq::parse(" 0009 \t INVITE ").unwrap();
        assert_eq!(cseq, CSeq { number: 9, method: Method::Invite });
        assert_eq!(cseq.to_string(), "9 INVITE");
        assert_eq!(CSeq::parse("4294967295 x").unwrap().number, u32::MAX);
        assert_eq!(CSeq::parse("1 invite").unwrap().method, Method::Other("invite".into()));
        for bad in ["4294967296 X", "-1 X", "1", "1 ", "X", "1 A B", "1 A/B", ""] {
            assert_eq!(CSeq::parse(bad), Err(ParseError::Header(Known::CSeq)), "{bad}");
        }
    }
}
