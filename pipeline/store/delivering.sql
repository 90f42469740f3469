-- Statements of what was pushed into other systems.

-- :delivered
-- What became of these items at a sink.
SELECT item, digest FROM delivery WHERE job = ? AND sink = ? AND item IN (SELECT value FROM json_each(?));

-- :deliver
INSERT INTO delivery (job, sink, item, at, result, record, digest, mark) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at = excluded.at, result = excluded.result, record = coalesce(excluded.record, record),
digest = excluded.digest, mark = excluded.mark;

-- :filled
-- A row's record over there holds now what was found for it; the list's next export will, too.
UPDATE lead SET filled = ? WHERE job = ? AND lead_id = ? AND occurrence = 0;

-- :deliveries_of
-- Where somebody was pushed to.
SELECT job, sink, item, record FROM delivery
WHERE mark = ? AND result IN ('created', 'updated', 'unchanged', 'sent') AND job IN (SELECT id FROM job WHERE account = ?) ORDER BY sink, job, item;

-- :blank_delivery
-- Of somebody erased it stays known where they were pushed to, and nothing else.
UPDATE delivery SET item = ?, digest = x'' WHERE job = ? AND sink = ? AND item = ?;

-- :calls
SELECT coalesce(sum(n), 0) FROM sink_call WHERE account = ? AND host = ? AND hour >= ?;

-- :count_call
INSERT INTO sink_call (account, host, hour, n) VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1;

-- :drop_calls
DELETE FROM sink_call WHERE account = ? AND hour < ?;
