-- Owners of our objects, rights on them, and the trigger on our tables. The lists name our own objects, so
-- nothing else in the schemas is touched.
SELECT set_config('coworking_analytics.tables', :'tables', true),
       set_config('coworking_analytics.functions', :'functions', true)
\g /dev/null
DO $body$
DECLARE
  tables text[] := string_to_array(current_setting('coworking_analytics.tables'), ' ');
  functions text[] := string_to_array(current_setting('coworking_analytics.functions'), ' ');
  tokens_owner name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = 'public.tokens'::regclass);
  statement text;
BEGIN
  FOR statement IN
    -- The owner of the database can then restore all of it with --clean, our schema included.
    SELECT 'ALTER SCHEMA coworking_analytics OWNER TO pg_database_owner'
     WHERE pg_has_role('pg_database_owner', 'MEMBER')
     UNION ALL
    SELECT format('ALTER TABLE %s OWNER TO pg_database_owner', c.oid::regclass)
      FROM pg_class AS c
     WHERE c.relnamespace = 'coworking_analytics'::regnamespace
       AND c.relname = ANY (tables)
       AND c.relowner <> 'pg_database_owner'::regrole
       AND pg_has_role('pg_database_owner', 'MEMBER')
     UNION ALL
    SELECT format('ALTER FUNCTION %s OWNER TO pg_database_owner', p.oid::regprocedure)
      FROM pg_proc AS p
     WHERE p.pronamespace = 'coworking_analytics'::regnamespace
       AND p.proname = ANY (functions)
       AND pg_has_role('pg_database_owner', 'MEMBER')
     UNION ALL
    SELECT format('ALTER FUNCTION %s OWNER TO coworking_analytics_keeper', p.oid::regprocedure)
      FROM pg_proc AS p
     WHERE p.pronamespace = 'coworking_analytics_keeper'::regnamespace
       AND p.proname = ANY (functions)
     UNION ALL
    SELECT 'GRANT USAGE ON SCHEMA public TO coworking_analytics_reader, coworking_analytics_keeper'
     WHERE pg_has_role((SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'public'), 'USAGE')
        OR NOT has_schema_privilege('coworking_analytics_reader', 'public', 'USAGE')
        OR NOT has_schema_privilege('coworking_analytics_keeper', 'public', 'USAGE')
     UNION ALL
    SELECT format('GRANT USAGE ON SCHEMA coworking_analytics TO coworking_analytics_reader, coworking_analytics_keeper, %I', tokens_owner)
     UNION ALL
    SELECT format('GRANT USAGE ON SCHEMA coworking_analytics_keeper TO coworking_analytics_logger, %I', tokens_owner)
     UNION ALL
    -- The owner of tokens can then dump the whole database, our tables included.
    SELECT CASE c.relkind
             WHEN 'r' THEN format('GRANT SELECT ON %1$s TO coworking_analytics_reader, %2$I;'
                                  'GRANT SELECT, INSERT, UPDATE, DELETE ON %1$s TO coworking_analytics_keeper',
                                  c.oid::regclass, tokens_owner)
             WHEN 'S' THEN format('GRANT SELECT ON SEQUENCE %1$s TO coworking_analytics_reader, %2$I;'
                                  'GRANT SELECT, UPDATE ON SEQUENCE %1$s TO coworking_analytics_keeper',
                                  c.oid::regclass, tokens_owner)
           END
      FROM pg_class AS c
     WHERE c.relnamespace = 'coworking_analytics'::regnamespace
       AND (c.relname = ANY (tables)
            OR c.oid IN (SELECT d.objid -- the sequence behind an identity column
                           FROM pg_depend AS d
                           JOIN pg_class AS t ON t.oid = d.refobjid AND t.relnamespace = c.relnamespace AND t.relname = ANY (tables)
                          WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i'))
     UNION ALL
    SELECT format('REVOKE ALL ON FUNCTION %1$s FROM PUBLIC;'
                  'GRANT EXECUTE ON FUNCTION %1$s TO coworking_analytics_reader, coworking_analytics_keeper', p.oid::regprocedure)
      FROM pg_proc AS p
     WHERE p.pronamespace = 'coworking_analytics'::regnamespace
       AND p.proname = ANY (functions)
     UNION ALL
    SELECT format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', p.oid::regprocedure)
      FROM pg_proc AS p
     WHERE p.pronamespace = 'coworking_analytics_keeper'::regnamespace
       AND p.proname = ANY (functions)
     UNION ALL
    SELECT 'GRANT EXECUTE ON FUNCTION coworking_analytics_keeper.maintain(boolean) TO coworking_analytics_logger'
     UNION ALL
    -- The owner of tokens can then restore it with its trigger.
    SELECT format('GRANT EXECUTE ON FUNCTION coworking_analytics_keeper.note_change() TO %I', tokens_owner)
     UNION ALL
    SELECT format('CREATE TRIGGER leave_out_replicated_row BEFORE INSERT OR UPDATE OR DELETE ON %1$s'
                  ' FOR EACH ROW WHEN (current_user <> ''coworking_analytics_keeper'')'
                  ' EXECUTE FUNCTION coworking_analytics_keeper.leave_out_replicated_row();'
                  'ALTER TABLE %1$s ENABLE REPLICA TRIGGER leave_out_replicated_row', c.oid::regclass)
      FROM pg_class AS c
     WHERE c.relnamespace = 'coworking_analytics'::regnamespace
       AND c.relname = ANY (tables)
       AND c.relkind = 'r'
       AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'leave_out_replicated_row')
  LOOP
    EXECUTE statement;
  END LOOP;
END
$body$;
