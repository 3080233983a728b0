//! Texts of one shape are one; what may be read otherwise is left alone.

use super::*;

fn marked(text: &str) -> Option<String> {
    Shape::of(text).map(|shape| shape.marked.replace(NUMBER, "#").replace(STRING, "@"))
}

#[test]
fn literals_are_taken_out() {
    for (text, expected) in [
        ("SELECT * FROM users WHERE id = 42", "SELECT * FROM users WHERE id = #"),
        ("SELECT a1 FROM t_2 WHERE id=0;", "SELECT a1 FROM t_2 WHERE id=#;"),
        ("SELECT 'it''s', $1, x - 7", "SELECT @, $1, x - #"),
        ("SELECT '' WHERE \"a'1\" IN (1,2)", "SELECT @ WHERE \"a'1\" IN (#,#)"),
        ("SELECT 'ü'::text, ü1", "SELECT @::text, ü1"),
        ("SELECT date '2026-01-01'", "SELECT date @"),
        ("SELECT $12::int+3", "SELECT $12::int+#"),
        ("SELECT \"a\"\"'b\" , 5", "SELECT \"a\"\"'b\" , #"),
    ] {
        assert_eq!(marked(text).as_deref(), Some(expected), "{text}");
    }
    let said = |text: &str| Shape::of(text).unwrap().literals.pop().unwrap().text;
    assert_eq!(said("SELECT 'it''s'''"), "it's'");
}

#[test]
fn what_another_may_read_otherwise_is_left_to_the_grammar() {
    for text in [
        "SELECT E'a'",
        "SELECT e'a\\''",
        "SELECT U&'a'",
        "SELECT U&\"a\"",
        "SELECT B'1'",
        "SELECT X'1'",
        "SELECT N'a'",
        "SELECT $$a$$",
        "SELECT $a$1$a$",
        "SELECT $1a$",
        "SELECT 1.5",
        "SELECT .5",
        "SELECT 5.",
        "SELECT 1e5",
        "SELECT 0x1f",
        "SELECT 1_000",
        "SELECT 007",
        "SELECT 1234567890123456789",
        "SELECT 1 -- 2",
        "SELECT 1 /* 2 */",
        "SELECT 'a\\'",
        "SELECT 'a",
        "SELECT \"a",
        "SELECT 'a'\n'b'",
        "SELECT 'a' 'b'",
        "SELECT \u{1}",
        "SELECT 'a\nb'",
        "SELECT 12ab",
    ] {
        assert_eq!(marked(text), None, "{text}");
    }
}
