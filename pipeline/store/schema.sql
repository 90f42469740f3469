-- What survives a crash. Times are Unix seconds. A lead's progress is not here: it is recomputed from `answer`.

CREATE TABLE account (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,   -- API host and account name: whose quota and credits these are
    key_mark     TEXT,                      -- a short hash of the key last used, to notice that it changed
    credits      INTEGER,                   -- the credit ledger: last reading less what was counted since; NULL: never told
    credits_at   REAL,                      -- when `credits` was last read off an answer
    shut_until   REAL,                      -- told by 429 or 402: nothing is sent before
    shut_why     TEXT,                      -- which of the two: "quota" or "credits"
    clock_offset REAL    NOT NULL DEFAULT 0 -- seconds the server's clock was last seen ahead of this machine's
) STRICT;

-- One row is a reservation, a claim on its question, and a spend. `dated` NULL: under way, or its process died.
CREATE TABLE attempt (
    id           INTEGER PRIMARY KEY,
    account      INTEGER NOT NULL REFERENCES account,
    key          BLOB    NOT NULL,
    endpoint     TEXT    NOT NULL,
    owner        TEXT    NOT NULL,          -- the run that sent it; alive while its lock is held
    ceiling      INTEGER NOT NULL,          -- credits held back while under way
    cost         INTEGER,                   -- credits counted as gone
    reserved_at  REAL    NOT NULL,
    dated        INTEGER,                   -- the second that counts for the quota; 0: never sent, counts nowhere
    outcome      TEXT
) STRICT;
CREATE INDEX attempt_dated ON attempt (account, dated);
CREATE INDEX attempt_open ON attempt (account, ceiling) WHERE dated IS NULL;
CREATE UNIQUE INDEX attempt_claim ON attempt (account, key) WHERE dated IS NULL;

