//! One message of each class of the torture tests, RFC 4475 §3 and RFC 5118 §4, in words and values of our own:
//! each test has the name of its case there and asserts what the reader must make of it. What an agent answers is
//! tested where the agents are.
#![allow(clippy::unwrap_used)]

use sip_presence::sip::auth::DigestCredentials;
use sip_presence::sip::uri::unescape;
use sip_presence::sip::{Known, Limits, Message, Method, Name, NameAddr, ParseError, Scheme, StartLine, Uri};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Headers that each request has; `SUBSCRIBE` in CSeq.
const COMMON: &str = "Via: SIP/2.0/WS client.example;branch=z9hG4bKcommon\n\
                      Max-Forwards: 70\n\
                      From: <sip:watcher@example.com>;tag=w1\n\
                      To: <sip:presentity@example.com>\n\
                      Call-ID: torture@client.example\n\
                      CSeq: 31 SUBSCRIBE\n";

fn parse_bytes(bytes: &[u8]) -> Result<Message, ParseError> {
    Message::parse(bytes, &Limits::default())
}

/// Reads text whose lines end in LF here and in CRLF on the wire.
fn parse(text: &str) -> Result<Message, ParseError> {
    parse_bytes(text.replace('\n', "\r\n").as_bytes())
}

fn read(text: &str) -> Message {
    let message = parse(text).expect("a valid message");
    let again = parse_bytes(&message.to_bytes()).expect("what is written can be read");
    assert_eq!(again.to_bytes(), message.to_bytes(), "round trip");
    message
}

/// A SUBSCRIBE with the common headers and `extra` ones.
fn subscribe(extra: &str) -> String {
    format!("SUBSCRIBE sip:presentity@example.com SIP/2.0\n{COMMON}{extra}\n")
}

/// The same with one text put in the place of another.
fn altered(from: &str, to: &str) -> String {
    let text = subscribe("");
    assert!(text.contains(from));
    text.replacen(from, to, 1)
}

/// What a 400 is made from must be there, for requests that are refused but answered.
fn can_be_answered(text: &str) -> bool {
    Message::parse_head(text.replace('\n', "\r\n").as_bytes(), &Limits::default()).is_some()
}

fn other(name: &str) -> Name {
    Name::Other(name.into())
}

// 3261-7.3.1-b, 3261-7.3.1-i, 3261-7.3.3-a, 3261-20.22-a
#[test]
fn wsinv() {
    let message = read(
        "SUBSCRIBE sip:desk@example.com;odd=1 SIP/2.0\n\
         TO :\n sip:desk@example.com ;   tag    = 42ab\n\
         fRoM   : \"A. Watcher \\\\\\\"\"       <sip:watcher@example.com>\n  ;\n  tag = 77x\n\
         MaX-fOrWaRdS: 0068\n\
         cAlL-iD: wsinv.q8\n\
         CSeq: 0031\n  SUBSCRIBE\n\
         v  : SIP  / 2.0  /  TCP      198.51.100.2 ;\n   branch=no-cookie\n\
         s :\n\
         X-Unheard-Of: kept\n  raw, \"even;\n  this\"\n\
         l: 0\n\
         V: SIP/2.0/WS  proxy.example:8080;branch=z9hG4bK2 , SIP / 2.0 / wss\n  outer.example ; branch=z9hG4bK3\n\
         m:\"Quoted \\\"\\\"\" <sip:w@198.51.100.2> ; fresh = 1 ;\n  second ; q = 0.42\n\n",
    );
    assert_eq!(message.to().unwrap().tag(), Some("42ab"));
    let from = message.from().unwrap();
    assert_eq!((from.display.as_deref(), from.tag()), (Some("A. Watcher \\\""), Some("77x")));
    assert_eq!(message.max_forwards(), Some(68));
    assert_eq!(message.cseq().unwrap().number, 31);
    assert_eq!(message.list(&Name::Via).count(), 3);
    assert_eq!(
        (message.via().unwrap().transport.as_str(), message.via().unwrap().branch()),
        ("TCP", "no-cookie")
    );
    assert_eq!(message.header(&Name::Subject), Some(""));
    let contact = message.contact().unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted \"\""));
    assert_eq!(contact.params.value("q"), Some("0.42"));
    assert!(contact.params.contains("second") && contact.params.value("second").is_none());
    assert_eq!(message.header(&other("X-Unheard-Of")), Some("kept raw, \"even; this\""));
}

