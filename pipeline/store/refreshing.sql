-- Statements of samples, of rows that are asked again, and of how often answers change.

-- :sampled_next
-- Leads of a sample, in the order of their places: what a quota cuts short is a fair sample too.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0)
FROM lead l CROSS JOIN company c
WHERE l.job = ? AND l.state = 'ready' AND l.sample < ? AND c.id = l.company
AND l.id NOT IN (SELECT value FROM json_each(?))
ORDER BY l.sample LIMIT ?;

-- :index_sample
-- Few lists are ever sampled, and every lead taken in would pay for the index.
CREATE INDEX IF NOT EXISTS lead_sample ON lead (job, state, sample);

-- :places
-- The leads of a job that are in one state, by place.
SELECT sample FROM lead WHERE job = ? AND state = ? ORDER BY sample;

-- :sampled_due
-- When the earliest deferred lead of a sample may be asked again.
SELECT min(not_before) FROM lead INDEXED BY lead_sample WHERE job = ? AND state = 'deferred' AND sample < ?;

-- :let_go
-- A lead that is being refreshed has no line any more.
UPDATE lead SET finished_at = NULL WHERE id = ?;

-- :refresh
-- A finished lead is asked again and keeps its line until then; it waits for its company's search if that is to be asked.
UPDATE lead SET state = 'ready', not_before = 0, fresh_from = ?, concluded = ?,
need = CASE WHEN ? AND (SELECT rank FROM company WHERE id = lead.company) = 1 THEN -1 ELSE 0 END WHERE id = ?;

-- :search_company_again
UPDATE company SET rank = 1 WHERE id = ? AND rank = 2;

-- :answers_before
-- Answers to a question that are older than a moment, newest first.
SELECT status, body, received_at FROM answer WHERE account = ? AND key = ? AND received_at <= ?
ORDER BY received_at DESC, id DESC;

-- :count_flip
INSERT INTO flip (account, endpoint, age, n, changed) VALUES (?, ?, ?, 1, ?)
ON CONFLICT DO UPDATE SET n = n + 1, changed = changed + excluded.changed;

-- :flips
SELECT endpoint, age, n, changed FROM flip WHERE account = ? ORDER BY endpoint, age;
