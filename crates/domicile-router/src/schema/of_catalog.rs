//! The application's tables as a site's catalog and the plan have them.

use super::{Edge, Kind, Referrer, Schema, Table};
use domicile_store::catalog::{Shape, Unique};
use domicile_store::{Catalog, Closure, TableName};
use pg_query::NodeEnum;

impl Schema {
    /// Puts together what a site's catalog says of tables and what the plan says that they are.
    /// The owned tables have the places that they have in the closure. Tables of which neither says
    /// anything, views among them, are not known.
    pub fn of(catalog: &Catalog, closure: &Closure, functions: Vec<String>) -> Schema {
        let owned = closure.owned.iter().map(|owned| {
            let kind = match &owned.parent {
                None => Kind::Root,
                Some(edge) => Kind::Owned(Edge {
                    parent: edge.table,
                    columns: edge.columns.clone(),
                    parent_columns: edge.parent_columns.clone(),
                }),
            };
            (&owned.name, kind)
        });
        let shared = closure.shared.iter().map(|shared| {
            let referrers = shared.referrers.iter().map(|referrer| Referrer {
                table: referrer.owned,
                columns: referrer.columns.clone(),
                shared_columns: referrer.parent_columns.clone(),
            });
            (&shared.table.name, Kind::Shared(referrers.collect()))
        });
        let reference = closure.reference.iter().map(|table| (&table.name, Kind::Reference));
        let mut tables: Vec<Table> = owned
            .chain(shared)
            .chain(reference)
            .map(|(name, kind)| table(catalog, name, kind))
            .collect();
        for other in &catalog.tables {
            let is_whole = matches!(other.shape, Shape::Plain | Shape::Partitioned(_));
            if is_whole && !tables.iter().any(|table| is(table, &other.name)) {
                tables.push(table(catalog, &other.name, Kind::Internal));
            }
        }
        let partitions = catalog.tables.iter().filter_map(|partition| {
            let top = topmost(catalog, &partition.name);
            let place = tables.iter().position(|table| is(table, top))?;
            (top != &partition.name)
                .then(|| (schema_of(&partition.name), partition.name.name.clone(), place))
        });
        let partitions: Vec<_> = partitions.collect();
        Schema::new(tables, partitions, functions)
    }
}

fn schema_of(name: &TableName) -> String {
    name.schema.clone().unwrap_or_else(|| "public".to_owned())
}

fn is(table: &Table, name: &TableName) -> bool {
    table.name == name.name && table.schema == schema_of(name)
}

/// The table that a partition, or a partition of one, is part of.
fn topmost<'a>(catalog: &'a Catalog, name: &'a TableName) -> &'a TableName {
    let found = catalog.tables.iter().find(|table| table.name == *name);
    match found.map(|table| &table.shape) {
        Some(Shape::PartitionOf { parent, .. }) if parent != name => topmost(catalog, parent),
        _ => name,
    }
}

fn table(catalog: &Catalog, name: &TableName, kind: Kind) -> Table {
    let found = catalog.tables.iter().find(|table| table.name == *name);
    let columns = found.map_or(&[][..], |table| &table.columns);
    let mut keys: Vec<Vec<String>> = found.iter().map(|table| table.primary_key.clone()).collect();
    keys.extend(found.iter().flat_map(|table| &table.uniques).filter_map(unique_columns));
    Table {
        schema: schema_of(name),
        name: name.name.clone(),
        kind,
        columns: columns.iter().map(|column| column.name.clone()).collect(),
        types: columns.iter().map(|column| column.type_name.clone()).collect(),
        keys,
        undecided: None,
    }
}

/// The columns of a unique index that holds for all rows and by plain values.
fn unique_columns(unique: &Unique) -> Option<Vec<String>> {
    let parsed = pg_query::parse(&unique.definition, pg_query::ParserOptions::DEFAULT).ok()?;
    let node = parsed.protobuf.stmts.into_iter().next()?.stmt?.node?;
    let NodeEnum::IndexStmt(index) = node else { return None };
    if index.where_clause.is_some() {
        return None;
    }
    let columns = index.index_params.iter().map(|node| match &node.node {
        Some(NodeEnum::IndexElem(element)) if !element.name.is_empty() => {
            Some(element.name.clone())
        }
        _ => None,
    });
    columns.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_unique_index_are_read_from_its_definition() {
        let columns = |definition: &str| {
            unique_columns(&Unique { name: String::new(), definition: definition.to_owned() })
        };
        assert_eq!(
            columns("CREATE UNIQUE INDEX a ON public.users USING btree (email, \"B c\")"),
            Some(vec!["email".to_owned(), "B c".to_owned()])
        );
        for partial in [
            "CREATE UNIQUE INDEX a ON users (lower(email))",
            "CREATE UNIQUE INDEX a ON users (email) WHERE deleted IS NULL",
            "not an index",
        ] {
            assert_eq!(columns(partial), None, "{partial}");
        }
    }
}
