-- Tokens per user, used or not, most first, ties by id. $1: how many users, or NULL for all; one more is
-- returned when there are more. $2: visits,id of the user to start after, or NULL.
SELECT t.user_id,
       (SELECT m.joined_at FROM coworking_analytics.member(t.user_id) AS m) AS joined_at, -- looked up only for the users shown
       t.tokens AS visits
  FROM coworking_analytics.user_tokens() AS t
 WHERE $2::text IS NULL
    OR t.tokens < split_part($2, ',', 1)::bigint
    OR t.tokens = split_part($2, ',', 1)::bigint AND t.user_id > split_part($2, ',', 2)::bigint
 ORDER BY t.tokens DESC, t.user_id
 LIMIT $1::bigint + 1
