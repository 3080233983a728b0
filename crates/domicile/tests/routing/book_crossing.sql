-- Book-Crossing's three tables under names as an application has them.
CREATE TABLE users (user_id int PRIMARY KEY, city text, state text, country text, age int);
CREATE TABLE books (isbn text PRIMARY KEY, title text NOT NULL, author text, published int, publisher text);
CREATE TABLE ratings (user_id int NOT NULL REFERENCES users, isbn text NOT NULL REFERENCES books, rating int NOT NULL, PRIMARY KEY (user_id, isbn));