// 3261-25-a, 3261-25-c, 3261-7.1-e
#[test]
fn intmeth() {
    let method = "!odd-Meth0d.*of+`tokens'_~%";
    let call_id = "word%ZZ-!.*_+'@other`~)(><:\\/\"][?}{";
    let message = read(&format!(
        "{method} sip:1_one.x!~*'()&=+$,;?/%20:&it+has=1,$pass.*word@example.com SIP/2.0\n\
         Via: SIP/2.0/WSS host1.example;branch=z9hG4bK-.!%66*_+`'~\n\
         To: \"BEL:\\\x07 NUL:\\\0 DEL:\\\x7F\" <sip:1_one.x!~*'()&=+$,;?/%20@example.com>\n\
         From: w1~` w2'+_ w3*%!.- <sip:a%20b@example.com>;odd'+~`*!-.=1;tag=_t~1'+`*%!-.\n\
         Call-ID: {call_id}\n\
         CSeq: 1 {method}\n\
         Extension: \u{440}\u{443} \u{44f}\n\n"
    ));
    assert_eq!(message.method(), Method::Other(method.into()));
    assert_eq!(message.to().unwrap().display.as_deref(), Some("BEL:\x07 NUL:\0 DEL:\x7F"));
    assert_eq!(message.from().unwrap().tag(), Some("_t~1'+`*%!-."));
    assert_eq!(message.call_id(), call_id);
    assert_eq!(message.via().unwrap().branch(), "z9hG4bK-.!%66*_+`'~");
    assert_eq!(message.header(&other("Extension")), Some("\u{440}\u{443} \u{44f}"));
    let uri = message.request_uri().unwrap();
    assert_eq!(uri.user.as_deref(), Some("1_one.x!~*'()&=+$,;?/%20"));
    assert_eq!(uri.password.as_deref(), Some("&it+has=1,$pass.*word"));
}

// 3261-19.1.2-b, 3261-25-b
#[test]
fn esc01() {
    let message = read(
        &altered("sip:presentity@", "sip:sips%3Apresentity%40far.example@")
            .replace("\n\n", "\nm: <sip:c%61ller@example.com;%6C%72;n%61me=v%25%34%31>\n\n"),
    );
    let user = message.request_uri().unwrap().user.clone().unwrap();
    assert_eq!(unescape(&user), "sips:presentity@far.example");
    let contact = message.contact().unwrap().uri;
    assert!(contact.equivalent(&Uri::parse("sip:caller@example.com").unwrap()));
    let params: Vec<_> =
        contact.params.iter().map(|(name, value)| (unescape(name), value.map(unescape))).collect();
    assert_eq!(params, [("lr".into(), None), ("name".into(), Some("v%41".into()))]);
}

#[test]
fn escnull() {
    let message = read(&subscribe("Contact: <sip:%00@host5.example>, <sip:%00%00@host5.example>\n"));
    let contacts = message.addresses(Known::Contact).unwrap();
    assert!(!contacts[0].uri.equivalent(&contacts[1].uri));
    let lengths: Vec<_> = contacts.iter().map(|c| unescape(c.uri.user.as_deref().unwrap()).len()).collect();
    assert_eq!(lengths, [1, 2]);
}

