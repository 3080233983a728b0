//! Walks through expressions for the queries and functions inside them.

use super::query::Reading;
use super::scope::{Behind, Scope};
use super::{Undecided, functions};
use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnRef, FuncCall, Node, WindowDef};

type Result<T, E = Undecided> = std::result::Result<T, E>;

/// Columns that every table has.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

impl Reading<'_> {
    pub(super) fn expressions<'n>(
        &mut self,
        nodes: impl IntoIterator<Item = &'n Node>,
        scope: &Scope<'_>,
    ) -> Result<()> {
        nodes.into_iter().try_for_each(|node| self.expression(node, scope))
    }

    /// Reads what an expression reads. Forms that are not known here are refused: they might read
    /// anything.
    pub(super) fn expression(&mut self, node: &Node, scope: &Scope<'_>) -> Result<()> {
        let Some(node) = &node.node else { return Ok(()) };
        match node {
            NodeEnum::ColumnRef(column) => self.column_or_function(column, scope),
            NodeEnum::ParamRef(_)
            | NodeEnum::AConst(_)
            | NodeEnum::AStar(_)
            | NodeEnum::String(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::CurrentOfExpr(_) => Ok(()),
            NodeEnum::AIndirection(part) if !super::query::words(&part.indirection).is_empty() => {
                Undecided::because("it takes a part of a row by name, which may call a function")
            }
            NodeEnum::SubLink(link) => self.sub_link(link, scope),
            NodeEnum::FuncCall(call) => self.function(call, scope),
            NodeEnum::WindowDef(window) => self.window(window, scope),
            other => self.expressions(parts(other)?, scope),
        }
    }

    /// `u.name` of a `u` without such a column calls the function `name(u)`.
    fn column_or_function(&self, column: &ColumnRef, scope: &Scope<'_>) -> Result<()> {
        let words = super::query::words(&column.fields);
        let [.., qualifier, name] = &words[..] else { return Ok(()) };
        let is_column = match scope.behind(qualifier) {
            Some(Behind::Range(_, place)) => {
                self.schema.table(*place).columns.contains(name)
                    || SYSTEM_COLUMNS.contains(&name.as_str())
            }
            Some(Behind::Derived(columns)) => columns.iter().any(|(column, _)| column == name),
            Some(Behind::Unknown) | None => true,
        };
        match is_column || self.schema.allows_function("public", name) {
            true => Ok(()),
            false => Undecided::because(format!("{qualifier} has no column {name}")),
        }
    }

    fn function(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<()> {
        let names = super::query::words(&call.funcname);
        let (schema, name) = match &names[..] {
            [name] => ("", name.as_str()),
            [schema, name] => (schema.as_str(), name.as_str()),
            _ => return Undecided::because("it calls a function that the router cannot name"),
        };
        let is_of_the_system =
            matches!(schema, "" | "pg_catalog") && functions::reads_nothing(name);
        let declared = if schema.is_empty() { "public" } else { schema };
        if !is_of_the_system && !self.schema.allows_function(declared, name) {
            return Undecided::because(format!(
                "it calls {name}(), which may read or write anything"
            ));
        }
        self.expressions(call.args.iter().chain(&call.agg_order), scope)?;
        self.expressions(call.agg_filter.iter().map(|node| &**node), scope)?;
        call.over.as_ref().map_or(Ok(()), |window| self.window(window, scope))
    }

    fn window(&mut self, window: &WindowDef, scope: &Scope<'_>) -> Result<()> {
        self.expressions(window.partition_clause.iter().chain(&window.order_clause), scope)?;
        let ends = [&window.start_offset, &window.end_offset];
        self.expressions(ends.into_iter().flatten().map(|node| &**node), scope)
    }
}

/// What an expression is made of.
fn parts(node: &NodeEnum) -> Result<Vec<&Node>> {
    let mut parts: Vec<&Node> = Vec::new();
    match node {
        NodeEnum::AExpr(e) => {
            parts.extend([&e.lexpr, &e.rexpr].into_iter().flatten().map(|n| &**n))
        }
        NodeEnum::BoolExpr(e) => parts.extend(&e.args),
        NodeEnum::TypeCast(e) => parts.extend(e.arg.as_deref()),
        NodeEnum::CollateClause(e) => parts.extend(e.arg.as_deref()),
        NodeEnum::NullTest(e) => parts.extend(e.arg.as_deref()),
        NodeEnum::BooleanTest(e) => parts.extend(e.arg.as_deref()),
        NodeEnum::NamedArgExpr(e) => parts.extend(e.arg.as_deref()),
        NodeEnum::CoalesceExpr(e) => parts.extend(&e.args),
        NodeEnum::MinMaxExpr(e) => parts.extend(&e.args),
        NodeEnum::RowExpr(e) => parts.extend(&e.args),
        NodeEnum::AArrayExpr(e) => parts.extend(&e.elements),
        NodeEnum::List(e) => parts.extend(&e.items),
        NodeEnum::GroupingFunc(e) => parts.extend(&e.args),
        NodeEnum::GroupingSet(e) => parts.extend(&e.content),
        NodeEnum::SortBy(e) => parts.extend(e.node.as_deref()),
        NodeEnum::ResTarget(e) => parts.extend(e.indirection.iter().chain(e.val.as_deref())),
        NodeEnum::MultiAssignRef(e) => parts.extend(e.source.as_deref()),
        NodeEnum::AIndirection(e) => parts.extend(e.indirection.iter().chain(e.arg.as_deref())),
        NodeEnum::AIndices(e) => {
            parts.extend([&e.lidx, &e.uidx].into_iter().flatten().map(|n| &**n));
        }
        NodeEnum::CaseExpr(e) => {
            parts.extend(e.arg.as_deref().into_iter().chain(&e.args).chain(e.defresult.as_deref()));
        }
        NodeEnum::CaseWhen(e) => {
            parts.extend([&e.expr, &e.result].into_iter().flatten().map(|n| &**n));
        }
        _ => return Undecided::because("it has an expression that the router does not know"),
    }
    Ok(parts)
}
