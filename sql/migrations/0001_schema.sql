-- Our schema, and the list of what has been applied. Everyone may read that list: a migration that
-- has nothing to do then needs no rights, and a backup of the whole database by a role that has
-- none of ours does not fail on it.
CREATE SCHEMA IF NOT EXISTS coworking_analytics;
COMMENT ON SCHEMA coworking_analytics IS 'Reports on users and tokens; owned by the analytics service';

CREATE TABLE IF NOT EXISTS coworking_analytics.migrations (
  number integer PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz DEFAULT now() NOT NULL
);

GRANT USAGE ON SCHEMA coworking_analytics TO PUBLIC;
GRANT SELECT ON coworking_analytics.migrations TO PUBLIC;
