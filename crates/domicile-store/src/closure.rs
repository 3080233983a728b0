//! Which rows belong to a person: the root table and the tables that hang from it.

use crate::catalog::TableName;
use crate::sql::equal;

/// How a row finds its owner one level up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentEdge {
    /// The parent's place in [`Closure::owned`].
    pub table: usize,
    /// The child's columns.
    pub columns: Vec<String>,
    /// The parent's columns they equal; unique there.
    pub parent_columns: Vec<String>,
    /// Whether a foreign key declares it; otherwise the user did.
    pub declared: bool,
}

/// A table whose rows belong to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedTable {
    /// Its name.
    pub name: TableName,
    /// The columns that are copied, in a fixed order that both sites use.
    pub columns: Vec<String>,
    /// For each copied column, whether its type was made by the user.
    pub user_types: Vec<bool>,
    /// For each copied column, its type as the engine prints it.
    pub types: Vec<String>,
    /// The generated columns: recomputed at the target, and compared.
    pub generated: Vec<String>,
    /// The primary key's columns.
    pub key: Vec<String>,
    /// The way to the owner; `None` for the root table.
    pub parent: Option<ParentEdge>,
}

impl OwnedTable {
    /// The type of one of the copied columns.
    pub fn type_of(&self, column: &str) -> Option<&str> {
        self.columns.iter().position(|c| c == column).map(|at| self.types[at].as_str())
    }
}

/// A table with the same rows at every site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceTable {
    /// Its name.
    pub name: TableName,
    /// The columns that are copied.
    pub columns: Vec<String>,
    /// For each copied column, whether its type was made by the user.
    pub user_types: Vec<bool>,
    /// For each copied column, its type as the engine prints it.
    pub types: Vec<String>,
    /// The primary key's columns.
    pub key: Vec<String>,
}

impl ReferenceTable {
    /// The type of one of the copied columns.
    pub fn type_of(&self, column: &str) -> Option<&str> {
        self.columns.iter().position(|c| c == column).map(|at| self.types[at].as_str())
    }
}

/// How rows of an owned table refer to rows of a shared one, by a declared foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The referring table's place in [`Closure::owned`].
    pub owned: usize,
    /// Its columns.
    pub columns: Vec<String>,
    /// The shared table's columns they equal; unique there.
    pub parent_columns: Vec<String>,
}

/// A table whose rows belong to nobody and travel with whoever refers to them: an address that two
/// people live at. Each site that has somebody who refers to a row has a copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTable {
    /// The table; it has no parent.
    pub table: OwnedTable,
    /// Everything that refers to it.
    pub referrers: Vec<Referrer>,
}

impl SharedTable {
    /// The condition, in the SQL of both engines, that nobody refers to the row `alias`.
    pub(crate) fn unreferred(&self, alias: &str, closure: &Closure) -> String {
        let part = |referrer: &Referrer| {
            format!(
                "NOT EXISTS (SELECT 1 FROM {} AS c0 WHERE {})",
                closure.owned[referrer.owned].name.sql(),
                equal(alias, &referrer.parent_columns, "c0", &referrer.columns)
            )
        };
        let parts: Vec<String> = self.referrers.iter().map(part).collect();
        parts.join(" AND ")
    }
}

/// A declared foreign key that must hold at the target after rows have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The referring table.
    pub child: TableName,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub parent: TableName,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// The referring table's place in [`Closure::owned`].
    pub owned: usize,
}

/// Everything that belongs to one person, as tables; the first is the root, parents stand before
/// their children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The owned tables, root first, parents before children.
    pub owned: Vec<OwnedTable>,
    /// The shared tables. Their places follow those of the owned ones wherever a table is named by
    /// its place.
    pub shared: Vec<SharedTable>,
    /// The reference tables, those referred to before those that refer.
    pub reference: Vec<ReferenceTable>,
    /// The foreign keys of owned tables, rechecked where they were not enforced.
    pub checks: Vec<Check>,
    /// The root's columns that residence is read from.
    pub residence: Vec<String>,
}

impl Closure {
    /// The root table.
    pub fn root(&self) -> &OwnedTable {
        &self.owned[0]
    }

    /// How many tables have a place: the owned and the shared ones.
    pub fn places(&self) -> usize {
        self.owned.len() + self.shared.len()
    }

