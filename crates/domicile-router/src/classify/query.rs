//! Reads queries: which tables they mention, and which values are held equal.

use super::owners::Owners;
use super::scope::{Behind, Common, Named, RangeId, Scope, Term};
use super::{About, SignUp, Undecided};
use crate::schema::{Kind, Place, Schema};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    Alias, CommonTableExpr, CopyStmt, Node, SelectStmt, SetOperation, WithClause,
};
use std::collections::HashMap;

type Result<T, E = Undecided> = std::result::Result<T, E>;

/// One mention of a table in a statement.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) place: Place,
    /// A new row, whose owner is told by what is written, not by what is found.
    pub(super) is_new: bool,
    /// It stands behind a name of `WITH` that is used more than once: what two of its columns equal
    /// may be of two rows.
    pub(super) is_of_many: bool,
}

/// Two values that are equal for every row that counts of these mentions.
#[derive(Debug)]
pub(super) struct Equality {
    pub(super) left: Term,
    pub(super) right: Term,
    holds_for: Vec<RangeId>,
}

impl Equality {
    pub(super) fn holds_for(&self, range: RangeId) -> bool {
        self.holds_for.contains(&range)
    }
}

/// `WITH HOLD`, as PostgreSQL's `parsenodes.h` numbers what a cursor can be.
const CURSOR_HOLD: i32 = 0x0020;

/// Rows that belong to nobody have no mention of their own: their columns equal nothing that could
/// name an owner, and no equality holds for them.
pub(super) const NOBODYS: RangeId = RangeId::MAX;

/// The columns that a query gives, with what each equals.
pub(super) type Outputs = Vec<(String, Option<Term>)>;

