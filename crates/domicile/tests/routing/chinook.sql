-- The tables of the Chinook sample database, with the columns that statements need.
CREATE TABLE artist (artist_id int PRIMARY KEY, name varchar(120));
CREATE TABLE album (album_id int PRIMARY KEY, title varchar(160) NOT NULL, artist_id int NOT NULL REFERENCES artist);
CREATE TABLE genre (genre_id int PRIMARY KEY, name varchar(120));
CREATE TABLE media_type (media_type_id int PRIMARY KEY, name varchar(120));
CREATE TABLE track (track_id int PRIMARY KEY, name varchar(200) NOT NULL, album_id int REFERENCES album, media_type_id int NOT NULL REFERENCES media_type, genre_id int REFERENCES genre, milliseconds int NOT NULL, unit_price numeric(10, 2) NOT NULL);
CREATE TABLE playlist (playlist_id int PRIMARY KEY, name varchar(120));
CREATE TABLE playlist_track (playlist_id int NOT NULL REFERENCES playlist, track_id int NOT NULL REFERENCES track, PRIMARY KEY (playlist_id, track_id));
CREATE TABLE employee (employee_id int PRIMARY KEY, last_name varchar(20) NOT NULL, reports_to int REFERENCES employee, email varchar(60));
CREATE TABLE customer (customer_id int PRIMARY KEY, first_name varchar(40) NOT NULL, last_name varchar(20) NOT NULL, city varchar(40), state varchar(40), country varchar(40), email varchar(60) NOT NULL UNIQUE, support_rep_id int);
CREATE TABLE invoice (invoice_id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer, invoice_date timestamp NOT NULL, total numeric(10, 2) NOT NULL);
CREATE INDEX ON invoice (customer_id);
CREATE TABLE invoice_line (invoice_line_id int PRIMARY KEY, invoice_id int NOT NULL REFERENCES invoice, track_id int NOT NULL REFERENCES track, unit_price numeric(10, 2) NOT NULL, quantity int NOT NULL);
CREATE INDEX ON invoice_line (invoice_id);
