-- What a standby says of itself: how far it has received, and "-" where nobody sends; how far it has
-- replayed; the time, and that of the last commit it replayed or, where there was none since its
-- start, of the checkpoint it started from, both in ms.
-- Received comes first: what was replayed by then is all that had been received.
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
