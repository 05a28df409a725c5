-- Whether the server knows this statement by the name it was prepared under, coworking_analytics_names. A
-- pooler that tracks prepared statements replaces the name by its own.
SELECT EXISTS (
         SELECT
           FROM pg_catalog.pg_prepared_statements AS statement
          WHERE statement.name OPERATOR(pg_catalog.=) 'coworking_analytics_names'
       ) AS passes_through
 ORDER BY 1