    /// Every table that has a place, in their order.
    pub fn tables(&self) -> impl Iterator<Item = &OwnedTable> {
        self.owned.iter().chain(self.shared.iter().map(|shared| &shared.table))
    }

    /// The owned or shared table at a place.
    pub fn at(&self, place: usize) -> &OwnedTable {
        match self.shared_at(place) {
            Some(shared) => &shared.table,
            None => &self.owned[place],
        }
    }

    /// The shared table at a place, if it is one's.
    pub fn shared_at(&self, place: usize) -> Option<&SharedTable> {
        place.checked_sub(self.owned.len()).and_then(|at| self.shared.get(at))
    }

    /// The places of shared tables.
    pub fn shared_places(&self) -> std::ops::Range<usize> {
        self.owned.len()..self.places()
    }

    /// The order in which rows are loaded: what is referred to comes first.
    pub fn loading_order(&self) -> impl Iterator<Item = usize> {
        self.shared_places().chain(0..self.owned.len())
    }

    /// The tables directly below a table, by place.
    pub fn children(&self, table: usize) -> impl Iterator<Item = usize> + '_ {
        self.owned
            .iter()
            .enumerate()
            .filter_map(move |(at, owned)| (owned.parent.as_ref()?.table == table).then_some(at))
    }

    /// Whether any table hangs from this one.
    pub fn has_children(&self, table: usize) -> bool {
        self.children(table).next().is_some()
    }

    /// The columns of a table by which rows below, or the owner above, are found: its key, its
    /// own edge, and what its children's edges refer to. Ascending.
    pub fn watched_columns(&self, table: usize) -> Vec<&String> {
        let owned = &self.owned[table];
        let edge = owned.parent.iter().flat_map(|edge| &edge.columns);
        let below = self
            .children(table)
            .filter_map(|child| self.owned[child].parent.as_ref())
            .flat_map(|edge| &edge.parent_columns);
        let mut columns: Vec<&String> = owned.key.iter().chain(edge).chain(below).collect();
        columns.sort();
        columns.dedup();
        columns
    }

    /// The tables from `table` up to and with the one that names the owner in its own columns
    /// (whose parent edge ends at the root's key); for the root only itself.
    ///
    /// The owner is then read from the last table of the path: the root's key for the root, the
    /// edge's columns otherwise. An edge that ends at another unique key of the root goes on to
    /// the root itself.
    pub fn path(&self, table: usize) -> Vec<usize> {
        let mut path = vec![table];
        let mut at = table;
        while let Some(edge) = &self.owned[at].parent {
            if edge.table == 0 && edge.parent_columns == self.root().key {
                break;
            }
            path.push(edge.table);
            at = edge.table;
        }
        path
    }

    /// The columns, of the last table of [`Closure::path`], that hold the owner's key.
    pub fn owner_columns(&self, table: usize) -> &[String] {
        let last = self.path(table).last().copied().unwrap_or(table);
        match &self.owned[last].parent {
            Some(edge) => &edge.columns,
            None => &self.owned[last].key,
        }
    }

    /// Whether a table's own columns name the owner.
    pub fn is_direct(&self, table: usize) -> bool {
        self.path(table).len() == 1
    }

    /// Whether a table's rows are found along this key. Of whole people whose rows are compared,
    /// what it refers to is then there: it was found on the way, or is the person's own row.
    pub(crate) fn is_found_along(&self, check: &Check) -> bool {
        self.owned[check.owned].parent.as_ref().is_some_and(|edge| {
            self.owned[edge.table].name == check.parent
                && edge.columns == check.columns
                && edge.parent_columns == check.parent_columns
        })
    }

    /// Whether this key holds the owner itself: whatever refers along it to a person is that
    /// person's own.
    pub(crate) fn names_owner(&self, check: &Check) -> bool {
        self.is_found_along(check)
            && check.parent == self.root().name
            && check.parent_columns == self.root().key
    }

    /// Whether every edge from the table to the root is a declared foreign key, so that the
    /// database itself refuses a row of somebody who left.
    pub fn is_guarded_by_keys(&self, table: usize) -> bool {
        let mut at = table;
        while let Some(edge) = &self.owned[at].parent {
            if !edge.declared {
                return false;
            }
            at = edge.table;
        }
        table != 0
    }
}
