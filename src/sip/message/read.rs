//! From bytes to a message (RFC 3261 §7, §18.3), in one pass over the head.

use super::{Limits, Message, StartLine, sanitize, with_blanks};
use crate::decimal::number;
use crate::pieces::{cut, holds, pieces};
use crate::sip::grammar::{begins_with_blank, find_blank, is_token, trim};
use crate::sip::{CSeq, Known, Method, Name, Params, ParseError, Scheme, Uri, Via};

impl Message {
    /// Reads one WebSocket message. CRLFs in front are skipped, bytes after the body are dropped (RFC 3261 §7.5,
    /// §18.3). A message that comes back has Via, From, To, Call-ID and CSeq, each once and well-formed (Via at least
    /// once); it has no row Content-Length, which is the length of the body.
    ///
    /// # Errors
    /// [`ParseError`]; [`Self::parse_head`] gives what can be answered.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.message {
            return Err(ParseError::TooLarge);
        }
        let (text, whole) = utf8_prefix(bytes);
        let mut head = Head { rest: skip_line_ends(text), limits };
        if head.rest.is_empty() && whole {
            return Err(ParseError::KeepAlive);
        }
        // Where the text stops too early, either bytes are missing or the next one is not UTF-8.
        let (cut_line, cut) = if whole {
            (ParseError::StartLine, ParseError::HeaderLine)
        } else {
            (ParseError::Encoding, ParseError::Encoding)
        };
        let start = start_line(head.line().ok_or(cut_line)?)?;
        let mut headers = head.rows(cut)?;
        let length = content_length(&mut headers)?;
        let mut body = bytes.get(text.len() - head.rest.len()..).unwrap_or_default();
        if let Some(length) = length {
            body = usize::try_from(length)
                .ok()
                .and_then(|length| body.get(..length))
                .ok_or(ParseError::Truncated)?;
        }
        let message = Self::new(start, headers, body.to_vec());
        message.check()?;
        Ok(message)
    }

    /// As much of a faulty message as a 400 can be made from: a request whose head has a start line and the headers
    /// that a response must copy. `None`: drop it.
    ///
    /// The values are not checked, the body is empty, and a Request-URI that cannot be read stands whole in the host
    /// of a [`Scheme::Other`].
    #[must_use]
    pub fn parse_head(bytes: &[u8], limits: &Limits) -> Option<Self> {
        let (text, _) = utf8_prefix(bytes.get(..limits.message).unwrap_or(bytes));
        let mut head = Head { rest: skip_line_ends(text), limits };
        let start = faulty_request_line(head.line()?)?;
        let message = Self::new(start, head.rows_that_can_be_read(), Vec::new());
        let needed = [Known::Via, Known::From, Known::To, Known::CallId, Known::CSeq];
        needed
            .iter()
            .all(|name| message.header(&Name::Known(*name)).is_some_and(|v| !v.is_empty()))
            .then_some(message)
    }

    /// What [`Self::parse`] promises about the headers.
    fn check(&self) -> Result<(), ParseError> {
        let once = [
            (Known::CallId, true),
            (Known::CSeq, true),
            (Known::From, true),
            (Known::To, true),
            (Known::MaxForwards, false),
        ];
        for (name, needed) in once {
            match self.rows(&Name::Known(name)).take(2).count() {
                0 if needed => return Err(ParseError::Missing(name)),
                2 => return Err(ParseError::Duplicate(name)),
                _ => {}
            }
        }
        let mut vias = 0;
        for value in self.list(&Name::Via) {
            let via = Via::parse(value)?;
            if occurrences(&via.params, "branch") > 1 {
                return Err(ParseError::Header(Known::Via));
            }
            vias += 1;
        }
        if vias == 0 {
            return Err(ParseError::Missing(Known::Via));
        }
        for name in &[Known::From, Known::To] {
            let address = self.address(*name)?;
            let tags = occurrences(&address.params, "tag");
            // A tag without a value is none, and could get a second one in the response.
            if tags > 1 || (tags == 1 && address.tag().is_none_or(str::is_empty)) {
                return Err(ParseError::Header(*name));
            }
        }
        if self.call_id().is_empty() || find_blank(self.call_id()).is_some() {
            return Err(ParseError::Header(Known::CallId));
        }
        let CSeq { method: named, .. } = self.cseq()?;
        match &self.start {
            StartLine::Request { method, .. } if *method != named => Err(ParseError::CSeqMethod),
            StartLine::Request { .. } | StartLine::Response { .. } => Ok(()),
        }
    }
}

