//! How often a watcher wants to hear (RFC 6446): the parameters of Event, and what they mean for the next NOTIFY.
//!
//! A rate is kept in notifications per 10^10 seconds, the smallest that the grammar has. May use: `sip`, `time`.

use crate::sip::grammar;
use crate::sip::{Known, Message, Name};
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// One notification in a second.
const ONE: u64 = 10_000_000_000;
/// NOTIFYs that the adaptive rate looks back at, at most.
const MOST_SENT: usize = 100;
/// How far it looks back, in times of the interval that was asked for (RFC 6446 §7.2: several).
const PERIODS: u64 = 10;

/// What is wished, and when NOTIFYs went out.
#[derive(Debug, Default)]
pub(super) struct Rates {
    max: Option<u64>,
    min: Option<u64>,
    adaptive: Option<u64>,
    sent: VecDeque<Instant>,
}

impl Rates {
    /// Takes the wishes of a SUBSCRIBE that grants `expires`, or of the 2xx to a NOTIFY when so much is left; a watcher hears of changes every `interval` at most
    /// anyway, and is told at least as often as it likes unless that is more often.
    pub(super) fn handle_subscribe(&mut self, subscribe: &Message, expires: Duration, interval: Duration) {
        let row = subscribe.header(&Name::Event).unwrap_or_default();
        let params = row.split_once(';').map_or("", |(_, params)| params);
        let params = grammar::params(&[";", params].concat(), Known::Event).unwrap_or_default();
        let rate = |name| params.value(name).and_then(rate);
        // A rate that would let nothing through before the end is raised (RFC 6446 §5.3).
        let least = (expires > Duration::ZERO).then(|| rate_of(expires));
        self.max = rate("max-rate").map(|rate| rate.max(least.unwrap_or(0)));
        let most = self.max.unwrap_or(u64::MAX);
        let most = if interval > Duration::ZERO { most.min(rate_of(interval)) } else { most };
        self.adaptive = rate("adaptive-min-rate").map(|rate| rate.min(most));
        self.min = rate("min-rate").map(|rate| rate.min(most));
        // RFC 6446 §8.
        if self.min >= self.adaptive && self.adaptive.is_some() {
            self.min = None;
        }
    }

    /// The parameters of Subscription-State that say what is done.
    pub(super) fn reflection(&self) -> String {
        let mut text = String::new();
        for (name, rate) in
            [("max-rate", self.max), ("min-rate", self.min), ("adaptive-min-rate", self.adaptive)]
        {
            if let Some(rate) = rate {
                text.push(';');
                text.push_str(name);
                text.push('=');
                push_rate(rate, &mut text);
            }
        }
        text
    }

    /// A NOTIFY went out.
    pub(super) fn handle_sent(&mut self, now: Instant) {
        let kept = if self.adaptive.is_some() { MOST_SENT } else { 1 };
        self.sent.push_back(now);
        while self.sent.len() > kept {
            self.sent.pop_front();
        }
    }

    /// The next NOTIFY of a change may not go before.
    pub(super) fn not_before(&self) -> Option<Instant> {
        Some(*self.sent.back()? + interval_of(self.max?))
    }

    /// The next NOTIFY goes then, whether something changes or not (RFC 6446 §6.2, §7.4).
    pub(super) fn not_after(&self, now: Instant) -> Option<Instant> {
        let last = *self.sent.back()?;
        let Some(rate) = self.adaptive else { return Some(last + interval_of(self.min?)) };
        // count / (rate² × period), with a period of PERIODS / rate: count intervals over PERIODS.
        let interval = interval_of(rate);
        let period = interval.times(PERIODS);
        let begun = self.sent.front().is_some_and(|first| now.since(*first) >= period);
        let count = match begun || self.sent.len() as u64 > PERIODS {
            true => self.sent.iter().filter(|at| now.since(**at) < period).count() as u64,
            false => PERIODS,
        };
        let wait = Duration::from_millis(interval.times(count.max(1)).as_millis() / PERIODS);
        let least = self.max.map_or(Duration::ZERO, interval_of);
        Some(last + wait.max(least))
    }
}

