-- Prepared under the name coworking_analytics_names and executed: whether the server knows it by
-- that name. Where a pooler keeps track of prepared statements the server knows it by the pooler's.
SELECT EXISTS (
         SELECT
           FROM pg_catalog.pg_prepared_statements AS statement
          WHERE statement.name OPERATOR(pg_catalog.=) 'coworking_analytics_names'
       ) AS passes_through
 ORDER BY 1
