//! What JavaScript gives in one text: `name=value` for each field, U+0000 between them; `src/js/core.ts` writes it. A
//! list is a field for each of its items, what is not given is left out. A getter for each would cost a page more.

use crate::agent::{Config, Credentials};
use crate::decimal;
use crate::pieces::{concat, cut, pieces};
use crate::presence::{PublishedState, Status, UserInput};
use crate::sip::Uri;
use crate::sip::auth::{Algorithm, Secret};
use crate::time::{Duration, Instant};

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    pieces(text, b'\0').filter_map(|field| cut(field, b'='))
}

/// A whole number; what is none is the largest.
fn number(text: &str) -> u64 {
    decimal::number(text).unwrap_or(u64::MAX)
}

fn small(text: &str) -> u32 {
    u32::try_from(number(text)).unwrap_or(u32::MAX)
}

/// The options of an agent.
///
/// # Errors
/// A sentence that names the field which cannot be used.
pub(super) fn config(text: &str) -> Result<Config, String> {
    let mut config = Config::new("", Uri::sip_host(""));
    config.servers.clear();
    for (name, value) in fields(text) {
        let uri = || Uri::parse(value).map_err(|error| concat(&[name, ": ", error.as_str()]));
        match name {
            "servers" => config.servers.push(value.to_owned()),
            "aor" => config.aor = uri()?,
            "displayName" => config.display_name = Some(value.to_owned()),
            "asks" => config.credentials = Credentials::Ask,
            "authorizationServers" => config.authorization_servers.push(value.to_owned()),
            "register" => config.register = true,
            "instance" => config.instance = value.to_owned(),
            "expires" => config.expires = small(value),
            "keepAlive" => config.keep_alive = Some(small(value)),
            "route" => config.route = value.to_owned(),
            "rates" => config.rates = value.to_owned(),
            "linger" => config.linger = Duration::from_millis(number(value)),
            "window" => config.window = usize::try_from(number(value)).unwrap_or(usize::MAX),
            "listServer" => config.list_server = Some(uri()?),
            #[cfg(feature = "full")]
            "identities" => super::audience::identify(&mut config.audience, value),
            #[cfg(feature = "full")]
            "notifiers" => super::audience::learn(config.notifiers.get_or_insert_default(), value),
            "userAgent" => config.user_agent = value.to_owned(),
            _ => {}
        }
    }
    if let Some((username, secret)) = credentials(text) {
        config.credentials = Credentials::Fixed { username, secret };
    }
    Ok(config)
}

/// A user name and what proves it; nothing where no field `username` is. Each field `secret` has a word before a blank:
/// none before a password, `Bearer` before a token, the algorithm before a hash.
pub(super) fn credentials(text: &str) -> Option<(String, Secret)> {
    let mut username = None;
    let mut secret = Secret::Ha1(Vec::new());
    for (name, value) in fields(text) {
        if name == "username" {
            username = Some(value.to_owned());
        } else if name == "secret"
            && let Some((kind, value)) = cut(value, b' ')
        {
            let value = value.to_owned();
            match (kind, &mut secret) {
                ("", _) => secret = Secret::Password(value),
                ("Bearer", _) => secret = Secret::Token(value),
                (kind, Secret::Ha1(hashes)) => {
                    hashes.extend(Algorithm::from_token(Some(kind)).map(|(algorithm, _)| (algorithm, value)));
                }
                (_, Secret::Password(_) | Secret::Token(_)) => {}
            }
        }
    }
    Some((username?, secret))
}

/// What is to be published. `until` is in epoch milliseconds, and `input` too: 0 if the user is there, the time of the
/// last input if not.
pub(super) fn publication(text: &str) -> PublishedState {
    let mut state = PublishedState {
        status: Status::Unknown,
        activities: Vec::new(),
        note: None,
        until: None,
        input: None,
    };
    for (name, value) in fields(text) {
        match name {
            "status" => state.status = Status::from_word(value).unwrap_or(Status::Unknown),
            "activities" => state.activities.push(value.to_owned()),
            "note" => state.note = Some(value.to_owned()),
            "until" => state.until = Some(Instant::from_millis(number(value))),
            "input" => {
                let last_input =
                    Some(Instant::from_millis(number(value))).filter(|at| *at > Instant::default());
                state.input = Some(UserInput { idle: last_input.is_some(), last_input, threshold: None });
            }
            _ => {}
        }
    }
    state
}
