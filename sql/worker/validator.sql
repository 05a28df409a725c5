-- Unchanged text means unchanged data: on a primary the visible transactions, on a standby (whose
-- snapshot text is not exact) the last change that was replayed. Only the latter has a slash in it.
-- Independent of every setting, as are the others here.
SELECT CASE
         WHEN pg_catalog.pg_is_in_recovery()
         THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::pg_catalog.text
         ELSE pg_catalog.pg_current_snapshot()::pg_catalog.text
       END AS validator
 ORDER BY 1
