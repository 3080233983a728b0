-- Readers, books, and what readers think of books.

CREATE TABLE users (
    id      INTEGER PRIMARY KEY,
    city    TEXT,
    state   TEXT,
    country TEXT,
    age     INTEGER
);

CREATE TABLE books (
    isbn      TEXT PRIMARY KEY,
    title     TEXT NOT NULL,
    author    TEXT,
    year      INTEGER,
    publisher TEXT
);

CREATE TABLE ratings (
    user_id INTEGER NOT NULL REFERENCES users (id),
    isbn    TEXT    NOT NULL REFERENCES books (isbn),
    rating  INTEGER NOT NULL,
    PRIMARY KEY (user_id, isbn)
);

CREATE INDEX ratings_by_book ON ratings (isbn);
