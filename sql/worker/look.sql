-- Which process answers, and whether our settings hold in it. Independent of every setting.
-- $1: the settings, name=value, one a line; $2: whether to make them hold until the transaction's end.
SELECT pg_catalog.pg_backend_pid() AS process,
       pg_catalog.bool_and(
         CASE
           WHEN $2::pg_catalog.bool THEN pg_catalog.set_config(setting.name, setting.value, true)
           ELSE pg_catalog.current_setting(setting.name)
         END OPERATOR(pg_catalog.=) setting.value
       ) AS hold
  FROM (
    SELECT pg_catalog.split_part(line, '=', 1) AS name,
           pg_catalog.split_part(line, '=', 2) AS value
      FROM pg_catalog.unnest(pg_catalog.string_to_array($1::pg_catalog.text, E'\n')) AS line
  ) AS setting
 ORDER BY 1