/// What has been read of a statement so far.
pub(super) struct Reading<'a> {
    pub(super) schema: &'a Schema,
    pub(super) search_path: &'a [String],
    pub(super) mentions: Vec<Mention>,
    equalities: Vec<Equality>,
    pub(super) common: Vec<Common>,
    /// What the only column of a query in an expression equals, by the query's place in the text.
    pub(super) links: HashMap<i32, Term>,
    pub(super) sign_ups: Vec<SignUp>,
    pub(super) writes: bool,
    pub(super) writes_reference: bool,
    pub(super) internal: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(schema: &'a Schema, search_path: &'a [String]) -> Self {
        Reading {
            schema,
            search_path,
            mentions: Vec::new(),
            equalities: Vec::new(),
            common: Vec::new(),
            links: HashMap::new(),
            sign_ups: Vec::new(),
            writes: false,
            writes_reference: false,
            internal: false,
        }
    }

    /// A whole statement, or a query in `WITH` or `EXPLAIN`.
    pub(super) fn statement(&mut self, node: &NodeEnum) -> Result<()> {
        self.common_or_whole(node, None).map(|_| ())
    }

    pub(super) fn common_or_whole(
        &mut self,
        node: &NodeEnum,
        outer: Option<&Scope<'_>>,
    ) -> Result<Outputs> {
        let commons = self.common.len();
        let outputs = self.whole(node, outer)?;
        // What it calls by name is its own.
        self.common.truncate(commons);
        Ok(outputs)
    }

    fn whole(&mut self, node: &NodeEnum, outer: Option<&Scope<'_>>) -> Result<Outputs> {
        match node {
            NodeEnum::SelectStmt(select) => self.select(select, outer),
            NodeEnum::InsertStmt(insert) => self.insert(insert, outer),
            NodeEnum::UpdateStmt(update) => self.update(update, outer),
            NodeEnum::DeleteStmt(delete) => self.delete(delete, outer),
            NodeEnum::ExplainStmt(explain) => {
                match explain.query.as_ref().and_then(|query| query.node.as_ref()) {
                    Some(query) => self.common_or_whole(query, outer),
                    None => Ok(Outputs::new()),
                }
            }
            NodeEnum::DeclareCursorStmt(cursor) if cursor.options & CURSOR_HOLD == 0 => {
                match cursor.query.as_ref().and_then(|query| query.node.as_ref()) {
                    Some(query) => self.common_or_whole(query, outer),
                    None => Ok(Outputs::new()),
                }
            }
            // What goes to the client, and not to a file or program of the server's.
            NodeEnum::CopyStmt(copy) if is_to_client(copy) => {
                match copy.query.as_ref().and_then(|query| query.node.as_ref()) {
                    Some(query) => self.common_or_whole(query, outer),
                    None => Undecided::because(super::utility::why_not(node)),
                }
            }
            other => Undecided::because(super::utility::why_not(other)),
        }
    }

    /// Whom all of it concerns.
    pub(super) fn finish(self) -> Result<About> {
        let owners = Owners::find(self.schema, &self.mentions, &self.equalities);
        let (mut people, mut undecided) = (Vec::new(), Vec::new());
        for (mention, owner) in self.mentions.iter().zip(owners) {
            match owner {
                Some(owner) if !people.contains(&owner) => people.push(owner),
                Some(_) => {}
                None if mention.is_new => {}
                None => match self.schema.table(mention.place).undecided {
                    Some(site) if !undecided.contains(&site) => undecided.push(site),
                    Some(_) => {}
                    None => return Undecided::because(self.unnamed(mention)),
                },
            }
        }
        Ok(About {
            people,
            sign_ups: self.sign_ups,
            internal: self.internal,
            writes_reference: self.writes_reference,
            writes: self.writes,
            undecided,
        })
    }

    fn unnamed(&self, mention: &Mention) -> String {
        let table = self.schema.table(mention.place);
        match &table.kind {
            Kind::Shared(_) => format!(
                "it does not say whose row of {} it means, and rows of that table stand wherever \
                 somebody refers to them",
                table.name
            ),
            _ => format!("it does not say whose rows of {} it means", table.name),
        }
    }

    /// `SELECT`, `VALUES`, and unions of them.
    pub(super) fn select(
        &mut self,
        select: &SelectStmt,
        outer: Option<&Scope<'_>>,
    ) -> Result<Outputs> {
        let commons = self.common.len();
        self.with(select.with_clause.as_ref(), outer)?;
        if select.into_clause.is_some() {
            return Undecided::because("SELECT INTO makes a table");
        }
        let outputs = if select.op() == SetOperation::SetopNone {
            self.simple_select(select, outer)?
        } else {
            let mut outputs = Outputs::new();
            for arm in [&select.larg, &select.rarg].into_iter().flatten() {
                let arm = self.select(arm, outer)?;
                if outputs.is_empty() {
                    outputs = arm.into_iter().map(|(name, _)| (name, None)).collect();
                }
            }
            let scope = Scope { names: &[], outer };
            let ends = [&select.limit_count, &select.limit_offset];
            self.expressions(ends.into_iter().flatten().map(|node| &**node), &scope)?;
            outputs
        };
        self.common.truncate(commons);
        Ok(outputs)
    }

    fn simple_select(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>) -> Result<Outputs> {
        let mut names = Vec::new();
        for item in &select.from_clause {
            self.from(item, &mut names, outer)?;
        }
        let ranges = ranges_of(&names);
        let scope = Scope { names: &names, outer };
        self.condition(select.where_clause.as_deref(), &scope, &ranges)?;
        // PostgreSQL gives `FOR SHARE` and its like the locks of a writer.
        self.writes |= !select.locking_clause.is_empty();
        let lists = [
            &select.distinct_clause,
            &select.group_clause,
            &select.window_clause,
            &select.values_lists,
            &select.sort_clause,
        ];
        self.expressions(lists.into_iter().flatten(), &scope)?;
        let ends = [&select.having_clause, &select.limit_count, &select.limit_offset];
        self.expressions(ends.into_iter().flatten().map(|node| &**node), &scope)?;
        if select.values_lists.is_empty() {
            self.outputs(&select.target_list, &scope)
        } else {
            Ok(vec![uncertain()])
        }
    }

    /// The columns of a list of targets, as `SELECT` and `RETURNING` have them.
    pub(super) fn outputs(&mut self, targets: &[Node], scope: &Scope<'_>) -> Result<Outputs> {
        let mut outputs = Outputs::new();
        for target in targets {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { continue };
            let Some(value) = &target.val else { continue };
            if is_star(value) {
                self.star(value, scope, &mut outputs);
                continue;
            }
            self.expression(value, scope)?;
            let term = self.term(value, scope);
            let name = match (&target.name, &value.node) {
                (name, _) if !name.is_empty() => name.clone(),
                (_, Some(NodeEnum::ColumnRef(column))) => {
                    words(&column.fields).pop().unwrap_or_default()
                }
                _ => String::new(),
            };
            outputs.push((name, term));
        }
        Ok(outputs)
    }

    fn star(&self, star: &Node, scope: &Scope<'_>, outputs: &mut Outputs) {
        let qualifier = match &star.node {
            Some(NodeEnum::ColumnRef(column)) => words(&column.fields).pop(),
            _ => None,
        };
        for named in scope.names {
            if qualifier.as_ref().is_some_and(|qualifier| *qualifier != named.name) {
                continue;
            }
            match &named.behind {
                Behind::Range(range, place) => {
                    let columns = self.schema.table(*place).columns.iter();
                    outputs.extend(
                        columns.map(|c| (c.clone(), Some(Term::Column(*range, c.clone())))),
                    );
                }
                Behind::Derived(columns) => outputs.extend(columns.iter().cloned()),
                Behind::Unknown => outputs.push(uncertain()),
            }
        }
        // Columns that `USING` has joined come first, and once.
        if scope.names.iter().any(|named| !named.hidden.is_empty()) {
            outputs.push(uncertain());
        }
    }

    pub(super) fn with(
        &mut self,
        with: Option<&WithClause>,
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        let Some(with) = with else { return Ok(()) };
        if with.recursive {
            // Each may call those that come after it.
            for common in &with.ctes {
                if let Some(NodeEnum::CommonTableExpr(common)) = &common.node {
                    self.common.push(Common::new(common.ctename.clone(), Behind::Unknown));
                }
            }
        }
        for common in &with.ctes {
            let Some(NodeEnum::CommonTableExpr(common)) = &common.node else { continue };
            self.common_table(common, with.recursive, outer)?;
        }
        Ok(())
    }

    fn common_table(
        &mut self,
        common: &CommonTableExpr,
        recursive: bool,
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        let name = common.ctename.clone();
        let Some(query) = common.ctequery.as_ref().and_then(|query| query.node.as_ref()) else {
            return Ok(());
        };
        let outputs = self.common_or_whole(query, outer)?;
        let behind = match common.aliascolnames.is_empty() && !recursive {
            true => derived(outputs),
            false => Behind::Unknown,
        };
        self.common.push(Common::new(name, behind));
        Ok(())
    }

    pub(super) fn add_mention(&mut self, place: Place) -> RangeId {
        self.mentions.push(Mention { place, is_new: false, is_of_many: false });
        self.mentions.len() - 1
    }

    pub(super) fn hold_equal(&mut self, left: Term, right: Term, holds_for: Vec<RangeId>) {
        self.equalities.push(Equality { left, right, holds_for });
    }
}

