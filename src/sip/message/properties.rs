//! What holds for every message: reading undoes writing, and no bytes make a reader panic.

use super::*;
use crate::sip::auth::AuthenticationInfo;
use crate::sip::{Known, uri};
use proptest::collection::vec;
use proptest::prelude::*;

const VALID: &str = "NOTIFY sip:a%40b:p@[::1]:5060;transport=ws?x=y SIP/2.0\r\nVia: SIP/2.0/WS  h.invalid;branch=z9hG4bK1, \
    SIP/2.0/WSS [::1]:443;received=::1\r\nf: \"N \\\" N\" <sip:a@h>;tag=1\r\nTo: sip:b@h;tag=2\r\nCall-ID: c@h\r\n\
    CSeq: 1 NOTIFY\r\nContact: *\r\nm: <tel:+1-2;ext=3>;q=0.5\r\no: presence;id=1\r\nSubscription-State:\r\n \
    active;expires=59\r\nRetry-After: 5 (a (b));d=1\r\nAccept: text/*;q=0.1, */*\r\nRoute: <sip:p;lr>,<sip:q>\r\n\
    WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\"\r\nAuthorization: Digest username=\"u\", \
    realm=\"r\", nonce=\"n\", uri=\"sip:h\", response=\"00\", nc=00000001\r\nAuthentication-Info: nextnonce=\"n\"\r\n\
    Content-Type: a/b;c=\"d\"\r\nContent-Length: 4\r\n\r\nbody";

/// Runs everything that reads bytes or text of a peer; the results do not matter.
fn read_all_of(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = Message::parse_head(bytes, &limits);
    let Ok(mut message) = Message::parse(bytes, &limits) else { return };
    read_values(&message);
    let _ = message.redacted();
    let written = message.to_bytes();
    let again = Message::parse(&written, &limits).expect("what is written can be read");
    assert!(again.to_bytes() == written, "{:?}", String::from_utf8_lossy(&written));
    let response = Message::response(&message, 404, Some("t")).to_bytes();
    assert!(Message::parse(&response, &limits).is_ok());
    while message.pop_first(&Name::Route).is_some() {}
}

fn read_values(message: &Message) {
    let _ = (message.event(), message.subscription_state(), message.content_type(), message.retry_after());
    let _ = (message.expires(), message.contact(), message.accepts("text/plain", ""), message.max_forwards());
    for name in [Known::Contact, Known::Route, Known::Via] {
        let _ = message.addresses(name);
    }
    let _ = (message.challenges(&Name::WwwAuthenticate), message.credentials(&Name::Authorization));
    if let Some(text) = message.header(&Name::AuthenticationInfo) {
        let _ = AuthenticationInfo::parse(text);
    }
    for uri in [message.from(), message.to()].into_iter().flatten().map(|address| address.uri) {
        let _ = (uri.address_of_record(), uri.equivalent(&uri));
    }
}

/// Text that needs quoting, without line ends, which no header can carry.
fn text() -> impl Strategy<Value = String> {
    "[ -~\\t\u{0}\u{7F}éя😀\"\\\\]{0,12}"
}

