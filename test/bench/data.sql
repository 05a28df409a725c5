-- The coworking service's tables, filled with the same rows every time: psql -v users=U -v tokens=T.
-- The tokens are spread evenly over the users and, in order of their ids, over 1,000 days; of eight
-- tokens seven are used. Triggers and foreign keys are off: the rows are right by construction.
SET session_replication_role = replica;

DROP INDEX tokens_user_id_token_used_at_idx;

INSERT INTO users (first_name, last_name, joined_at)
SELECT 'Ada', 'Berg', timestamp '2020-01-01' + n * interval '90.000001 s'
  FROM generate_series(1, :users) AS n
 ORDER BY n;

INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT 1 + n * 7919 % :users, -- a prime: no two of any :users tokens in a row are of one user
       lpad((n * 7919 % 1000000)::text, 6, '0'),
       created_at,
       CASE WHEN n % 8 > 0 THEN created_at + n % 97 * interval '1 minute' END
  FROM generate_series(0::bigint, :tokens - 1) AS n
 CROSS JOIN LATERAL (SELECT timestamp '2023-01-01' + n * (interval '1000 days' / :tokens)) AS c (created_at)
 ORDER BY n;

CREATE INDEX tokens_user_id_token_used_at_idx ON tokens (user_id, token, used_at);