fn is_to_client(copy: &CopyStmt) -> bool {
    !copy.is_from && !copy.is_program && copy.filename.is_empty()
}

pub(super) fn ranges_of(names: &[Named]) -> Vec<RangeId> {
    let ranges = names.iter().filter_map(|named| match named.behind {
        Behind::Range(range, _) if range != NOBODYS => Some(range),
        _ => None,
    });
    ranges.collect()
}

/// A name in `FROM`. Where an alias renames columns, they are not known any more.
pub(super) fn named(alias: Option<&Alias>, bare: &str, behind: Behind) -> Named {
    let name = alias.map_or(bare, |alias| &alias.aliasname).to_owned();
    let renames = alias.is_some_and(|alias| !alias.colnames.is_empty());
    Named { name, behind: if renames { Behind::Unknown } else { behind }, hidden: Vec::new() }
}

/// Columns of which neither the number nor the names are known.
pub(super) fn uncertain() -> (String, Option<Term>) {
    (String::new(), None)
}

/// What stands behind a query's name. A column whose name the server chooses could be any.
pub(super) fn derived(outputs: Outputs) -> Behind {
    match outputs.iter().any(|(name, _)| name.is_empty()) {
        true => Behind::Unknown,
        false => Behind::Derived(outputs),
    }
}

pub(super) fn is_star(node: &Node) -> bool {
    let Some(NodeEnum::ColumnRef(column)) = &node.node else { return false };
    matches!(column.fields.last(), Some(Node { node: Some(NodeEnum::AStar(_)) }))
}

/// The words of a list of names.
pub(super) fn words(nodes: &[Node]) -> Vec<String> {
    let word = |node: &Node| match &node.node {
        Some(NodeEnum::String(word)) => Some(word.sval.clone()),
        _ => None,
    };
    nodes.iter().filter_map(word).collect()
}
