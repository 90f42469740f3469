-- Every statement the ledger and the jobs run, by name.

-- :open_claim
-- Who is asking this question right now?
SELECT id, owner FROM attempt WHERE account = ? AND key = ? AND dated IS NULL;

-- :newest_answer
-- When was this question last answered?
SELECT received_at FROM answer WHERE account = ? AND key = ? ORDER BY received_at DESC LIMIT 1;

-- :last_attempt
-- The youngest attempt of all: ids only grow, so this bounds what has been reserved since.
SELECT max(id) FROM attempt;

-- :count_dated
-- Requests dated later than a moment.
SELECT count(*) FROM attempt WHERE account = ? AND dated > ?;

-- :under_way
-- Requests not settled, and the credits held back for them.
SELECT count(*), coalesce(sum(ceiling), 0) FROM attempt WHERE account = ? AND dated IS NULL;

-- :slot_date
-- The date of the n-th youngest settled request in the window: when it expires, a slot opens.
SELECT dated FROM attempt WHERE account = ? AND dated > ? ORDER BY dated DESC LIMIT 1 OFFSET ?;

-- :reserve
-- One claim a question: while another attempt is open, or if it was answered meanwhile, nothing is inserted.
INSERT INTO attempt (account, key, endpoint, owner, ceiling, reserved_at)
SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM answer WHERE account = ? AND key = ? AND received_at > ?)
ON CONFLICT DO NOTHING;

-- :settle
-- An attempt is settled once.
UPDATE attempt SET dated = ?, outcome = ?, cost = ? WHERE id = ? AND dated IS NULL RETURNING ceiling;

-- :outcome
SELECT outcome FROM attempt WHERE id = ?;

-- :keep_answer
INSERT INTO answer (account, key, endpoint, status, received_at, credits_remaining, body)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- :company_after
-- Other attempts of the account since a given one: whether a reading stands alone.
SELECT count(*) FROM attempt WHERE account = ? AND id > ? AND id <> ? AND dated IS NOT 0;

-- :set_credits
UPDATE account SET credits = ?, credits_at = ? WHERE id = ?;

-- :shut
UPDATE account SET shut_until = ? WHERE id = ?;

-- :orphans
-- Unsettled attempts and who made them.
SELECT id, owner, reserved_at, ceiling FROM attempt WHERE account = ? AND dated IS NULL;

-- :history
-- All answers to a question, newest first.
SELECT status, body, received_at FROM answer WHERE account = ? AND key = ? ORDER BY received_at DESC, id DESC LIMIT 8;

-- :forget_answers
-- Answers of a broken contract are not facts about the leads.
DELETE FROM answer WHERE account = ? AND key = ? AND received_at >= ?;

-- :account
SELECT credits, credits_at, shut_until FROM account WHERE id = ?;

-- :wake
-- Deferred leads whose time has come are ready again.
UPDATE lead SET state = 'ready' WHERE job = ? AND state = 'deferred' AND not_before <= ? RETURNING company;

-- :work
-- The next leads, in the order of work: priority, closest to done, most waiting at the company.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.progress, c.rank
FROM company c CROSS JOIN lead l
WHERE c.job = ? AND c.waiting > 0 AND l.company = c.id AND l.state = 'ready'
ORDER BY c.priority DESC, c.rank DESC, c.waiting DESC, c.id, l.priority DESC, l.progress DESC, l.id
LIMIT ?;

-- :copies
-- Duplicates of a lead that have no line yet.
SELECT id, row, input FROM lead WHERE original = ? AND state = 'copy' ORDER BY row;

-- :late_copies
-- Duplicates that were taken in after their lead was finished.
SELECT DISTINCT o.id, o.row, o.lead_id, o.input, o.taken_in, o.company, c.spelling, o.progress, c.rank, o.state, o.reason, o.finished_at
FROM lead d JOIN lead o ON o.id = d.original JOIN company c ON c.id = o.company
WHERE d.original IS NOT NULL AND d.state = 'copy' AND d.job = ? AND o.state NOT IN ('ready', 'deferred');

