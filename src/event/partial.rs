//! Partial notification (RFC 5263 §4.3, §4.4): what a watcher that takes changes was told, and what it is told next.
//! What the documents are is the package's affair.
//!
//! ```text
//!   (none) ──whole──> in flight ──2xx──> told ──change──> in flight
//!                        │  └── anything else: the whole next time
//!                        └── change, SUBSCRIBE: waits for the answer
//! ```

use crate::sip::{MediaType, Message, Name};

/// The documents of a package: whole ones, and those that tell changes.
#[derive(Debug)]
pub struct Forms {
    /// Media type of a whole document.
    pub whole: &'static str,
    /// Media type of the other kind.
    pub changes: &'static str,
    /// The whole document in the other kind, with its version.
    pub full: fn(&str, u32) -> Option<String>,
    /// What changed from the first to the second, with the version.
    pub produce: fn(&str, &str, u32) -> Option<String>,
}

/// Of one subscription.
#[derive(Debug)]
pub struct Partial {
    forms: &'static Forms,
    wanted: bool,
    /// Of the last document; it is never reset.
    version: u32,
    /// The document that the watcher has, if that is certain.
    told: Option<String>,
    in_flight: bool,
    waiting: Option<Next>,
}

/// What a NOTIFY is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// What changed since the last.
    Changes,
    /// After each SUBSCRIBE.
    Whole,
}

impl Partial {
    /// Of a subscription to documents of these forms.
    #[must_use]
    pub const fn new(forms: &'static Forms) -> Self {
        Self { forms, wanted: false, version: 0, told: None, in_flight: false, waiting: None }
    }

    /// The way to the watcher was lost: what is on its way may not have arrived.
    pub fn handle_disconnected(&mut self) {
        self.in_flight = false;
        self.waiting = None;
        self.told = None;
    }

    /// Whether a NOTIFY with a document that changes build on is on its way.
    #[must_use]
    pub const fn is_in_flight(&self) -> bool {
        self.in_flight
    }

    /// A SUBSCRIBE says what is taken; it came over another connection than the last if `anew`.
    pub fn handle_subscribe(&mut self, subscribe: &Message, anew: bool) {
        self.wanted = is_preferred(subscribe, self.forms);
        if anew || !self.wanted {
            self.handle_disconnected();
        }
    }

    /// Whether a NOTIFY may go out now. Otherwise [`Self::handle_answer`] says when.
    pub fn may_tell(&mut self, next: Next) -> bool {
        if self.in_flight {
            self.waiting = self.waiting.max(Some(next));
        }
        !self.in_flight
    }

    /// The body of a NOTIFY that brings the whole document `text`, and its type.
    pub fn tell(&mut self, text: String, next: Next) -> (&'static str, Vec<u8>) {
        let version = self.version.saturating_add(1);
        let old = self.told.as_deref().filter(|_| next == Next::Changes);
        let document = match old {
            _ if !self.wanted => None,
            Some(old) => (self.forms.produce)(old, &text, version),
            None => (self.forms.full)(&text, version),
        };
        let Some(document) = document else { return (self.forms.whole, text.into_bytes()) };
        self.version = version;
        self.told = Some(text);
        self.in_flight = true;
        (self.forms.changes, document.into_bytes())
    }

    /// The body of the last NOTIFY. A partial one would have to wait for the answer to the one before.
    pub fn end(&mut self, text: String) -> (&'static str, Vec<u8>) {
        self.wanted &= !self.in_flight;
        self.tell(text, Next::Whole)
    }

    /// A NOTIFY was answered. Returns what is to be told now.
    pub fn handle_answer(&mut self, status: u16) -> Option<Next> {
        self.in_flight = false;
        if !(200..300).contains(&status) {
            self.told = None;
        }
        self.waiting.take()
    }
}

/// Whether `subscribe` names partial documents, and no less than whole ones (RFC 5263 §4.3).
fn is_preferred(subscribe: &Message, forms: &Forms) -> bool {
    let (mut partial, mut whole) = (0, None);
    for range in subscribe.list(&Name::Accept).filter_map(|range| MediaType::parse(range).ok()) {
        let quality = quality(range.params.value("q"));
        if range.essence == forms.changes {
            partial = quality;
        }
        if let Some(precision) = range.precision(forms.whole) {
            whole = whole.max(Some((precision, quality)));
        }
    }
    partial > 0 && partial >= whole.map_or(0, |(_, quality)| quality)
}

