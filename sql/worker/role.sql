-- What the role of a worker has and does not need, a sentence a row. Needs no rights.
SELECT 'DB_USERNAME is a superuser: reports need only a role that owns nothing' AS finding
  FROM pg_catalog.pg_roles AS r
 WHERE r.rolname OPERATOR(pg_catalog.=) current_user
   AND r.rolsuper
 UNION ALL
SELECT pg_catalog.format('DB_USERNAME has the rights of the owner of public.%s: reports need only a role that owns nothing',
                         c.relname)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_roles AS r ON r.rolname OPERATOR(pg_catalog.=) current_user AND NOT r.rolsuper
 WHERE n.nspname OPERATOR(pg_catalog.=) 'public'
   AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY['users', 'tokens'])
   AND pg_catalog.pg_has_role(current_user, c.relowner, 'MEMBER')
 ORDER BY 1
