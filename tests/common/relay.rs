//! A registrar and proxy that knows no presence: it says who sent a request, and brings it to the page of the user. For
//! pages that are presence agents. It keeps no transactions, so that whatever is lost stays lost.

use sip_presence::server::ConnectionId;
use sip_presence::sip::{Limits, Message, Method, Name};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Relay {
    /// The last connection over which each user has registered.
    users: BTreeMap<String, ConnectionId>,
    /// The connection of each Contact.
    contacts: BTreeMap<String, ConnectionId>,
}

impl Relay {
    /// What `user` sends over `connection`; what has to be sent for it.
    pub fn handle(
        &mut self,
        connection: ConnectionId,
        user: &str,
        bytes: &[u8],
    ) -> Option<(ConnectionId, Vec<u8>)> {
        let mut message = Message::parse(bytes, &Limits::default()).ok()?;
        if let Ok(contact) = message.contact() {
            self.contacts.insert(contact.uri.to_string(), connection);
        }
        if !message.is_request() {
            // Whoever asked is named in our Via.
            let back = message.via().ok()?.params.value("from")?.parse().ok()?;
            message.pop_first(&Name::Via);
            return Some((ConnectionId(back), message.to_bytes()));
        }
        let target = match message.method() {
            Method::Register | Method::Publish | Method::Options => {
                return Some((connection, self.take(connection, user, &message).to_bytes()));
            }
            _ if message.pop_first(&Name::Route).is_some() => {
                self.contacts.get(&message.request_uri()?.to_string())
            }
            _ => self.users.get(message.request_uri()?.user.as_deref()?),
        };
        let Some(target) = target.copied() else {
            let gone = Message::response(&message, 480, Some("relay"));
            return Some((connection, gone.to_bytes()));
        };
        message.set(Name::Other("P-Asserted-Identity".into()), format!("<{}>", super::world::address(user)));
        message.push_front(Name::RecordRoute, "<sip:relay.invalid;transport=ws;lr>");
        let branch = format!("z9hG4bK{}{}", message.via().ok()?.params.value("branch")?, connection.0);
        message
            .push_front(Name::Via, format!("SIP/2.0/WS relay.invalid;branch={branch};from={}", connection.0));
        Some((target, message.to_bytes()))
    }

    /// Takes what is for the server: a PUBLISH, of which nobody hears.
    fn take(&mut self, connection: ConnectionId, user: &str, request: &Message) -> Message {
        let expires = request.expires().unwrap_or_default();
        let mut response = Message::response(request, 200, Some("relay"));
        response.push(Name::Expires, expires.to_string());
        if request.method() == Method::Publish {
            response.push(Name::SipETag, "tag");
        } else if request.method() == Method::Register && expires > 0 {
            self.users.insert(user.to_owned(), connection);
            let contact = request.header(&Name::Contact).unwrap_or_default();
            response.push(Name::Contact, format!("{contact};expires={expires}"));
        } else if request.method() == Method::Register && self.users.get(user) == Some(&connection) {
            self.users.remove(user);
        }
        response
    }

    /// A connection is gone.
    pub fn lose(&mut self, connection: ConnectionId) {
        self.users.retain(|_, known| *known != connection);
        self.contacts.retain(|_, known| *known != connection);
    }
}
