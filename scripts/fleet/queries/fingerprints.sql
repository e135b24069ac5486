-- Which fault on which releases, since when, on how many hosts.
SELECT fingerprint, min(subject) AS subject, min(owner) AS owner, release,
       count(DISTINCT host) AS hosts, count(DISTINCT dump_id) AS dumps,
       min(crash_time) AS since, max(bytes) AS most_bytes
FROM findings
WHERE level IN ('leak', 'suspect')
GROUP BY fingerprint, release
ORDER BY dumps DESC, fingerprint, release
