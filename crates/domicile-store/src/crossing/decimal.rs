//! Decimal numbers in the form that PostgreSQL sends and receives.
//!
//! `numeric_send` gives four 16-bit numbers (how many digits, the weight of the first, the sign,
//! how many decimals are shown) and then the digits, in base 10000, without zeros at either end.

/// The most decimals a `numeric` shows, and the most digits before its point.
const DECIMALS_MAX: usize = 16_383;
const WHOLE_MAX: usize = 131_072;

/// A decimal number as its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    /// Digits before the point, without leading zeros.
    whole: String,
    /// Digits behind it, all of them.
    fraction: String,
}

impl Decimal {
    /// A number written as PostgreSQL itself would print it: no plus, no exponent, no needless
    /// zero in front.
    pub(super) fn read(text: &str) -> Option<Decimal> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (digits, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_written_so = all_digits(whole)
            && all_digits(fraction)
            && (whole == "0" || (!whole.is_empty() && !whole.starts_with('0')));
        let is_zero = whole == "0" && fraction.bytes().all(|byte| byte == b'0');
        let fits = whole.len() <= WHOLE_MAX && fraction.len() <= DECIMALS_MAX;
        if !is_written_so || !fits || (is_negative && is_zero) {
            return None;
        }
        let whole = whole.trim_start_matches('0').to_owned();
        Some(Decimal { is_negative, whole, fraction: fraction.to_owned() })
    }

    /// The shortest decimal that reads back as this number. The zero has no sign.
    pub(super) fn of_real(number: f64) -> Option<Decimal> {
        if number == 0.0 {
            return Decimal::read("0");
        }
        number.is_finite().then(|| format!("{number}")).and_then(|text| Decimal::read(&text))
    }

    /// The same number with exactly this many decimals, if it has room in so many digits.
    pub(super) fn within(mut self, (precision, scale): (usize, usize)) -> Option<Decimal> {
        let needed = self.fraction.trim_end_matches('0').len();
        if needed > scale || self.whole.len() > precision - scale {
            return None;
        }
        self.fraction.truncate(needed);
        self.fraction.push_str(&"0".repeat(scale - needed));
        Some(self)
    }

    /// As PostgreSQL prints it.
    pub(super) fn text(&self) -> String {
        let sign = if self.is_negative { "-" } else { "" };
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{}", self.fraction)
    }

    /// As PostgreSQL sends it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let whole_groups = self.whole.len().div_ceil(4);
        let decimals = "0".repeat(self.fraction.len().next_multiple_of(4) - self.fraction.len());
        let zeros = "0".repeat(whole_groups * 4 - self.whole.len());
        let digits = [&zeros, &self.whole, &self.fraction, &decimals].map(String::as_bytes);
        let groups: Vec<i16> = digits
            .concat()
            .chunks(4)
            .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0')))
            .collect();
        let leading = groups.iter().take_while(|group| **group == 0).count();
        let kept = groups[leading..].iter().rposition(|group| *group != 0).map_or(0, |at| at + 1);
        let kept = &groups[leading..leading + kept];
        // Lengths were limited when the number was read, so that nothing here overflows.
        let small = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
        let weight = if kept.is_empty() { 0 } else { small(whole_groups) - 1 - small(leading) };
        let sign: u16 = if self.is_negative { 0x4000 } else { 0 };
        let mut bytes = Vec::with_capacity(8 + kept.len() * 2);
        bytes.extend(small(kept.len()).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(small(self.fraction.len()).to_be_bytes());
        for group in kept {
            bytes.extend(group.to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_would_print_is_a_decimal() {
        for text in ["0", "-1", "12.50", "0.001", "100000000000000000000", "0.0"] {
            assert_eq!(Decimal::read(text).unwrap().text(), text);
        }
        for text in ["", "-", "-0", "-0.0", "+1", "01", ".5", "1.", "1e5", " 1", "1 ", "NaN", "1_0"]
        {
            assert_eq!(Decimal::read(text), None, "{text}");
        }
    }

    #[test]
    fn digits_are_sent_as_the_server_sends_them() {
        // As PostgreSQL 15's record_send shows 12.50, 10000.5, 0.0001 and 0.00.
        let sent = |text: &str| Decimal::read(text).unwrap().bytes();
        assert_eq!(sent("12.50"), [0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88]);
        assert_eq!(sent("10000.5"), [0, 3, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0x13, 0x88]);
        assert_eq!(sent("0.0001"), [0, 1, 0xff, 0xff, 0, 0, 0, 4, 0, 1]);
        assert_eq!(sent("0.00"), [0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(sent("-7"), [0, 1, 0, 0, 0x40, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn a_limit_is_kept_without_rounding() {
        let within = |text: &str| Decimal::read(text).unwrap().within((5, 2)).map(|d| d.text());
        assert_eq!(within("12.5").as_deref(), Some("12.50"));
        assert_eq!(within("999.990").as_deref(), Some("999.99"));
        assert_eq!(within("0").as_deref(), Some("0.00"));
        assert_eq!(within("1000"), None);
        assert_eq!(within("0.001"), None);
    }

    #[test]
    fn a_real_is_the_shortest_decimal_that_reads_back() {
        for number in [0.1, 12.5, 1e300, -2.5e-300, 5e-324, f64::MAX, 0.1 + 0.2] {
            let text = Decimal::of_real(number).unwrap().text();
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits(), "{text}");
        }
        assert_eq!(Decimal::of_real(-0.0).unwrap().text(), "0");
        assert_eq!(Decimal::of_real(f64::INFINITY), None);
    }
}
