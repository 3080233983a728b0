//! Dates and times as SQLite's applications write them, in microseconds as PostgreSQL counts.
//!
//! What is read: `YYYY-MM-DD`, `HH:MM`, `HH:MM:SS`, `HH:MM:SS.ffffff` with one to six decimals,
//! both with a blank or a `T` between, and behind it, for a moment in time, `Z` or `±HH:MM`. A
//! moment without a zone is in UTC, as SQLite's own functions have it.

use jiff::civil::{Date, date};

const DAY: i64 = 86_400_000_000;

/// Days since 2000-01-01.
pub(super) fn days(text: &str) -> Option<i32> {
    let (year, month_day) = (number(text.get(..4)?)?, text.get(4..)?);
    let parts = month_day.strip_prefix('-')?.split_once('-')?;
    let (month, day) = (two(parts.0)?, two(parts.1)?);
    // PostgreSQL has no year 0.
    let found = Date::new(i16::try_from(year).ok().filter(|year| *year > 0)?, month, day).ok()?;
    Some(date(2000, 1, 1).until(found).ok()?.get_days())
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute) = (two(parts.next()?)?, two(parts.next()?)?);
    let (second, micros) = match parts.next() {
        None => (0, 0),
        Some(rest) => match rest.split_once('.') {
            None => (two(rest)?, 0),
            Some((second, decimals)) if (1..=6).contains(&decimals.len()) => {
                (two(second)?, number(&format!("{decimals:0<6}"))?)
            }
            Some(_) => return None,
        },
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    Some(seconds * 1_000_000 + i64::from(micros))
}

/// Microseconds since 2000-01-01, without a zone.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let (day, rest) = (days(text.get(..10)?)?, text.get(10..)?);
    let time = time(rest.strip_prefix([' ', 'T'])?)?;
    Some(i64::from(day) * DAY + time)
}

/// Microseconds since 2000-01-01 in UTC.
pub(super) fn moment(text: &str) -> Option<i64> {
    if let Some(utc) = text.strip_suffix('Z') {
        return timestamp(utc);
    }
    // The date has its own hyphens; a zone can only stand behind the time.
    let sign = text.get(11..).and_then(|rest| rest.find(['+', '-'])).map(|at| at + 11);
    let Some(sign) = sign else {
        return timestamp(text);
    };
    let (local, zone) = text.split_at(sign);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if hours > 15 || minutes > 59 {
        return None;
    }
    let ahead = (i64::from(hours) * 60 + i64::from(minutes)) * 60_000_000;
    let ahead = if zone.starts_with('-') { -ahead } else { ahead };
    Some(timestamp(local)? - ahead)
}

/// A time of day as PostgreSQL prints it: no more decimals than it has.
pub(super) fn print_time(micros: i64) -> String {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    let decimals = if rest == 0 { String::new() } else { format!(".{rest:06}") };
    let decimals = decimals.trim_end_matches('0');
    format!("{:02}:{:02}:{second:02}{decimals}", minutes / 60, minutes % 60)
}

/// A date and time as PostgreSQL prints it.
pub(super) fn print_timestamp(micros: i64) -> Option<String> {
    let days = jiff::Span::new().try_days(micros.div_euclid(DAY)).ok()?;
    let day = date(2000, 1, 1).checked_add(days).ok()?;
    Some(format!("{day} {}", print_time(micros.rem_euclid(DAY))))
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn two(digits: &str) -> Option<i8> {
    (digits.len() == 2).then(|| number(digits)).flatten().and_then(|n| i8::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_exactly_or_not_at_all() {
        assert_eq!(days("2000-01-01"), Some(0));
        assert_eq!(days("1999-12-31"), Some(-1));
        assert_eq!(days("2024-02-29"), Some(8825));
        for text in ["2023-02-29", "0000-01-01", "2024-1-1", "24-01-01", "2024-01-01 ", "é024-01-1"]
        {
            assert_eq!(days(text), None, "{text}");
        }
        assert_eq!(time("00:00:01.5"), Some(1_500_000));
        assert_eq!(time("23:59"), Some(86_340_000_000));
        for text in ["24:00:00", "1:00", "12:00:60", "12:00:00.", "12:00:00.1234567", "12"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn they_are_printed_as_the_server_prints_them() {
        for text in ["1999-12-31 23:59:59.5", "2000-01-01 00:00:00", "0001-01-01 01:02:03.000001"] {
            assert_eq!(print_timestamp(timestamp(text).unwrap()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_moment_without_a_zone_is_in_utc() {
        let noon = timestamp("2000-01-01 12:00:00");
        assert_eq!(noon, Some(43_200_000_000));
        for text in ["2000-01-01T12:00Z", "2000-01-01 12:00", "2000-01-01 14:30:00+02:30"] {
            assert_eq!(moment(text), noon, "{text}");
        }
        assert_eq!(moment("2000-01-01 10:00:00.000-02:00"), noon);
        for text in ["2000-01-01 12:00 Z", "2000-01-01 12:00+2", "now", "2000-01-01"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
