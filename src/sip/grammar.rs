//! The lexical rules of RFC 3261 §25.1, with nom: token, quoted string, LWS, host, parameters, lists.
//!
//! A message's folded lines are joined before anything here runs, so LWS is only SP and HTAB. Each rule reads its
//! input once from left to right; where a rule takes more than the RFC's, the word "quirk" says so.

use super::{Known, Params, ParseError};
use crate::decimal::number;
use crate::pieces::cut;
use nom::branch::alt;
use nom::combinator::opt;
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// What a rule gives: the rest of the input and the value. The error carries nothing: callers name the header.
pub(crate) type Parsed<'a, T> = IResult<&'a str, T, ()>;

/// Parameters that one value may have (requirement of [`super::Limits`]).
pub(crate) const MAX_PARAMS: usize = 128;

/// A character of `token`.
pub(crate) const fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '!' | '%' | '*' | '_' | '+' | '`' | '\'' | '~')
}

/// Whether all of `text` is one `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| is_token_char(char::from(byte)))
}

/// SP or HTAB.
pub(crate) const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Whether the first character is a blank.
pub(crate) fn begins_with_blank(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| is_blank(char::from(byte)))
}

/// Where the first blank stands.
pub(crate) fn find_blank(text: &str) -> Option<usize> {
    text.bytes().position(|byte| is_blank(char::from(byte)))
}

/// `text` without blanks at its ends.
pub(crate) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(|byte| !is_blank(char::from(*byte))).map_or(0, |last| last + 1);
    let start = bytes.iter().position(|byte| !is_blank(char::from(*byte))).unwrap_or(end);
    text.get(start..end).unwrap_or_default()
}

/// What `input` begins with of characters that `allowed` takes, behind the rest. Byte by byte, which is less in the
/// page: `allowed` takes all characters beyond ASCII or none.
pub(crate) fn span(input: &str, allowed: fn(char) -> bool) -> (&str, &str) {
    let end = input.bytes().position(|byte| !allowed(char::from(byte))).unwrap_or(input.len());
    (input.get(end..).unwrap_or_default(), input.get(..end).unwrap_or_default())
}

/// The same, with at least one character.
fn span1(input: &str, allowed: fn(char) -> bool) -> Parsed<'_, &str> {
    let (rest, taken) = span(input, allowed);
    if taken.is_empty() { Err(nom::Err::Error(())) } else { Ok((rest, taken)) }
}

/// ```abnf
/// token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
/// ```
pub(crate) fn token(input: &str) -> Parsed<'_, &str> {
    span1(input, is_token_char)
}

/// ```abnf
/// SWS = [LWS]    ; LWS = [*WSP CRLF] 1*WSP, its line ends already joined
/// ```
pub(crate) fn sws(input: &str) -> Parsed<'_, &str> {
    Ok(span(input, is_blank))
}

/// A separator such as SLASH, SEMI, COLON, EQUAL, COMMA.
///
/// ```abnf
/// SEMI = SWS ";" SWS
/// ```
pub(crate) fn separator(c: &str) -> impl FnMut(&str) -> Parsed<'_, &str> {
    move |input| {
        let (rest, _) = sws(input)?;
        sws(rest.strip_prefix(c).ok_or(nom::Err::Error(()))?)
    }
}

/// Gives the text with its quotes and escapes; [`unquote`] removes them.
///
/// ```abnf
/// quoted-string = SWS DQUOTE *(qdtext / quoted-pair) DQUOTE
/// quoted-pair   = "\" (%x00-09 / %x0B-0C / %x0E-7F)
/// ```
pub(crate) fn quoted_string(input: &str) -> Parsed<'_, &str> {
    let mut escaped = false;
    for (at, byte) in input.as_bytes().iter().enumerate() {
        match *byte {
            b'"' if at == 0 => {}
            _ if at == 0 => break,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                let (string, rest) = input.split_at(at + 1);
                return Ok((rest, string));
            }
            _ => {}
        }
    }
    Err(nom::Err::Error(()))
}

/// Comments nest; the loop counts instead of recursing, so that no peer can exhaust the stack.
///
/// ```abnf
/// comment = LPAREN *(ctext / quoted-pair / comment) RPAREN
/// ```
pub(crate) fn comment(input: &str) -> Parsed<'_, &str> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, byte) in input.as_bytes().iter().enumerate() {
        match *byte {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => depth += 1,
            b')' if depth > 1 => depth -= 1,
            b')' if depth == 1 => {
                let (comment, rest) = input.split_at(at + 1);
                return Ok((rest, comment));
            }
            _ if depth == 0 => break,
            _ => {}
        }
    }
    Err(nom::Err::Error(()))
}

