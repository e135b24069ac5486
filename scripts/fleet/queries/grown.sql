-- Which caches take more on average under one kernel than under the release before it. A dump counts
-- once, however many copies of it were looked at, and a cache of which something was missing not at
-- all: it would look smaller than it was.
WITH copies AS (
    SELECT dump_id, name, release, bytes, complete,
           row_number() OVER (PARTITION BY dump_id, name, address
                              ORDER BY complete DESC, bytes DESC) AS copy
    FROM caches
),
per_dump AS (
    SELECT dump_id, name, release, sum(bytes) AS bytes
    FROM copies
    WHERE copy = 1 AND complete
    GROUP BY dump_id, name, release
),
per_release AS (
    SELECT name, release, avg(bytes) AS bytes, count(*) AS dumps
    FROM per_dump
    GROUP BY name, release
)
SELECT newer.name, older.release AS older_release, newer.release AS newer_release,
       CAST(older.bytes AS BIGINT) AS older_bytes, CAST(newer.bytes AS BIGINT) AS newer_bytes,
       CAST(newer.bytes - older.bytes AS BIGINT) AS grown_bytes,
       older.dumps AS older_dumps, newer.dumps AS newer_dumps
FROM per_release AS newer
JOIN per_release AS older ON older.name = newer.name AND older.release < newer.release
WHERE newer.bytes > older.bytes
  AND NOT EXISTS (SELECT 1 FROM per_release AS between_them
                  WHERE between_them.name = newer.name
                    AND between_them.release > older.release AND between_them.release < newer.release)
ORDER BY grown_bytes DESC, newer.name, newer_release
