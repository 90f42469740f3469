-- What brings an older state file up to date, by the version it then has. schema.sql is the newest.
-- `place_of` is the hash of sample.py.

-- :2
ALTER TABLE lead ADD COLUMN replayed_at REAL NOT NULL DEFAULT 0;
CREATE TABLE erased (mark BLOB NOT NULL UNIQUE, at REAL NOT NULL) STRICT;
CREATE TABLE secret (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL) STRICT;
CREATE TABLE purged (account INTEGER NOT NULL REFERENCES account, key BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX purged_key ON purged (account, key);
DROP INDEX company_work;
CREATE INDEX company_search ON company (job, priority DESC, waiting DESC, id) WHERE rank = 1 AND waiting > 0;
CREATE INDEX company_age ON company (job, id) WHERE waiting > 0;
ALTER TABLE lead ADD COLUMN need INTEGER NOT NULL DEFAULT 0;
UPDATE lead SET need = -1 WHERE state IN ('ready', 'deferred') AND (SELECT rank FROM company WHERE id = lead.company) = 1;
DROP INDEX lead_work;
ALTER TABLE lead DROP COLUMN progress;
CREATE INDEX lead_work ON lead (job, priority DESC, need, id) WHERE state = 'ready' AND need >= 0;
CREATE INDEX lead_company ON lead (company, priority DESC, id) WHERE state = 'ready';
CREATE TABLE chance (job INTEGER NOT NULL REFERENCES job, need INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (job, need)) STRICT;
ALTER TABLE lead ADD COLUMN sample INTEGER NOT NULL DEFAULT 0;
UPDATE lead SET sample = place_of(lead_id);
CREATE INDEX lead_sample ON lead (job, state, sample);
ALTER TABLE lead ADD COLUMN fresh_from REAL NOT NULL DEFAULT 0;
ALTER TABLE lead ADD COLUMN concluded TEXT NOT NULL DEFAULT '[]';
CREATE TABLE flip (account INTEGER NOT NULL REFERENCES account, endpoint TEXT NOT NULL, age INTEGER NOT NULL, n INTEGER NOT NULL, changed INTEGER NOT NULL, PRIMARY KEY (account, endpoint, age)) STRICT;
ALTER TABLE account ADD COLUMN shut_why TEXT;
ALTER TABLE account ADD COLUMN clock_offset REAL NOT NULL DEFAULT 0;

-- :3
ALTER TABLE job ADD COLUMN kind TEXT NOT NULL DEFAULT 'enrich';
CREATE TABLE person (job INTEGER NOT NULL REFERENCES job, contact TEXT NOT NULL, lead INTEGER NOT NULL, PRIMARY KEY (job, contact, lead)) STRICT, WITHOUT ROWID;
CREATE INDEX person_lead ON person (lead);
CREATE TABLE delivery (job INTEGER NOT NULL REFERENCES job, sink TEXT NOT NULL, item TEXT NOT NULL, at REAL NOT NULL, result TEXT NOT NULL, record TEXT, digest BLOB NOT NULL, mark BLOB NOT NULL, PRIMARY KEY (job, sink, item)) STRICT;
CREATE INDEX delivery_mark ON delivery (mark);
CREATE TABLE sink_call (account INTEGER NOT NULL REFERENCES account, host TEXT NOT NULL, hour INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (account, host, hour)) STRICT;
ALTER TABLE run ADD COLUMN finished INTEGER;
ALTER TABLE run ADD COLUMN shared INTEGER;
ALTER TABLE run ADD COLUMN answered INTEGER;
ALTER TABLE run ADD COLUMN sure_emails INTEGER;
ALTER TABLE run ADD COLUMN sure_phones INTEGER;
CREATE TABLE alert (account INTEGER NOT NULL REFERENCES account, subject TEXT NOT NULL, level INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (account, subject)) STRICT;
CREATE TABLE day_end (account INTEGER NOT NULL REFERENCES account, day TEXT NOT NULL, pending INTEGER NOT NULL, credits INTEGER, PRIMARY KEY (account, day)) STRICT;
DROP INDEX IF EXISTS lead_sample;

-- :4
ALTER TABLE lead ADD COLUMN filled BLOB;
ALTER TABLE job ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
UPDATE job SET late = 1;
ALTER TABLE job DROP COLUMN priority;
