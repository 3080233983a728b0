CREATE TABLE IF NOT EXISTS domicile_subject (
  subject TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, fenced INTEGER NOT NULL,
  move_id INTEGER NOT NULL, peer TEXT NOT NULL, copied INTEGER NOT NULL DEFAULT 0,
  fingerprint TEXT, announced_at TEXT NOT NULL, decided_at TEXT,
  erased INTEGER NOT NULL DEFAULT 0, shipped INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS domicile_subject_fenced ON domicile_subject (fenced) WHERE fenced = 1;
CREATE TABLE IF NOT EXISTS domicile_touched (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, tbl INTEGER NOT NULL,
  key TEXT NOT NULL, below INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS domicile_touched_subject ON domicile_touched (subject, seq);
CREATE TABLE IF NOT EXISTS domicile_gone (
  subject TEXT PRIMARY KEY NOT NULL, home TEXT NOT NULL, move_id INTEGER NOT NULL,
  decided_at TEXT, erased_at TEXT NOT NULL, rows_erased INTEGER NOT NULL,
  suspended INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS domicile_gone_row (
  tbl TEXT NOT NULL, key TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS domicile_gone_row_subject ON domicile_gone_row (subject);
CREATE TABLE IF NOT EXISTS domicile_directive (
  subject TEXT PRIMARY KEY NOT NULL, hold TEXT, home TEXT, since TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS domicile_changed (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, key TEXT NOT NULL, refused TEXT);
CREATE TABLE IF NOT EXISTS domicile_brought (
  tbl TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, peer TEXT, came INTEGER,
  PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS domicile_site (
  key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS domicile_erasure (
  move_id INTEGER PRIMARY KEY, home TEXT NOT NULL, people INTEGER NOT NULL, rows INTEGER NOT NULL,
  erased_at TEXT NOT NULL, overwritten INTEGER NOT NULL);
