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

-- :between
-- What was sent between two attempts, by endpoint and outcome.
SELECT endpoint, outcome, count(*) FROM attempt WHERE account = ? AND id > ? AND id < ? AND dated IS NOT 0
GROUP BY endpoint, outcome;

-- :set_credits
UPDATE account SET credits = ?, credits_at = ? WHERE id = ?;

-- :shut
UPDATE account SET shut_until = ?, shut_why = ? WHERE id = ?;

-- :orphans
-- Unsettled attempts and who made them.
SELECT id, owner, reserved_at, ceiling FROM attempt WHERE account = ? AND dated IS NULL;

-- :history
-- All answers to some questions, newest first; one placeholder a question.
SELECT key, status, body, received_at FROM answer WHERE account = ? AND key IN (?) ORDER BY received_at DESC, id DESC;

-- :forget_answers
-- Answers of a broken contract are not facts about the leads.
DELETE FROM answer WHERE account = ? AND key = ? AND received_at >= ?;

-- :account
SELECT credits, credits_at, shut_until, shut_why FROM account WHERE id = ?;

-- :clock
UPDATE account SET clock_offset = ? WHERE id = ?;

-- :clock_offset
-- How far the server's clock was ahead, and the latest moment at which we know it to have been.
SELECT clock_offset, (SELECT max(dated) FROM attempt WHERE account = account.id) FROM account WHERE id = ?;

-- :wake
-- Deferred leads whose time has come are ready again.
UPDATE lead SET state = 'ready',
need = CASE WHEN need < 0 AND (SELECT rank FROM company WHERE id = company) <> 1 THEN 0 ELSE need END
WHERE job = ? AND state = 'deferred' AND not_before <= ? RETURNING company;

-- :leads_next
-- Leads that wait for no search, best first: the user's priority, then the fewest requests; but for those in hand.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0)
FROM lead l CROSS JOIN company c
WHERE l.job = ? AND l.state = 'ready' AND l.need >= 0 AND c.id = l.company
AND l.id NOT IN (SELECT value FROM json_each(?))
ORDER BY l.priority DESC, l.need, l.id LIMIT ?;

-- :searches_next
-- Companies to search, most waiting leads first, each with the lead that carries its search.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, c.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0)
FROM company c CROSS JOIN lead l ON l.id =
    (SELECT id FROM lead WHERE company = c.id AND state = 'ready' ORDER BY priority DESC, id LIMIT 1)
WHERE c.job = ? AND c.rank = 1 AND c.waiting > 0 AND l.id NOT IN (SELECT value FROM json_each(?))
ORDER BY c.priority DESC, c.waiting DESC, c.id LIMIT ?;

-- :oldest
-- The companies that were taken in first and still have waiting leads, each with one.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0)
FROM company c CROSS JOIN lead l ON l.id =
    (SELECT id FROM lead WHERE company = c.id AND state = 'ready' ORDER BY priority DESC, id LIMIT 1)
WHERE c.job = ? AND c.waiting > 0 AND l.id NOT IN (SELECT value FROM json_each(?))
ORDER BY c.id LIMIT ?;

-- :copies
-- Duplicates of a lead that have no line yet.
SELECT id, row, input FROM lead WHERE original = ? AND state = 'copy' ORDER BY row;

-- :late_copies
-- Duplicates that were taken in after their lead was finished.
SELECT DISTINCT o.id, o.row, o.lead_id, o.input, o.taken_in, o.company, c.spelling, o.need, o.priority, c.waiting,
    o.replayed_at, o.fresh_from, o.concluded, o.state, o.reason, o.finished_at
FROM lead d INDEXED BY lead_copy CROSS JOIN lead o ON o.id = d.original JOIN company c ON c.id = o.company
WHERE d.original IS NOT NULL AND d.state = 'copy' AND o.job = ? AND o.state NOT IN ('ready', 'deferred');

-- :finished
-- Finished leads after a given one, to write the output again.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting,
    l.replayed_at, l.fresh_from, l.concluded, l.state, l.reason, l.finished_at
