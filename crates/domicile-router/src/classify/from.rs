//! Reads `FROM`: which tables a query mentions, and what its joins hold equal.

use super::Undecided;
use super::query::{Mention, NOBODYS, Reading, derived, named, ranges_of, words};
use super::scope::{Behind, Named, RangeId, Scope, Term};
use crate::schema::{Kind, Place};
use pg_query::NodeEnum;
use pg_query::protobuf::{JoinExpr, JoinType, Node, RangeVar};

type Result<T, E = Undecided> = std::result::Result<T, E>;

impl Reading<'_> {
    /// One item of `FROM`; its names join those before it.
    pub(super) fn from(
        &mut self,
        item: &Node,
        names: &mut Vec<Named>,
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        match &item.node {
            Some(NodeEnum::RangeVar(table)) => {
                let named = self.table(table)?;
                names.push(named);
                Ok(())
            }
            Some(NodeEnum::JoinExpr(join)) => self.join(join, names, outer),
            Some(NodeEnum::RangeSubselect(below)) => {
                let Some(NodeEnum::SelectStmt(query)) =
                    below.subquery.as_ref().and_then(|query| query.node.as_ref())
                else {
                    return Undecided::because("it reads from something that is no query");
                };
                // Only `LATERAL` sees its neighbours.
                let beside = Scope { names, outer };
                let outputs =
                    self.select(query, if below.lateral { Some(&beside) } else { outer })?;
                names.push(named(below.alias.as_ref(), "", derived(outputs)));
                Ok(())
            }
            Some(NodeEnum::RangeFunction(functions)) => {
                let beside = Scope { names, outer };
                for function in &functions.functions {
                    let Some(NodeEnum::List(list)) = &function.node else { continue };
                    self.expressions(&list.items, &beside)?;
                }
                names.push(named(functions.alias.as_ref(), "", Behind::Unknown));
                Ok(())
            }
            Some(NodeEnum::RangeTableSample(sample)) => {
                let Some(relation) = &sample.relation else { return Ok(()) };
                self.expressions(&sample.args, &Scope { names: &[], outer })?;
                self.from(relation, names, outer)
            }
            _ => Undecided::because("it reads from something that the router does not know"),
        }
    }

    fn join(
        &mut self,
        join: &JoinExpr,
        names: &mut Vec<Named>,
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        let start = names.len();
        let (Some(left), Some(right)) = (&join.larg, &join.rarg) else {
            return Undecided::because("it has a join with one side");
        };
        self.from(left, names, outer)?;
        let middle = names.len();
        self.from(right, names, outer)?;
        self.join_condition(join, names, [start, middle], outer)?;
        if join.alias.is_some() {
            names.truncate(start);
            names.push(named(join.alias.as_ref(), "", Behind::Unknown));
        }
        Ok(())
    }

    /// The condition of an outer join says nothing of the rows that it leaves in.
    fn join_condition(
        &mut self,
        join: &JoinExpr,
        names: &mut Vec<Named>,
        [start, middle]: [usize; 2],
        outer: Option<&Scope<'_>>,
    ) -> Result<()> {
        let (left, right) = names[start..].split_at(middle - start);
        let ranges = match join.jointype() {
            JoinType::JoinInner => ranges_of(&names[start..]),
            JoinType::JoinLeft => ranges_of(right),
            JoinType::JoinRight => ranges_of(left),
            _ => Vec::new(),
        };
        let columns_of = |place| self.schema.table(place).columns.clone();
        let side =
            |names, column: &str| Scope { names, outer: None }.column(&columns_of, None, column);
        let using = words(&join.using_clause);
        let joined =
            using.iter().filter_map(|column| Some((side(left, column)?, side(right, column)?)));
        let joined: Vec<(Term, Term)> = joined.collect();
        self.condition(join.quals.as_deref(), &Scope { names: &names[start..], outer }, &ranges)?;
        for (left, right) in joined {
            self.hold_equal(left, right, ranges.clone());
        }
        let hiding = match join.jointype() {
            JoinType::JoinInner | JoinType::JoinLeft => middle..names.len(),
            JoinType::JoinRight => start..middle,
            _ => start..start,
        };
        if join.is_natural || (hiding.is_empty() && !using.is_empty()) {
            // Which columns are one is not told; from here on bare names mean nothing certain.
            names.push(named(None, "", Behind::Unknown));
        }
        for named in &mut names[hiding] {
            named.hidden.extend(using.iter().cloned());
        }
        Ok(())
    }

    /// A table's name in `FROM`.
    fn table(&mut self, table: &RangeVar) -> Result<Named> {
        let alias = table.alias.as_ref();
        if table.schemaname.is_empty()
            && let Some(common) = self.common.iter_mut().rev().find(|c| c.name == table.relname)
        {
            let behind = common.behind.clone();
            if std::mem::replace(&mut common.is_used, true)
                && let Behind::Derived(columns) = &behind
            {
                for (_, term) in columns {
                    if let Some(Term::Column(range, _)) = term
                        && let Some(mention) = self.mentions.get_mut(*range)
                    {
                        mention.is_of_many = true;
                    }
                }
            }
            return Ok(named(alias, &table.relname, behind));
        }
        let behind = match self.mention(table, false)? {
            Some((range, place)) => Behind::Range(range, place),
            None => Behind::Unknown,
        };
        Ok(named(alias, &table.relname, behind))
    }

    /// Notes that a table is mentioned. `None` for the catalogs of PostgreSQL.
    pub(super) fn mention(
        &mut self,
        table: &RangeVar,
        is_new: bool,
    ) -> Result<Option<(RangeId, Place)>> {
        let place = self.schema.find(&table.schemaname, &table.relname, self.search_path);
        if is_of_the_system(table) {
            return match place {
                None => Ok(None),
                Some(_) => Undecided::because(format!(
                    "{} may be a catalog of PostgreSQL or a table of that name",
                    table.relname
                )),
            };
        }
        let Some(place) = place else {
            return Undecided::because(format!(
                "{} is no table that the router knows",
                table.relname
            ));
        };
        match &self.schema.table(place).kind {
            Kind::Root | Kind::Owned(_) | Kind::Shared(_) => {}
            Kind::Reference => return Ok(Some((NOBODYS, place))),
            Kind::Internal => {
                self.internal = true;
                return Ok(Some((NOBODYS, place)));
            }
        }
        self.mentions.push(Mention { place, is_new, is_of_many: false });
        Ok(Some((self.mentions.len() - 1, place)))
    }
}

fn is_of_the_system(table: &RangeVar) -> bool {
    matches!(table.schemaname.as_str(), "pg_catalog" | "information_schema")
        || (table.schemaname.is_empty() && table.relname.starts_with("pg_"))
}