// 3261-25-b
#[test]
fn esc02() {
    let message = read(
        "SUB%53CRIBE sip:example.com SIP/2.0\n\
         Via: SIP/2.0/WS h.example;branch=z9hG4bK%41\n\
         To: \"%Z%45\" <sip:r%65s@example.com>\n\
         From: \"%Z%45\" <sip:r%65s@example.com>;tag=f232%34\n\
         Call-ID: esc02.%41\n\
         CSeq: 29 SUB%53CRIBE\n\
         C%6Fntact: <sip:ignored@example.com>\n\
         Contact: <sip:one@h.example>\n\
         Contact: <sip:two@h.example>\n\n",
    );
    assert_eq!(message.method(), Method::Other("SUB%53CRIBE".into()));
    assert_eq!(message.to().unwrap().display.as_deref(), Some("%Z%45"));
    assert_eq!(message.from().unwrap().tag(), Some("f232%34"));
    assert_eq!(message.call_id(), "esc02.%41");
    assert_eq!(message.addresses(Known::Contact).unwrap().len(), 2);
}

// 3261-20.10-c
#[test]
fn lwsdisp() {
    let message = read(&altered("From: <sip:", "From: watcher<sip:"));
    assert_eq!(message.from().unwrap().display.as_deref(), Some("watcher"));
}

// 3261-7.3.3-a
#[test]
fn longreq() {
    let tag = "x".repeat(3000);
    let name = "Very Long ".repeat(300);
    let mut vias = String::new();
    for at in 0..34 {
        let header = ["Via", "v", "VIA", "V", "viA"][at % 5];
        vias.push_str(&format!("{header}: sip / 2.0/ udp host{at}.long.example;branch=z9hG4bK{at}\n"));
    }
    let message = read(
        &subscribe(&vias)
            .replace("Via: SIP/2.0/WS client.example;branch=z9hG4bKcommon\n", "")
            .replace("From: <sip:watcher@example.com>;tag=w1", &format!("F: \"{name}\" <sip:w@h>;tag={tag}")),
    );
    assert_eq!(message.list(&Name::Via).count(), 34);
    assert_eq!(message.via().unwrap().host, "host0.long.example");
    let from = message.from().unwrap();
    assert_eq!((from.tag(), from.display.as_deref()), (Some(tag.as_str()), Some(name.as_str())));
}

// 3261-18.3-a, 7118-5-c
#[test]
fn dblreq() {
    let second = subscribe("").replace("SUBSCRIBE", "INVITE");
    let message = read(&format!("{}{second}", subscribe("Content-Length: 0\n")));
    assert_eq!((message.method(), message.body.len()), (Method::Subscribe, 0));
}

// 3261-19.1.1-a
#[test]
fn semiuri() {
    let message = read(&altered("sip:presentity@", "sip:desk;room=9%40far.example@"));
    let uri = message.request_uri().unwrap();
    assert_eq!(unescape(uri.user.as_deref().unwrap()), "desk;room=9@far.example");
    assert_eq!(uri.host, "example.com");
    assert!(uri.params.is_empty());
}

#[test]
fn transports() {
    let message = read(&subscribe(
        "Via: SIP/2.0/SCTP a.example;branch=z9hG4bK1\nVia: SIP/2.0/NEWONE b.example;branch=z9hG4bK2, \
         SIP/2.0/TLS c.example;branch=z9hG4bK3\nVia: SIP/2.0/WSS d.example;branch=z9hG4bK4\n",
    ));
    assert_eq!(message.list(&Name::Via).count(), 5);
    let response = read(
        &String::from_utf8(Message::response(&message, 200, Some("t")).to_bytes())
            .unwrap()
            .replace("\r\n", "\n"),
    );
    assert!(response.list(&Name::Via).eq(message.list(&Name::Via)));
}

// 3261-7.4.1-b
#[test]
fn mpart01() {
    let mut body =
        b"--edge\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--edge\r\nContent-Type: x/y\r\n\r\n".to_vec();
    body.extend([0, 1, 0xFF, b'\n', 0xC3, b'\r', b'\n', 0x80, 0]);
    body.extend(b"\r\n--edge--\r\n");
    let head = subscribe(&format!(
        "Content-Type: multipart/mixed;boundary=edge\nContent-Length: {}\nMIME-Version: 1.0\nNon: \u{fffd}\n",
        body.len()
    ));
    let mut bytes = head.replace('\n', "\r\n").into_bytes();
    bytes.extend(&body);
    let message = parse_bytes(&bytes).unwrap();
    assert_eq!(message.body, body);
    assert_eq!(message.content_type().unwrap().unwrap().params.value("boundary"), Some("edge"));
    assert!(message.to_bytes().ends_with(&body));
}

