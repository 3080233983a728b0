//! Scanning every site for what must not be: strays, doubles, orphans, reference drift.

use crate::error::Result;
use crate::people::Platform;
use crate::reference::{Explaining, drift, reasons};
use domicile_model::{State, Subject};
use domicile_store::{Finding, JournalEntry, Person, PersonStream};
use futures_util::StreamExt as _;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many findings are named; all are counted.
const NAMED: usize = 1000;

/// A row found at a site that is not its owner's home.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct StrayFound {
    /// The person.
    pub subject: Subject,
    /// Where the row stands.
    pub site: String,
    /// Its table.
    pub table: String,
}

/// What stands at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteCount {
    /// The site.
    pub site: String,
    /// People whose rows stand there and are open.
    pub subjects: u64,
    /// Rows of owned tables, those pending erasure included.
    pub rows: u64,
    /// People whose rows stand there, fenced, until they are erased.
    pub pending_erasure: u64,
}

/// A reference table whose rows differ between sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The table.
    pub table: String,
    /// The site that differs from the one where it is written.
    pub site: String,
}

/// Copies of shared rows at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedCount {
    /// The site.
    pub site: String,
    /// The table.
    pub table: String,
    /// Its rows there.
    pub rows: u64,
    /// Those that nobody there refers to. Nothing moves or erases them.
    pub unreferred: u64,
}

/// What a verification found. JSON fields are extended, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Every site.
    pub sites: Vec<SiteCount>,
    /// Rows away from home, counted per person, site and table.
    pub strays: u64,
    /// The first of them by name.
    pub strays_found: Vec<StrayFound>,
    /// People who stand open at two sites.
    pub doubles: u64,
    /// The first of them.
    pub doubles_found: Vec<Subject>,
    /// Owned rows whose owner stands nowhere.
    pub orphans: u64,
    /// Reference tables that differ, per site.
    pub reference_drift: u64,
    /// Which.
    pub drift_found: Vec<Drift>,
    /// Shared tables, per site. No fault.
    pub shared: Vec<SharedCount>,
    /// Changes of reference rows that a site could not apply; where its rows differ, that is drift.
    pub reference_refused: u64,
    /// Reference rows that were deleted and are kept where rows still refer to them. No fault.
    pub reference_kept: u64,
    /// Changes of reference rows that nothing holds up and that are not carried yet. No fault while
    /// nobody carries; where they stay after `migrate`, something is wrong.
    pub reference_waiting: u64,
    /// People whose rows stand somewhere and are open nowhere: decided and not settled, or a site
    /// was restored.
    pub without_home: u64,
    /// People whose rows wait, fenced, to be erased. No fault.
    pub pending_erasure: u64,
    /// People whose residence nobody knows. No fault.
    pub unknown_residence: u64,
    /// People away from home because they are on hold. No fault.
    pub on_hold: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.strays == 0
            && self.doubles == 0
            && self.orphans == 0
            && self.reference_drift == 0
            && self.without_home == 0
    }

    fn note_stray(&mut self, stray: StrayFound) {
        self.strays += 1;
        if self.strays_found.len() < NAMED {
            self.strays_found.push(stray);
        }
    }
}

type Journal = BTreeMap<Subject, JournalEntry>;

/// Scans every site. People who are under way in a running migration show as strays until they
/// are home.
pub async fn verify(platform: &Platform) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    platform.read_directives().await?;
    let (mut journals, mut findings) = (Vec::new(), Vec::new());
    for site in &platform.sites {
        let entries = site.journal().await?;
        let journal: Journal = entries.into_iter().map(|e| (e.subject.clone(), e)).collect();
        let pending = journal.values().filter(|e| e.state == State::Moved).count() as u64;
        let finding = site.scan(&platform.closure).await?;
        report.pending_erasure += pending;
        report.shared.extend(finding.shared.iter().map(|(table, rows, unreferred)| SharedCount {
            site: site.name().to_string(),
            table: table.to_string(),
            rows: *rows,
            unreferred: *unreferred,
        }));
        report.sites.push(SiteCount {
            site: site.name().to_string(),
            subjects: 0,
            rows: finding.rows,
            pending_erasure: pending,
        });
        journals.push(journal);
        findings.push(finding);
    }
    let ownerless: BTreeSet<&Subject> = findings
        .iter()
        .flat_map(|finding| &finding.ownerless)
        .filter_map(|stray| stray.subject.as_ref())
        .collect();
    let mut lives_somewhere: BTreeSet<Subject> = BTreeSet::new();
    let mut merge = Merge::open(platform).await?;
    while let Some((subject, standing)) = merge.next().await? {
        if ownerless.contains(&subject) {
            lives_somewhere.insert(subject.clone());
        }
        judge_person(platform, &journals, &subject, standing, &mut report);
    }
    for (at, finding) in findings.iter().enumerate() {
        judge_ownerless(platform, at, finding, &lives_somewhere, &mut report);
    }
    judge_reference(platform, &findings, &mut report).await?;
    report.strays_found.sort();
    Ok(report)
}

