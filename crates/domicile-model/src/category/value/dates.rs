//! Dates and positions.

use jiff::civil::{Date, date};

/// A date somebody living can have been born on: a valid calendar day from 1900 to 2100 at the
/// beginning of the text, as ISO writes it, or as `31.12.1999`, `31/12/1999` or `12/31/1999`.
/// Whether it lies in the past is for whoever knows the day.
pub fn is_calendar_day(text: &str) -> bool {
    let text = text.trim();
    let head: String = text.chars().take(10).collect();
    let rest = text.chars().nth(10);
    if rest.is_some_and(|letter| !matches!(letter, ' ' | 'T')) {
        return false;
    }
    let parts: Vec<i16> =
        head.split(['-', '.', '/']).map(|part| part.trim().parse().unwrap_or(-1)).collect();
    match parts.as_slice() {
        [year @ 1900..=2100, month, day] => is_day(*year, *month, *day),
        [one, two, year @ 1900..=2100] => is_day(*year, *two, *one) || is_day(*year, *one, *two),
        _ => false,
    }
}

/// Whether this day exists.
pub(super) fn is_day(year: i16, month: i16, day: i16) -> bool {
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return false };
    Date::new(year, month, day).is_ok_and(|found| found >= date(1800, 1, 1))
}

/// A latitude and a longitude: `48.2, 16.37`, `(16.37,48.2)` or `POINT(16.37 48.2)`, with decimals.
pub fn is_position(text: &str) -> bool {
    let bare = text.trim();
    let bare = bare.strip_prefix("POINT").unwrap_or(bare).trim_matches(|c: char| "() ".contains(c));
    let parts: Vec<&str> =
        bare.split([',', ' ', ';']).map(str::trim).filter(|part| !part.is_empty()).collect();
    let [one, two] = parts.as_slice() else { return false };
    let degrees = |text: &str| {
        let has_decimals = text.contains('.');
        text.parse::<f64>().ok().filter(|found| has_decimals && found.abs() <= 180.0)
    };
    match (degrees(one), degrees(two)) {
        (Some(one), Some(two)) => one.abs() <= 90.0 || two.abs() <= 90.0,
        _ => false,
    }
}