fn response(status_line: &str) -> String {
    format!("{status_line}\n{COMMON}\n")
}

// 3261-7.2-a
#[test]
fn unreason() {
    let message = read(&response("SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e} \u{2014} \u{1F600}"));
    assert_eq!(
        message.start,
        StartLine::Response { status: 200, reason: "= 2**3 * 5**2 \u{43d}\u{43e} \u{2014} \u{1F600}".into() }
    );
}

// 3261-7.2-a
#[test]
fn noreason() {
    for line in ["SIP/2.0 100 ", "SIP/2.0 100"] {
        let message = read(&response(line));
        assert_eq!(message.start, StartLine::Response { status: 100, reason: String::new() });
    }
}

#[test]
fn badinv01() {
    let text = altered("branch=z9hG4bKcommon", ";,;,,");
    assert_eq!(parse(&text), Err(ParseError::Header(Known::Via)));
    assert!(can_be_answered(&text));
    let message = read(&subscribe("Contact: \"Joe\" <sip:joe@h>;;;;\n"));
    assert_eq!(message.contact(), Err(ParseError::Header(Known::Contact)));
}

// 3261-18.3-b, 3261-18.3-c
#[test]
fn clerr() {
    let text = subscribe("Content-Length: 9999\n") + "short";
    assert_eq!(parse(&text), Err(ParseError::Truncated));
    assert_eq!(ParseError::Truncated.status(), 400);
    assert!(can_be_answered(&text));
    let text = response("SIP/2.0 200 OK").replace("\n\n", "\nContent-Length: 9999\n\nshort");
    assert_eq!(parse(&text), Err(ParseError::Truncated));
}

#[test]
fn ncl() {
    assert_eq!(parse(&subscribe("Content-Length: -999\n")), Err(ParseError::Header(Known::ContentLength)));
}

// 3261-20.16-a, 3261-20.19-a, 3261-20.22-a
#[test]
fn scalar02() {
    let extra = "Expires: 1000000000000000000000000000000000000000000000000000000000000000000000000\n\
                 Contact: <sip:w@h>;expires=280297596632815\n";
    let text = subscribe(extra).replace("31 SUBSCRIBE", "36893488147419103232 SUBSCRIBE");
    assert_eq!(parse(&text), Err(ParseError::Header(Known::CSeq)));
    assert!(can_be_answered(&text));
    let alone = read(&subscribe(extra).replace("Max-Forwards: 70", "Max-Forwards: 300"));
    assert_eq!((alone.expires(), alone.max_forwards()), (None, None));
}

// 3261-20.16-a
#[test]
fn scalarlg() {
    let text =
        response("SIP/2.0 503 Busy").replace("31 SUBSCRIBE", "9292394834772304023312 SUBSCRIBE").replace(
            "\n\n",
            "\nRetry-After: 949302838503028349304023988\nWarning: 1812 h \"too long a code\"\n\n",
        );
    assert_eq!(parse(&text), Err(ParseError::Header(Known::CSeq)));
}

#[test]
fn quotbal() {
    let text = altered("To: <sip:", "To: \"Mr. Unbalanced <sip:");
    assert_eq!(parse(&text), Err(ParseError::Header(Known::To)));
    assert!(can_be_answered(&text));
}

/// A faulty Request-Line: refused, but with enough to answer 400.
fn bad_request_line(line: &str) {
    let text = altered("SUBSCRIBE sip:presentity@example.com SIP/2.0", line);
    assert_eq!(parse(&text), Err(ParseError::StartLine));
    assert!(can_be_answered(&text));
}

// 3261-7.1-b
#[test]
fn ltgtruri() {
    bad_request_line("SUBSCRIBE <sip:presentity@example.com> SIP/2.0");
}

// 3261-7.1-a
#[test]
fn lwsruri() {
    bad_request_line("SUBSCRIBE sip:presentity@example.com; odd SIP/2.0");
}

