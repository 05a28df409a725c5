-- A standby's state: the position it has received ("-" without a connection to the primary), the position it
-- has replayed, the standby's time, and the time of the last commit it replayed, both in ms. When it has
-- replayed none since it started, the time of the checkpoint it started from takes the commit's place.
-- The received position is read first: a replayed position at or above it includes all that was received.
SELECT pg_catalog.concat_ws(
         ' ',
         CASE
           WHEN (pg_catalog.pg_stat_get_wal_receiver()).pid IS NULL THEN '-'
           ELSE coalesce(pg_catalog.pg_last_wal_receive_lsn()::pg_catalog.text, '-')
         END,
         coalesce(pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text, '0/0'),
         pg_catalog.int8(pg_catalog.date_part('epoch', pg_catalog.statement_timestamp())
                         OPERATOR(pg_catalog.*) 1000),
         pg_catalog.int8(pg_catalog.date_part('epoch', coalesce(
           pg_catalog.pg_last_xact_replay_timestamp(),
           (pg_catalog.pg_control_checkpoint()).checkpoint_time
         )) OPERATOR(pg_catalog.*) 1000)
       ) AS standby
 ORDER BY 1
