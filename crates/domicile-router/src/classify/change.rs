//! Reads `INSERT`, `UPDATE` and `DELETE`: whose rows they write.

use super::query::{Outputs, Reading, is_star, named};
use super::scope::{Behind, Named, Scope, Term};
use super::{SignUp, Undecided};
use crate::schema::{Kind, Place};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    DeleteStmt, InsertStmt, Node, OnConflictClause, RangeVar, ResTarget, SelectStmt, UpdateStmt,
};

type Result<T, E = Undecided> = std::result::Result<T, E>;

impl Reading<'_> {
    pub(super) fn insert(
        &mut self,
        insert: &InsertStmt,
        outer: Option<&Scope<'_>>,
    ) -> Result<Outputs> {
        self.with(insert.with_clause.as_ref(), outer)?;
        let (named, place) = self.target(insert.relation.as_ref(), true)?;
        let relation = insert.relation.as_ref().map_or("", |relation| relation.relname.as_str());
        let columns = self.insert_columns(place, relation, &insert.cols)?;
        let query = insert.select_stmt.as_ref().and_then(|query| query.node.as_ref());
        match query {
            Some(NodeEnum::SelectStmt(select)) if !select.values_lists.is_empty() => {
                self.insert_values(place, &columns, select, outer)?;
            }
            Some(NodeEnum::SelectStmt(select)) => {
                let outputs = self.select(select, outer)?;
                let has_star = select.target_list.iter().any(|target| match &target.node {
                    Some(NodeEnum::ResTarget(target)) => target.val.as_deref().is_some_and(is_star),
                    _ => false,
                });
                if has_star && outputs.iter().any(|(name, _)| name.is_empty()) {
                    return Undecided::because("it writes what a star gives, which cannot be told");
                }
                let row = columns.into_iter().zip(outputs.into_iter().map(|(_, term)| term));
                let row = row.filter_map(|(column, term)| Some((column, term?))).collect();
                self.new_row(place, row)?;
            }
            // `DEFAULT VALUES`
            _ => self.new_row(place, Vec::new())?,
        }
        if let Some(conflict) = &insert.on_conflict_clause {
            self.on_conflict(place, conflict, &named, outer)?;
        }
        let names = [named];
        let scope = Scope { names: &names, outer };
        match &insert.returning_clause {
            Some(returning) => self.outputs(&returning.exprs, &scope),
            None => Ok(Outputs::new()),
        }
    }

    fn insert_values(
        &mut self,
        place: Place,
        columns: &[String],
        select: &SelectStmt,
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        self.select(select, outer)?;
        let scope = Scope { names: &[], outer };
        for row in &select.values_lists {
            let Some(NodeEnum::List(list)) = &row.node else { continue };
            let terms = columns.iter().zip(&list.items);
            let terms = terms
                .filter_map(|(column, value)| Some((column.clone(), self.term(value, &scope)?)));
            let row = terms.collect();
            self.new_row(place, row)?;
        }
        Ok(())
    }

    fn insert_columns(
        &self,
        place: Place,
        relation: &str,
        written: &[Node],
    ) -> Result<Vec<String>> {
        let table = self.schema.table(place);
        if written.is_empty() && table.name != relation {
            // A partition may have them in another order.
            return Undecided::because(format!(
                "it does not say which columns of {relation} it writes"
            ));
        }
        if written.is_empty() {
            return Ok(table.columns.clone());
        }
        let names = written.iter().map(|node| match &node.node {
            Some(NodeEnum::ResTarget(target)) => target.name.clone(),
            _ => String::new(),
        });
        Ok(names.collect())
    }

    /// A row that is written: whose it will be.
    fn new_row(&mut self, place: Place, row: Vec<(String, Term)>) -> Result<()> {
        let schema = self.schema;
        let table = schema.table(place);
        match &table.kind {
            Kind::Reference | Kind::Internal => Ok(()),
            Kind::Shared(_) => Undecided::because(format!(
                "it writes a row of {}, and does not say for whom",
                table.name
            )),
            Kind::Root => {
                let row = row.into_iter().filter_map(|(column, term)| match term {
                    Term::Operand(operand) => Some((column, operand)),
                    Term::Column(..) => None,
                });
                self.sign_ups.push(SignUp { row: row.collect() });
                Ok(())
            }
            Kind::Owned(edge) => {
                let written = |column: &String| {
                    row.iter().find(|(name, _)| name == column).map(|(_, term)| term.clone())
                };
                let terms: Option<Vec<Term>> = edge.columns.iter().map(written).collect();
                let Some(terms) = terms else {
                    return Undecided::because(format!(
                        "it writes a row of {} without a plain value for {}",
                        table.name,
                        edge.columns.join(", ")
                    ));
                };
                self.belongs_to(edge.parent, &edge.parent_columns, terms);
                Ok(())
            }
        }
    }

    /// A row will hang from the row of `parent` with these values: as if that one were mentioned.
    fn belongs_to(&mut self, parent: Place, columns: &[String], values: Vec<Term>) {
        let range = self.add_mention(parent);
        for (column, value) in columns.iter().zip(values) {
            self.hold_equal(Term::Column(range, column.clone()), value, vec![range]);
        }
    }

    fn on_conflict(
        &mut self,
        place: Place,
        conflict: &OnConflictClause,
        target: &Named,
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        let excluded = named(None, "excluded", target.behind.clone());
        let names = [target.clone(), excluded];
        let scope = Scope { names: &names, outer };
        self.expressions(&conflict.target_list, &scope)?;
        self.expressions(conflict.where_clause.iter().map(|node| &**node), &scope)?;
        // Which row is met is not told: it stays whose it is.
        match self.gives_away(place, &conflict.target_list) {
            Some(column) => Undecided::because(format!(
                "it sets {column} of a row of {} that it does not name",
                self.schema.table(place).name
            )),
            None => Ok(()),
        }
    }

    pub(super) fn update(
        &mut self,
        update: &UpdateStmt,
        outer: Option<&Scope<'_>>,
    ) -> Result<Outputs> {
        self.with(update.with_clause.as_ref(), outer)?;
        let (target, place) = self.target(update.relation.as_ref(), false)?;
        let mut names = vec![target];
        for item in &update.from_clause {
            self.from(item, &mut names, outer)?;
        }
        let scope = Scope { names: &names, outer };
        let ranges = super::query::ranges_of(&names);
        self.condition(update.where_clause.as_deref(), &scope, &ranges)?;
        self.expressions(&update.target_list, &scope)?;
        self.given_away(place, &update.target_list, &scope)?;
        match &update.returning_clause {
            Some(returning) => self.outputs(&returning.exprs, &scope),
            None => Ok(Outputs::new()),
        }
    }

    pub(super) fn delete(
        &mut self,
        delete: &DeleteStmt,
        outer: Option<&Scope<'_>>,
    ) -> Result<Outputs> {
        self.with(delete.with_clause.as_ref(), outer)?;
        let (target, _) = self.target(delete.relation.as_ref(), false)?;
        let mut names = vec![target];
        for item in &delete.using_clause {
            self.from(item, &mut names, outer)?;
        }
        let scope = Scope { names: &names, outer };
        let ranges = super::query::ranges_of(&names);
        self.condition(delete.where_clause.as_deref(), &scope, &ranges)?;
        match &delete.returning_clause {
            Some(returning) => self.outputs(&returning.exprs, &scope),
            None => Ok(Outputs::new()),
        }
    }

    fn target(&mut self, table: Option<&RangeVar>, is_new: bool) -> Result<(Named, Place)> {
        let Some(table) = table else { return Undecided::because("it writes no table") };
        let Some((range, place)) = self.mention(table, is_new)? else {
            return Undecided::because("it writes a catalog of PostgreSQL");
        };
        self.writes = true;
        let kind = &self.schema.table(place).kind;
        self.writes_reference |= *kind == Kind::Reference;
        if matches!(kind, Kind::Shared(_)) && !is_new {
            return Undecided::because(format!(
                "it changes rows of {}, of which every site has its own",
                table.relname
            ));
        }
        Ok((named(table.alias.as_ref(), &table.relname, Behind::Range(range, place)), place))
    }

    /// Rows that are given to somebody else concern that person too, and so does a person's new key:
    /// whoever has it already.
    fn given_away(&mut self, place: Place, targets: &[Node], scope: &Scope<'_>) -> Result<()> {
        let schema = self.schema;
        let (parent, parent_columns, columns) = match &schema.table(place).kind {
            Kind::Owned(edge) => (edge.parent, &edge.parent_columns[..], &edge.columns[..]),
            Kind::Root => {
                let key = schema.table(place).primary_key();
                (place, key, key)
            }
            _ => return Ok(()),
        };
        if self.gives_away(place, targets).is_none() {
            return Ok(());
        }
        let written = |column: &String| {
            let target = targets.iter().filter_map(as_target).find(|t| t.name == *column)?;
            self.term(target.val.as_deref()?, scope)
        };
        let terms: Option<Vec<Term>> = columns.iter().map(written).collect();
        match terms {
            Some(terms) => {
                self.belongs_to(parent, parent_columns, terms);
                Ok(())
            }
            None => Undecided::because(format!(
                "it gives rows of {} to somebody whom it names by no plain value",
                schema.table(place).name
            )),
        }
    }

    /// The first column set that decides whose a row is.
    fn gives_away(&self, place: Place, targets: &[Node]) -> Option<String> {
        let table = self.schema.table(place);
        let deciding: &[String] = match &table.kind {
            Kind::Owned(edge) => &edge.columns,
            Kind::Root => table.primary_key(),
            _ => &[],
        };
        let mut targets = targets.iter().filter_map(as_target);
        targets.find(|target| deciding.contains(&target.name)).map(|target| target.name.clone())
    }
}

fn as_target(node: &Node) -> Option<&ResTarget> {
    match &node.node {
        Some(NodeEnum::ResTarget(target)) => Some(target),
        _ => None,
    }
}
