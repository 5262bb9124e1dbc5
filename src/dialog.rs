//! Dialogs: ids, sequence numbers, route set and remote target (RFC 3261 §12, RFC 6665 §4.4.1).
//!
//! Both sides of a subscription make their dialog as a UAS does: the notifier from the SUBSCRIBE, the subscriber from
//! the first NOTIFY. So there is one constructor, and the route set is never reversed. May use: `sip`.

use crate::sip::{CSeq, Known, Message, Method, Name, NameAddr, ParseError, StartLine, Uri};

/// A dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    call_id: String,
    local: NameAddr,
    remote: NameAddr,
    local_sequence: u32,
    remote_sequence: u32,
    routes: Vec<NameAddr>,
    remote_target: Uri,
}

/// A request came with a CSeq that is not above the last one: answer 500 (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl Dialog {
    /// The dialog that `request` makes at its receiver: `local_tag` is the receiver's, `local_sequence` the last
    /// CSeq number that the receiver has used with this Call-ID (0: none).
    ///
    /// # Errors
    /// [`ParseError`] if From, To, CSeq, Contact or a Record-Route cannot be read.
    pub fn from_request(request: &Message, local_tag: &str, local_sequence: u32) -> Result<Self, ParseError> {
        let mut local = request.to()?;
        local.params.set("tag", Some(local_tag));
        Ok(Self {
            call_id: request.call_id().to_owned(),
            local,
            remote: request.from()?,
            local_sequence,
            remote_sequence: request.cseq()?.number,
            routes: request.addresses(Known::RecordRoute)?,
            remote_target: request.contact()?.uri,
        })
    }

    /// Whether a message with these ids belongs here. The remote tag may be absent (RFC 2543 peers).
    #[must_use]
    pub fn matches(&self, call_id: &str, local_tag: Option<&str>, remote_tag: Option<&str>) -> bool {
        self.call_id == call_id && self.local.tag() == local_tag && self.remote.tag() == remote_tag
    }

    /// The next request of `method`: Request-URI, Route, To, From, Call-ID, CSeq, Max-Forwards (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method) -> Message {
        self.next_sequence();
        self.numbered(method, self.local_sequence)
    }

    /// The request of `method` with this CSeq number.
    #[must_use]
    pub fn numbered(&self, method: Method, number: u32) -> Message {
        let strict = self.routes.first().filter(|first| !first.uri.params.contains("lr"));
        let uri = strict.map_or(&self.remote_target, |first| &first.uri).clone();
        let skip = usize::from(strict.is_some());
        let cseq = CSeq { number, method: method.clone() };
        let mut request = Message::request(method, uri);
        for route in self.routes.iter().skip(skip) {
            request.push(Name::Route, route.text());
        }
        if strict.is_some() {
            request.push(Name::Route, NameAddr::new(self.remote_target.clone()).text());
        }
        request.push(Name::MaxForwards, "70");
        request.push(Name::To, self.remote.text());
        request.push(Name::From, self.local.text());
        request.push(Name::CallId, self.call_id.clone());
        request.push(Name::CSeq, cseq.text());
        request
    }

    /// The number for another try of the last request; none in between is left out (RFC 3261 §12.2.1.1).
    pub const fn next_sequence(&mut self) -> u32 {
        self.local_sequence = self.local_sequence.saturating_add(1);
        self.local_sequence
    }

    /// Checks and takes the CSeq of a request from the peer. Gaps are fine.
    ///
    /// # Errors
    /// [`OutOfOrder`]: nothing was changed.
    pub const fn handle_sequence(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if number <= self.remote_sequence {
            return Err(OutOfOrder);
        }
        self.remote_sequence = number;
        Ok(())
    }

    /// Takes the Contact of an accepted target refresh, in either direction (RFC 3261 §12.2.1.2, §12.2.2).
    pub fn handle_target(&mut self, contact: &Uri) {
        self.remote_target = contact.clone();
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        self.local.tag().unwrap_or_default()
    }

    /// The peer's tag.
    #[must_use]
    pub fn remote_tag(&self) -> Option<&str> {
        self.remote.tag()
    }

    /// The peer's address, without its tag's meaning: From of the request that made the dialog.
    #[must_use]
    pub const fn remote(&self) -> &NameAddr {
        &self.remote
    }

    /// Where the next request goes.
    #[must_use]
    pub const fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// The number of the last request that was taken from the peer.
    #[must_use]
    pub const fn remote_sequence(&self) -> u32 {
        self.remote_sequence
    }

    /// The number of the last request sent.
    #[must_use]
    pub const fn local_sequence(&self) -> u32 {
        self.local_sequence
    }
}

/// Another try of a request that was not accepted (RFC 3261 §8.1.3.5, §22.2): the same but for CSeq `number`, and
/// without Via and credentials; the caller opens a new transaction.
#[must_use]
pub fn retry(request: &Message, number: u32) -> Message {
    let mut next = request.clone();
    for name in &[Known::Via, Known::Authorization, Known::ProxyAuthorization] {
        next.remove(&Name::Known(*name));
    }
    if let StartLine::Request { method, .. } = &request.start {
        let cseq = CSeq { number, method: method.clone() };
        next.set(Name::CSeq, cseq.text());
    }
    next
}
