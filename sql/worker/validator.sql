-- Unchanged text means unchanged data: on a primary the visible transactions, on a standby (whose
-- snapshot text is not exact) the last change that was replayed.
SELECT CASE
         WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')::text
         ELSE pg_current_snapshot()::text
       END AS validator
 ORDER BY 1