FROM lead l NOT INDEXED JOIN company c ON c.id = l.company
WHERE l.job = ? AND l.id > ? AND l.original IS NULL AND l.state NOT IN ('ready', 'deferred')
ORDER BY l.id LIMIT ?;

-- :finish
UPDATE lead SET state = ?, reason = ?, finished_at = ?, need = 0 WHERE id = ?;

-- :defer
UPDATE lead SET state = 'deferred', not_before = ?, need = ? WHERE id = ?;

-- :put_back
UPDATE lead SET need = ? WHERE id = ?;

-- :copied
UPDATE lead SET state = 'copied' WHERE original = ? AND state = 'copy';

-- :waiting
UPDATE company SET waiting = waiting + ? WHERE id = ?;

-- :company_searched
UPDATE company SET rank = 2 WHERE id = ? AND rank < 2;

-- :look
-- A company's search was answered: all who waited for it may be free.
UPDATE lead SET need = 0 WHERE company = ? AND need < 0 AND state = 'ready';

-- :count_chance
INSERT INTO chance (job, need, n) VALUES (?, ?, ?) ON CONFLICT (job, need) DO UPDATE SET n = n + excluded.n;

-- :chances
SELECT need, n FROM chance WHERE job = ?;

-- :account_chances
SELECT need, sum(n) FROM chance WHERE job IN (SELECT id FROM job WHERE account = ?) GROUP BY need;

-- :count_state
INSERT INTO tally (job, state, n) VALUES (?, ?, ?) ON CONFLICT (job, state) DO UPDATE SET n = n + excluded.n;

-- :tally
SELECT state, n FROM tally WHERE job = ?;

-- :out_committed
UPDATE job SET out_length = ?, out_tail = ?, next_length = NULL, next_tail = NULL WHERE id = ?;

-- :lines_of
-- The rows a line of the output may stand for.
SELECT l.id, l.row, l.state, coalesce(o.finished_at, l.finished_at, 0) FROM lead l LEFT JOIN lead o ON o.id = l.original
WHERE l.job = ? AND l.lead_id = ?;

-- :earliest_deferred
SELECT min(not_before) FROM lead WHERE job = ? AND state = 'deferred';

-- :create_job
INSERT INTO job (account, name, output, created_at, questions, judgement, kind) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- :known_lead
SELECT id, subject, seen, state, company, priority, filled FROM lead
WHERE job = ? AND lead_id = ? AND occurrence = ?;

-- :last_occurrence
SELECT max(occurrence) FROM lead WHERE job = ? AND lead_id = ?;

-- :known_leads
SELECT lead_id, id, subject, seen, state, company, priority, filled FROM lead
WHERE job = ? AND occurrence = 0 AND lead_id IN (SELECT value FROM json_each(?));

-- :known_companies
SELECT key FROM company WHERE job = ? AND key IN (SELECT value FROM json_each(?));

-- :insert_company
INSERT INTO company (id, job, key, spelling, rank, priority, waiting) VALUES (?, ?, ?, ?, ?, ?, ?);

-- :insert_lead
INSERT INTO lead (id, job, row, lead_id, occurrence, original, subject, company, priority, state, need, sample, taken_in,
    seen, input)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- :seen_again
-- A known row is in the list again; its other columns matter only while it has no line.
UPDATE lead SET seen = ?, input = CASE WHEN state IN ('ready', 'deferred', 'copy') THEN ? ELSE input END WHERE id = ?;

-- :change_lead
UPDATE lead SET subject = ?, filled = NULL, company = ?, need = ?, taken_in = ?, seen = ?, input = ?, state = 'ready', not_before = 0,
reason = NULL, finished_at = NULL, fresh_from = 0, concluded = '[]' WHERE id = ?;

-- :uncopy
-- Duplicates wait for their lead again.
UPDATE lead SET state = 'copy' WHERE original = ? AND state = 'copied';