// 3261-7.1-a
#[test]
fn lwsstart() {
    bad_request_line("SUBSCRIBE  sip:presentity@example.com  SIP/2.0");
}

// 3261-7.1-a
#[test]
fn trws() {
    bad_request_line("SUBSCRIBE sip:presentity@example.com SIP/2.0  ");
}

// 3261-19.1.1-d
#[test]
fn escruri() {
    let message = read(&altered(
        "sip:presentity@example.com",
        "sip:presentity@example.com?Route=%3Csip:evil.example%3E",
    ));
    assert_eq!(message.request_uri().unwrap().headers.as_deref(), Some("Route=%3Csip:evil.example%3E"));
    assert_eq!(message.header(&Name::Route), None);
}

// 3261-20.17-a
#[test]
fn baddate() {
    let message = read(&subscribe("Date: Fri, 01 Jan 2010 16:00:00 EST\n"));
    assert_eq!(message.header(&Name::Date), Some("Fri, 01 Jan 2010 16:00:00 EST"));
}

#[test]
fn regbadct() {
    let message = read(&subscribe("Contact: sip:w@example.com?Route=%3Csip:p.example%3E\n"));
    assert_eq!(message.contact(), Err(ParseError::Header(Known::Contact)));
}

#[test]
fn badaspec() {
    let text = altered("To: <sip:presentity@example.com>", "To: \"P\" < sip:presentity@example.com >");
    assert_eq!(parse(&text), Err(ParseError::Header(Known::To)));
}

#[test]
fn baddn() {
    let text = altered("From: <sip:", "From: Watson, Thomas <sip:");
    assert_eq!(parse(&text), Err(ParseError::Header(Known::From)));
    let no_end = subscribe("");
    assert_eq!(parse(no_end.trim_end_matches('\n')), Err(ParseError::HeaderLine));
}

// 3261-7.1-d
#[test]
fn badvers() {
    let text = altered("SIP/2.0", "SIP/7.0");
    assert_eq!(parse(&text), Err(ParseError::Version));
    assert_eq!(ParseError::Version.status(), 505);
    assert!(can_be_answered(&text));
}

// 3261-20.16-a
#[test]
fn mismatch01() {
    assert_eq!(parse(&altered("31 SUBSCRIBE", "31 PUBLISH")), Err(ParseError::CSeqMethod));
}

#[test]
fn mismatch02() {
    let text = altered("SUBSCRIBE sip:", "NEWMETHOD sip:");
    assert_eq!(parse(&text), Err(ParseError::CSeqMethod));
    assert!(can_be_answered(&text));
}

// 3261-7.2-b
#[test]
fn bigcode() {
    assert_eq!(parse(&response("SIP/2.0 4294967301 better than all")), Err(ParseError::StartLine));
}

#[test]
fn badbranch() {
    assert_eq!(read(&altered("z9hG4bKcommon", "z9hG4bK")).via().unwrap().branch(), "z9hG4bK");
}

// 3261-x-b
#[test]
fn insuf() {
    let text = "SUBSCRIBE sip:p@example.com SIP/2.0\nVia: SIP/2.0/WS h\nCSeq: 1 SUBSCRIBE\n\n";
    assert_eq!(parse(text), Err(ParseError::Missing(Known::CallId)));
    assert!(!can_be_answered(text));
}

fn scheme_of(request_uri: &str) -> (Scheme, String) {
    let message = read(&altered("sip:presentity@example.com", request_uri));
    let uri = message.request_uri().expect("a request");
    assert_eq!(uri.to_string(), request_uri);
    (uri.scheme.clone(), uri.host.clone())
}

#[test]
fn unkscm() {
    assert_eq!(
        scheme_of("unheardof:opaque,content"),
        (Scheme::Other("unheardof".into()), "opaque,content".into())
    );
}

#[test]
fn novelsc() {
    assert_eq!(scheme_of("soap.beep://h:8/p?q"), (Scheme::Other("soap.beep".into()), "//h:8/p?q".into()));
}

