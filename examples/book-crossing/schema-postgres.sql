-- Readers, books, and what readers think of books.

CREATE TABLE users (
    id      integer PRIMARY KEY,
    city    text,
    state   text,
    country text,
    age     integer
);

CREATE TABLE books (
    isbn      text PRIMARY KEY,
    title     text NOT NULL,
    author    text,
    year      integer,
    publisher text
);

CREATE TABLE ratings (
    user_id integer NOT NULL REFERENCES users (id),
    isbn    text    NOT NULL REFERENCES books (isbn),
    rating  integer NOT NULL,
    PRIMARY KEY (user_id, isbn)
);

CREATE INDEX ratings_by_book ON ratings (isbn);