-- Journal, cache and dedupe in one: every answer that was paid for, as it came. status 0: the note "gave up".
CREATE TABLE answer (
    id           INTEGER PRIMARY KEY,
    account      INTEGER NOT NULL REFERENCES account,
    key          BLOB    NOT NULL,
    endpoint     TEXT    NOT NULL,
    status       INTEGER NOT NULL,
    received_at  REAL    NOT NULL,
    credits_remaining INTEGER,
    body         BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX answer_key ON answer (account, key, received_at DESC, id);

CREATE TABLE job (
    id           INTEGER PRIMARY KEY,
    account      INTEGER NOT NULL REFERENCES account,
    name         TEXT    NOT NULL UNIQUE,   -- --job NAME, else the resolved path of the output
    output       TEXT    NOT NULL,          -- resolved path, or "-"
    created_at   REAL    NOT NULL,
    questions    TEXT    NOT NULL,          -- the frozen half of the policy, JSON
    judgement    TEXT    NOT NULL,          -- the other half as last used, JSON
    source       TEXT    NOT NULL DEFAULT '{}', -- how the input was read, and its fingerprint, JSON
    intake       INTEGER NOT NULL DEFAULT 0,    -- how many times a list was taken in
    next_row     INTEGER NOT NULL DEFAULT 0,    -- rows of the list read last
    out_length   INTEGER NOT NULL DEFAULT 0,    -- bytes of the output that are accounted for
    out_tail     BLOB    NOT NULL DEFAULT x'',  -- checksum of the last of them
    next_length  INTEGER,                   -- the same of a rewrite about to be put in place
    next_tail    BLOB,
    out_stale    INTEGER NOT NULL DEFAULT 0,-- a finished row changed: the output must be rewritten
    kind         TEXT    NOT NULL DEFAULT 'enrich', -- or 'prospect': a line a contact, not a line a row
    late         INTEGER NOT NULL DEFAULT 0 -- a duplicate came in whose lead had its line already
) STRICT;

-- How many leads of a job are in each state, kept in the transactions that change them.
CREATE TABLE tally (
    job          INTEGER NOT NULL REFERENCES job,
    state        TEXT    NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (job, state)
) STRICT;

-- Rows of one company share its search and wait together. rank 3: rows that cost nothing, 2: search answered,
-- 1: search to be asked, 0: no company to search for.
CREATE TABLE company (
    id           INTEGER PRIMARY KEY,
    job          INTEGER NOT NULL REFERENCES job,
    key          TEXT    NOT NULL,
    spelling     TEXT,                      -- of the first row taken in; never changed, it is part of the question
    rank         INTEGER NOT NULL,
    priority     REAL    NOT NULL DEFAULT 0,
    waiting      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX company_key ON company (job, key);
CREATE INDEX company_search ON company (job, priority DESC, waiting DESC, id) WHERE rank = 1 AND waiting > 0;
CREATE INDEX company_age ON company (job, id) WHERE waiting > 0;

-- state: ready, deferred (until not_before), a finished status, or for duplicates copy (no line yet), copied.
-- A lead that is ready or deferred and has a finished_at is being refreshed: its old line stays until the new one.
CREATE TABLE lead (
    id           INTEGER PRIMARY KEY,
    job          INTEGER NOT NULL REFERENCES job,
    row          INTEGER NOT NULL,
    lead_id      TEXT    NOT NULL,
    occurrence   INTEGER NOT NULL DEFAULT 0,    -- 0, or which duplicate of the lead this is
    original     INTEGER,                   -- the lead this row duplicates
    subject      BLOB    NOT NULL,          -- hash of what matters: company, person, address
    company      INTEGER NOT NULL,
    priority     REAL    NOT NULL DEFAULT 0,
    state        TEXT    NOT NULL,
    not_before   REAL    NOT NULL DEFAULT 0,
    reason       TEXT,
    taken_in     REAL    NOT NULL,
    finished_at  REAL,
    seen         INTEGER NOT NULL,          -- the last intake that had this row
    input        TEXT    NOT NULL,          -- every column as it came, JSON
    replayed_at  REAL    NOT NULL DEFAULT 0,    -- answers up to then count only if they found or found nobody
    need         INTEGER NOT NULL DEFAULT 0,-- requests it needed when last looked at; 0: to be looked at, -1: its
                                            -- company is to be searched first (and then has rank 1)
    sample       INTEGER NOT NULL DEFAULT 0,    -- its place among all leads there could be: a hash of lead_id alone
    fresh_from   REAL    NOT NULL DEFAULT 0,    -- of a refreshed row: answers up to then are asked for again
    -- When it was finished before fresh_from, JSON (what was found then stays); and `subject` with what a push wrote
    -- into the row's own record, which is no change.
    concluded    TEXT    NOT NULL DEFAULT '[]',
    filled       BLOB
) STRICT;
CREATE UNIQUE INDEX lead_identity ON lead (job, lead_id, occurrence);
CREATE INDEX lead_work ON lead (job, priority DESC, need, id) WHERE state = 'ready' AND need >= 0;
CREATE INDEX lead_company ON lead (company, priority DESC, id) WHERE state = 'ready';
-- lead_sample (job, state, sample) is made by the first --sample: few ask for one, and every lead would pay for it.
CREATE INDEX lead_deferred ON lead (job, not_before) WHERE state = 'deferred';
CREATE INDEX lead_copy ON lead (original, state) WHERE original IS NOT NULL;

-- Who was found at the companies of a `prospect` job that are finished. Of several leads the first has the line.
CREATE TABLE person (
    job          INTEGER NOT NULL REFERENCES job,
    contact      TEXT    NOT NULL,          -- a hash of the address, else of name and company
    lead         INTEGER NOT NULL,
    PRIMARY KEY (job, contact, lead)
) STRICT, WITHOUT ROWID;
CREATE INDEX person_lead ON person (lead);

-- How many leads needed so many requests after their company's search, when first looked at: the order's chances.
CREATE TABLE chance (
    job          INTEGER NOT NULL REFERENCES job,
    need         INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (job, need)
) STRICT;

-- How often the answer to a question was another when it was asked again, by endpoint and least age in days.
CREATE TABLE flip (
    account      INTEGER NOT NULL REFERENCES account,
    endpoint     TEXT    NOT NULL,
    age          INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    changed      INTEGER NOT NULL,
    PRIMARY KEY (account, endpoint, age)
) STRICT;

-- Who must stay out: a keyed hash of each erased address and row. The key never leaves this file.
CREATE TABLE erased (
    mark         BLOB    NOT NULL UNIQUE,
    at           REAL    NOT NULL
) STRICT;
CREATE TABLE secret (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    key          BLOB    NOT NULL
) STRICT;

-- Questions whose answers were dropped as too old: what a line made again lacks.
CREATE TABLE purged (
    account      INTEGER NOT NULL REFERENCES account,
    key          BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX purged_key ON purged (account, key);

-- What each night did.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    account      INTEGER NOT NULL REFERENCES account,
    owner        TEXT    NOT NULL,
    started_at   REAL    NOT NULL,
    ended_at     REAL,
    stop         TEXT,
    requests     INTEGER NOT NULL DEFAULT 0,
    finished     INTEGER,                   -- rows that got their line, and the requests that were not needed, by rule;
    shared       INTEGER,                   -- NULL: it did not come to its end, or an older program ran it
    answered     INTEGER,
    sure_emails  INTEGER,
    sure_phones  INTEGER
) STRICT;

-- What people were told of each subject, so that every change is told once. 0 well, 1 look, 2 act.
CREATE TABLE alert (
    account      INTEGER NOT NULL REFERENCES account,
    subject      TEXT    NOT NULL,
    level        INTEGER NOT NULL,
    at           REAL    NOT NULL,
    PRIMARY KEY (account, subject)
) STRICT;

-- How things stood when the day's last run ended; `day` as the machine's calendar writes it, YYYY-MM-DD.
CREATE TABLE day_end (
    account      INTEGER NOT NULL REFERENCES account,
    day          TEXT    NOT NULL,
    pending      INTEGER NOT NULL,          -- rows of all jobs that are not finished
    credits      INTEGER,                   -- by our count; NULL: never told
    PRIMARY KEY (account, day)
) STRICT;

-- What was pushed into another system, so that a push goes on where it stopped and forgetting can say where.
CREATE TABLE delivery (
    job          INTEGER NOT NULL REFERENCES job,
    sink         TEXT    NOT NULL,          -- which system, and whose: "hubspot api.hubapi.com 12345"
    item         TEXT    NOT NULL,          -- a prospect's contact_id, else the row's lead_id
    at           REAL    NOT NULL,
    result       TEXT    NOT NULL,          -- created, updated, unchanged, sent, or why not: conflict, missing, refused
    record       TEXT,                      -- its id over there
    digest       BLOB    NOT NULL,          -- hash of what was pushed: when the line says something else, again
    mark         BLOB    NOT NULL,          -- keyed hash of the address, as in `erased`
    PRIMARY KEY (job, sink, item)
) STRICT;
CREATE INDEX delivery_mark ON delivery (mark);

-- Calls to such a system, by the hour since 1970: its own daily limit.
CREATE TABLE sink_call (
    account      INTEGER NOT NULL REFERENCES account,
    host         TEXT    NOT NULL,
    hour         INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (account, host, hour)
) STRICT;