/// Quirks: `_` in a host name, which private networks have; an IPv6 address is only checked for its characters,
/// since RFC 5118 §4.10 wants the ambiguous `:::` read.
///
/// ```abnf
/// host          = hostname / IPv4address / IPv6reference
/// IPv6reference = "[" IPv6address "]"
/// ```
pub(crate) fn host(input: &str) -> Parsed<'_, &str> {
    let address = |input| span1(input, |c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    let name = |input| span1(input, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    let Some(rest) = input.strip_prefix("[") else { return name(input) };
    let (rest, _) = address(rest)?;
    let rest = rest.strip_prefix("]").ok_or(nom::Err::Error(()))?;
    Ok((rest, input.get(..input.len() - rest.len()).unwrap_or_default()))
}

/// ```abnf
/// port = 1*DIGIT
/// ```
pub(crate) fn port(input: &str) -> Parsed<'_, u16> {
    let (rest, digits) = span1(input, |c| c.is_ascii_digit())?;
    let port = number(digits).and_then(|n| u16::try_from(n).ok()).ok_or(nom::Err::Error(()))?;
    Ok((rest, port))
}

/// Quirks: a value may be empty (`expires=`) and may hold any visible character that does not end it, such as `/`
/// or `=`, because branches and tags of peers do.
///
/// ```abnf
/// generic-param = token [EQUAL gen-value]
/// gen-value     = token / host / quoted-string
/// ```
pub(crate) fn generic_param(input: &str) -> Parsed<'_, (&str, Option<&str>)> {
    (token, opt(preceded(separator("="), alt((quoted_string, |input| Ok(span(input, is_value_char)))))))
        .parse(input)
}

const fn is_value_char(c: char) -> bool {
    !c.is_ascii_control() && !matches!(c, ' ' | '\t' | ';' | ',' | '"' | '<' | '>')
}

/// The parameters that fill the rest of a value of header `name`.
///
/// ```abnf
/// *(SEMI generic-param)
/// ```
pub(crate) fn params(mut input: &str, name: Known) -> Result<Params, ParseError> {
    let mut found = Vec::new();
    while let Ok((rest, (key, value))) = preceded(separator(";"), generic_param).parse(input) {
        if found.len() == MAX_PARAMS {
            return Err(ParseError::TooMany);
        }
        found.push((key.to_owned(), value.map(str::to_owned)));
        input = rest;
    }
    if trim(input).is_empty() { Ok(found.into_iter().collect()) } else { Err(ParseError::Header(name)) }
}

/// Splits the first value off a comma list: the value without blanks around it, and the rest after the comma, `None`
/// at the end. Commas in quotes and in `<>` do not count; a quote or `<` that never closes takes the rest.
///
/// ```abnf
/// value *(COMMA value)
/// ```
pub(crate) fn split_list(input: &str) -> (&str, Option<&str>) {
    // What ends a quote or `<`, in which commas do not count.
    let mut inside = None;
    let mut escaped = false;
    for (at, byte) in input.as_bytes().iter().enumerate() {
        match (inside, *byte) {
            _ if escaped => escaped = false,
            (Some(b'"'), b'\\') => escaped = true,
            (Some(end), byte) if byte == end => inside = None,
            (None, b'"') => inside = Some(b'"'),
            (None, b'<') => inside = Some(b'>'),
            (None, b',') => {
                let (value, rest) = input.split_at(at);
                return (trim(value), rest.get(1..));
            }
            (Some(_) | None, _) => {}
        }
    }
    (trim(input), None)
}

/// The values of a comma list; empty ones are left out.
pub(crate) fn list(input: &str) -> Vec<&str> {
    let mut values = Vec::new();
    push_list(input, &mut values);
    values
}

/// The same, behind the `values` of other rows.
pub(crate) fn push_list<'a>(input: &'a str, values: &mut Vec<&'a str>) {
    let mut rest = Some(input);
    while let Some(text) = rest {
        let (value, after) = split_list(text);
        rest = after;
        if !value.is_empty() {
            values.push(value);
        }
    }
}

/// The parameters of a challenge or of credentials, with values unquoted. Quirks: values that the RFC quotes may
/// stand without quotes and the other way round; a value may be empty; text that is no parameter is skipped.
///
/// ```abnf
/// auth-param *(COMMA auth-param)   ; auth-param = token EQUAL (token / quoted-string)
/// ```
pub(crate) fn auth_params(input: &str) -> Vec<(&str, String)> {
    let mut params = Vec::new();
    for param in list(input) {
        if let Some((name, value)) = cut(param, b'=') {
            params.push((trim(name), unquote(trim(value))));
        }
    }
    params
}

/// What `<>` encloses; blanks inside belong to it.
///
/// ```abnf
/// LAQUOT addr-spec RAQUOT
/// ```
pub(crate) fn bracketed(input: &str) -> Parsed<'_, &str> {
    let (rest, _) = sws(input)?;
    let inside = rest.strip_prefix("<").and_then(|rest| cut(rest, b'>'));
    inside.map(|(inside, rest)| (rest, inside)).ok_or(nom::Err::Error(()))
}

