-- The two tables as the coworking service creates them. Only for the private database and the tests: in a
-- real deployment they already exist.
CREATE TABLE users (
  id serial PRIMARY KEY,
  first_name varchar(50) NOT NULL,
  last_name varchar(50) NOT NULL,
  joined_at timestamp NOT NULL,
  is_active boolean DEFAULT true NOT NULL
);
CREATE INDEX users_is_active_idx ON users (is_active);

CREATE TABLE tokens (
  id serial PRIMARY KEY,
  user_id integer NOT NULL REFERENCES users,
  token varchar(6) NOT NULL,
  created_at timestamp DEFAULT now() NOT NULL,
  used_at timestamp
);
CREATE INDEX tokens_user_id_token_used_at_idx ON tokens (user_id, token, used_at);
