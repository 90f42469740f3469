-- :alert_levels
SELECT subject, level FROM alert WHERE account = ?;

-- :alert_told
INSERT INTO alert (account, subject, level, at) VALUES (?, ?, ?, ?)
ON CONFLICT (account, subject) DO UPDATE SET level = excluded.level, at = excluded.at;

-- :note_day_end
INSERT INTO day_end (account, day, pending, credits) VALUES (?, ?, ?, ?)
ON CONFLICT (account, day) DO UPDATE SET pending = excluded.pending, credits = excluded.credits;

-- :day_ends
SELECT * FROM (SELECT day, pending, credits FROM day_end WHERE account = ? ORDER BY day DESC LIMIT ?) ORDER BY day;

-- :pending_now
SELECT coalesce(sum(n), 0) FROM tally JOIN job ON job.id = tally.job
WHERE job.account = ? AND tally.state IN ('ready', 'deferred');

-- :run_before
SELECT owner, started_at FROM run WHERE account = ? AND owner <> ? AND ended_at IS NULL
AND id = (SELECT max(id) FROM run WHERE account = ? AND owner <> ?);
