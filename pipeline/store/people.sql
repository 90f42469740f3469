-- Statements about who was found at the companies of a job.

-- :owners
-- Of some people, the first lead each was found at.
SELECT contact, min(lead) FROM person WHERE job = ? AND contact IN (SELECT value FROM json_each(?)) GROUP BY contact;

-- :owned
-- Whom a lead has a line of: those that were found at no earlier one.
SELECT contact FROM person p WHERE lead = ?
AND NOT EXISTS (SELECT 1 FROM person q WHERE q.job = p.job AND q.contact = p.contact AND q.lead < p.lead);

-- :found_later
-- Whether one of these people has their line at a later lead.
SELECT 1 FROM person WHERE job = ? AND contact IN (SELECT value FROM json_each(?)) AND lead > ? LIMIT 1;

-- :count_people
SELECT count(DISTINCT contact) FROM person WHERE job = ?;

-- :found
INSERT INTO person (job, contact, lead) VALUES (?, ?, ?);

-- :unfind
DELETE FROM person WHERE lead = ?;

-- :forget_person
DELETE FROM person WHERE contact = ?;