fn token() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9.!%*_+`'~-]{1,9}"
}

fn sip_uri() -> impl Strategy<Value = Uri> {
    let host = prop_oneof!["[a-z0-9.-]{1,9}", "\\[[0-9a-f:]{2,9}\\]"];
    let params = vec(("[a-z]{1,9}", proptest::option::of("[a-zA-Z0-9:/=]{0,5}")), 0..4);
    (text(), host, any::<Option<u16>>(), params, any::<bool>()).prop_map(
        |(user, host, port, params, named)| {
            let mut uri =
                if named && !user.is_empty() { Uri::sip(&user, &host) } else { Uri::sip_host(&host) };
            uri.port = port;
            params.iter().for_each(|(name, value)| uri.params.set(name, value.as_deref()));
            uri
        },
    )
}

fn address() -> impl Strategy<Value = NameAddr> {
    (proptest::option::of(text()), sip_uri(), proptest::option::of(token())).prop_map(
        |(display, uri, tag)| {
            let address = NameAddr { display, ..NameAddr::new(uri) };
            if let Some(tag) = tag { address.with_tag(&tag) } else { address }
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let start = prop_oneof![
        (token(), sip_uri())
            .prop_map(|(method, uri)| StartLine::Request { method: Method::from_token(&method), uri }),
        (100..700_u16, "[!-~é]{0,9}").prop_map(|(status, reason)| StartLine::Response { status, reason }),
    ];
    let rows = vec(("X-[a-z]{1,5}", text()), 0..5);
    (start, address(), address(), any::<u32>(), rows, vec(any::<u8>(), 0..50)).prop_map(
        |(start, from, to, number, rows, body)| {
            let mut message = Message::new(start, Vec::new(), body);
            let method = match &message.start {
                StartLine::Request { method, .. } => method.clone(),
                StartLine::Response { .. } => Method::Options,
            };
            message.push(Name::Via, "SIP/2.0/WS h.invalid;branch=z9hG4bK1");
            message.push(Name::MaxForwards, "70");
            message.push(Name::From, from.to_string());
            message.push(Name::To, to.to_string());
            message.push(Name::CallId, "c");
            message.push(Name::CSeq, CSeq { number, method }.to_string());
            rows.into_iter().for_each(|(name, value)| message.push(Name::from_text(&name), value));
            message
        },
    )
}

proptest! {
    // A failure is repeated from its printed values; no file is left in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // 3261-x-b
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_all_of(&bytes);
    }

    // 3261-x-b
    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,60}") {
        let _ = (Uri::parse(&text), NameAddr::parse(&text, Known::To), Via::parse(&text), CSeq::parse(&text));
        let _ = (EventType::parse(&text), SubscriptionState::parse(&text), MediaType::parse(&text));
        let _ = (Challenge::parse(&text), DigestCredentials::parse(&text), AuthenticationInfo::parse(&text));
        let _ = (uri::unescape(&text), grammar::list(&text));
        prop_assert_eq!(uri::unescape(&uri::escape_user(&text)), text);
    }

    // 3261-x-b
    #[test]
    fn no_change_of_a_valid_message_makes_a_reader_panic(
        changes in vec((0..VALID.len(), prop_oneof![any::<u8>(), proptest::sample::select(b" \t\r\n\"<>,;:=%[]()\\@\0".to_vec())]), 1..6),
        drop in 0..VALID.len(),
        dropped in 0..9_usize,
    ) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.drain(drop..(drop + dropped).min(VALID.len()));
        read_all_of(&bytes);
    }

    #[test]
    fn reading_undoes_writing(message in message()) {
        let read = Message::parse(&message.to_bytes(), &Limits::default());
        prop_assert_eq!(read, Ok(message));
    }

    #[test]
    fn uris_and_addresses_survive(address in address()) {
        let uri = &address.uri;
        let read = Uri::parse(&uri.to_string());
        prop_assert_eq!(read.as_ref(), Ok(uri));
        prop_assert!(uri.equivalent(uri));
        prop_assert_eq!(NameAddr::parse(&address.to_string(), Known::To), Ok(address));
    }

    // dig-7616-o
    #[test]
    fn challenges_and_credentials_survive(
        (username, realm, nonce) in (text(), text(), text()),
        opaque in proptest::option::of(text()),
        algorithm in proptest::option::of(token()),
        nc in any::<u32>(),
        (stale, userhash) in (any::<bool>(), any::<bool>()),
    ) {
        let challenge = Challenge {
            scheme: "digest".into(),
            realm: realm.clone(),
            nonce: nonce.clone(),
            opaque: opaque.clone(),
            algorithm: algorithm.clone(),
            qop: vec![],
            stale,
            userhash,
            ..Challenge::default()
        };
        prop_assert_eq!(Challenge::parse(&challenge.to_string()), Ok(challenge));
        let credentials = DigestCredentials {
            username,
            realm,
            nonce,
            uri: "sip:h".into(),
            response: "00".into(),
            algorithm,
            cnonce: opaque.clone(),
            opaque,
            qop: None,
            nc: Some(nc),
            userhash,
        };
        prop_assert_eq!(DigestCredentials::parse(&credentials.to_string()), Ok(credentials));
    }
}

#[test]
fn a_message_cut_at_any_byte_makes_no_reader_panic() {
    assert!(Message::parse(VALID.as_bytes(), &Limits::default()).is_ok());
    for end in 0..VALID.len() {
        let cut = &VALID.as_bytes()[..end];
        read_all_of(cut);
        assert!(Message::parse(cut, &Limits::default()).is_err(), "{end}");
    }
}

#[test]
fn unknown_headers_survive() {
    let text = VALID.replace("Contact: *", "X-Odd:  ;;,,\"a  b\" \t<x;;\r\nx-odd:\r\ny:2");
    let message = Message::parse(text.as_bytes(), &Limits::default()).unwrap();
    let again = Message::parse(&message.to_bytes(), &Limits::default()).unwrap();
    let odd: Vec<_> = again.headers().filter(|(name, _)| matches!(name, Name::Other(_))).collect();
    assert_eq!(
        odd,
        [
            (&Name::Other("X-Odd".into()), ";;,,\"a  b\" \t<x;;"),
            (&Name::Other("x-odd".into()), ""),
            (&Name::Other("y".into()), "2")
        ]
    );
}
