-- Which caches take more on average under one kernel than under the release before it.
WITH per_release AS (
    SELECT name, release, avg(bytes) AS bytes, count(DISTINCT dump_id) AS dumps
    FROM caches
    GROUP BY name, release
)
SELECT newer.name, older.release AS older_release, newer.release AS newer_release,
       CAST(older.bytes AS BIGINT) AS older_bytes, CAST(newer.bytes AS BIGINT) AS newer_bytes,
       CAST(newer.bytes - older.bytes AS BIGINT) AS grown_bytes
FROM per_release AS newer
JOIN per_release AS older ON older.name = newer.name AND older.release < newer.release
WHERE newer.bytes > older.bytes
  AND NOT EXISTS (SELECT 1 FROM per_release AS between_them
                  WHERE between_them.name = newer.name
                    AND between_them.release > older.release AND between_them.release < newer.release)
ORDER BY grown_bytes DESC, newer.name, newer_release
