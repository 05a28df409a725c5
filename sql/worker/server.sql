-- The validator, and which server gives it: a pooler may change servers under a living connection.
-- The server's name changes with a restart and with a crash recovery, which resets the statistics:
-- after either, a snapshot's text could come up again with other rows behind it. A database that is
-- made anew under its old name is told by the snapshot.
SELECT CASE
         WHEN pg_catalog.pg_is_in_recovery()
         THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::pg_catalog.text
         ELSE pg_catalog.pg_current_snapshot()::pg_catalog.text
       END AS validator,
       pg_catalog.concat_ws(
         '/',
         pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()),
         pg_catalog.date_part('epoch', pg_catalog.pg_stat_get_bgwriter_stat_reset_time()),
         pg_catalog.current_database()
       ) AS server
 ORDER BY 1
