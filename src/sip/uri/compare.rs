//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3859 §3, RFC 3966 §4).

use super::{Scheme, Unescaped, Uri, hexadecimal_digit};
use crate::decimal::number;
use crate::pieces::{cut, holds, pieces};
use crate::sip::Params;

impl Uri {
    /// Whether the two URIs are equal by RFC 3261 §19.1.4 (sip, sips), RFC 3859 (pres) or RFC 3966 (tel).
    /// The rule is not transitive: parameters that only one side has are mostly ignored.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Tel => self.tel_key() == other.tel_key() && same_tel_params(&self.params, &other.params),
            Scheme::Other(_) => self.host == other.host,
            Scheme::Sip | Scheme::Sips | Scheme::Pres => {
                same_option(self.user.as_deref(), other.user.as_deref(), same_text)
                    && same_option(self.password.as_deref(), other.password.as_deref(), same_text)
                    && same_host(&self.host, &other.host)
                    && self.port == other.port
                    && same_sip_params(&self.params, &other.params)
                    && same_headers(self.headers.as_deref(), other.headers.as_deref())
            }
        }
    }
}

fn same_option(a: Option<&str>, b: Option<&str>, same: fn(&str, &str) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// An escape equals its character unless that is reserved.
fn same_text(a: &str, b: &str) -> bool {
    same_bytes(a, b, |byte| byte)
}

fn same_text_any_case(a: &str, b: &str) -> bool {
    same_bytes(a, b, |byte| byte.to_ascii_lowercase())
}

fn same_bytes(a: &str, b: &str, case: fn(u8) -> u8) -> bool {
    let is_reserved =
        |byte| matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',');
    let (mut a, mut b) = (Unescaped(a.as_bytes()), Unescaped(b.as_bytes()));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some((a, a_escaped)), Some((b, b_escaped)))
                if case(a) == case(b) && (a_escaped == b_escaped || !is_reserved(a)) => {}
            (Some(_) | None, _) => return false,
        }
    }
}

/// IPv6 addresses are equal by value, not by text (RFC 5954 §3.2); quirk: `:::` is read as `::` (RFC 5118 §4.10).
fn same_host(a: &str, b: &str) -> bool {
    let address = |host: &str| ipv6_groups(host.strip_prefix("[")?.strip_suffix("]")?);
    a.eq_ignore_ascii_case(b) || address(a).is_some_and(|value| address(b) == Some(value))
}

/// The eight groups of an IPv6 address (RFC 4291 §2.2).
fn ipv6_groups(text: &str) -> Option<Vec<u16>> {
    let Some(gap) = text.as_bytes().windows(2).position(|pair| pair == b"::") else {
        return groups(text).filter(|groups| groups.len() == 8);
    };
    let (front, back) = text.split_at_checked(gap)?;
    let back = back.strip_prefix("::")?;
    let behind = groups(back.strip_prefix(":").unwrap_or(back))?;
    let mut all = groups(front)?;
    // "::" stands for one group or more, and an IPv4 address comes last.
    if all.len() + behind.len() > 7 || holds(front, b'.') {
        return None;
    }
    while all.len() + behind.len() < 8 {
        all.push(0);
    }
    all.extend(behind);
    Some(all)
}

/// The groups between colons, the last two of which may be an IPv4 address.
fn groups(text: &str) -> Option<Vec<u16>> {
    let mut groups = Vec::new();
    let mut rest = Some(text).filter(|text| !text.is_empty());
    while let Some(text) = rest {
        let (part, behind) = cut(text, b':').map_or((text, None), |(part, behind)| (part, Some(behind)));
        if behind.is_none() && holds(part, b'.') {
            let mut bytes = Vec::new();
            for byte in pieces(part, b'.') {
                bytes.push(ipv4_byte(byte)?);
            }
            let [a, b, c, d] = bytes[..] else { return None };
            groups.push(a << 8 | b);
            groups.push(c << 8 | d);
        } else {
            let digits = Some(part).filter(|part| (1..=4).contains(&part.len()))?.bytes();
            groups.push(
                digits.map(hexadecimal_digit).try_fold(0, |sum, digit| Some(sum << 4 | u16::from(digit?)))?,
            );
        }
        rest = behind;
    }
    Some(groups)
}

/// `dec-octet`: 0 to 255 without leading zeros (RFC 3986 §3.2.2).
fn ipv4_byte(text: &str) -> Option<u16> {
    let value = number(text).filter(|value| *value < 256 && (text == "0" || !text.starts_with("0")))?;
    u16::try_from(value).ok()
}

/// Parameters that both have must agree; those with a default or that change where the request goes must stand in
/// both or in none; others that only one has are ignored.
fn same_sip_params(a: &Params, b: &Params) -> bool {
    let agree = |name: &str| {
        a.contains(name) == b.contains(name) && same_option(a.value(name), b.value(name), same_text_any_case)
    };
    ["transport", "user", "ttl", "method", "maddr"].iter().all(|name| agree(name))
        && a.iter().all(|(name, _)| !b.contains(name) || agree(name))
}

/// All parameters must be the same, in any order (RFC 3966 §4).
fn same_tel_params(a: &Params, b: &Params) -> bool {
    a.len() == b.len()
        && a.iter().all(|(name, value)| {
            b.contains(name) && same_option(value, b.value(name), |a, b| a.eq_ignore_ascii_case(b))
        })
}

