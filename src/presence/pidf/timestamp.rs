//! Times as text: `date-time` of RFC 3339 §5.6, to the millisecond, from 1970 to 9999.
//!
//! A library for it would be 6 KB in the page.

use crate::time::Instant;

/// 9999-12-31T23:59:59Z. There is no text for a later time, and this stands for it.
const LATEST: u64 = 253_402_300_799_000;

/// Days from 0000-03-01 to 1970-01-01. Years that begin in March end with their leap day.
const EPOCH: u32 = 719_468;

/// The time that `text` says, and whether it says its offset; without one it is taken for UTC. Digits beyond the
/// millisecond are dropped, the leap second counts as the last millisecond before it. `None` also for a time before
/// 1970.
///
/// ```abnf
/// date-time   = full-date "T" partial-time ("Z" / time-numoffset)
/// full-date   = 4DIGIT "-" 2DIGIT "-" 2DIGIT
/// ```
pub(in crate::presence) fn read(text: &str) -> Option<(Instant, bool)> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    skip(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    skip(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    // "T", or what an application finds more readable (RFC 3339 §5.6).
    let (_, after) = rest.split_first()?;
    rest = after;
    let (hour, minute) = hour_and_minute(&mut rest)?;
    skip(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let mut ms = u64::from(fraction(&mut rest)?);
    let days = day_number(year, month, day)?;
    if date(days) != (year, month, day) || second > 60 {
        return None;
    }
    ms += (u64::from(days) * 86_400 + u64::from(hour * 3600 + minute * 60 + second)) * 1000;
    let (has_offset, east) = match skip(&mut rest, b"Zz+-") {
        None => (false, 0),
        Some(b'Z' | b'z') => (true, 0),
        Some(sign) => {
            let (hours, minutes) = hour_and_minute(&mut rest)?;
            let offset = i64::from(hours * 60 + minutes) * 60_000;
            (true, if sign == b'-' { -offset } else { offset })
        }
    };
    let mut utc = ms.checked_add_signed(-east)?;
    if second == 60 {
        // Only the last second of a month in UTC can be one (RFC 3339 §5.7).
        utc -= utc % 1000;
        let is_midnight = utc % 86_400_000 == 0;
        if !is_midnight || date(u32::try_from(utc / 86_400_000).ok()?).2 != 1 {
            return None;
        }
        utc -= 1;
    }
    let since_epoch = utc.checked_sub(u64::from(EPOCH) * 86_400_000)?;
    rest.is_empty().then_some((Instant::from_millis(since_epoch), has_offset))
}

/// `at` in UTC, with as many decimals of the second as it needs.
pub(super) fn write(at: Instant) -> String {
    let ms = at.as_millis().min(LATEST);
    let (seconds, mut fraction) = (ms / 1000, small(ms % 1000));
    let (year, month, day) = date(small(seconds / 86_400) + EPOCH);
    let second = small(seconds % 86_400);
    let mut text = String::with_capacity(24);
    push(&mut text, year, 1000);
    for (before, value) in
        [('-', month), ('-', day), ('T', second / 3600), (':', second / 60 % 60), (':', second % 60)]
    {
        text.push(before);
        push(&mut text, value, 10);
    }
    if fraction > 0 {
        text.push('.');
    }
    while fraction > 0 {
        push(&mut text, fraction / 100, 1);
        fraction = fraction % 100 * 10;
    }
    text.push('Z');
    text
}

/// `value` in decimal; `weight` is that of its first digit.
fn push(text: &mut String, value: u32, mut weight: u32) {
    while weight > 0 {
        text.push(char::from_digit(value / weight % 10, 10).unwrap_or('0'));
        weight /= 10;
    }
}

#[allow(clippy::cast_possible_truncation)]
const fn small(value: u64) -> u32 {
    value as u32
}

/// Takes exactly `count` digits off `rest`; nothing if there are fewer.
fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(count)?;
    let number = digits.iter().try_fold(0, |sum, digit| Some(sum * 10 + char::from(*digit).to_digit(10)?))?;
    *rest = after;
    Some(number)
}

/// Takes one byte off `rest` if it is one of `allowed`.
fn skip(rest: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first().filter(|(first, _)| allowed.iter().any(|byte| byte == *first))?;
    *rest = after;
    Some(*first)
}

/// ```abnf
/// time-hour ":" time-minute   ; 00-23, 00-59
/// ```
fn hour_and_minute(rest: &mut &[u8]) -> Option<(u32, u32)> {
    let hour = digits(rest, 2)?;
    skip(rest, b":")?;
    let minute = digits(rest, 2)?;
    (hour < 24 && minute < 60).then_some((hour, minute))
}

/// Milliseconds.
///
/// ```abnf
/// time-secfrac = "." 1*DIGIT
/// ```
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    if skip(rest, b".").is_none() {
        return Some(0);
    }
    let mut ms = digits(rest, 1)? * 100;
    let mut weight = 10;
    while let Some(digit) = digits(rest, 1) {
        ms += digit * weight;
        weight /= 10;
    }
    Some(ms)
}

/// The days from 0000-03-01 to a date; nonsense for a date that does not exist.
fn day_number(year: u32, month: u32, day: u32) -> Option<u32> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    (year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day).checked_sub(1)
}

