-- Returns a row when this database has been migrated. Needs no rights.
SELECT 'migrated' AS state
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname = 'coworking_analytics_keeper'
   AND p.proname = 'maintain'
 ORDER BY 1