-- :company
-- A company is known by its key; the first spelling stays, the highest priority of those who wait counts. Where
-- nobody waits any more, a new lead brings it back to be searched: what is known may be too old for it.
INSERT INTO company (job, key, spelling, rank, priority) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job, key) DO UPDATE SET
    priority = CASE WHEN waiting > 0 THEN max(priority, excluded.priority) ELSE excluded.priority END,
    rank = CASE WHEN waiting > 0 OR rank <> 2 THEN rank ELSE 1 END
RETURNING id, rank;

-- :reprioritise
UPDATE lead SET priority = ? WHERE id = ?;

-- :rank_company
-- A company to be searched comes as early as the best of those who wait there.
UPDATE company SET priority = coalesce((SELECT max(priority) FROM lead WHERE company = ? AND state = 'ready'), 0) WHERE id = ?;

-- :best_waiting
-- The highest priority among a job's waiting leads.
SELECT max(
    coalesce((SELECT priority FROM lead WHERE job = ?1 AND state = 'ready' AND need >= 0 ORDER BY priority DESC LIMIT 1), -9e999),
    coalesce((SELECT priority FROM company WHERE job = ?1 AND rank = 1 AND waiting > 0 ORDER BY priority DESC LIMIT 1), -9e999)
);

-- :prune
-- Unfinished leads that the list no longer has and that have no line either.
DELETE FROM lead WHERE job = ? AND seen < ? AND original IS NULL AND state IN ('ready', 'deferred')
AND finished_at IS NULL RETURNING company, state;

-- :prune_copies
-- Duplicates whose lead is gone.
DELETE FROM lead WHERE job = ? AND original IS NOT NULL AND state = 'copy'
AND NOT EXISTS (SELECT 1 FROM lead o WHERE o.id = lead.original);

-- :copied_rows
-- Duplicates that had their line; the others get it as late copies.
SELECT id, row, input FROM lead WHERE original = ? AND state = 'copied' ORDER BY row;

-- :begin_run
INSERT INTO run (account, owner, started_at) VALUES (?, ?, ?);

-- :end_run
UPDATE run SET ended_at = ?, stop = ?, requests = ?, finished = ?, shared = ?, answered = ?, sure_emails = ?,
sure_phones = ? WHERE owner = ?;

-- :answered_companies
SELECT count(*) FROM company WHERE job = ? AND rank = 2 AND waiting > 0;

-- :search_again
UPDATE company SET rank = 1 WHERE job = ? AND rank = 2;

-- :wait_for_search
UPDATE lead SET need = -1 WHERE job = ? AND state IN ('ready', 'deferred')
AND (SELECT rank FROM company WHERE id = lead.company) = 1;

-- :state_of
SELECT state FROM lead WHERE id = ?;

-- :reopen
UPDATE lead SET state = 'ready', not_before = 0, reason = NULL, finished_at = ? WHERE id = ?;

-- :replayable
-- Rows that were given up, or rest on a refused question, finished since a moment.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0)
FROM lead l JOIN company c ON c.id = l.company
WHERE l.job = ? AND l.finished_at >= ? AND l.original IS NULL AND (l.state = 'failed' OR l.state IN ('not_found', 'partial')
    AND (l.reason LIKE '% refused: %' OR l.reason LIKE '% said_no: %'))
ORDER BY l.id;

-- :newest_of_all
-- When the account's youngest answer came.
SELECT coalesce(max(received_at), 0) FROM answer WHERE account = ?;

-- :replay
UPDATE lead SET need = 0, replayed_at = ? WHERE id = ?;

-- :accounts
SELECT name FROM account ORDER BY id;

-- :secret
SELECT key FROM secret;

-- :make_secret
INSERT INTO secret (id, key) VALUES (1, ?) ON CONFLICT DO NOTHING;

-- :marks
SELECT mark FROM erased;

-- :erase
INSERT INTO erased (mark, at) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- :bodies
-- All answers of the account, a few at a time.
SELECT id, key, body FROM answer WHERE account = ? AND id > ? ORDER BY id LIMIT 500;

-- :keep_body
UPDATE answer SET body = ? WHERE id = ?;

