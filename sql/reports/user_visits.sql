-- Tokens per user, used or not; users without tokens are left out.
SELECT user_id, joined_at, visits
  FROM analytics.user_visits()
 ORDER BY user_id
