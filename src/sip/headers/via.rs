//! Via: the way of a request, and of its response back (RFC 3261 §20.42, RFC 7118 §5.1).

use crate::sip::grammar::{self, Parsed, separator, sip_version, sws, token};
use crate::sip::text::push_port;
use crate::sip::{Known, Params, ParseError};
use nom::Parser;
use nom::combinator::opt;
use nom::sequence::preceded;

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
    /// [`ParseError::Header`]; [`ParseError::TooMany`] for more than 128 parameters.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (rest, (transport, host, port)) =
            sent(grammar::trim(text)).map_err(|_| ParseError::Header(Known::Via))?;
        Ok(Self {
            transport: transport.to_ascii_uppercase(),
            host: host.to_owned(),
            port,
            params: grammar::params(rest, Known::Via)?,
        })
    }

    /// The `branch` parameter, or "" where a peer of RFC 2543 left it out.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.params.value("branch").unwrap_or_default()
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("SIP/2.0/");
        out.push_str(&self.transport);
        out.push(' ');
        out.push_str(&self.host);
        push_port(self.port, out);
        self.params.write(out);
    }
}

/// ```abnf
/// via-parm = sent-protocol LWS sent-by *(SEMI via-params)
/// sent-by  = host [COLON port]
/// ```
fn sent(input: &str) -> Parsed<'_, (&str, &str, Option<u16>)> {
    let (input, transport) = preceded((sip_version, separator("/")), token).parse(input)?;
    let (input, host) = preceded(sws, grammar::host).parse(input)?;
    let (input, port) = opt(preceded(separator(":"), grammar::port)).parse(input)?;
    Ok((input, (transport, host, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Via {
        let via = Via::parse(text).unwrap();
        assert_eq!(Via::parse(&via.to_string()).as_ref(), Ok(&via), "round trip");
        via
    }

    // 3261-20.42-a
    #[test]
    fn blanks_may_stand_around_slash_and_colon() {
        let via = read("SIP / 2.0 / udp first.example: 4000;ttl=16 ;branch = z9hG4bK1");
        assert_eq!(
            (via.transport.as_str(), via.host.as_str(), via.port),
            ("UDP", "first.example", Some(4000))
        );
        assert_eq!(via.branch(), "z9hG4bK1");
        assert_eq!(via.to_string(), "SIP/2.0/UDP first.example:4000;ttl=16;branch=z9hG4bK1");
    }

    #[test]
    fn kamailio_writes_two_blanks_before_the_host() {
        let via = read("SIP/2.0/WS  127.0.0.1;branch=z9hG4bK3ac8.f4c5=/ce5.0");
        assert_eq!((via.host.as_str(), via.branch()), ("127.0.0.1", "z9hG4bK3ac8.f4c5=/ce5.0"));
    }

    // 3261-25-f
    #[test]
    fn ipv6_has_brackets_in_sent_by_and_may_lack_them_in_received() {
        let via = read("SIP/2.0/WSS [2001:db8::9:1]:5061;received=2001:db8::9:255;branch=z9hG4bKa;rport");
        assert_eq!((via.host.as_str(), via.port), ("[2001:db8::9:1]", Some(5061)));
        assert_eq!(via.params.value("received"), Some("2001:db8::9:255"));
        assert_eq!(
            read("SIP/2.0/TCP [::1];received=[2001:db8::9:255]").params.value("received"),
            Some("[2001:db8::9:255]")
        );
    }

    #[test]
    fn what_the_grammar_refuses_is_an_error() {
        for bad in [
            "",
            "SIP/2.0/WS",
            "SIP/3.0/WS h",
            "HTTP/2.0/WS h",
            "SIP/2.0/UDP 192.0.2.15;;",
            "SIP/2.0/WS h:65536",
            "SIP/2.0/WS h:",
            "SIP/2.0/WS 2001:db8::1",
            "SIP/2.0/WS h x",
        ] {
            assert_eq!(Via::parse(bad), Err(ParseError::Header(Known::Via)), "{bad}");
        }
    }
}
