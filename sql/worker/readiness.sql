-- Whether the coworking service's tables are there. Looks at the catalog alone: costs the same
-- whatever they hold, and never waits for a lock on them.
SELECT 'ready' AS readiness
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public'
   AND c.relname IN ('users', 'tokens')
HAVING count(*) = 2
 ORDER BY 1
