-- Which server process answers, and whether our settings are in effect there. The query itself depends on
-- no setting. $1: the settings, one name=value per line; $2: whether to set them for this transaction.
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
