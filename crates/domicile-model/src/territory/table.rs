//! The rows. Dates are the first day of a change; sources are named in each row.

use jiff::civil::{Date, date};

use super::{Regime, Row, Territory};

const UNION: &[Regime] = &[Regime::EU, Regime::EEA];
const EEA_ONLY: &[Regime] = &[Regime::EEA];

const ROME: &str = "Treaty of Rome 1957; TEU Art. 52";
const ACCESSION_1973: &str = "Accession Treaty 1972; TEU Art. 52";
const ACCESSION_1981: &str = "Accession Treaty 1979; TEU Art. 52";
const ACCESSION_1986: &str = "Accession Treaty 1985; TEU Art. 52";
const ACCESSION_1995: &str = "Accession Treaty 1994; TEU Art. 52";
const ACCESSION_2004: &str = "Accession Treaty 2003; TEU Art. 52";
const ACCESSION_2007: &str = "Accession Treaty 2005; TEU Art. 52";
const ACCESSION_2013: &str = "Accession Treaty 2011; TEU Art. 52";
const EEA_AGREEMENT: &str = "EEA Agreement";
const OUTERMOST: &str = "TFEU Art. 349, Art. 355(1)";
const CUSTOMS_ONLY: &str =
    "TEU Art. 52; Regulation (EU) 952/2013 Art. 4 (outside the customs territory only)";
const OVERSEAS: &str = "TFEU Annex II";

/// A member state from its accession.
const fn member(code: &'static str, from: Date, source: &'static str) -> Row {
    Row {
        territory: Territory(code),
        part: None,
        regimes: UNION,
        counts_for_dsa: true,
        parent: None,
        valid_from: Some(from),
        valid_to: None,
        source,
        note: "",
        needs_lawyer: false,
    }
}

/// A region inside the Union with a code of its own.
const fn region(code: &'static str, of: &'static str, from: Date, source: &'static str) -> Row {
    Row { parent: Some(Territory(of)), ..member(code, from, source) }
}

/// A territory outside the Union and the EEA, with its own law.
const fn outside(code: &'static str, regimes: &'static [Regime], source: &'static str) -> Row {
    Row {
        territory: Territory(code),
        part: None,
        regimes,
        counts_for_dsa: false,
        parent: None,
        valid_from: None,
        valid_to: None,
        source,
        note: "",
        needs_lawyer: false,
    }
}

/// A part of a member state without a code of its own; for readers, see [`Row::part`].
const fn part(code: &'static str, name: &'static str, from: Date, source: &'static str) -> Row {
    Row { part: Some(name), ..member(code, from, source) }
}

const fn until(row: Row, to: Date) -> Row {
    Row { valid_to: Some(to), ..row }
}

const fn since(row: Row, from: Date) -> Row {
    Row { valid_from: Some(from), ..row }
}

const fn noted(row: Row, note: &'static str) -> Row {
    Row { note, ..row }
}

/// Marks a row † of the sources.
const fn lawyer(row: Row) -> Row {
    Row { needs_lawyer: true, ..row }
}

/// In the EEA but not in the Union.
const fn eea(code: &'static str, from: Date) -> Row {
    since(outside(code, EEA_ONLY, EEA_AGREEMENT), from)
}

macro_rules! own {
    ($code:literal, $source:expr) => {
        outside($code, &[Regime($code)], $source)
    };
}

const Y1958: Date = date(1958, 1, 1);
const Y1973: Date = date(1973, 1, 1);
const Y1981: Date = date(1981, 1, 1);
const Y1986: Date = date(1986, 1, 1);
const Y1994: Date = date(1994, 1, 1);
const Y1995: Date = date(1995, 1, 1);
const Y2004: Date = date(2004, 5, 1);
const Y2007: Date = date(2007, 1, 1);
const Y2012: Date = date(2012, 1, 1);
const Y2013: Date = date(2013, 7, 1);
const Y2014: Date = date(2014, 1, 1);
const WITHDRAWAL: Date = date(2020, 2, 1);
const TRANSITION_OVER: Date = date(2021, 1, 1);