-- :finished
-- Finished leads after a given one, to write the output again.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.progress, c.rank, l.state, l.reason, l.finished_at
FROM lead l JOIN company c ON c.id = l.company
WHERE l.job = ? AND l.id > ? AND l.original IS NULL AND l.state NOT IN ('ready', 'deferred')
ORDER BY l.id LIMIT ?;

-- :finish
UPDATE lead SET state = ?, reason = ?, finished_at = ? WHERE id = ?;

-- :defer
UPDATE lead SET state = 'deferred', not_before = ?, progress = ? WHERE id = ?;

-- :put_back
UPDATE lead SET progress = ? WHERE id = ?;

-- :copied
UPDATE lead SET state = 'copied' WHERE original = ? AND state = 'copy';

-- :waiting
UPDATE company SET waiting = waiting + ? WHERE id = ?;

-- :company_searched
UPDATE company SET rank = 2 WHERE id = ? AND rank < 2;

-- :count_state
INSERT INTO tally (job, state, n) VALUES (?, ?, ?) ON CONFLICT (job, state) DO UPDATE SET n = n + excluded.n;

-- :tally
SELECT state, n FROM tally WHERE job = ?;

-- :out_committed
UPDATE job SET out_length = ?, out_tail = ?, next_length = NULL, next_tail = NULL WHERE id = ?;

-- :lines_of
-- The rows a line of the output may stand for.
SELECT id, row, state, original FROM lead WHERE job = ? AND lead_id = ?;

-- :earliest_deferred
SELECT min(not_before) FROM lead WHERE job = ? AND state = 'deferred';

-- :create_job
INSERT INTO job (account, name, output, priority, created_at, questions, judgement) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- :known_lead
SELECT id, subject, seen, state, company FROM lead WHERE job = ? AND lead_id = ? AND occurrence = ?;

-- :insert_lead
INSERT INTO lead (job, row, lead_id, occurrence, original, subject, company, priority, state, taken_in, seen, input)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- :seen_again
-- A known row is in the list again; its other columns matter only while it has no line.
UPDATE lead SET seen = ?, input = CASE WHEN state IN ('ready', 'deferred', 'copy') THEN ? ELSE input END WHERE id = ?;

-- :change_lead
UPDATE lead SET subject = ?, company = ?, taken_in = ?, seen = ?, input = ?, state = 'ready', not_before = 0,
progress = 0, reason = NULL, finished_at = NULL WHERE id = ?;

-- :uncopy
-- Duplicates wait for their lead again.
UPDATE lead SET state = 'copy' WHERE original = ? AND state = 'copied';

-- :company
-- A company is known by its key; the first spelling stays, the highest priority counts.
INSERT INTO company (job, key, spelling, rank, priority) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job, key) DO UPDATE SET priority = max(priority, excluded.priority) RETURNING id;

-- :prune
-- Unfinished leads that the list no longer has.
DELETE FROM lead WHERE job = ? AND seen < ? AND original IS NULL AND state IN ('ready', 'deferred')
RETURNING company, state;

-- :prune_copies
-- Duplicates whose lead is gone.
DELETE FROM lead WHERE job = ? AND original IS NOT NULL AND state = 'copy'
AND NOT EXISTS (SELECT 1 FROM lead o WHERE o.id = lead.original);

-- :copied_rows
SELECT id, row, input FROM lead WHERE original = ? ORDER BY row;

-- :begin_run
INSERT INTO run (account, owner, started_at) VALUES (?, ?, ?);

-- :end_run
UPDATE run SET ended_at = ?, stop = ?, requests = ? WHERE owner = ?;

-- :answered_companies
SELECT count(*) FROM company WHERE job = ? AND rank = 2 AND waiting > 0;

-- :search_again
UPDATE company SET rank = 1 WHERE job = ? AND rank = 2;

-- :state_of
SELECT state FROM lead WHERE id = ?;

-- :reopen
UPDATE lead SET state = 'ready', not_before = 0, reason = NULL, finished_at = NULL WHERE id = ?;
