//! Texts of statements: nothing panics, statements lie in the text in order, and white space around
//! a text does not change whom it concerns.

#![no_main]

use domicile_router::classify::{Command, Operand, Statement, classify, split};
use domicile_router::schema::{Edge, Kind, Place, Schema, Table};
use domicile_router::shape::{Shape, Template};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The tables of the test that compares with PostgreSQL (`tests/whom`).
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let edge = |parent: Place, column: &str| {
        Kind::Owned(Edge {
            parent,
            columns: vec![column.to_owned()],
            parent_columns: vec!["id".to_owned()],
        })
    };
    let table = |name: &str, kind: Kind, columns: &[&str], key: usize| {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        Table {
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind,
            types: columns.iter().map(|_| "bigint".to_owned()).collect(),
            keys: vec![columns[..key].to_vec()],
            columns,
            undecided: None,
        }
    };
    let tables = vec![
        table("groups", Kind::Reference, &["id", "n"], 1),
        table("users", Kind::Root, &["id", "group_id", "n"], 1),
        table("posts", edge(1, "user_id"), &["id", "user_id", "n"], 1),
        table("comments", edge(2, "post_id"), &["id", "post_id", "n"], 1),
        table("likes", edge(1, "user_id"), &["user_id", "post_id", "n"], 2),
    ];
    Schema::new(tables, [], Vec::new())
});

/// A statement's command without the places of its constants in the text.
fn unplaced(mut statement: Statement) -> Command {
    if let Command::Query(Ok(about)) = &mut statement.command {
        let handles = about.people.iter_mut().flat_map(|handle| &mut handle.values);
        let rows = about.sign_ups.iter_mut().flat_map(|sign_up| &mut sign_up.row);
        for operand in handles.chain(rows.map(|(_, operand)| operand)) {
            if let Operand::Constant { at, .. } = operand {
                *at = 0;
            }
        }
    }
    statement.command
}

fuzz_target!(|text: &str| {
    let path = ["public".to_owned()];
    for part in split(text) {
        assert!(text.contains(part));
    }
    let Ok(read) = classify(&SCHEMA, &path, text) else { return };
    if let Some(shape) = Shape::of(text)
        && let Some(template) = Template::of(&shape, &read)
    {
        // Another text of the same shape, with other numbers and another string.
        let other = shape.marked.replace('\u{1}', "94").replace('\u{2}', "'it''s'");
        let other_shape = Shape::of(&other).expect("it has a shape");
        assert_eq!(other_shape.marked, shape.marked);
        // The grammar has an opinion of some numbers, such as `float(94)`.
        if let Ok(directly) = classify(&SCHEMA, &path, &other) {
            assert_eq!(template.fill(&other_shape).as_ref(), directly.first());
        }
    }
    let mut end = 0;
    for statement in &read {
        assert!(end <= statement.span.start && statement.span.end <= text.len());
        end = statement.span.end;
    }
    let spaced = format!(" \n{text}\n ");
    let again = classify(&SCHEMA, &path, &spaced).expect("white space is nothing");
    assert!(read.into_iter().map(unplaced).eq(again.into_iter().map(unplaced)));
});
