-- What further reports read of users. That grows with users, not with tokens, and needs no rollup.
-- Two functions, so that only what shows is_active needs that column.
CREATE OR REPLACE FUNCTION analytics.members()
RETURNS TABLE (user_id bigint, joined_at timestamp)
LANGUAGE sql STABLE
AS $body$
  SELECT u.id::bigint, u.joined_at::timestamp
    FROM public.users AS u
$body$;

COMMENT ON FUNCTION analytics.members() IS 'Users, and when they joined';

CREATE OR REPLACE FUNCTION analytics.member_states()
RETURNS TABLE (joined_at timestamp, is_active boolean)
LANGUAGE sql STABLE
AS $body$
  SELECT u.joined_at::timestamp, u.is_active::boolean
    FROM public.users AS u
$body$;

COMMENT ON FUNCTION analytics.member_states() IS 'When users joined, and whether they are active';

\ir 0003_rights.sql
