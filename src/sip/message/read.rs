//! From bytes to a message (RFC 3261 §7, §18.3), in one pass over the head.

use super::{Limits, Message, StartLine, sanitize};
use crate::sip::grammar::{is_blank, is_token, number, trim};
use crate::sip::{CSeq, Method, Name, Params, ParseError, Scheme, Uri, Via};

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
        let message = Self { start, headers, body: body.to_vec() };
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
        let message = Self { start, headers: head.rows_that_can_be_read(), body: Vec::new() };
        let needed = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];
        needed.iter().all(|name| message.header(name).is_some_and(|v| !v.is_empty())).then_some(message)
    }

    /// What [`Self::parse`] promises about the headers.
    fn check(&self) -> Result<(), ParseError> {
        let once = [
            (Name::CallId, "Call-ID", true),
            (Name::CSeq, "CSeq", true),
            (Name::From, "From", true),
            (Name::To, "To", true),
            (Name::MaxForwards, "Max-Forwards", false),
        ];
        for (name, text, needed) in once {
            match self.rows(&name).take(2).count() {
                0 if needed => return Err(ParseError::Missing(text)),
                2 => return Err(ParseError::Duplicate(text)),
                _ => {}
            }
        }
        let mut vias = 0;
        for value in self.list(&Name::Via) {
            let via = Via::parse(value)?;
            if occurrences(&via.params, "branch") > 1 {
                return Err(ParseError::Header("Via"));
            }
            vias += 1;
        }
        if vias == 0 {
            return Err(ParseError::Missing("Via"));
        }
        for (address, name) in [(self.from()?, "From"), (self.to()?, "To")] {
            if occurrences(&address.params, "tag") > 1 {
                return Err(ParseError::Header(name));
            }
        }
        if self.call_id().is_empty() || self.call_id().contains(is_blank) {
            return Err(ParseError::Header("Call-ID"));
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
        let (line, rest) = self.rest.split_once('\n')?;
        self.rest = rest;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// All rows up to the empty line; `cut` is the fault if that is missing.
    fn rows(&mut self, cut: ParseError) -> Result<Vec<(Name, String)>, ParseError> {
        let mut rows = Vec::with_capacity(16);
        loop {
            let line = self.line().ok_or_else(|| cut.clone())?;
            if line.is_empty() {
                return Ok(rows);
            }
            if line.starts_with(is_blank) {
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
            if line.starts_with(is_blank) {
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
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end_matches(is_blank);
    is_token(name).then(|| (Name::from_text(name), without_line_ends(trim(value))))
}

/// Appends a folded line: the line end and the blanks around it count as one SP (RFC 3261 §7.3.1).
fn unfold(value: &mut String, line: &str) {
    let line = trim(line);
    if !value.is_empty() && !line.is_empty() {
        value.push(' ');
    }
    value.push_str(&without_line_ends(line));
}

/// A CR inside a line would end it for other readers. NUL stays: quoted pairs may hold it.
fn without_line_ends(text: &str) -> String {
    if text.contains('\r') { text.replace('\r', " ") } else { text.to_owned() }
}

/// The longest part of `bytes` that is UTF-8, and whether that is all of them.
fn utf8_prefix(bytes: &[u8]) -> (&str, bool) {
    match core::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(_) => (bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()), false),
    }
}

fn skip_line_ends(text: &str) -> &str {
    text.trim_start_matches(['\r', '\n'])
}

/// ```abnf
/// start-line = Request-Line / Status-Line
/// ```
fn start_line(line: &str) -> Result<StartLine, ParseError> {
    if let Some(rest) = strip_sip(line) {
        return status_line(rest);
    }
    let mut parts = line.split(' ');
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
    let (version, rest) = rest.split_once(' ').ok_or(ParseError::StartLine)?;
    check_version(version)?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
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
    match version.split_once('.') {
        _ if version == "2.0" => Ok(()),
        Some((major, minor)) if number(major).is_some() && number(minor).is_some() => {
            Err(ParseError::Version)
        }
        Some(_) | None => Err(ParseError::StartLine),
    }
}

/// A Request-Line of any version and with any text between method and version.
fn faulty_request_line(line: &str) -> Option<StartLine> {
    let (method, rest) = line.split_once(' ')?;
    let (uri, version) = trim(rest).rsplit_once(' ')?;
    if !is_token(method) || strip_sip(version).is_none() {
        return None;
    }
    let uri = trim(uri);
    let uri = Uri::parse(uri)
        .unwrap_or_else(|_| Uri { scheme: Scheme::Other(String::new()), ..Uri::sip_host(uri) });
    Some(StartLine::Request { method: Method::from_token(method), uri })
}

/// Takes Content-Length out of the rows.
fn content_length(headers: &mut Vec<(Name, String)>) -> Result<Option<u64>, ParseError> {
    let mut length = None;
    for (_, value) in headers.extract_if(.., |(name, _)| *name == Name::ContentLength) {
        let value = number(&value).ok_or(ParseError::Header("Content-Length"))?;
        if length.replace(value).is_some() {
            return Err(ParseError::Duplicate("Content-Length"));
        }
    }
    Ok(length)
}

fn occurrences(params: &Params, name: &str) -> usize {
    params.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count()
}
