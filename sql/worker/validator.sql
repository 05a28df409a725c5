-- Unchanged text means unchanged data: on a primary the visible transactions, on a standby (whose
-- snapshot text is not exact) the last change that was replayed. Independent of every setting.
-- $1: whether to name the server too, which a pooler may change under a living connection. Its name
-- changes with a restart and with a crash recovery, which resets the statistics: after either, a
-- snapshot's text could come up again with other rows behind it. A database that is made anew under
-- its name is told by the snapshot.
-- What a standby says of itself: how far it has received, and "-" where nothing can be under way from
-- a primary that is gone; how far it has replayed; the time, and that of the last commit it replayed or,
-- where there was none since its start, of the checkpoint it started from, both in ms.
-- One row of expressions alone: a subquery would be set up each time, on a primary too.
SELECT CASE
         WHEN pg_catalog.pg_is_in_recovery()
         THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::pg_catalog.text
         ELSE pg_catalog.pg_current_snapshot()::pg_catalog.text
       END AS validator,
       CASE
         WHEN $1::pg_catalog.bool
         THEN pg_catalog.concat_ws(
                '/',
                pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()),
                pg_catalog.date_part('epoch', pg_catalog.pg_stat_get_bgwriter_stat_reset_time()),
                pg_catalog.current_database()
              )
       END AS server,
       CASE
         WHEN pg_catalog.pg_is_in_recovery()
         THEN pg_catalog.concat_ws(
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
              )
       END AS standby
 ORDER BY 1
