//! From a message to bytes, and to text for a log (RFC 3261 §7.3.1, §20.14).

use super::{Message, StartLine, is_line_end_or_nul, with_blanks};
use crate::decimal::decimal;
use crate::pieces::{concat, cut, pieces};
use crate::sip::Name;
use crate::sip::grammar::{self, is_token_char};
use crate::sip::uri::push_escape;

impl Message {
    /// The bytes on the wire: proxies' headers first, Content-Length always and last (RFC 3261 §7.3.1, §20.14).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(|_, value, head| head.push_str(value)).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The message as text for a log, with the secrets of authentication headers blanked.
    ///
    /// Blank are the digest's `response`, `rspauth` and `cnonce`, whatever follows another scheme such as Bearer in
    /// Authorization and Proxy-Authorization, and passwords in URIs.
    #[must_use]
    pub fn redacted(&self) -> String {
        let head = self.head(|name, value, head| match *name {
            Name::Authorization | Name::ProxyAuthorization => redact_credentials(value, head),
            Name::AuthenticationInfo => redact_params(value, head),
            Name::Known(_) | Name::Other(_) => head.push_str(value),
        });
        let mut text = redact_passwords(&head);
        push_lossy(&self.body, &mut text);
        text
    }

    /// All but the body. `write_value` appends the value of a row.
    fn head(&self, write_value: fn(&Name, &str, &mut String)) -> String {
        let rows: usize =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let mut head = String::with_capacity(rows + self.body.len() + 128);
        match &self.start {
            StartLine::Request { method, uri } => {
                push_token(method.as_str(), &mut head);
                head.push(' ');
                push_uri(&uri.text(), &mut head);
                head.push_str(" SIP/2.0");
            }
            StartLine::Response { status, reason } => {
                head.push_str("SIP/2.0 ");
                for unit in &[100, 10, 1] {
                    head.push(char::from(b'0' + (status / unit % 10) as u8));
                }
                head.push(' ');
                head.push_str(&with_blanks(reason, is_line_end_or_nul));
            }
        }
        head.push_str("\r\n");
        for for_proxies in [true, false] {
            for (name, value) in &self.headers {
                if is_for_proxies(name) == for_proxies && *name != Name::ContentLength {
                    push_token(name.as_str(), &mut head);
                    head.push_str(": ");
                    write_value(name, value, &mut head);
                    head.push_str("\r\n");
                }
            }
        }
        head.push_str("Content-Length: ");
        head.push_str(&decimal(self.body.len() as u64));
        head.push_str("\r\n\r\n");
        head
    }
}

/// Appends `bytes` with U+FFFD for what is not UTF-8.
pub(crate) fn push_lossy(mut bytes: &[u8], out: &mut String) {
    while let Err(error) = str::from_utf8(bytes) {
        let (good, rest) = bytes.split_at(error.valid_up_to());
        out.push_str(str::from_utf8(good).unwrap_or_default());
        out.push('\u{fffd}');
        bytes = rest.get(error.error_len().unwrap_or(rest.len())..).unwrap_or_default();
    }
    out.push_str(str::from_utf8(bytes).unwrap_or_default());
}

/// A method or a header name that was set by hand could hold what ends one.
fn push_token(text: &str, out: &mut String) {
    out.extend(text.chars().filter(|c| is_token_char(*c)));
}

/// Headers that a proxy looks at, so that it need not read the rest (RFC 3261 §7.3.1).
fn is_for_proxies(name: &Name) -> bool {
    matches!(
        *name,
        Name::Via
            | Name::Route
            | Name::RecordRoute
            | Name::ProxyRequire
            | Name::MaxForwards
            | Name::ProxyAuthorization
    )
}

/// A URI whose parts were set by hand could hold a blank or a line end: these are written as escapes.
fn push_uri(uri: &str, out: &mut String) {
    for c in uri.chars() {
        if c == ' ' || c.is_ascii_control() {
            push_escape(out, u8::try_from(c).unwrap_or(b' '));
        } else {
            out.push(c);
        }
    }
}

fn redact_credentials(value: &str, out: &mut String) {
    let (scheme, rest) = value.split_at(grammar::find_blank(value).unwrap_or(value.len()));
    out.push_str(scheme);
    out.push(' ');
    if scheme.eq_ignore_ascii_case("Digest") {
        redact_params(rest, out);
    } else {
        out.push('…');
    }
}

