-- For pgbench: a token is requested, then used, as the coworking service writes it, in two transactions.
\set user_id random(1, :users)
INSERT INTO tokens (user_id, token) VALUES (:user_id, '123456') RETURNING id \gset
UPDATE tokens SET used_at = now() WHERE id = :id;