/// People of all sites in one order: a merge of streams that are each ascending.
pub(crate) struct Merge {
    streams: Vec<PersonStream>,
    heads: Vec<Option<Person>>,
}

impl Merge {
    pub(crate) async fn open(platform: &Platform) -> Result<Merge> {
        let (mut streams, mut heads) = (Vec::new(), Vec::new());
        for site in &platform.sites {
            let mut stream = site.people(&platform.closure).await?;
            heads.push(stream.next().await.transpose()?);
            streams.push(stream);
        }
        Ok(Merge { streams, heads })
    }

    /// The next person, with the root row of each site where one stands.
    pub(crate) async fn next(&mut self) -> Result<Option<(Subject, Vec<(usize, Person)>)>> {
        let least = self.heads.iter().flatten().map(|person| person.subject.clone()).min();
        let Some(subject) = least else { return Ok(None) };
        let mut standing = Vec::new();
        for (at, head) in self.heads.iter_mut().enumerate() {
            if head.as_ref().is_some_and(|person| person.subject == subject) {
                let next = self.streams[at].next().await.transpose()?;
                standing.extend(std::mem::replace(head, next).map(|person| (at, person)));
            }
        }
        Ok(Some((subject, standing)))
    }
}

fn judge_person(
    platform: &Platform,
    journals: &[Journal],
    subject: &Subject,
    standing: Vec<(usize, Person)>,
    report: &mut VerifyReport,
) {
    // Fenced rows of somebody who left, and rows of somebody not yet at home, are accounted for.
    let is_open = |at: usize| {
        let state = journals[at].get(subject).map(|entry| entry.state);
        !matches!(state, Some(State::Moved | State::Arriving))
    };
    let open: Vec<&(usize, Person)> = standing.iter().filter(|(at, _)| is_open(*at)).collect();
    report.without_home += u64::from(open.is_empty());
    if open.len() > 1 {
        report.doubles += 1;
        if report.doubles_found.len() < NAMED {
            report.doubles_found.push(subject.clone());
        }
    }
    let mut is_unknown = false;
    for (at, person) in open {
        report.sites[*at].subjects += 1;
        let (residence, home) = platform.home_of(person);
        is_unknown |= residence.territory.is_none();
        if home.is_some_and(|home| home != *at) && platform.directives.is_on_hold(subject) {
            report.on_hold += 1;
        } else if home.is_some_and(|home| home != *at) {
            report.note_stray(StrayFound {
                subject: subject.clone(),
                site: platform.sites[*at].name().to_string(),
                table: platform.closure.root().name.to_string(),
            });
        }
    }
    report.unknown_residence += u64::from(is_unknown);
}

/// A row without its owner's root row is a stray when the owner stands elsewhere, else an orphan.
fn judge_ownerless(
    platform: &Platform,
    at: usize,
    finding: &Finding,
    lives_somewhere: &BTreeSet<Subject>,
    report: &mut VerifyReport,
) {
    for stray in &finding.ownerless {
        match &stray.subject {
            Some(subject) if lives_somewhere.contains(subject) => {
                report.note_stray(StrayFound {
                    subject: subject.clone(),
                    site: platform.sites[at].name().to_string(),
                    table: stray.table.clone(),
                });
            }
            _ => report.orphans += stray.rows,
        }
    }
}

/// A table drifts where its rows differ from the writing site's and no note says that they are
/// still to be carried. A change that a site could not apply is drift until it could.
async fn judge_reference(
    platform: &Platform,
    findings: &[Finding],
    report: &mut VerifyReport,
) -> Result<()> {
    let reasons = reasons(platform).await?;
    report.reference_kept = reasons.held;
    report.reference_refused = reasons.refused;
    report.reference_waiting = reasons.waiting;
    let writing = platform.sites[platform.reference_site].as_ref();
    let expected = &findings[platform.reference_site].reference;
    for (at, finding) in findings.iter().enumerate() {
        let tables = expected.iter().zip(&finding.reference).enumerate();
        let suspects: Vec<usize> = tables
            .filter(|(_, (expected, found))| expected != found)
            .map(|(table, _)| table)
            .collect();
        let site = platform.sites[at].as_ref();
        let explaining = Explaining::NotRefused;
        for table in drift(writing, site, &platform.closure, &suspects, explaining).await? {
            report.reference_drift += 1;
            report.drift_found.push(Drift {
                table: platform.closure.reference[table].name.to_string(),
                site: site.name().to_string(),
            });
        }
    }
    Ok(())
}