/// Blanks the values from which a password could be guessed.
fn redact_params(value: &str, out: &mut String) {
    let mut separator = "";
    for param in grammar::list(value) {
        out.push_str(separator);
        separator = ", ";
        let name = pieces(param, b'=').next().map(grammar::trim).unwrap_or_default();
        if ["response", "rspauth", "cnonce"].iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            out.push_str(name);
            out.push_str("=\"…\"");
        } else {
            out.push_str(param);
        }
    }
}

/// Blanks `password` wherever `sip:user:password@` or `sips:user:password@` stands.
fn redact_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((scheme, after)) = cut(rest, b':') {
        out.push_str(scheme);
        out.push(':');
        rest = after;
        if !ends_with(scheme, "sip") && !ends_with(scheme, "sips") {
            continue;
        }
        let (behind, userinfo) =
            grammar::span(rest, |c| !c.is_ascii_whitespace() && !matches!(c, '<' | '>' | '"' | '@'));
        match cut(userinfo, b':') {
            Some((user, _)) if behind.starts_with("@") => {
                out.push_str(user);
                out.push_str(":…");
            }
            Some(_) | None => out.push_str(userinfo),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn ends_with(text: &str, end: &str) -> bool {
    let tail = text.len().checked_sub(end.len()).and_then(|at| text.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// The standard reason phrase of a status code (RFC 3261 §21, RFC 6665, RFC 3903); the class's for an unknown one.
/// Without the feature `full` only the codes are known that a page sends.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    // One text is less in the page than a list of its lines.
    let phrase = |code: u16| {
        let code = concat(&[&decimal(code.into()), " "]);
        let find =
            |lines: &'static str| pieces(lines, b'\n').find_map(|line| line.strip_prefix(code.as_str()));
        let found = find(PHRASES);
        #[cfg(feature = "full")]
        let found = found.or_else(|| find(MORE_PHRASES));
        found
    };
    let class = if (101..200).contains(&status) { 183 } else { status / 100 };
    phrase(status).or_else(|| phrase(class)).unwrap_or("Global Failure")
}

/// Code and phrase of what a page sends; the last ones are those of a class.
const PHRASES: &str = "200 OK\n\
    405 Method Not Allowed\n\
    415 Unsupported Media Type\n\
    420 Bad Extension\n\
    481 Call/Transaction Does Not Exist\n\
    489 Bad Event\n\
    501 Not Implemented\n\
    505 Version Not Supported\n\
    513 Message Too Large\n\
    2 OK\n\
    3 Multiple Choices\n\
    4 Bad Request\n\
    5 Server Internal Error\n";

/// Code and phrase of what else there is.
#[cfg(feature = "full")]
const MORE_PHRASES: &str = "100 Trying\n\
    180 Ringing\n\
    181 Call Is Being Forwarded\n\
    182 Queued\n\
    183 Session Progress\n\
    202 Accepted\n\
    204 No Notification\n\
    301 Moved Permanently\n\
    302 Moved Temporarily\n\
    305 Use Proxy\n\
    380 Alternative Service\n\
    401 Unauthorized\n\
    402 Payment Required\n\
    403 Forbidden\n\
    404 Not Found\n\
    406 Not Acceptable\n\
    407 Proxy Authentication Required\n\
    408 Request Timeout\n\
    410 Gone\n\
    412 Conditional Request Failed\n\
    413 Request Entity Too Large\n\
    414 Request-URI Too Long\n\
    416 Unsupported URI Scheme\n\
    421 Extension Required\n\
    423 Interval Too Brief\n\
    439 First Hop Lacks Outbound Support\n\
    480 Temporarily Unavailable\n\
    482 Loop Detected\n\
    483 Too Many Hops\n\
    484 Address Incomplete\n\
    485 Ambiguous\n\
    486 Busy Here\n\
    487 Request Terminated\n\
    488 Not Acceptable Here\n\
    491 Request Pending\n\
    493 Undecipherable\n\
    502 Bad Gateway\n\
    503 Service Unavailable\n\
    504 Server Time-out\n\
    600 Busy Everywhere\n\
    603 Decline\n\
    604 Does Not Exist Anywhere\n\
    606 Not Acceptable\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Scheme, Uri};

    fn text(message: &Message) -> String {
        String::from_utf8(message.to_bytes()).unwrap()
    }

    // 3261-7-a, 3261-7.1-d, 3261-7.3.1-a, 3261-7.3.1-c, 3261-20.14-a, 7118-5-f
    #[test]
    fn proxies_headers_come_first_and_the_length_in_bytes_last() {
        let mut message = Message::request(Method::Publish, Uri::sip("bob", "example.com"));
        message.push(Name::ContentLength, "99");
        message.push(Name::From, "<sip:a@b>;tag=1");
        message.push(Name::Via, "SIP/2.0/WS x.invalid;branch=z9hG4bK1");
        message.push(Name::Other("X-Own".into()), "1");
        message.push(Name::Route, "<sip:p;lr>");
        message.push(Name::MaxForwards, "70");
        message.set_body("text/plain", "é".into());
        assert_eq!(
            text(&message),
            "PUBLISH sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\nRoute: <sip:p;lr>\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nX-Own: 1\r\nContent-Type: text/plain\r\n\
             Content-Length: 2\r\n\r\né"
        );
        assert!(text(&Message::response(&message, 200, None)).ends_with("\r\nContent-Length: 0\r\n\r\n"));
    }

    #[test]
    fn nothing_in_the_start_line_or_a_name_can_add_a_line() {
        let mut uri = Uri::sip("a", "h\r\nEvil: 1\0");
        uri.scheme = Scheme::Other("x y".into());
        let mut message = Message::request(Method::Other("GET\r\nEvil: ".into()), uri);
        message.push(Name::Other("X\r\nEvil: 2\r\nY".into()), "v");
        assert_eq!(
            text(&message),
            "GETEvil x%20y:a@h%0D%0AEvil:%201%00 SIP/2.0\r\nXEvil2Y: v\r\nContent-Length: 0\r\n\r\n"
        );
        message.start = StartLine::Response { status: 7, reason: "a\r\nEvil: 3\0é".into() };
        assert!(text(&message).starts_with("SIP/2.0 007 a  Evil: 3 é\r\nX"));
    }

    #[test]
    fn a_log_shows_no_secret_and_keeps_the_rest() {
        let mut message =
            Message::request(Method::Publish, Uri::parse("sip:bob:hidden1@example.com").unwrap());
        message.push(Name::To, "<SIPS:bob:hidden2@example.com;x=1>, \"n: x@y\" <sip:c@h:5060;p=q>");
        message.push(
            Name::Authorization,
            "Digest username=\"bob\", nonce=\"n1\", uri=\"sip:bob:hidden3@h\", Response = \"hidden4\", \
             cnonce=\"hidden5\", qop=auth",
        );
        message.push(Name::ProxyAuthorization, "Bearer hidden6,hidden7");
        message.push(Name::AuthenticationInfo, "nextnonce=\"n2\", rspauth=\"hidden8\"");
        message.set_body("text/plain", b"body \xFF".to_vec());
        let text = message.redacted();
        assert!(!text.contains("hidden"), "{text}");
        for kept in [
            "PUBLISH sip:bob:…@example.com SIP/2.0\r\n",
            "<SIPS:bob:…@example.com;x=1>, \"n: x@y\" <sip:c@h:5060;p=q>",
            "Digest username=\"bob\", nonce=\"n1\", uri=\"sip:bob:…@h\", Response=\"…\", cnonce=\"…\", qop=auth\r\n",
            "Proxy-Authorization: Bearer …\r\n",
            "nextnonce=\"n2\", rspauth=\"…\"",
            "Content-Length: 6\r\n\r\nbody \u{FFFD}",
        ] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
    }

    #[test]
    fn unknown_codes_have_the_phrase_of_their_class() {
        for (status, phrase) in [
            (200, "OK"),
            #[cfg(feature = "full")]
            (202, "Accepted"),
            (299, "OK"),
            #[cfg(feature = "full")]
            (412, "Conditional Request Failed"),
            #[cfg(feature = "full")]
            (423, "Interval Too Brief"),
            (431, "Bad Request"),
            (489, "Bad Event"),
            (577, "Server Internal Error"),
            (677, "Global Failure"),
        ] {
            assert_eq!(reason_phrase(status), phrase);
        }
    }
}
