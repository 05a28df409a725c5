-- A text that stays the same while the data does: on a primary the snapshot, on a standby (whose snapshot
-- text is not exact) the position it has replayed. Only the latter contains a slash.
-- Like the other queries of this folder, it depends on no setting.
SELECT CASE
         WHEN pg_catalog.pg_is_in_recovery()
         THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::pg_catalog.text
         ELSE pg_catalog.pg_current_snapshot()::pg_catalog.text
       END AS validator
 ORDER BY 1
