-- The validator, and the identity of the server that it comes from: a pooler may switch to another server
-- during a connection. The identity changes with every restart and, since crash recovery resets the
-- statistics, with every crash: after either, the same snapshot text could stand for other rows. A database
-- that is dropped and created again has another snapshot.
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
