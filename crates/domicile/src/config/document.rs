//! `domicile.toml` as it is written, before anything in it is understood.

use indexmap::IndexMap;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) subjects: Option<Subjects>,
    #[serde(default)]
    pub(super) sites: IndexMap<String, Site>,
    #[serde(default)]
    pub(super) homes: Vec<Home>,
    #[serde(default)]
    pub(super) tables: IndexMap<String, Table>,
    #[serde(default)]
    pub(super) reference: Reference,
    #[serde(default)]
    pub(super) erase: Erase,
    pub(super) serve: Option<Serve>,
}

/// `[subjects]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subjects {
    pub(super) table: Option<String>,
    pub(super) residence: Option<Residence>,
}

/// `{ code = … }` or `{ text = […] }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Residence {
    pub(super) code: Option<String>,
    pub(super) text: Option<Vec<String>>,
}

/// `[sites.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    pub(super) territory: Option<String>,
    pub(super) url: Option<String>,
    pub(super) weight: Option<u32>,
    pub(super) operator: Option<Operator>,
}

/// `operator = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operator {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) third_party: bool,
    pub(super) control: Option<String>,
}

/// `[[homes]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Home {
    #[serde(default)]
    pub(super) regimes: Vec<String>,
    #[serde(default)]
    pub(super) sites: Vec<String>,
    #[serde(default)]
    pub(super) refuse_control: Vec<String>,
}

/// `[tables.NAME]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) owner: Columns,
    #[serde(default)]
    pub(super) soft: Vec<Columns>,
    #[serde(default)]
    pub(super) unique_per_site: Vec<String>,
    #[serde(default)]
    pub(super) categories: IndexMap<String, String>,
}

/// One column, or several that belong together.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a column, or a list of such names")]
pub(super) enum Columns {
    One(String),
    Several(Vec<String>),
}

impl Default for Columns {
    fn default() -> Self {
        Columns::Several(Vec::new())
    }
}

impl From<Columns> for Vec<String> {
    fn from(columns: Columns) -> Vec<String> {
        match columns {
            Columns::One(column) => vec![column],
            Columns::Several(columns) => columns,
        }
    }
}

/// `[reference]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    pub(super) site: Option<String>,
}

/// `[erase]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Erase {
    pub(super) after: Option<String>,
    pub(super) quiet: Option<String>,
    pub(super) tombstone_days: Option<u32>,
    pub(super) vacuum: Option<bool>,
    pub(super) archive_days: Option<u32>,
    pub(super) backup_days: Option<u32>,
}

/// `[serve]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Serve {
    pub(super) listen: Option<String>,
    pub(super) database: Option<String>,
    pub(super) nearest: Option<String>,
    pub(super) connections: Option<usize>,
    pub(super) threads: Option<usize>,
    pub(super) drain_seconds: Option<u64>,
    pub(super) metrics: Option<String>,
    pub(super) search_path: Option<Vec<String>>,
    #[serde(default)]
    pub(super) functions: Vec<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_authorities: Option<String>,
    #[serde(default)]
    pub(super) undecided: IndexMap<String, String>,
    #[serde(default)]
    pub(super) users: IndexMap<String, User>,
}

/// `[serve.users.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) certificate: bool,
}
