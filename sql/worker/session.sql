-- Makes a new session independent of the role's settings, and names the database it reached.
-- $1: limit of one wait for a lock, in ms; $2: limit of a whole statement, in ms; $3: ms between two looks
-- at whether the worker is still there; $4: whether it may only read, on or off.
-- The identity changes with a restart and with a crash recovery, which resets the statistics: after
-- either, a snapshot's text could come up again with other rows behind it.
SELECT concat_ws(
         '/',
         pg_postmaster_start_time(),
         pg_stat_get_bgwriter_stat_reset_time(),
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()),
         set_config('DateStyle', 'ISO, YMD', false),
         set_config('TimeZone', 'UTC', false),
         set_config('IntervalStyle', 'postgres', false),
         set_config('client_encoding', 'UTF8', false),
         set_config('search_path', 'pg_catalog', false),
         set_config('default_transaction_isolation', 'read committed', false),
         set_config('default_transaction_read_only', $4, false),
         set_config('row_security', 'off', false), -- hidden rows are an error, never a shorter report
         set_config('plan_cache_mode', 'force_generic_plan', false), -- planning takes longer than most reports
         set_config('jit', 'off', false), -- compiling would take longer than any report does
         set_config('lock_timeout', $1, false),
         set_config('statement_timeout', $2, false),
         set_config('client_connection_check_interval', $3, false)
       ) AS identity
 ORDER BY 1