#[test]
fn unksm2() {
    let message = read(
        &subscribe("Contact: <name:Any_One>\n")
            .replace("To: <sip:presentity@example.com>", "To: isbn:9780000000002;tag=b")
            .replace("From: <sip:watcher@example.com>", "From: <http://www.example.com/?a;b>"),
    );
    let to = message.to().unwrap();
    assert_eq!((to.uri.to_string().as_str(), to.tag()), ("isbn:9780000000002", Some("b")));
    assert_eq!(message.from().unwrap().uri.to_string(), "http://www.example.com/?a;b");
    assert_eq!(message.contact().unwrap().uri.to_string(), "name:Any_One");
}

#[test]
fn bext01() {
    let message = read(&subscribe("Require: one, two\nProxy-Require: three\nRequire: four\n"));
    assert!(message.list(&Name::Require).eq(["one", "two", "four"]));
    assert!(message.list(&Name::ProxyRequire).eq(["three"]));
}

#[test]
fn invut() {
    let message = read(&(subscribe("Content-Type: application/unheard-of\nContent-Length: 6\n") + "<odd/>"));
    assert_eq!(message.content_type().unwrap().unwrap().essence, "application/unheard-of");
    assert_eq!(message.body, b"<odd/>");
}

#[test]
fn regaut01() {
    let value = "NoOneKnows opaque-data=here, more=\"x\"";
    let message = read(&subscribe(&format!("Authorization: {value}\nContent-Length:0\n")));
    assert_eq!(message.header(&Name::Authorization), Some(value));
    assert!(message.credentials(&Name::Authorization).is_empty());
    assert!(DigestCredentials::parse(value).is_err());
}

#[test]
fn multi01() {
    for (line, name) in [
        ("CSeq: 59 SUBSCRIBE\n", Known::CSeq),
        ("Call-ID: other\n", Known::CallId),
        ("To: <sip:other@example.com>\n", Known::To),
        ("From: <sip:other@example.com>;tag=2\n", Known::From),
        ("Max-Forwards: 5\n", Known::MaxForwards),
    ] {
        let text = subscribe(line);
        assert_eq!(parse(&text), Err(ParseError::Duplicate(name)));
        assert!(can_be_answered(&text));
    }
}

#[test]
fn mcl01() {
    let text = subscribe("Content-Length: 5\nl: 3\n") + "12345";
    assert_eq!(parse(&text), Err(ParseError::Duplicate(Known::ContentLength)));
}

#[test]
fn bcast() {
    let text =
        response("SIP/2.0 200 OK").replace("\n\n", "\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK7\n\n");
    assert_eq!(read(&text).list(&Name::Via).count(), 2);
}

// 3261-20.22-a
#[test]
fn zeromf() {
    assert_eq!(read(&altered("Max-Forwards: 70", "Max-Forwards: 0")).max_forwards(), Some(0));
}

// 3261-20.10-a
#[test]
fn cparam01() {
    let contact = read(&subscribe("Contact: sip:+123@gw.example;odd\n")).contact().unwrap();
    assert!(contact.params.contains("odd") && contact.uri.params.is_empty());
}

// 3261-20.10-a
#[test]
fn cparam02() {
    let contact = read(&subscribe("Contact: <sip:+123@gw.example;odd>\n")).contact().unwrap();
    assert!(contact.params.is_empty() && contact.uri.params.contains("odd"));
}

#[test]
fn regescrt() {
    let message = read(&subscribe("Contact: <sip:w@example.com?Route=%3Csip:p.example%3E>\n"));
    assert_eq!(message.contact().unwrap().uri.headers.as_deref(), Some("Route=%3Csip:p.example%3E"));
    assert_eq!(message.header(&Name::Route), None);
}

// 3261-20-a
#[test]
fn sdp01() {
    let message = read(&subscribe("Accept: text/unheard-of\n"));
    assert!(!message.accepts("application/pidf+xml", "application/pidf+xml"));
    assert!(message.accepts("text/unheard-of", "application/pidf+xml"));
}