/// The part of a head that is not read yet.
struct Head<'a> {
    rest: &'a str,
    limits: &'a Limits,
}

impl<'a> Head<'a> {
    /// The next line without its end; quirk: LF alone ends one too. `None` if no line end comes any more.
    fn line(&mut self) -> Option<&'a str> {
        let (line, rest) = cut(self.rest, b'\n')?;
        self.rest = rest;
        Some(line.strip_suffix("\r").unwrap_or(line))
    }

    /// All rows up to the empty line; `cut` is the fault if that is missing.
    fn rows(&mut self, cut: ParseError) -> Result<Vec<(Name, String)>, ParseError> {
        let mut rows = Vec::with_capacity(16);
        loop {
            let line = self.line().ok_or_else(|| cut.clone())?;
            if line.is_empty() {
                return Ok(rows);
            }
            if begins_with_blank(line) {
                let (_, value) = rows.last_mut().ok_or(ParseError::HeaderLine)?;
                unfold(value, line);
                continue;
            }
            if rows.len() == self.limits.rows {
                return Err(ParseError::TooMany);
            }
            rows.push(row(line).ok_or(ParseError::HeaderLine)?);
        }
    }

    /// The rows of a faulty head: lines that are none are passed over.
    fn rows_that_can_be_read(&mut self) -> Vec<(Name, String)> {
        let mut rows: Vec<(Name, String)> = Vec::new();
        let mut in_row = false;
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            if begins_with_blank(line) {
                if let Some((_, value)) = rows.last_mut().filter(|_| in_row) {
                    unfold(value, line);
                }
                continue;
            }
            let row = row(line).filter(|(name, _)| *name != Name::ContentLength);
            in_row = row.is_some();
            rows.extend(row);
            if rows.len() == self.limits.rows {
                break;
            }
        }
        rows
    }
}

/// ```abnf
/// message-header = header-name HCOLON header-value   ; HCOLON = *(SP / HTAB) ":" SWS
/// ```
fn row(line: &str) -> Option<(Name, String)> {
    let (name, value) = cut(line, b':')?;
    let name = trim(name);
    is_token(name).then(|| (Name::from_text(name), without_line_ends(value)))
}

/// Appends a folded line: the line end and the blanks around it count as one SP (RFC 3261 §7.3.1).
fn unfold(value: &mut String, line: &str) {
    let line = without_line_ends(line);
    if !value.is_empty() && !line.is_empty() {
        value.push(' ');
    }
    value.push_str(&line);
}

/// A part of a value without the blanks around it. A CR inside a line would end it for other readers and becomes one;
/// NUL stays: quoted pairs may hold it.
fn without_line_ends(text: &str) -> String {
    if holds(text, b'\r') {
        trim(&with_blanks(text, |c| c == '\r')).to_owned()
    } else {
        trim(text).to_owned()
    }
}

/// The longest part of `bytes` that is UTF-8, and whether that is all of them.
fn utf8_prefix(bytes: &[u8]) -> (&str, bool) {
    match core::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            (core::str::from_utf8(good).unwrap_or_default(), false)
        }
    }
}

