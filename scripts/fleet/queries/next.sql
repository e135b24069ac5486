-- Which hosts are next: those that crashed of nothing yet, with a release on which a fault is known
-- that was seen on at least two hosts.
WITH faults AS (
    SELECT fingerprint, release, count(DISTINCT host) AS hosts
    FROM findings
    WHERE level IN ('leak', 'suspect')
    GROUP BY fingerprint, release
    HAVING count(DISTINCT host) >= 2
)
SELECT DISTINCT dumps.host, dumps.release, faults.fingerprint, faults.hosts AS known_on_hosts
FROM dumps
JOIN faults ON faults.release = dumps.release
WHERE NOT EXISTS (SELECT 1 FROM findings
                  WHERE findings.host = dumps.host AND findings.fingerprint = faults.fingerprint)
ORDER BY known_on_hosts DESC, dumps.host, faults.fingerprint
