-- Tokens per user, used or not, most first, ties by id. $1: how many, or NULL for all, and one more,
-- which tells whether there are more; $2: the visits,id of the user after whom to begin, or NULL.
SELECT t.user_id, m.joined_at, t.tokens AS visits
  FROM (SELECT u.user_id, u.tokens
          FROM analytics.user_tokens() AS u
         WHERE $2::text IS NULL
            OR u.tokens < split_part($2, ',', 1)::bigint
            OR u.tokens = split_part($2, ',', 1)::bigint AND u.user_id > split_part($2, ',', 2)::bigint
         ORDER BY u.tokens DESC, u.user_id
         LIMIT $1::bigint + 1) AS t -- before the join: few of many are wanted
  LEFT JOIN analytics.members() AS m ON m.user_id = t.user_id
 ORDER BY t.tokens DESC, t.user_id