fn skip_line_ends(text: &str) -> &str {
    let start = text.bytes().position(|byte| !matches!(byte, b'\r' | b'\n'));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// ```abnf
/// start-line = Request-Line / Status-Line
/// ```
fn start_line(line: &str) -> Result<StartLine, ParseError> {
    if let Some(rest) = strip_sip(line) {
        return status_line(rest);
    }
    let mut parts = pieces(line, b' ');
    let (Some(method), Some(uri), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(ParseError::StartLine);
    };
    if !is_token(method) {
        return Err(ParseError::StartLine);
    }
    check_version(strip_sip(version).ok_or(ParseError::StartLine)?)?;
    let uri = Uri::parse(uri).map_err(|_| ParseError::StartLine)?;
    Ok(StartLine::Request { method: Method::from_token(method), uri })
}

/// Quirk: the blank before an empty reason phrase may be missing.
///
/// ```abnf
/// Status-Line = SIP-Version SP Status-Code SP Reason-Phrase
/// ```
fn status_line(rest: &str) -> Result<StartLine, ParseError> {
    let (version, rest) = cut(rest, b' ').ok_or(ParseError::StartLine)?;
    check_version(version)?;
    let (code, reason) = cut(rest, b' ').unwrap_or((rest, ""));
    let status = number(code).filter(|_| code.len() == 3).and_then(|code| u16::try_from(code).ok());
    match status {
        Some(status @ 100..=699) => Ok(StartLine::Response { status, reason: sanitize(reason) }),
        Some(_) | None => Err(ParseError::StartLine),
    }
}

/// What follows `SIP/`, in any case.
fn strip_sip(text: &str) -> Option<&str> {
    let (name, rest) = text.split_at_checked(4)?;
    name.eq_ignore_ascii_case("SIP/").then_some(rest)
}

/// ```abnf
/// SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT
/// ```
fn check_version(version: &str) -> Result<(), ParseError> {
    match cut(version, b'.') {
        _ if version == "2.0" => Ok(()),
        Some((major, minor)) if number(major).is_some() && number(minor).is_some() => {
            Err(ParseError::Version)
        }
        Some(_) | None => Err(ParseError::StartLine),
    }
}

/// A Request-Line of any version and with any text between method and version.
fn faulty_request_line(line: &str) -> Option<StartLine> {
    let (method, rest) = cut(line, b' ')?;
    let rest = trim(rest);
    let (uri, version) = rest.split_at_checked(rest.bytes().rposition(|byte| byte == b' ')?)?;
    if !is_token(method) || strip_sip(trim(version)).is_none() {
        return None;
    }
    let uri = trim(uri);
    let uri = Uri::parse(uri).unwrap_or_else(|_| {
        let mut other = Uri::sip_host(uri);
        other.scheme = Scheme::Other(Box::default());
        other
    });
    Some(StartLine::Request { method: Method::from_token(method), uri })
}

/// Takes Content-Length out of the rows.
fn content_length(headers: &mut Vec<(Name, String)>) -> Result<Option<u64>, ParseError> {
    let mut length = None;
    for (_, value) in headers.extract_if(.., |(name, _)| *name == Name::ContentLength) {
        let value = number(&value).ok_or(ParseError::Header(Known::ContentLength))?;
        if length.replace(value).is_some() {
            return Err(ParseError::Duplicate(Known::ContentLength));
        }
    }
    Ok(length)
}

fn occurrences(params: &Params, name: &str) -> usize {
    params.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: &str = "Via: SIP/2.0/WS h.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
                            Call-ID: c1\r\n";

    /// An OPTIONS with the headers that every request has, and `extra`.
    fn request(extra: &str) -> String {
        format!("OPTIONS sip:b@h SIP/2.0\r\n{REQUIRED}CSeq: 1 OPTIONS\r\n{extra}")
    }

    fn response(start: &str) -> String {
        format!("{start}\r\n{REQUIRED}CSeq: 1 OPTIONS\r\n\r\n")
    }

    fn read(bytes: impl AsRef<[u8]>) -> Result<Message, ParseError> {
        Message::parse(bytes.as_ref(), &Limits::default())
    }

    // 3261-7.5-a, pt-16
    #[test]
    fn line_ends_in_front_are_skipped_and_alone_are_a_keep_alive() {
        assert_eq!(read(format!("\r\n\r\n{}", response("SIP/2.0 200 OK"))).unwrap().status(), Some(200));
        for text in ["", "\r\n", "\r\n\r\n", "\n"] {
            assert_eq!(read(text), Err(ParseError::KeepAlive));
        }
        assert_eq!(read("x"), Err(ParseError::StartLine));
        assert_eq!(read("\r\n\0"), Err(ParseError::StartLine));
        assert_eq!(read(b"\r\n\xFF"), Err(ParseError::Encoding));
    }

    // 3261-7.1-a, 3261-7.1-b, 3261-7.1-c, 3261-7.1-e
    #[test]
    fn request_lines() {
        let start = |line: &str| read(request("\r\n").replacen("OPTIONS sip:b@h SIP/2.0", line, 1));
        assert_eq!(start("OPTIONS sip:b@h sip/2.0").unwrap().request_uri(), Some(&Uri::sip("b", "h")));
        assert!(matches!(
            start("OPTIONS odd:x SIP/2.0").unwrap().request_uri().unwrap().scheme,
            Scheme::Other(_)
        ));
        assert_eq!(start("options sip:b@h SIP/2.0"), Err(ParseError::CSeqMethod));
        for (line, error) in [
            ("OPTIONS <sip:b@h> SIP/2.0", ParseError::StartLine),
            ("OPTIONS sip:b@h; lr SIP/2.0", ParseError::StartLine),
            ("OPTIONS  sip:b@h SIP/2.0", ParseError::StartLine),
            ("OPTIONS sip:b@h  SIP/2.0", ParseError::StartLine),
            ("OPTIONS sip:b@h SIP/2.0 ", ParseError::StartLine),
            ("OPTIONS\tsip:b@h SIP/2.0", ParseError::StartLine),
            ("OPT(IONS sip:b@h SIP/2.0", ParseError::StartLine),
            ("OPTIONS sip:b@h", ParseError::StartLine),
            ("OPTIONS sip:b@h HTTP/1.1", ParseError::StartLine),
            ("OPTIONS sip:b@h SIP/two", ParseError::StartLine),
            ("OPTIONS sip:b@h SIP/7.0", ParseError::Version),
            ("OPTIONS sip:b@h SIP/2.01", ParseError::Version),
        ] {
            assert_eq!(start(line), Err(error), "{line}");
        }
    }

    // 3261-7.2-a, 3261-7.2-b
    #[test]
    fn status_lines() {
        for (line, status, phrase) in [
            ("SIP/2.0 200 OK", 200, "OK"),
            ("sip/2.0 100 ", 100, ""),
            ("SIP/2.0 699", 699, ""),
            ("SIP/2.0 404 Не найдено, 100 %", 404, "Не найдено, 100 %"),
        ] {
            let message = read(response(line)).unwrap();
            assert_eq!(message.start, StartLine::Response { status, reason: phrase.into() });
            assert_eq!(message.method(), Method::Options);
        }
        for (line, error) in [
            ("SIP/2.0 99 x", ParseError::StartLine),
            ("SIP/2.0 099 x", ParseError::StartLine),
            ("SIP/2.0 700 x", ParseError::StartLine),
            ("SIP/2.0 4294967301 x", ParseError::StartLine),
            ("SIP/2.0  200 x", ParseError::StartLine),
            ("SIP/2.0", ParseError::StartLine),
            ("SIP/3.0 200 OK", ParseError::Version),
        ] {
            assert_eq!(read(response(line)), Err(error), "{line}");
        }
    }

    // 3261-7.3.1-a, 3261-7.3.1-b
    #[test]
    fn blanks_around_the_colon_and_folded_lines() {
        let message = read(request(
            "Subject   :lunch\r\nExpires\t: \r\n 5\r\nX-Fold: \"a\r\n   b\"\r\n\t;c\r\n  \r\n =d \r\n\r\n",
        ))
        .unwrap();
        assert_eq!(message.header(&Name::Subject), Some("lunch"));
        assert_eq!(message.expires(), Some(5));
        assert_eq!(message.header(&Name::Other("X-Fold".into())), Some("\"a b\" ;c =d"));
        assert_eq!(
            read(request(" fold\r\n\r\n")),
            Err(ParseError::Header(Known::CSeq)),
            "folds belong to the row before"
        );
    }

    // 3261-7.3.3-a
    #[test]
    fn compact_names_in_any_case_and_unknown_names_as_they_came() {
        let text = "OPTIONS sip:b@h SIP/2.0\r\nv: SIP/2.0/WS h\r\nF: <sip:a@h>\r\nt: <sip:b@h>\r\nI: c1\r\ncseq: 1 OPTIONS\r\n\
                    m: <sip:c@h>\r\nO: presence\r\nu: a\r\nk: b\r\nS: c\r\ne: d\r\nC: text/plain\r\nx: 90\r\nL: 0\r\n\r\n";
        let message = read(text).unwrap();
        let names: Vec<_> = message.headers().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "Via",
                "From",
                "To",
                "Call-ID",
                "CSeq",
                "Contact",
                "Event",
                "Allow-Events",
                "Supported",
                "Subject",
                "Content-Encoding",
                "Content-Type",
                "x"
            ]
        );
    }

    // pt-03
    #[test]
    fn a_notify_with_compact_names_and_folds() {
        let text = "NOTIFY sip:a@h SIP/2.0\r\nv: SIP/2.0/WS  127.0.0.1\r\nf: <sip:b@h>;tag=2\r\nt: <sip:a@h>;tag=1\r\n\
                    i: c1\r\nCSeq: 2 NOTIFY\r\no: presence\r\nu: presence\r\n\
                    Subscription-State:\r\n active ;\r\n expires = 59\r\nl: 0\r\n\r\n";
        let state = read(text).unwrap().subscription_state().unwrap().unwrap();
        assert_eq!(state.to_string(), "active;expires=59");
    }

    // 3261-18.3-a, 3261-18.3-b, 3261-18.3-c, 3261-18.3-d, 7118-5-d, 7118-5-f, pt-17
    #[test]
    fn the_body_is_as_long_as_content_length_says() {
        let body = |extra: &str| read(request(extra)).map(|message| message.body.clone());
        assert_eq!(body("\r\nthe rest"), Ok(b"the rest".to_vec()));
        assert_eq!(body("l: 3\r\n\r\nthe rest"), Ok(b"the".to_vec()));
        assert_eq!(body("Content-Length:0\r\n\r\nINVITE sip:x SIP/2.0\r\n"), Ok(vec![]));
        assert_eq!(body("l: 2\r\n\r\né"), Ok("é".into()));
        for (extra, error) in [
            ("l: 9999\r\n\r\nshort", ParseError::Truncated),
            ("l: 99999999999999999999999999\r\n\r\nshort", ParseError::Truncated),
            ("l: -1\r\n\r\n", ParseError::Header(Known::ContentLength)),
            ("l: \r\n\r\n", ParseError::Header(Known::ContentLength)),
            ("l: 1\r\nl: 2\r\n\r\nab", ParseError::Duplicate(Known::ContentLength)),
            ("l: 1\r\nl: 1\r\n\r\nab", ParseError::Duplicate(Known::ContentLength)),
        ] {
            assert_eq!(body(extra), Err(error), "{extra}");
        }
    }

    // 3261-7.4.1-b, pt-15
    #[test]
    fn the_body_is_any_bytes_and_the_head_is_utf8() {
        let mut bytes = request("Subject: é\r\n\r\n").into_bytes();
        bytes.extend([0, 0xFF, b'\n', 0x80]);
        assert_eq!(read(&bytes).unwrap().body, [0, 0xFF, b'\n', 0x80]);
        let mut bytes = request("Subject: ").into_bytes();
        bytes.extend(b"\xFF\r\n\r\n");
        assert_eq!(read(&bytes), Err(ParseError::Encoding));
        assert!(Message::parse_head(&bytes, &Limits::default()).is_some());
    }

    #[test]
    fn lf_alone_ends_a_line_and_cr_alone_does_not() {
        let message = read(request("Subject: \r a\rEvil: b\r\r\n\r\n").replace("\r\n", "\n")).unwrap();
        assert_eq!(message.header(&Name::Subject), Some("a Evil: b"));
        assert_eq!(message.body, b"");
    }

    // 3261-7.3.1-h, 3261-20.16-a
    #[test]
    fn what_every_message_needs_stands_once_and_is_well_formed() {
        let whole = request("Max-Forwards: 1\r\n\r\n");
        for (line, name) in [
            ("Via: SIP/2.0/WS h.invalid;branch=z9hG4bK1\r\n", Known::Via),
            ("From: <sip:a@h>;tag=1\r\n", Known::From),
            ("To: <sip:b@h>\r\n", Known::To),
            ("Call-ID: c1\r\n", Known::CallId),
            ("CSeq: 1 OPTIONS\r\n", Known::CSeq),
        ] {
            assert_eq!(read(whole.replace(line, "")), Err(ParseError::Missing(name)));
            let twice = read(whole.replace(line, &line.repeat(2)));
            assert_eq!(twice.err(), (name != Known::Via).then_some(ParseError::Duplicate(name)));
            let bad = whole.replace(line, &format!("{}: \r\n", name.as_str()));
            let error = if name == Known::Via { ParseError::Missing(name) } else { ParseError::Header(name) };
            assert_eq!(read(bad), Err(error));
        }
        assert_eq!(
            read(request("Max-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n")),
            Err(ParseError::Duplicate(Known::MaxForwards))
        );
        assert_eq!(read(whole.replace("tag=1", "tag=1;Tag=2")), Err(ParseError::Header(Known::From)));
        for tag in ["tag", "tag="] {
            assert_eq!(read(whole.replace("tag=1", tag)), Err(ParseError::Header(Known::From)));
        }
        assert_eq!(read(whole.replace("branch=", "branch=x;branch=")), Err(ParseError::Header(Known::Via)));
        assert_eq!(read(whole.replace("c1", "c 1")), Err(ParseError::Header(Known::CallId)));
        assert_eq!(read(whole.replace("1 OPTIONS", "1 INVITE")), Err(ParseError::CSeqMethod));
        assert_eq!(read(whole.replace("h.invalid", "h.invalid, bad")), Err(ParseError::Header(Known::Via)));
        assert!(read(whole.replace("Max-Forwards: 1", "Max-Forwards: 300\r\nDate: tomorrow")).is_ok());
    }

    #[test]
    fn header_lines_need_a_name_and_a_colon_and_the_head_an_end() {
        for extra in
            ["no colon\r\n\r\n", ": v\r\n\r\n", "a b: v\r\n\r\n", "é: v\r\n\r\n", "Subject: x\r\n", ""]
        {
            assert_eq!(read(request(extra)), Err(ParseError::HeaderLine), "{extra}");
        }
        assert_eq!(read("OPTIONS sip:b@h SIP/2.0\r\n fold: x\r\n\r\n"), Err(ParseError::HeaderLine));
    }

    // 3261-x-a
    #[test]
    fn each_limit_has_its_own_error() {
        let text = request("X: 1\r\n\r\n");
        let exact = Limits { message: text.len(), rows: 6 };
        assert!(Message::parse(text.as_bytes(), &exact).is_ok());
        let short = Limits { message: text.len() - 1, ..exact };
        assert_eq!(Message::parse(text.as_bytes(), &short), Err(ParseError::TooLarge));
        assert!(Message::parse_head(text.as_bytes(), &short).is_some());
        let few = Limits { rows: 5, ..exact };
        assert_eq!(Message::parse(text.as_bytes(), &few), Err(ParseError::TooMany));
        assert!(Message::parse_head(text.as_bytes(), &few).is_some());
        let params = text.replace("tag=1", &"a;".repeat(129));
        assert_eq!(read(params.replace("a;\r\n", "a\r\n")), Err(ParseError::TooMany));
        assert_eq!(Limits::default().message, 256 * 1024);
    }

    // 3261-8.2.6-b, 3261-x-b
    #[test]
    fn what_can_be_answered_of_a_faulty_request() {
        let head = |text: &str| Message::parse_head(text.as_bytes(), &Limits::default());
        for (line, uri) in [
            ("OPTIONS <sip:b@h> SIP/2.0", ":<sip:b@h>"),
            ("OPTIONS sip:b@h; lr SIP/2.0", ":sip:b@h; lr"),
            ("OPTIONS  sip:b@h  SIP/2.0 ", "sip:b@h"),
            ("OPTIONS sip:b@h SIP/7.0", "sip:b@h"),
        ] {
            let text = request("no colon\r\n folded\r\nX: 1\r\nl: 99\r\n\r\n").replacen(
                "OPTIONS sip:b@h SIP/2.0",
                line,
                1,
            );
            let message = head(&text).unwrap();
            assert_eq!(message.request_uri().unwrap().to_string(), uri);
            let answer = Message::response(&message, 400, Some("t"));
            assert_eq!(read(answer.to_bytes()).unwrap().status(), Some(400));
            assert_eq!(message.headers().count(), 6);
        }
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            assert_eq!(head(&request("\r\n").replacen(&format!("\r\n{name}: "), "\r\nX: ", 1)), None);
        }
        for text in ["", "\r\n", "junk", "OPTIONS sip:b@h\r\n", &response("SIP/2.0 200 OK")] {
            assert_eq!(head(text), None);
        }
    }
}