-- :drop_answers
DELETE FROM answer WHERE account = ? AND key = ?;

-- :blank_attempts
-- The spend stays; what was asked is not to be guessed from it.
UPDATE attempt SET key = x'' WHERE account = ? AND dated IS NOT NULL AND hex(key) IN (SELECT value FROM json_each(?));

-- :forget_purged
DELETE FROM purged WHERE account = ? AND key = ?;

-- :rows
-- All rows of a job, duplicates too, after a given one.
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0), l.original, l.subject
FROM lead l NOT INDEXED JOIN company c ON c.id = l.company
WHERE l.job = ? AND l.id > ? ORDER BY l.id LIMIT 500;

-- :erase_lead
UPDATE lead SET lead_id = ?, sample = ?, subject = x'', filled = NULL, company = ?, priority = 0, need = 0, state = ?, not_before = 0,
reason = 'erased', finished_at = ?, fresh_from = 0, concluded = '[]', input = ? WHERE id = ? RETURNING job;

-- :mask_lead
UPDATE lead SET input = ?, reason = ? WHERE id = ?;

-- :lonely_companies
DELETE FROM company WHERE id = ? AND NOT EXISTS (SELECT 1 FROM lead WHERE company = ?);

-- :stale
UPDATE job SET out_stale = 1 WHERE id = ?;

-- :late
UPDATE job SET late = 1 WHERE id = ?;

-- :old_answers
SELECT count(*), count(DISTINCT key), coalesce(sum(length(body)), 0) FROM answer WHERE account = ? AND received_at < ?
AND hex(key) NOT IN (SELECT value FROM json_each(?));

-- :note_purged
INSERT OR IGNORE INTO purged (account, key) SELECT DISTINCT account, key FROM answer
WHERE account = ? AND received_at < ? AND hex(key) NOT IN (SELECT value FROM json_each(?));

-- :purge
DELETE FROM answer WHERE account = ? AND received_at < ? AND hex(key) NOT IN (SELECT value FROM json_each(?));

-- :is_purged
-- Whether a question's answers were dropped, and it was not answered since.
SELECT 1 FROM purged WHERE account = ? AND key = ?;

-- :unfinished
SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting, l.replayed_at,
    l.fresh_from, l.concluded, l.state, l.reason, coalesce(l.finished_at, 0)
FROM lead l NOT INDEXED JOIN company c ON c.id = l.company
WHERE l.job = ? AND l.id > ? AND l.state IN ('ready', 'deferred') ORDER BY l.id LIMIT 500;

-- :files
-- What must not be overwritten: outputs and lists of all jobs.
SELECT output FROM job UNION SELECT source ->> 'path' FROM job UNION SELECT judgement ->> 'suppress' FROM job

-- :experience
-- Leads of the account that were finished with something to ask, and the requests sent so far. A lead that a refresh
-- finishes again is one more; where runs died, what is finished now is all that is known.
SELECT max(coalesce(sum(n) FILTER (WHERE state IN ('enriched', 'partial', 'not_found', 'failed')), 0),
        (SELECT coalesce(sum(finished), 0) FROM run WHERE account = ?1)
            - coalesce(sum(n) FILTER (WHERE state = 'invalid'), 0)),
    (SELECT count(*) FROM attempt WHERE account = ?1 AND dated > 0)
FROM tally JOIN job ON job.id = tally.job WHERE job.account = ?1;

-- :standing
-- How far a lead is about whom the list says the same as then; ids that two people share are told apart by a hash.
SELECT state, taken_in, replayed_at, fresh_from FROM lead
WHERE job = ? AND lead_id IN (?, ?) AND occurrence = 0 AND ? IN (subject, filled);

-- :spelling
SELECT spelling FROM company WHERE job = ? AND key = ?;

-- :latest_costs
-- What the account's latest answers were counted at, newest first.
SELECT endpoint, cost FROM (SELECT endpoint, cost, outcome FROM attempt WHERE account = ? ORDER BY id DESC LIMIT 5000)
WHERE outcome = 'found';
