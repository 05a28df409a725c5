-- Reads the state of the database into psql variables. Reads only the catalog, which everyone may.
--   has_tables: the coworking service's tables exist
--   is_ours: our schema exists, and its comment begins with the mark
--   is_foreign: a schema with one of our names belongs to somebody else
--   note: what the schema's comment records; applied: the part with the migrations and their checksums
--   is_newer: a later release has applied a migration that this one does not know. This release then leaves
--     the later one's functions, rights and list of migrations alone
--   functions_are_current: functions and rights are those of this release, and nobody has changed them
--   rollups_are_noted, rights_are_current, trigger_is_current, roles_are_current, is_moved: whether the other
--     parts of the migration have nothing to do; is_moved: schema analytics, of before the first release, is gone
WITH ours AS (
  SELECT n.oid AS schema, k.oid AS keeper_schema,
         split_part(obj_description(n.oid, 'pg_namespace'), E'\n', 1) = :'mark' AS is_marked,
         coalesce(nullif(split_part(obj_description(n.oid, 'pg_namespace'), E'\n', 2), '')::jsonb, '{}') AS note
    FROM (SELECT) AS one
    LEFT JOIN pg_namespace AS n ON n.nspname = 'coworking_analytics'
    LEFT JOIN pg_namespace AS k ON k.nspname = 'coworking_analytics_keeper'
), objects AS (
  SELECT concat_ws(' ', n.nspname, n.nspacl, CASE WHEN n.oid = ours.keeper_schema THEN n.nspowner::regrole END) AS text
    FROM pg_namespace AS n
    JOIN ours ON n.oid IN (ours.schema, ours.keeper_schema)
  UNION ALL
  SELECT concat_ws(' ', c.relname, c.relkind, c.relacl)
    FROM pg_class AS c
    JOIN ours ON c.relnamespace = ours.schema
   WHERE c.relname = ANY (string_to_array(:'tables', ' '))
  UNION ALL
  SELECT concat_ws(' ', p.pronamespace = ours.schema, p.proname, pg_get_function_identity_arguments(p.oid), p.prosrc,
                   p.prosecdef, p.provolatile, p.proconfig, p.proacl,
                   CASE WHEN p.pronamespace = ours.keeper_schema THEN p.proowner::regrole END)
    FROM pg_proc AS p
    JOIN ours ON p.pronamespace IN (ours.schema, ours.keeper_schema)
   WHERE p.proname = ANY (string_to_array(:'functions', ' '))
  UNION ALL
  SELECT pg_get_userbyid(c.relowner) -- whose rights depend on it
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE n.nspname = 'public' AND c.relname = 'tokens'
), fingerprint AS (
  SELECT md5(string_agg(o.text, E'\n' ORDER BY o.text)) AS fingerprint FROM objects AS o
), tables AS (
  SELECT c.oid, c.relname, c.relkind, c.relowner
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE n.nspname = 'public' AND c.relname IN ('users', 'tokens')
), triggers AS (
  SELECT g.tgrelid, g.tgenabled = 'A' AND g.tgname = 'coworking_analytics_change' AS is_right
    FROM pg_trigger AS g
    JOIN pg_proc AS p ON p.oid = g.tgfoid
    JOIN ours ON p.pronamespace = ours.keeper_schema
   WHERE p.proname = 'note_change'
)
SELECT (SELECT count(*) = 2 FROM tables) AS has_tables,
       coalesce(ours.is_marked, false) AS is_ours,
       ours.schema IS NOT NULL AND NOT coalesce(ours.is_marked, false)
       OR ours.keeper_schema IS NOT NULL
          AND obj_description(ours.keeper_schema, 'pg_namespace') IS DISTINCT FROM :'mark'
         AS is_foreign,
       coalesce(ours.note -> 'migrations', '{}') AS applied,
       ours.note,
       later.is_newer,
       later.is_newer
       OR ours.note ->> 'functions' IS NOT DISTINCT FROM :'functions_checksum'
       AND ours.note ->> 'fingerprint' IS NOT DISTINCT FROM fingerprint.fingerprint AS functions_are_current,
       ours.note ->> 'rollups' IS NOT DISTINCT FROM :'rollups' AS rollups_are_noted,
       fingerprint.fingerprint,
       NOT EXISTS (SELECT
                     FROM (VALUES ('users', 'id', 'reader'), ('users', 'joined_at', 'reader'), ('users', 'is_active', 'reader'),
                                  ('tokens', 'id', 'reader'), ('tokens', 'user_id', 'reader'), ('tokens', 'created_at', 'reader'),
                                  ('tokens', 'used_at', 'reader'),
                                  ('tokens', 'id', 'keeper'), ('tokens', 'user_id', 'keeper'), ('tokens', 'created_at', 'keeper'),
                                  ('tokens', 'used_at', 'keeper')) AS w (relation, attribute, role)
                     JOIN tables ON tables.relname = w.relation
                     JOIN pg_attribute AS a ON a.attrelid = tables.oid AND a.attname = w.attribute
                     LEFT JOIN pg_roles AS r ON r.rolname = 'coworking_analytics_' || w.role
                    WHERE r.oid IS NULL
                       OR NOT has_column_privilege(r.oid, a.attrelid, a.attnum, 'SELECT')
                       OR NOT has_schema_privilege(r.oid, 'public', 'USAGE')) AS rights_are_current,
       CASE
         WHEN (SELECT relkind FROM tables WHERE relname = 'tokens') <> 'r' THEN true -- rollups do not support it
         WHEN :'rollups' = 'on'
           THEN (SELECT count(*) = 1 AND bool_and(is_right) FROM triggers WHERE tgrelid = (SELECT oid FROM tables WHERE relname = 'tokens'))
         ELSE NOT EXISTS (SELECT FROM triggers)
       END AS trigger_is_current,
       NOT EXISTS (SELECT
                     FROM (VALUES (:'worker', 'reader'), (:'logger', 'reader'), (:'logger', 'logger')) AS m (login, role)
                     LEFT JOIN pg_roles AS l ON l.rolname = m.login
                     LEFT JOIN pg_roles AS r ON r.rolname = 'coworking_analytics_' || m.role
                    WHERE l.oid IS NULL OR r.oid IS NULL OR NOT pg_has_role(l.oid, r.oid, 'USAGE'))
       AND NOT EXISTS (SELECT
                         FROM (VALUES (:'worker', :'worker_settings'), (:'logger', :'logger_settings')) AS s (login, settings)
                         JOIN pg_roles AS l ON l.rolname = s.login AND starts_with(l.rolname, 'coworking_analytics_') AND NOT l.rolsuper
                        CROSS JOIN string_to_table(s.settings, E'\n') AS setting
                        WHERE setting <> ''
                          AND NOT EXISTS (SELECT FROM pg_db_role_setting AS d
                                           WHERE d.setrole = l.oid AND d.setdatabase = 0 AND setting = ANY (d.setconfig)))
         AS roles_are_current,
       NOT EXISTS (SELECT FROM pg_namespace AS n
                    WHERE n.nspname = 'analytics'
                      AND obj_description(n.oid, 'pg_namespace') = 'Reports on users and tokens; owned by the analytics service')
         AS is_moved
  FROM ours
 CROSS JOIN fingerprint
 CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM jsonb_object_keys(ours.note -> 'migrations') AS name
                                     WHERE NOT :'migrations'::jsonb ? name) AS is_newer) AS later
\gset
