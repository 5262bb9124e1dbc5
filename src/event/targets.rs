//! Where redirections lead one request (RFC 3261 §8.1.3.4). May use: `sip`.

use crate::sip::{Known, Message, NameAddr, Scheme, Uri};

/// Addresses that redirections may lead one request to.
const MOST: usize = 8;

/// Contacts of one redirection that are looked at: the best.
const MOST_READ: usize = 64;

/// The addresses in the order of trying, and how many of them were tried.
#[derive(Debug, Default)]
pub(super) struct Targets {
    all: Vec<Uri>,
    tried: usize,
}

impl Targets {
    /// Takes the Contacts of a redirection of what was first sent to `origin`, the highest q first: none twice, and
    /// none that leaves TLS.
    pub(super) fn learn(&mut self, response: &Message, origin: &Uri) {
        // The text of a q sorts as its value does.
        let q = |contact: &NameAddr| contact.params.value("q").unwrap_or("1").to_owned();
        let mut contacts: Vec<NameAddr> = Vec::new();
        for contact in response.addresses(Known::Contact).unwrap_or_default() {
            let behind = contacts.iter().position(|other| q(other) < q(&contact));
            contacts.insert(behind.unwrap_or(contacts.len()), contact);
            contacts.truncate(MOST_READ);
        }
        for contact in contacts {
            let mut uri = contact.uri;
            uri.clean();
            let fits = uri.is_secure() || (uri.scheme == Scheme::Sip && !origin.is_secure());
            let is_new = !uri.equivalent(origin) && !self.all.iter().any(|known| known.equivalent(&uri));
            if fits && is_new && self.all.len() < MOST {
                self.all.push(uri);
            }
        }
    }

    /// The next one to be tried.
    pub(super) fn next(&mut self) -> Option<Uri> {
        let uri = self.all.get(self.tried)?.clone();
        self.tried += 1;
        Some(uri)
    }
}