/// The same header parts on both sides, in any order.
fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let within =
        |a: &str, b: &str| pieces(a, b'&').all(|a| pieces(b, b'&').any(|b| same_text_any_case(a, b)));
    let ends = |text: &str| text.bytes().filter(|byte| *byte == b'&').count();
    ends(a) == ends(b) && within(a, b) && within(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.equivalent(&b), b.equivalent(&a), "symmetric");
        assert!(a.equivalent(&a) && b.equivalent(&b), "reflexive");
        a.equivalent(&b)
    }

    // 3261-19.1.4-b, 3261-19.1.4-d, 3261-19.1.4-e
    #[test]
    fn uris_that_name_the_same_resource() {
        for (a, b) in [
            ("sip:%62ob@north.example;transport=TLS", "sip:bob@NORTH.Example;Transport=tls"),
            ("sip:dora@north.example", "sip:dora@north.example;fresh=7"),
            ("sip:dora@north.example;fresh=7", "sip:dora@north.example;lock=yes"),
            (
                "sip:north.example;transport=ws;method=PUBLISH?to=sip:eve%40south.example",
                "sip:north.example;method=publish;transport=WS?TO=sip:eve%40south.example",
            ),
            ("sip:a@h?subject=x%20y&priority=low", "sip:a@h?priority=low&subject=x%20y"),
            ("sip:a@h;x=%6c%72", "sip:a@h;X=LR"),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::0001]"),
            ("sip:a@[2001:db8:::192.0.2.1]", "sip:a@[2001:db8::192.0.2.1]"),
            ("pres:a@H.example", "pres:%61@h.example"),
            ("tel:+1-201-555-0123", "tel:+1(201)555.0123"),
            ("tel:863;phone-context=A.example;x=1", "tel:8-6-3;X=1;phone-context=a.example"),
            ("urn:x:1", "URN:x:1"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
    }

    /// As the standard library reads them, which is too large for a page.
    #[test]
    fn ipv6_addresses_are_read() {
        let pieces =
            ["", "0", "1", "db8", "ffff", "FFFF", "00001", "10000", "g", "192.0.2.1", "0.0.0.0", "1.2.3"];
        let more = ["1.2.3.4.5", "256.1.1.1", "01.1.1.1", "1..2.3", "1.2.3.", "+1", "-1", " 1", "é"];
        let pieces: Vec<&str> = pieces.into_iter().chain(more).collect();
        let mut read = 0;
        // Every address of up to three pieces, and each piece before, after and between runs of ordinary ones.
        for a in &pieces {
            for b in &pieces {
                for c in &pieces {
                    for text in [
                        format!("{a}:{b}:{c}"),
                        format!("{a}::{b}:{c}"),
                        format!("{a}:{b}::{c}"),
                        format!("{a}:1:2:3:4:{b}:6:{c}"),
                        format!("{a}:1:2:3:4:{b}:{c}"),
                        format!("{a}:1:2::3:4:{b}:{c}"),
                        format!("{a}:1:2::3:4:5:{b}:{c}"),
                        format!("{a}:1:2::3:4::{b}:{c}"),
                    ] {
                        let known = text
                            .replacen(":::", "::", 1)
                            .parse::<core::net::Ipv6Addr>()
                            .ok()
                            .map(|address| address.segments());
                        let groups = ipv6_groups(&text);
                        assert_eq!(groups.as_deref(), known.as_ref().map(|groups| &groups[..]), "{text}");
                        read += u32::from(known.is_some());
                    }
                }
            }
        }
        assert_eq!(read, 919, "addresses among them");
        assert_eq!(ipv6_groups("::"), Some(vec![0; 8]));
    }

    // 3261-19.1.4-a, 3261-19.1.4-b, 3261-19.1.4-c, 3261-19.1.4-d, 3261-19.1.4-e
    #[test]
    fn uris_that_do_not() {
        for (a, b) in [
            ("sip:a@h", "sips:a@h"),
            ("sip:a@h", "pres:a@h"),
            ("sip:BOB@north.example;transport=udp", "sip:bob@north.example;transport=UDP"),
            ("sip:bob@north.example", "sip:bob@north.example:5060"),
            ("sip:bob@north.example", "sip:bob@north.example;transport=udp"),
            ("sip:bob@north.example;transport=udp", "sip:bob@north.example;transport=tcp"),
            ("sip:bob@north.example", "sip:bob@north.example:6000;transport=tcp"),
            ("sip:dora@north.example;fresh=7", "sip:dora@north.example?Subject=next%20week"),
            ("sip:bob@phone1.north.example", "sip:bob@192.0.2.7"),
            ("sip:dora@north.example;lock=yes", "sip:dora@north.example;lock=no"),
            ("sip:a@h", "sip:a@h;maddr=x"),
            ("sip:a@h", "sip:a@h;ttl=1"),
            ("sip:a@h", "sip:a@h;user=phone"),
            ("sip:a@h", "sip:a@h;method=INVITE"),
            ("sip:a@h;x", "sip:a@h;x=1"),
            ("sip:a@h", "sip:a:@h"),
            ("sip:a:p@h", "sip:a:q@h"),
            ("sip:a@h", "sip:h"),
            ("sip:a%3Bb@h", "sip:a;b@h"),
            ("sip:a%253Bb@h", "sip:a%3Bb@h"),
            ("sip:a%00@h", "sip:a@h"),
            ("sip:a@h?x=1&x=1", "sip:a@h?x=1"),
            ("tel:+1201", "tel:1201"),
            ("tel:1;ext=2", "tel:1"),
            ("urn:x:1", "urn:x:2"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
