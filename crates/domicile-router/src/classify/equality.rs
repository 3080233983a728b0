//! Reads conditions: which values they hold equal.

use super::query::{NOBODYS, Reading, words};
use super::scope::{RangeId, Scope, Term};
use super::{Operand, Undecided};
use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, ColumnRef, Node, SubLink, SubLinkType, a_const};

type Result<T, E = Undecided> = std::result::Result<T, E>;

impl Reading<'_> {
    /// A condition: what it holds equal, for the rows of `ranges`, and what else is in it.
    pub(super) fn condition(
        &mut self,
        condition: Option<&Node>,
        scope: &Scope<'_>,
        ranges: &[RangeId],
    ) -> Result<()> {
        let Some(condition) = condition else { return Ok(()) };
        for part in conjuncts(condition) {
            self.expression(part, scope)?;
            if let Some((left, right)) = self.equal_sides(part, scope) {
                self.hold_equal(left, right, ranges.to_vec());
            }
        }
        Ok(())
    }

    fn equal_sides(&self, part: &Node, scope: &Scope<'_>) -> Option<(Term, Term)> {
        let expression = match part.node.as_ref()? {
            NodeEnum::AExpr(expression) => expression,
            // `column IN (SELECT …)`
            NodeEnum::SubLink(link)
                if link.sub_link_type() == SubLinkType::AnySublink && link.oper_name.is_empty() =>
            {
                let left = self.term(link.testexpr.as_ref()?, scope)?;
                return Some((left, self.links.get(&link.location)?.clone()));
            }
            _ => return None,
        };
        if words(&expression.name) != ["="] {
            return None;
        }
        let left = self.term(expression.lexpr.as_ref()?, scope)?;
        let right = expression.rexpr.as_ref()?;
        let right = match (expression.kind(), &right.node) {
            (AExprKind::AexprOp, Some(_)) => self.term(right, scope)?,
            // `IN ($1)`
            (AExprKind::AexprIn, Some(NodeEnum::List(list))) if list.items.len() == 1 => {
                self.term(&list.items[0], scope)?
            }
            _ => return None,
        };
        Some((left, right))
    }

    /// A query inside an expression.
    pub(super) fn sub_link(&mut self, link: &SubLink, scope: &Scope<'_>) -> Result<()> {
        self.expressions(link.testexpr.iter().map(|node| &**node), scope)?;
        let query = link.subselect.as_ref().and_then(|query| query.node.as_ref());
        let Some(NodeEnum::SelectStmt(query)) = query else {
            return Undecided::because("it has a query that the router cannot read");
        };
        let outputs = self.select(query, Some(scope))?;
        if let [(_, Some(term))] = &outputs[..] {
            self.links.insert(link.location, term.clone());
        }
        Ok(())
    }

    /// What an expression equals, where it is as plain as a column, a parameter or a constant.
    pub(super) fn term(&self, node: &Node, scope: &Scope<'_>) -> Option<Term> {
        match node.node.as_ref()? {
            NodeEnum::ColumnRef(column) => {
                let columns_of = |place| self.schema.table(place).columns.clone();
                let (qualifier, name) = split_column(column)?;
                let term = scope.column(&columns_of, qualifier.as_deref(), &name)?;
                // Rows of nobody name no owner.
                (!matches!(term, Term::Column(NOBODYS, _))).then_some(term)
            }
            NodeEnum::ParamRef(parameter) => {
                Some(Term::Operand(Operand::Parameter(usize::try_from(parameter.number).ok()?)))
            }
            NodeEnum::AConst(constant) => {
                let at = usize::try_from(constant.location).ok()?;
                let text = match constant.val.as_ref()? {
                    a_const::Val::Ival(number) => number.ival.to_string(),
                    a_const::Val::Fval(number) => number.fval.clone(),
                    a_const::Val::Sval(text) => text.sval.clone(),
                    _ => return None,
                };
                Some(Term::Operand(Operand::Constant { text, at }))
            }
            NodeEnum::SubLink(link) if link.sub_link_type() == SubLinkType::ExprSublink => {
                self.links.get(&link.location).cloned()
            }
            // A value that is cast is compared as what its text says; whoever fills it in reads it
            // as the column's type and refuses what is not one.
            NodeEnum::TypeCast(cast) => match self.term(cast.arg.as_ref()?, scope)? {
                Term::Operand(operand) if keeps_text(cast.type_name.as_ref()?) => {
                    Some(Term::Operand(operand))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// Types whose values are told apart by the text that is cast to them.
fn keeps_text(type_name: &pg_query::protobuf::TypeName) -> bool {
    let names = words(&type_name.names);
    let name = names.last().map(String::as_str);
    let is_plain = type_name.typmods.is_empty() && type_name.array_bounds.is_empty();
    is_plain
        && (names.len() == 1 || names[0] == "pg_catalog")
        && matches!(name, Some("int2" | "int4" | "int8" | "text" | "varchar" | "uuid"))
}

/// The parts of a condition that must all hold.
fn conjuncts(condition: &Node) -> Vec<&Node> {
    match &condition.node {
        Some(NodeEnum::BoolExpr(expression))
            if expression.boolop() == pg_query::protobuf::BoolExprType::AndExpr =>
        {
            expression.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![condition],
    }
}

fn split_column(column: &ColumnRef) -> Option<(Option<String>, String)> {
    let mut names = words(&column.fields);
    match (column.fields.len(), names.len()) {
        (1, 1) => Some((None, names.pop()?)),
        (2, 2) => {
            let name = names.pop()?;
            Some((names.pop(), name))
        }
        _ => None,
    }
}
