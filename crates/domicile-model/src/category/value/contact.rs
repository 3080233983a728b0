//! E-mail addresses, telephone numbers, web addresses.

use crate::territory::Territory;

/// An e-mail address as people have them: a dotted local part of RFC 5322 atoms and a domain of at
/// least two labels whose last is not a number. Quoted local parts and address literals are left
/// out: no sign-up form takes them.
pub fn is_email(text: &str) -> bool {
    let text = text.trim();
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |part: &str| {
        let special = "!#$%&'*+-/=?^_`{|}~";
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || special.contains(c))
    };
    text.len() <= 254 && local.split('.').all(is_atom) && is_domain(domain)
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let edge = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        label.len() <= 63
            && edge(label.chars().next())
            && edge(label.chars().last())
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let labels: Vec<&str> = text.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    labels.len() > 1
        && labels.iter().all(|label| is_label(label))
        && last.chars().count() > 1
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// An absolute web address.
pub fn is_url(text: &str) -> bool {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"))
    else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    !text.contains(char::is_whitespace) && (is_domain(host) || super::network::is_ip(host))
}

/// A telephone number with its country: `+` or `00`, an assigned calling code, and 7 to 15 digits
/// in all (ITU-T E.164).
pub fn is_international_telephone(text: &str) -> bool {
    let text = text.trim();
    (text.starts_with('+') || text.starts_with("00")) && calling_code(text).is_some()
}

/// A telephone number by its form alone: 7 to 15 digits, with the signs people set between them.
/// An international one must have an assigned calling code.
pub fn is_telephone(text: &str) -> bool {
    let text = text.trim();
    if text.starts_with('+') {
        return calling_code(text).is_some();
    }
    dialled(text).is_some_and(|digits| (7..=15).contains(&digits.len()))
}

/// The territories that share a telephone number's calling code; empty where the number has none,
/// or a code of no territory. `+44` is GB, GG, IM and JE, never US; a number written without `+`
/// or `00` says nothing of its country.
pub fn telephone_territories(text: &str) -> Vec<Territory> {
    let Some((_, territories)) = calling_code(text.trim()) else { return Vec::new() };
    territories.split(' ').filter_map(Territory::from_alpha2).collect()
}

fn calling_code(text: &str) -> Option<(&'static str, &'static str)> {
    let rest = text.strip_prefix('+').or_else(|| text.strip_prefix("00"))?;
    // "+44 (0)20 …": the zero is dialled at home only.
    let digits = dialled(&rest.replace("(0)", ""))?;
    if !(7..=15).contains(&digits.len()) {
        return None;
    }
    let code = |(code, _): &&(&str, &str)| digits.starts_with(code);
    CALLING_CODES.iter().filter(code).max_by_key(|(code, _)| code.len()).copied()
}

/// The digits, where nothing but the usual signs stands between them; an extension is cut off.
fn dialled(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let end = ["ext", "x"].iter().filter_map(|sign| lower.find(sign)).min();
    let main = lower.get(..end.unwrap_or(lower.len()))?;
    let mut digits = String::new();
    for letter in main.trim().chars() {
        match letter {
            '0'..='9' => digits.push(letter),
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' => {}
            _ => return None,
        }
    }
    Some(digits)
}

