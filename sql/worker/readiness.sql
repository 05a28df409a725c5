-- Whether the coworking service's tables are there. Looks at the catalog alone: costs the same
-- whatever they hold, and never waits for a lock on them.
SELECT 'ready' AS readiness
 WHERE to_regclass('public.users') IS NOT NULL
   AND to_regclass('public.tokens') IS NOT NULL
 ORDER BY 1