/// `qvalue` in thousandths (RFC 3261 §25.1); 1 without one, and for what is none.
fn quality(text: Option<&str>) -> u16 {
    let Some(decimals) = text.and_then(|text| text.strip_prefix('0')) else { return 1000 };
    let mut thousandths = 0;
    let mut weight = 100;
    for digit in decimals.trim_start_matches('.').bytes().filter(u8::is_ascii_digit) {
        thousandths += u16::from(digit - b'0') * weight;
        weight /= 10;
    }
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Uri};

    const PIDF: &str = "application/pidf+xml";
    const PIDF_DIFF: &str = "application/pidf-diff+xml";
    const FORMS: Forms = Forms {
        whole: PIDF,
        changes: PIDF_DIFF,
        full: |text, version| Some(["full ", &version.to_string(), " ", text].concat()),
        produce: |old, new, version| Some(["changes ", &version.to_string(), " ", old, new].concat()),
    };

    fn subscribe(accept: &str) -> Message {
        let mut subscribe = Message::request(Method::Subscribe, Uri::parse("sip:a@b").unwrap());
        if !accept.is_empty() {
            subscribe.push(Name::Accept, accept);
        }
        subscribe
    }

    // 5263-4.3-a
    #[test]
    fn the_watcher_has_its_choice() {
        for (accept, expected) in [
            ("", false),
            ("application/pidf+xml", false),
            ("*/*", false),
            ("application/*", false),
            ("application/pidf-diff+xml", true),
            ("application/pidf+xml, application/pidf-diff+xml", true),
            ("application/pidf+xml;q=0.3, application/PIDF-diff+xml;q=1", true),
            ("application/pidf+xml;q=0.3, application/pidf-diff+xml;q=0.299", false),
            ("application/pidf+xml;q=0.3, application/pidf-diff+xml;q=0.30", true),
            ("application/pidf+xml, application/pidf-diff+xml;q=0.9", false),
            ("application/pidf-diff+xml;q=0", false),
            ("application/pidf-diff+xml;q=0.0, application/pidf+xml;q=0", false),
            ("application/*;q=0.2, */*;q=0.9, application/pidf-diff+xml;q=0.5", true),
        ] {
            assert_eq!(is_preferred(&subscribe(accept), &FORMS), expected, "{accept}");
        }
    }

    // 5263-4.4-a 5263-4.4-b 5263-4.4-e 5263-4.4-f 5263-4.4-g
    #[test]
    fn one_is_told_at_a_time_and_each_has_the_next_version() {
        let partial_wanted = subscribe("application/pidf-diff+xml, application/pidf+xml");
        let mut partial = Partial::new(&FORMS);
        partial.handle_subscribe(&partial_wanted, false);
        let tell = |partial: &mut Partial, note: &str, next| {
            let (kind, body) = partial.tell(note.to_owned(), next);
            (kind, String::from_utf8(body).unwrap())
        };
        let expect = |text: &str| (PIDF_DIFF, text.to_owned());
        assert!(partial.may_tell(Next::Changes));
        assert_eq!(tell(&mut partial, "a", Next::Changes), expect("full 1 a"), "the first is whole");
        assert!(
            !partial.may_tell(Next::Changes)
                && !partial.may_tell(Next::Whole)
                && !partial.may_tell(Next::Changes)
        );
        assert_eq!(partial.handle_answer(200), Some(Next::Whole));
        assert_eq!(partial.handle_answer(200), None);
        assert_eq!(tell(&mut partial, "b", Next::Changes), expect("changes 2 ab"));
        assert_eq!(partial.handle_answer(200), None);
        partial.handle_subscribe(&partial_wanted, false);
        assert_eq!(tell(&mut partial, "b", Next::Whole), expect("full 3 b"), "a refresh resets nothing");
        // What was not taken may not be there.
        assert_eq!(partial.handle_answer(500), None);
        assert_eq!(tell(&mut partial, "c", Next::Changes), expect("full 4 c"));
        partial.handle_subscribe(&subscribe(""), false);
        assert!(partial.may_tell(Next::Whole));
        assert_eq!(tell(&mut partial, "d", Next::Whole), (PIDF, "d".to_owned()));
        partial.handle_subscribe(&partial_wanted, false);
        assert_eq!(tell(&mut partial, "d", Next::Changes), expect("full 5 d"));
        assert_eq!(partial.end("e".to_owned()).0, PIDF, "the last before is in flight");
        partial.handle_subscribe(&partial_wanted, true);
        assert_eq!(tell(&mut partial, "f", Next::Changes), expect("full 6 f"), "over another connection");
        partial.handle_answer(200);
        assert_eq!(partial.end("g".to_owned()).0, PIDF_DIFF);
    }
}