/// Calling codes with the territories they are assigned to (ITU, list of ITU-T E.164 assigned
/// country codes); shared ones name all of them.
const CALLING_CODES: &[(&str, &str)] = &[
    ("1", "US CA AG AI AS BB BM BS DM DO GD GU JM KN KY LC MP MS PR SX TC TT VC VG VI"),
    ("7", "RU KZ"),
    ("20", "EG"),
    ("27", "ZA"),
    ("30", "GR"),
    ("31", "NL"),
    ("32", "BE"),
    ("33", "FR"),
    ("34", "ES"),
    ("36", "HU"),
    ("39", "IT VA"),
    ("40", "RO"),
    ("41", "CH"),
    ("43", "AT"),
    ("44", "GB GG IM JE"),
    ("45", "DK"),
    ("46", "SE"),
    ("47", "NO SJ"),
    ("48", "PL"),
    ("49", "DE"),
    ("51", "PE"),
    ("52", "MX"),
    ("53", "CU"),
    ("54", "AR"),
    ("55", "BR"),
    ("56", "CL"),
    ("57", "CO"),
    ("58", "VE"),
    ("60", "MY"),
    ("61", "AU CC CX"),
    ("62", "ID"),
    ("63", "PH"),
    ("64", "NZ"),
    ("65", "SG"),
    ("66", "TH"),
    ("81", "JP"),
    ("82", "KR"),
    ("84", "VN"),
    ("86", "CN"),
    ("90", "TR"),
    ("91", "IN"),
    ("92", "PK"),
    ("93", "AF"),
    ("94", "LK"),
    ("95", "MM"),
    ("98", "IR"),
    ("211", "SS"),
    ("212", "MA EH"),
    ("213", "DZ"),
    ("216", "TN"),
    ("218", "LY"),
    ("220", "GM"),
    ("221", "SN"),
    ("222", "MR"),
    ("223", "ML"),
    ("224", "GN"),
    ("225", "CI"),
    ("226", "BF"),
    ("227", "NE"),
    ("228", "TG"),
    ("229", "BJ"),
    ("230", "MU"),
    ("231", "LR"),
    ("232", "SL"),
    ("233", "GH"),
    ("234", "NG"),
    ("235", "TD"),
    ("236", "CF"),
    ("237", "CM"),
    ("238", "CV"),
    ("239", "ST"),
    ("240", "GQ"),
    ("241", "GA"),
    ("242", "CG"),
    ("243", "CD"),
    ("244", "AO"),
    ("245", "GW"),
    ("246", "IO"),
    ("248", "SC"),
    ("249", "SD"),
    ("250", "RW"),
    ("251", "ET"),
    ("252", "SO"),
    ("253", "DJ"),
    ("254", "KE"),
    ("255", "TZ"),
    ("256", "UG"),
    ("257", "BI"),
    ("258", "MZ"),
    ("260", "ZM"),
    ("261", "MG"),
    ("262", "RE YT TF"),
    ("263", "ZW"),
    ("264", "NA"),
    ("265", "MW"),
    ("266", "LS"),
    ("267", "BW"),
    ("268", "SZ"),
    ("269", "KM"),
    ("290", "SH"),
    ("291", "ER"),
    ("297", "AW"),
    ("298", "FO"),
    ("299", "GL"),
    ("350", "GI"),
    ("351", "PT"),
    ("352", "LU"),
    ("353", "IE"),
    ("354", "IS"),
    ("355", "AL"),
    ("356", "MT"),
    ("357", "CY"),
    ("358", "FI AX"),
    ("359", "BG"),
    ("370", "LT"),
    ("371", "LV"),
    ("372", "EE"),
    ("373", "MD"),
    ("374", "AM"),
    ("375", "BY"),
    ("376", "AD"),
    ("377", "MC"),
    ("378", "SM"),
    ("380", "UA"),
    ("381", "RS"),
    ("382", "ME"),
    ("383", "XK"),
    ("385", "HR"),
    ("386", "SI"),
    ("387", "BA"),
    ("389", "MK"),
    ("420", "CZ"),
    ("421", "SK"),
    ("423", "LI"),
    ("500", "FK GS"),
    ("501", "BZ"),
    ("502", "GT"),
    ("503", "SV"),
    ("504", "HN"),
    ("505", "NI"),
    ("506", "CR"),
    ("507", "PA"),
    ("508", "PM"),
    ("509", "HT"),
    ("590", "GP MF BL"),
    ("591", "BO"),
    ("592", "GY"),
    ("593", "EC"),
    ("594", "GF"),
    ("595", "PY"),
    ("596", "MQ"),
    ("597", "SR"),
    ("598", "UY"),
    ("599", "CW BQ"),
    ("670", "TL"),
    ("672", "NF AQ"),
    ("673", "BN"),
    ("674", "NR"),
    ("675", "PG"),
    ("676", "TO"),
    ("677", "SB"),
    ("678", "VU"),
    ("679", "FJ"),
    ("680", "PW"),
    ("681", "WF"),
    ("682", "CK"),
    ("683", "NU"),
    ("685", "WS"),
    ("686", "KI"),
    ("687", "NC"),
    ("688", "TV"),
    ("689", "PF"),
    ("690", "TK"),
    ("691", "FM"),
    ("692", "MH"),
    ("850", "KP"),
    ("852", "HK"),
    ("853", "MO"),
    ("855", "KH"),
    ("856", "LA"),
    ("880", "BD"),
    ("886", "TW"),
    ("960", "MV"),
    ("961", "LB"),
    ("962", "JO"),
    ("963", "SY"),
    ("964", "IQ"),
    ("965", "KW"),
    ("966", "SA"),
    ("967", "YE"),
    ("968", "OM"),
    ("970", "PS"),
    ("971", "AE"),
    ("972", "IL"),
    ("973", "BH"),
    ("974", "QA"),
    ("975", "BT"),
    ("976", "MN"),
    ("977", "NP"),
    ("992", "TJ"),
    ("993", "TM"),
    ("994", "AZ"),
    ("995", "GE"),
    ("996", "KG"),
    ("998", "UZ"),
];

/// All codes with their territories, for the test that looks each of them up.
#[cfg(test)]
pub(in crate::category) fn calling_codes() -> &'static [(&'static str, &'static str)] {
    CALLING_CODES
}
