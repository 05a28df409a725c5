-- Changes to the coworking service's tables: grants on the columns that we read, and the trigger. Each is a
-- transaction of its own that waits for its lock only briefly and then tries again, so that nobody queues
-- behind us for long. It holds no other lock meanwhile, so it can be part of no deadlock.
DO $body$
DECLARE
  rollups CONSTANT boolean :=
    (pg_catalog.split_part(pg_catalog.obj_description('coworking_analytics'::pg_catalog.regnamespace, 'pg_namespace'), E'\n', 2)::pg_catalog.jsonb ->> 'rollups')::pg_catalog.bool;
  is_superuser CONSTANT boolean := pg_catalog.current_setting('is_superuser') = 'on';
  has_trigger boolean;
  task record;
  holders text;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
  SELECT count(*) > 0
    INTO has_trigger
    FROM pg_trigger AS g
    JOIN pg_proc AS p ON p.oid = g.tgfoid AND p.proname = 'note_change'
    JOIN pg_namespace AS n ON n.oid = p.pronamespace AND n.nspname = 'coworking_analytics_keeper'
   WHERE g.tgrelid = 'public.tokens'::regclass
     AND g.tgname = 'coworking_analytics_change'
     AND g.tgenabled = 'A';
  FOR task IN
    WITH triggers AS (
      SELECT g.tgrelid::regclass AS relation, g.tgname AS name, n.nspname = 'analytics' AS is_earlier
        FROM pg_trigger AS g
        JOIN pg_proc AS p ON p.oid = g.tgfoid AND p.proname = 'note_change'
        JOIN pg_namespace AS n ON n.oid = p.pronamespace
       WHERE n.nspname = 'coworking_analytics_keeper'
          OR n.nspname = 'analytics'
             AND obj_description(n.oid, 'pg_namespace') = 'Reports on users and tokens; owned by the analytics service'
    )
    -- Grants only what is missing: any grant, even a repeated one, changes the column's xmin, which sets the
    -- rollups aside.
    SELECT c.oid AS relation, 'ACCESS SHARE' AS mode,
           format('GRANT SELECT (%s) ON %s TO coworking_analytics_%s', string_agg(quote_ident(a.attname), ', '), c.oid::regclass, w.role)
             AS statement
      FROM (VALUES ('users', 'id', 'reader'), ('users', 'joined_at', 'reader'), ('users', 'is_active', 'reader'),
                   ('tokens', 'id', 'reader'), ('tokens', 'user_id', 'reader'), ('tokens', 'created_at', 'reader'),
                   ('tokens', 'used_at', 'reader'),
                   ('tokens', 'id', 'keeper'), ('tokens', 'user_id', 'keeper'), ('tokens', 'created_at', 'keeper'),
                   ('tokens', 'used_at', 'keeper')) AS w (relation, attribute, role)
      JOIN pg_class AS c ON c.oid = format('public.%I', w.relation)::regclass
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.attribute
     WHERE NOT has_column_privilege('coworking_analytics_' || w.role, c.oid, a.attnum, 'SELECT')
     GROUP BY c.oid, w.role
     UNION ALL
    -- Drops triggers of the earlier schema, triggers with our function but another name, and, with
    -- ROLLUPS=off, our own.
    SELECT g.relation, 'ACCESS EXCLUSIVE', format('DROP TRIGGER %I ON %s', g.name, g.relation)
      FROM triggers AS g
     WHERE g.is_earlier
        OR NOT rollups
        OR g.relation = 'public.tokens'::regclass AND g.name <> 'coworking_analytics_change'
     UNION ALL
    SELECT c.oid, 'SHARE ROW EXCLUSIVE',
           'CREATE OR REPLACE TRIGGER coworking_analytics_change AFTER INSERT OR UPDATE OR DELETE ON public.tokens'
           ' FOR EACH ROW EXECUTE FUNCTION coworking_analytics_keeper.note_change();'
           -- ALWAYS: rows that logical replication writes fire no other kind.
           'ALTER TABLE public.tokens ENABLE ALWAYS TRIGGER coworking_analytics_change'
      FROM pg_class AS c
     WHERE c.oid = 'public.tokens'::regclass
       AND c.relkind = 'r' -- rollups support neither views nor partitioned tables
       AND rollups
       AND NOT has_trigger
  LOOP
    FOR attempt IN 1..120 LOOP
      -- PostgreSQL cancels an autovacuum that blocks a session for deadlock_timeout. A superuser shortens
      -- that. Others wait that long, but only when an autovacuum holds the lock.
      IF is_superuser THEN
        PERFORM set_config('deadlock_timeout', '50ms', true);
      END IF;
      PERFORM set_config('search_path', 'pg_catalog', true),
              set_config('lock_timeout', CASE
                WHEN is_superuser OR NOT EXISTS (SELECT
                                                   FROM pg_locks AS l
                                                   JOIN pg_stat_activity AS a ON a.pid = l.pid
                                                  WHERE l.relation = task.relation AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
                                                    AND a.usesysid IS NULL) THEN '200ms'
                ELSE extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000 + 300 || 'ms'
              END, true);
      BEGIN
        EXECUTE format('LOCK TABLE %s IN %s MODE', task.relation::regclass, task.mode);
        EXECUTE task.statement;
        EXIT;
      EXCEPTION
        WHEN lock_not_available OR deadlock_detected THEN
          SELECT string_agg(format('process %s (%s)', l.pid, coalesce(nullif(a.application_name, ''), a.usename, 'autovacuum')), ', ')
            INTO holders
            FROM pg_locks AS l
            LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
           WHERE l.relation = task.relation AND l.granted AND l.pid <> pg_backend_pid();
          IF attempt = 120 THEN
            RAISE lock_not_available
              USING MESSAGE = format('%s stays locked by %s: run this again when that has ended', task.relation::regclass, holders);
          END IF;
        WHEN insufficient_privilege THEN
          RAISE insufficient_privilege
            USING MESSAGE = format('%s: migrate as the owner of %s, or with ROLLUPS=off for no trigger', SQLERRM, task.relation::regclass);
      END;
      ROLLBACK;
      PERFORM pg_sleep(0.3);
    END LOOP;
    COMMIT;
  END LOOP;
END
$body$;