/// The date so many days after 0000-03-01: year, month, day.
const fn date(days: u32) -> (u32, u32, u32) {
    // 400 years have 146,097 days, 100 of them 36,524, 4 of them 1,461; 5 months from March on have 153.
    let (cycle, in_cycle) = (days / 146_097, days % 146_097);
    let year = (in_cycle - in_cycle / 1460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (year * 365 + year / 4 - year / 100);
    let month = (in_year * 5 + 2) / 153;
    let day = in_year - (month * 153 + 2) / 5 + 1;
    let year = year + cycle * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<u64> {
        read(text).map(|(at, _)| at.as_millis())
    }

    /// The last second of each day from 1970 to 9999, counted forward with the rule of leap years alone.
    #[test]
    fn every_day_is_written_and_read_again() {
        let mut days = 0_u64;
        for year in 1970_u32..=9999 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
                for day in 1..=length {
                    days += 1;
                    let at = days * 86_400_000 - 1000;
                    let text = format!("{year:04}-{month:02}-{day:02}T23:59:59Z");
                    assert_eq!(write(Instant::from_millis(at)), text);
                    assert_eq!(read(&text), Some((Instant::from_millis(at), true)));
                }
                let beyond = format!("{year:04}-{month:02}-{:02}T00:00:00Z", length + 1);
                assert_eq!(read(&beyond), None, "{beyond}");
            }
        }
        assert_eq!(days * 86_400_000 - 1000, LATEST);
    }

    #[test]
    fn every_second_of_a_day_is_written_and_read_again() {
        for second in 0_u64..86_400 {
            let at = Instant::from_millis(951_782_400_000 + second * 1000);
            let (hour, minute) = (second / 3600, second / 60 % 60);
            let text = format!("2000-02-29T{hour:02}:{minute:02}:{:02}Z", second % 60);
            assert_eq!(write(at), text);
            assert_eq!(read(&text), Some((at, true)));
        }
    }

    #[test]
    fn every_millisecond_of_a_second_is_written_and_read_again() {
        for fraction in 0_u64..1000 {
            let at = Instant::from_millis(1_767_225_601_000 + fraction);
            let text = format!("2026-01-01T00:00:01.{fraction:03}Z");
            assert_eq!(read(&text), Some((at, true)));
            let short = write(at);
            assert_eq!(short, text.trim_end_matches(['Z', '0', '.']).to_owned() + "Z");
            assert_eq!(read(&short), Some((at, true)));
        }
    }

    #[test]
    fn there_is_an_end_of_time() {
        for at in [LATEST, LATEST + 1, u64::MAX] {
            assert_eq!(write(Instant::from_millis(at)), "9999-12-31T23:59:59Z");
        }
        assert_eq!(write(Instant::default()), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_other_programs_write_is_read() {
        const NEW_YEAR: u64 = 1_767_225_600_000;
        for (text, at) in [
            ("2026-01-01T00:00:00Z", NEW_YEAR),
            ("2026-01-01t00:00:00z", NEW_YEAR),
            ("2026-01-01 00:00:00Z", NEW_YEAR),
            ("2026-01-01T00:00:00+00:00", NEW_YEAR),
            ("2026-01-01T00:00:00-00:00", NEW_YEAR),
            ("2026-01-01T01:30:00+01:30", NEW_YEAR),
            ("2025-12-31T14:00:00-10:00", NEW_YEAR),
            ("2026-01-01T23:59:00+23:59", NEW_YEAR),
            ("2025-12-31T00:01:00-23:59", NEW_YEAR),
            ("2026-01-01T00:00:00.0Z", NEW_YEAR),
            ("2026-01-01T00:00:00.5Z", NEW_YEAR + 500),
            ("2026-01-01T00:00:00.05+00:00", NEW_YEAR + 50),
            ("2026-01-01T00:00:00.0019999999999999999999999Z", NEW_YEAR + 1),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:00:00-01:00", 0),
            ("9999-12-31T23:59:59.999Z", LATEST + 999),
            ("9999-12-31T23:59:59-01:00", LATEST + 3_600_000),
        ] {
            assert_eq!(read(text), Some((Instant::from_millis(at), true)), "{text}");
        }
        assert_eq!(read("2026-01-01T00:00:00.25"), Some((Instant::from_millis(NEW_YEAR + 250), false)));
    }

    #[test]
    fn a_leap_second_is_the_last_millisecond_before_it() {
        let last = ms("2016-12-31T23:59:59.999Z");
        assert!(last.is_some());
        for text in [
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.5Z",
            "2017-01-01T00:59:60+01:00",
            "2016-12-31T18:29:60-05:30",
        ] {
            assert_eq!(ms(text), last, "{text}");
        }
        for text in
            ["2016-12-30T23:59:60Z", "2016-12-31T23:58:60Z", "2016-12-31T22:59:60Z", "2016-12-31T23:59:61Z"]
        {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "2026",
            "2026-01-01",
            "2026-01-01T",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:0Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00ZZ",
            "2026-01-01T00:00:00Z ",
            " 2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00UTC",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+01",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00+-1:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:99Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-99-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "20260101T000000Z",
            "02026-01-01T00:00:00Z",
            "2026-1-1T00:00:00Z",
            "2026/01/01T00:00:00Z",
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:59:59+01:00",
            "0000-01-01T00:00:00Z",
            "0000-03-01T00:00:00+01:00",
            "0000-00-00T00:00:00Z",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
