-- Creates the roles. All databases of a server share them, and another may be migrating at the same time.
--   coworking_analytics_reader: may run the reports, and read the columns that they need
--   coworking_analytics_logger: may call maintain()
--   coworking_analytics_keeper: owns the functions that run with more rights than their caller, and no table
DO $body$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('CREATE ROLE %I NOLOGIN', w.role)
      FROM unnest(ARRAY['coworking_analytics_reader', 'coworking_analytics_logger', 'coworking_analytics_keeper']) AS w (role)
     WHERE NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = w.role)
  LOOP
    BEGIN
      EXECUTE statement;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
  END LOOP;
END
$body$;