/// The rate of one notification in `interval`.
fn rate_of(interval: Duration) -> u64 {
    // Upwards, so that the interval of the rate is not longer.
    (ONE * 1000).div_ceil(interval.as_millis().max(1))
}

fn interval_of(rate: u64) -> Duration {
    Duration::from_millis((ONE * 1000).div_ceil(rate.max(1)))
}

/// ```abnf
/// rate = 1*2DIGIT [ "." 1*10DIGIT ]   ; above 0
/// ```
fn rate(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole, 2) || !is_number(decimals, 10) {
        return None;
    }
    let mut rate: u64 = whole.parse().ok()?;
    for place in 0..10 {
        let digit = decimals.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        rate = rate * 10 + u64::from(digit);
    }
    Some(rate).filter(|rate| *rate > 0)
}

fn push_rate(rate: u64, text: &mut String) {
    // Above what the grammar has only by the end of a subscription of some milliseconds.
    let rate = rate.min(ONE * 100 - 1);
    text.push_str(&(rate / ONE).to_string());
    let decimals = (rate % ONE + ONE).to_string();
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > 1 {
        text.push('.');
        text.push_str(&decimals[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Uri};

    fn rates(event: &str, expires: u64, interval: u64) -> Rates {
        let mut subscribe = Message::request(Method::Subscribe, Uri::parse("sip:a@b").unwrap());
        subscribe.push(Name::Event, event);
        let mut rates = Rates::default();
        rates.handle_subscribe(&subscribe, Duration::from_secs(expires), Duration::from_secs(interval));
        rates
    }

    // 6446-5.1-a 6446-4.2-a 6446-5.3-a 6446-8-a 6446-8-b
    #[test]
    fn what_is_asked_for_is_reflected_as_it_is_done() {
        for (event, expires, reflected) in [
            ("presence", 3600, ""),
            ("presence;max-rate=0.05", 3600, ";max-rate=0.05"),
            ("presence;id=x ; max-rate=2", 3600, ";max-rate=2"),
            ("presence;max-rate=0.0000000001", 100, ";max-rate=0.01"),
            ("presence;min-rate=0.01", 3600, ";min-rate=0.01"),
            ("presence;min-rate=1", 3600, ";min-rate=0.2"),
            ("presence;max-rate=0.05;min-rate=0.1", 3600, ";max-rate=0.05;min-rate=0.05"),
            ("presence;max-rate=0.05;adaptive-min-rate=0.1", 3600, ";max-rate=0.05;adaptive-min-rate=0.05"),
            ("presence;min-rate=0.1;adaptive-min-rate=0.1", 3600, ";adaptive-min-rate=0.1"),
            ("presence;min-rate=0.1;adaptive-min-rate=0.11", 3600, ";min-rate=0.1;adaptive-min-rate=0.11"),
            ("presence;max-rate=0;min-rate=100;adaptive-min-rate=1e-3", 3600, ""),
            ("presence;max-rate=.5;min-rate=0.12345678901;adaptive-min-rate", 3600, ""),
        ] {
            assert_eq!(rates(event, expires, 5).reflection(), reflected, "{event}");
        }
    }

    // 6446-7.2-a 6446-7.4-a
    #[test]
    fn the_adaptive_rate_waits_longer_after_many_notifications() {
        let at = |seconds: u64| Instant::from_millis(1_000_000 + seconds * 1000);
        let mut rates = rates("presence;adaptive-min-rate=0.1", 3600, 5);
        assert_eq!(rates.not_after(at(0)), None);
        rates.handle_sent(at(0));
        // The count starts at period × rate: the wait is 1 / rate.
        assert_eq!(rates.not_after(at(0)), Some(at(10)));
        for n in 1..=20 {
            rates.handle_sent(at(n * 5));
        }
        // Twenty in the last hundred seconds, twice the rate: twice the wait.
        assert_eq!(rates.not_after(at(100)), Some(at(120)));
        // One in that time: the wait is the shortest, but never below the greatest rate.
        assert_eq!(rates.not_after(at(199)), Some(at(101)));
        let mut bounded = self::rates("presence;max-rate=0.05;adaptive-min-rate=0.05", 3600, 5);
        bounded.handle_sent(at(0));
        assert_eq!(bounded.not_after(at(1000)), Some(at(20)));
    }
}
