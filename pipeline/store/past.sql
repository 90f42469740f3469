-- Statements that look back: what each night did, where requests went, how the window and the credits went.

-- :runs
-- The account's runs, oldest first; what they are known to have sent, if they did not live to say it.
SELECT run.owner, started_at, ended_at, stop, CASE WHEN ended_at IS NULL THEN coalesce(n, 0) ELSE requests END,
    finished, shared, answered, sure_emails, sure_phones
FROM run LEFT JOIN (SELECT owner, count(*) AS n FROM attempt WHERE account = ?1 AND dated IS NOT 0
    AND owner IN (SELECT owner FROM run WHERE account = ?1 AND ended_at IS NULL) GROUP BY owner) AS sent
ON sent.owner = run.owner WHERE account = ?1 ORDER BY id;

-- :sent
-- Where the account's requests went: by endpoint and what they came to.
SELECT endpoint, coalesce(outcome, 'under_way'), count(*) FROM attempt WHERE account = ? AND dated IS NOT 0
GROUP BY 1, 2;

-- :dated
-- How many requests were dated in each stretch of so many seconds (its end included), since a moment.
SELECT (dated - 1) / ?2 + 1, count(*) FROM attempt WHERE account = ?1 AND dated > ?3 GROUP BY 1 ORDER BY 1;

-- :readings
-- The credits read last in each stretch of so many seconds, since a moment.
SELECT max(received_at), credits_remaining FROM answer
WHERE account = ?1 AND credits_remaining IS NOT NULL AND received_at >= ?3
GROUP BY cast(received_at / ?2 AS INTEGER) ORDER BY 1;

-- :reasons
-- Why leads are not enriched: by state and reason, with one row each.
SELECT state, reason, count(*), min(row) FROM lead NOT INDEXED
WHERE job = ? AND reason IS NOT NULL AND state IN ('partial', 'not_found', 'invalid', 'failed')
GROUP BY 1, 2;

-- :finished_since
SELECT count(*) FROM lead NOT INDEXED WHERE job = ? AND finished_at >= ?
AND state NOT IN ('ready', 'deferred');
