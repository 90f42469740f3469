-- What brings an older state file up to date, by the version it then has. schema.sql is the newest.

-- :2
ALTER TABLE lead ADD COLUMN replayed_at REAL NOT NULL DEFAULT 0;
CREATE TABLE erased (mark BLOB NOT NULL UNIQUE, at REAL NOT NULL) STRICT;
CREATE TABLE secret (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;
CREATE TABLE purged (account INTEGER NOT NULL REFERENCES account, key BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX purged_key ON purged (account, key);
