-- The tables of the rollups. sql/README.md shows how they fit together.
-- Each has a primary key, without which a publication of all tables would refuse its updates.
CREATE TABLE coworking_analytics.token_changes (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation oid NOT NULL,
  change smallint NOT NULL,
  id bigint NOT NULL,
  user_id bigint,
  created_at timestamp,
  used_at timestamp
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);

COMMENT ON TABLE coworking_analytics.token_changes IS
  'Tokens below noted_to that came (1) or went (-1), not folded yet; relation is the table they were in';

-- Writers note what they do to tokens below this id. A sequence, because they have to see its value at
-- once, whatever their snapshot is. While it has no value, they note everything.
CREATE SEQUENCE coworking_analytics.noted_to AS bigint
  MINVALUE -9223372036854775808 MAXVALUE 9223372036854775807 START 9223372036854775807;

CREATE TABLE coworking_analytics.rollup_state (
  is_only_row boolean DEFAULT true PRIMARY KEY CHECK (is_only_row),
  relation oid NOT NULL,
  file oid NOT NULL,
  columns text[] NOT NULL,
  trigger text NOT NULL,
  is_complete boolean NOT NULL,
  rebuild_to bigint NOT NULL,
  folded_to bigint NOT NULL,
  noted_to bigint NOT NULL,
  noted_since xid8
);

COMMENT ON TABLE coworking_analytics.rollup_state IS
  'One row: the basis that the rollups were made on; whether their rebuild is complete, and to which id it goes; '
  'the id that they end at; noted_to, and the transaction from which on every writer has seen it';

CREATE TABLE coworking_analytics.daily_tokens (
  date date PRIMARY KEY,
  requested integer NOT NULL,
  used integer NOT NULL,
  used_before_request integer NOT NULL,
  within_5_minutes integer NOT NULL,
  within_15_minutes integer NOT NULL,
  within_60_minutes integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE coworking_analytics.hourly_visits (
  hour timestamp PRIMARY KEY,
  visits integer NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE coworking_analytics.user_tokens (
  user_id bigint PRIMARY KEY,
  tokens integer NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE coworking_analytics.inspections (
  started_at timestamptz DEFAULT clock_timestamp() PRIMARY KEY,
  finished_at timestamptz,
  drift bigint
);

COMMENT ON TABLE coworking_analytics.inspections IS
  'When the rollups were compared with tokens or made anew, and how many of their rows differed';
