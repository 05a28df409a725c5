-- Tokens per user, used or not, by id; users without tokens are left out. $1: how many users, or NULL for
-- all; one more is returned when there are more. $2: the user to start after, or NULL.
SELECT v.user_id, v.joined_at, v.visits
  FROM coworking_analytics.user_visits_after(coalesce($2::bigint, -9223372036854775808)) AS v
 ORDER BY v.user_id
 LIMIT $1::bigint + 1