const LEFT: &str = "left at midnight (Brussels) after 2020-01-31, its last day as a member";
const TRANSITION: &str = "outside the Union; Union law went on applying under the Withdrawal \
                          Agreement until 2020-12-31";
const FRENCH_LAW: &str = "outside the Union; French data law applies nationally";
const ADEQUACY: &str = "own law; adequacy decision of the Commission";
const FORMER_EFTA: &str = "in the EEA as an EFTA state before it joined the Union";

#[rustfmt::skip]
pub(super) static ROWS: &[Row] = &[
    // The 27 members.
    member("BE", Y1958, ROME),
    member("DE", Y1958, ROME),
    member("FR", Y1958, ROME),
    member("IT", Y1958, ROME),
    member("LU", Y1958, ROME),
    member("NL", Y1958, ROME),
    member("DK", Y1973, ACCESSION_1973),
    member("IE", Y1973, ACCESSION_1973),
    member("GR", Y1981, ACCESSION_1981),
    member("ES", Y1986, ACCESSION_1986),
    member("PT", Y1986, ACCESSION_1986),
    member("AT", Y1995, ACCESSION_1995),
    member("FI", Y1995, ACCESSION_1995),
    member("SE", Y1995, ACCESSION_1995),
    member("CY", Y2004, ACCESSION_2004),
    member("CZ", Y2004, ACCESSION_2004),
    member("EE", Y2004, ACCESSION_2004),
    member("HU", Y2004, ACCESSION_2004),
    member("LT", Y2004, ACCESSION_2004),
    member("LV", Y2004, ACCESSION_2004),
    member("MT", Y2004, ACCESSION_2004),
    member("PL", Y2004, ACCESSION_2004),
    member("SI", Y2004, ACCESSION_2004),
    member("SK", Y2004, ACCESSION_2004),
    member("BG", Y2007, ACCESSION_2007),
    member("RO", Y2007, ACCESSION_2007),
    member("HR", Y2013, ACCESSION_2013),

    // The United Kingdom and Gibraltar, before and after.
    noted(until(member("GB", Y1973, ACCESSION_1973), WITHDRAWAL), LEFT),
    noted(since(until(own!("GB", "Withdrawal Agreement Art. 126, 127"), TRANSITION_OVER), WITHDRAWAL), TRANSITION),
    noted(since(own!("GB", "UK GDPR; Commission Implementing Decision (EU) 2021/1772"), TRANSITION_OVER), ADEQUACY),
    noted(until(member("GI", Y1973, "Accession Treaty 1972; TFEU Art. 355(3)"), WITHDRAWAL), LEFT),
    noted(since(until(own!("GI", "Withdrawal Agreement Art. 126, 127"), TRANSITION_OVER), WITHDRAWAL), TRANSITION),
    noted(since(own!("GI", "Gibraltar GDPR; Data Protection Act 2004"), TRANSITION_OVER), "own law, modelled on the UK's"),

    // Outermost regions with their own codes: Union law, counted with their state.
    region("GP", "FR", Y1958, OUTERMOST),
    region("GF", "FR", Y1958, OUTERMOST),
    region("MQ", "FR", Y1958, OUTERMOST),
    region("RE", "FR", Y1958, OUTERMOST),
    noted(region("MF", "FR", Y1958, OUTERMOST), "part of Guadeloupe until 2007"),
    noted(region("YT", "FR", Y2014, "TFEU Art. 349; European Council Decision 2012/419/EU"), "an overseas territory before"),
    region("IC", "ES", Y1986, OUTERMOST),
    noted(until(region("BL", "FR", Y1958, OUTERMOST), Y2012), "part of Guadeloupe until 2007"),
    lawyer(region("AX", "FI", Y1995, "TFEU Art. 355(4); Act of Accession 1994, Protocol 2")),
    lawyer(region("EA", "ES", Y1986, "Act of Accession 1985, Art. 25 and Protocol 2")),

    // Parts of member states without a code of their own.
    part("PT", "Azores", Y1986, OUTERMOST),
    part("PT", "Madeira", Y1986, OUTERMOST),
    lawyer(part("DE", "Heligoland", Y1958, CUSTOMS_ONLY)),
    lawyer(part("DE", "Büsingen am Hochrhein", Y1958, CUSTOMS_ONLY)),
    lawyer(part("IT", "Livigno", Y1958, CUSTOMS_ONLY)),
    lawyer(part("IT", "Campione d'Italia", Y1958, "TEU Art. 52; Regulation (EU) 2019/474 (customs)")),
    lawyer(part("GR", "Mount Athos", Y1981, "Act of Accession 1979, Joint Declaration on Mount Athos")),
    lawyer(noted(
        part("CY", "Northern Cyprus", Y2004, "Act of Accession 2003, Protocol 10"),
        "Union territory where the acquis is suspended",
    )),

    // Overseas countries and territories: outside the Union.
    noted(until(member("GL", Y1973, ACCESSION_1973), date(1985, 2, 1)), "left by the Greenland Treaty of 1984"),
    since(own!("GL", OVERSEAS), date(1985, 2, 1)),
    lawyer(noted(own!("NC", OVERSEAS), FRENCH_LAW)),
    lawyer(noted(own!("PF", OVERSEAS), FRENCH_LAW)),
    lawyer(noted(own!("WF", OVERSEAS), FRENCH_LAW)),
    lawyer(noted(own!("PM", OVERSEAS), FRENCH_LAW)),
    lawyer(noted(since(own!("BL", "TFEU Annex II; European Council Decision 2010/718/EU"), Y2012), FRENCH_LAW)),
    lawyer(noted(own!("TF", OVERSEAS), FRENCH_LAW)),
    noted(until(own!("YT", OVERSEAS), Y2014), "before it became an outermost region"),
    own!("AW", OVERSEAS),
    own!("CW", OVERSEAS),
    own!("SX", OVERSEAS),
    own!("BQ", OVERSEAS),
    lawyer(noted(own!("FO", "TFEU Art. 355(5)(a); Commission Decision 2010/146/EU"), ADEQUACY)),

    // The EEA's EFTA states: the GDPR applies, people there are not in the Union's count.
    eea("IS", Y1994),
    eea("NO", Y1994),
    eea("LI", date(1995, 5, 1)),
    noted(own!("SJ", "EEA Agreement, Protocol 40"), "Norway exempted Svalbard from the EEA"),
    noted(until(eea("AT", Y1994), Y1995), FORMER_EFTA),
    noted(until(eea("FI", Y1994), Y1995), FORMER_EFTA),
    noted(until(eea("SE", Y1994), Y1995), FORMER_EFTA),

    // Neighbours with their own law.
    lawyer(noted(own!("CH", "Federal Act on Data Protection; Commission Decision 2000/518/EC"), ADEQUACY)),
    lawyer(noted(own!("JE", "TFEU Art. 355(5)(c); Commission Decision 2008/393/EC"), ADEQUACY)),
    lawyer(noted(own!("GG", "TFEU Art. 355(5)(c); Commission Decision 2003/821/EC"), ADEQUACY)),
    lawyer(noted(own!("IM", "TFEU Art. 355(5)(c); Commission Decision 2004/411/EC"), ADEQUACY)),
    lawyer(noted(own!("AD", "Llei 29/2021; Commission Decision 2010/625/EU"), ADEQUACY)),
    own!("MC", "not a member of the Union or the EEA"),
    own!("SM", "not a member of the Union or the EEA"),
    own!("VA", "not a member of the Union or the EEA"),
    noted(own!("XK", "not a member of the Union or the EEA"), "XK is a user-assigned code, not ISO 3166-1"),
];
