-- Removes schema analytics, which we used before the first release: drops the objects whose form is
-- exactly ours, and the schema when nothing else is left in it.
DO $body$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('DROP FUNCTION %s', p.oid::regprocedure)
      FROM pg_proc AS p
     WHERE p.pronamespace = 'analytics'::regnamespace
       AND format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)) = ANY (ARRAY[
             'are_known(regtype, regtype, regtype, regtype)', 'basis()', 'changed_dates()', 'changed_users()',
             'changes_to_fold()', 'check()', 'columns_read()', 'daily_usage()',
             'day_changes(integer, timestamp without time zone, timestamp without time zone)', 'days()',
             'days_counted()', 'days_kept()', 'demand_read_committed()', 'first_kept_back(integer)',
             'fold(integer, integer)', 'hold_tokens()', 'hours()', 'hours_counted()', 'hours_kept()', 'inspect()',
             'is_exact()', 'is_within(interval, timestamp without time zone, timestamp without time zone)',
             'lock_tokens(text)', 'member(bigint)', 'member_states()', 'members()', 'note_change()', 'rebuild()',
             'recent_dates()', 'recent_users()', 'rollups_in_force()', 'start_inspection()', 'tokens_trigger()',
             'user_tokens()', 'user_tokens_counted()', 'user_tokens_kept()', 'user_visits()', 'user_visits_after(bigint)'])
     UNION ALL
    SELECT format('DROP TABLE %s', c.oid::regclass)
      FROM pg_class AS c
      JOIN (VALUES ('daily_tokens', 'date requested used used_before_request within_5_minutes within_15_minutes within_60_minutes'),
                   ('fold_state', 'folded_to noted_to noted_since'), ('hourly_visits', 'hour visits'),
                   ('inspections', 'started_at finished_at drift rebuilt'), ('migrations', 'number name applied_at'),
                   ('rollup_basis', 'relation file columns trigger'),
                   ('token_changes', 'relation change id user_id created_at used_at'), ('user_tokens', 'user_id tokens'))
             AS ours (name, columns) ON ours.name = c.relname
     WHERE c.relnamespace = 'analytics'::regnamespace
       AND c.relkind = 'r'
       AND ours.columns = (SELECT string_agg(a.attname, ' ' ORDER BY a.attnum)
                             FROM pg_attribute AS a
                            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
     UNION ALL
    SELECT format('DROP SEQUENCE %s', c.oid::regclass)
      FROM pg_class AS c
      JOIN pg_sequence AS s ON s.seqrelid = c.oid
     WHERE c.relnamespace = 'analytics'::regnamespace
       AND c.relname = 'noted_to'
       AND s.seqstart = 9223372036854775807
     UNION ALL
    -- Revokes the reader's right on the schema, but no right of the owner of tokens, who may have had it before.
    SELECT 'REVOKE ALL ON SCHEMA analytics FROM coworking_analytics_reader; COMMENT ON SCHEMA analytics IS NULL'
  LOOP
    EXECUTE statement;
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'analytics'::regnamespace) THEN
    DROP SCHEMA analytics;
  END IF;
END
$body$;