// 3261-18.3-d
#[test]
fn inv2543() {
    let message = read(
        "SUBSCRIBE sip:p@example.com SIP/2.0\nVia: SIP/2.0/UDP old.example\nFrom: <sip:w@old.example>\n\
         To: <sip:p@example.com>\nCall-ID: 2543@old.example\nCSeq: 1 SUBSCRIBE\nContent-Type: text/plain\n\nall\nof it",
    );
    assert_eq!(message.via().unwrap().branch(), "");
    assert_eq!((message.from().unwrap().tag(), message.max_forwards()), (None, None));
    assert_eq!(message.body, b"all\r\nof it");
}

#[test]
fn test_dat() {
    let text = "SUBSCRIBE sip:p@example.com\nTo: sip:p@example.com\nno colon here\n\n";
    assert_eq!(parse(text), Err(ParseError::StartLine));
    assert!(!can_be_answered(text));
}

// 3261-25-f: the cases of RFC 5118 from here on

#[test]
fn ipv6_good() {
    let message = read(
        &subscribe("Contact: \"W\" <sip:w@[2001:db8::1]>\n")
            .replace("client.example", "[2001:db8::9:1]")
            .replace("sip:presentity@example.com SIP", "sip:[2001:db8::10] SIP"),
    );
    assert_eq!(message.request_uri().unwrap().host, "[2001:db8::10]");
    assert_eq!(message.via().unwrap().host, "[2001:db8::9:1]");
    assert_eq!(message.contact().unwrap().uri.host, "[2001:db8::1]");
}

#[test]
fn ipv6_bad() {
    bad_request_line("SUBSCRIBE sip:2001:db8::10 SIP/2.0");
}

#[test]
fn port_ambiguous() {
    let message = read(&altered("sip:presentity@example.com SIP", "sip:[2001:db8::10:5070] SIP"));
    assert_eq!(message.request_uri().unwrap().port, None);
}

#[test]
fn port_unambiguous() {
    let message = read(&altered("sip:presentity@example.com SIP", "sip:[2001:db8::10]:5070 SIP"));
    let uri = message.request_uri().unwrap();
    assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::10]", Some(5070)));
}

#[test]
fn via_received_param_with_and_without_delim() {
    for value in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let message = read(&altered(";branch", &format!(";received={value};branch")));
        let via = message.via().unwrap();
        let received = via.params.value("received").unwrap();
        assert_eq!(received.trim_matches(['[', ']']), "2001:db8::9:255");
        assert_eq!(via.branch(), "z9hG4bKcommon");
    }
}

#[test]
fn ipv6_in_sdp_and_mult_ip_in_sdp() {
    let body = "v=0\r\no=w 1 1 IN IP6 2001:db8::20\r\nc=IN IP6 2001:db8::20\r\nc=IN IP4 192.0.2.1\r\n";
    let mut bytes = subscribe("Content-Type: application/sdp\n").replace('\n', "\r\n").into_bytes();
    bytes.extend(body.as_bytes());
    assert_eq!(parse_bytes(&bytes).unwrap().body, body.as_bytes());
}

#[test]
fn mult_ip_in_header() {
    let message = read(&subscribe(
        "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255];branch=z9hG4bK1\n\
         Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK2\n",
    ));
    assert_eq!(message.list(&Name::Via).count(), 3);
}

#[test]
fn ipv4_mapped_ipv6() {
    let message = read(&subscribe("Contact: <sip:w@[::ffff:192.0.2.10]:19823>\n"));
    let uri = message.contact().unwrap().uri;
    assert_eq!((uri.host.as_str(), uri.port), ("[::ffff:192.0.2.10]", Some(19823)));
}

// 3261-25-f
#[test]
fn ipv6_bug_abnf_3_colons_and_correct_abnf_2_colons() {
    let parse = |text: &str| NameAddr::parse(text, Known::To).unwrap().uri;
    let three = parse("<sip:p@[2001:db8:::192.0.2.1]>");
    let two = parse("<sip:p@[2001:db8::192.0.2.1]>");
    assert!(three.equivalent(&two));
}