/// `SIP/2.0` in any case, with blanks around the slash.
///
/// ```abnf
/// protocol-name SLASH protocol-version
/// ```
pub(crate) fn sip_version(input: &str) -> Parsed<'_, ()> {
    let (input, name) = token(input)?;
    let (input, _) = separator("/").parse(input)?;
    match input.strip_prefix("2.0") {
        Some(input) if name.eq_ignore_ascii_case("SIP") => Ok((input, ())),
        Some(_) | None => Err(nom::Err::Error(())),
    }
}

/// The content of a quoted string with its escapes undone; text without quotes is returned as it is.
pub(crate) fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix("\"").and_then(|t| t.strip_suffix("\"")) else {
        return text.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if let Some(c) = if c == '\\' { chars.next() } else { Some(c) } {
            plain.push(c);
        }
    }
    plain
}

/// Appends `text` to `out` as a quoted string. Line ends cannot be written in one and become spaces.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\r' | '\n' => out.push(' '),
            '\t' => out.push(c),
            c => {
                if c.is_ascii_control() || matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    // 3261-25-d
    #[test]
    fn a_token_has_exactly_the_characters_of_the_grammar() {
        for byte in 0..=127_u8 {
            let c = char::from(byte);
            let expected = c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
            assert_eq!(is_token_char(c), expected, "{c:?}");
        }
        assert!(!is_token_char('é'));
        assert_eq!(token("a.b=c"), Ok(("=c", "a.b")));
        assert!(!is_token("") && !is_token("a b") && is_token("a%b"));
    }

    // 3261-25-a
    #[test]
    fn quoted_strings_keep_their_pairs_until_unquoted() {
        assert_eq!(quoted_string("\"a\\\"b, \\\\\" rest"), Ok((" rest", "\"a\\\"b, \\\\\"")));
        assert!(quoted_string("\"open").is_err());
        assert!(quoted_string("\"open\\\"").is_err());
        for (text, plain) in [
            ("\"a\\\"b\"", "a\"b"),
            ("\"nul\\\0bel\\\x07\"", "nul\0bel\x07"),
            ("\"plain\"", "plain"),
            ("token", "token"),
            ("\"\"", ""),
            ("\"", "\""),
        ] {
            assert_eq!(unquote(text), plain);
        }
    }

    #[test]
    fn quoting_undoes_unquoting_and_lets_no_line_end_through() {
        for plain in ["", "a b", "a\"b\\c", "é\0\x07\x7F\t", "\\\""] {
            let mut text = String::new();
            quote(plain, &mut text);
            assert_eq!(quoted_string(&text), Ok(("", text.as_str())));
            assert_eq!(unquote(&text), plain);
        }
        let mut text = String::new();
        quote("a\r\nb", &mut text);
        assert_eq!(text, "\"a  b\"");
    }

    // 3261-25-g
    #[test]
    fn comments_nest_and_hold_escapes() {
        assert_eq!(comment("(a (b \\) c) d) e"), Ok((" e", "(a (b \\) c) d)")));
        assert!(comment("(open (").is_err());
        assert!(comment("no").is_err());
        assert!(comment("").is_err());
        assert!(comment(&"(".repeat(200_000)).is_err());
    }

    // 3261-25-e, 3261-25-f
    #[test]
    fn parameters_have_tokens_hosts_quoted_strings_or_no_value() {
        let read = params(";lr ; x = \"a;b,c\";y=[::1];received=2001:db8::9:255;e=", Known::Via).unwrap();
        assert_eq!(read.len(), 5);
        assert!(read.contains("LR"));
        assert_eq!(read.value("lr"), None);
        assert_eq!(read.value("x"), Some("\"a;b,c\""));
        assert_eq!(read.value("y"), Some("[::1]"));
        assert_eq!(read.value("received"), Some("2001:db8::9:255"));
        assert_eq!(read.value("e"), Some(""));
        for bad in [";", ";;a", "a", ";a b", ";a=\"b", ";a=b,c", ";=b"] {
            assert_eq!(params(bad, Known::Via), Err(ParseError::Header(Known::Via)), "{bad}");
        }
        assert!(params(&";a=1".repeat(128), Known::Via).is_ok());
        assert_eq!(params(&";a=1".repeat(129), Known::Via), Err(ParseError::TooMany));
    }

    #[test]
    fn lists_split_only_at_commas_outside_quotes_and_brackets() {
        let split = list;
        assert_eq!(split("a, b ,,c,"), ["a", "b", "c"]);
        assert_eq!(
            split("\"x, y\" <sip:a,b@c>;p=\"1,2\" , <sip:d>"),
            ["\"x, y\" <sip:a,b@c>;p=\"1,2\"", "<sip:d>"]
        );
        assert_eq!(split("a, \"open, b"), ["a", "\"open, b"]);
        assert_eq!(split("<open, b"), ["<open, b"]);
        assert_eq!(split("  "), Vec::<&str>::new());
    }

    #[test]
    fn authentication_parameters_are_read_with_or_without_quotes() {
        let read = auth_params("realm=\"a, \\\"b\\\"\", qop=auth , nc=,x");
        assert_eq!(read, [("realm", "a, \"b\"".into()), ("qop", "auth".into()), ("nc", "".into())]);
    }
}
