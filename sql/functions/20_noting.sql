-- Noting: the trigger on tokens, and what keeps replicated rows out of our own tables.

-- Whether the columns that rollups need have types that they can follow.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.are_known(id regtype, user_id regtype, created_at regtype, used_at regtype)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT id = ANY ('{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8}'::pg_catalog.regtype[])
         AND user_id = ANY ('{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8}'::pg_catalog.regtype[])
         AND created_at = 'pg_catalog.timestamp'::pg_catalog.regtype
         AND used_at = 'pg_catalog.timestamp'::pg_catalog.regtype
$body$;

-- Notes the old and the new version of a token that is below noted_to. A write must never fail because
-- of this trigger, whatever has become of the columns:
--  * A column is missing: what reads it fails inside a block of its own. That block writes nothing, so
--    its subtransaction gets no transaction id and costs nobody else anything.
--  * A column has another type: a cast from it could be somebody else's code, which would run with our
--    rights. So nothing is cast; concat() runs only the type's output function.
--  * A column had another type when this session planned the function: the plan then fails for as long
--    as the session lasts. EXECUTE reads the columns as they are now.
-- In the first two cases the table is not what basis() asks for, so reports do not read the rollups.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.note_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
AS $body$
DECLARE
  are_known boolean;
  old_id bigint;
  old_user_id bigint;
  old_created_at timestamp;
  old_used_at timestamp;
  new_id bigint;
  new_user_id bigint;
  new_created_at timestamp;
  new_used_at timestamp;
BEGIN
  BEGIN
    IF pg_catalog.concat(least(OLD.id, NEW.id))::bigint >= pg_catalog.pg_sequence_last_value('coworking_analytics.noted_to') THEN
      RETURN NULL;
    END IF;
    IF NOT coworking_analytics_keeper.are_known(pg_catalog.pg_typeof(OLD.id), pg_catalog.pg_typeof(OLD.user_id),
                                                pg_catalog.pg_typeof(OLD.created_at), pg_catalog.pg_typeof(OLD.used_at)) THEN
      RETURN NULL;
    END IF;
    old_id := OLD.id;
    old_user_id := OLD.user_id;
    old_created_at := OLD.created_at;
    old_used_at := OLD.used_at;
    new_id := NEW.id;
    new_user_id := NEW.user_id;
    new_created_at := NEW.created_at;
    new_used_at := NEW.used_at;
  EXCEPTION
    WHEN OTHERS THEN
      BEGIN
        EXECUTE 'SELECT coworking_analytics_keeper.are_known('
                '         pg_catalog.pg_typeof(($1).id), pg_catalog.pg_typeof(($1).user_id),'
                '         pg_catalog.pg_typeof(($1).created_at), pg_catalog.pg_typeof(($1).used_at))'
           INTO are_known
          USING OLD;
        IF NOT are_known THEN
          RETURN NULL;
        END IF;
        EXECUTE 'SELECT ($1).id, ($1).user_id, ($1).created_at, ($1).used_at,'
                '       ($2).id, ($2).user_id, ($2).created_at, ($2).used_at'
           INTO old_id, old_user_id, old_created_at, old_used_at, new_id, new_user_id, new_created_at, new_used_at
          USING OLD, NEW;
      EXCEPTION
        WHEN insufficient_resources OR program_limit_exceeded THEN
          RAISE; -- as the write itself would
        WHEN OTHERS THEN
          RETURN NULL;
      END;
  END;
  INSERT INTO coworking_analytics.token_changes (relation, change, id, user_id, created_at, used_at)
  SELECT TG_RELID, c.*
    FROM (VALUES (-1, old_id, old_user_id, old_created_at, old_used_at),
                 (1, new_id, new_user_id, new_created_at, new_used_at)) AS c (change, id)
   WHERE c.id < coalesce(pg_catalog.pg_sequence_last_value('coworking_analytics.noted_to'), 9223372036854775807);
  RETURN NULL;
END
$body$;

-- A publication of all tables also publishes ours. A subscriber has rollups of its own, made from its own
-- tokens, so it leaves out the publisher's: this trigger fires for replicated rows alone. It lets the
-- keeper's rows pass, which note_change() writes while a replicated token is applied.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.leave_out_replicated_row()
RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
  RETURN NULL;
END
$body$;

DO $body$
DECLARE
  ours name;
BEGIN
  FOR ours IN SELECT c.relname
                FROM pg_catalog.pg_class AS c
               WHERE c.relnamespace = 'coworking_analytics'::regnamespace
                 AND c.relkind = 'r'
                 AND c.relname IN ('token_changes', 'rollup_state', 'daily_tokens', 'hourly_visits', 'user_tokens', 'inspections')
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = 'leave_out_replicated_row')
  LOOP
    EXECUTE format('CREATE TRIGGER leave_out_replicated_row BEFORE INSERT OR UPDATE OR DELETE ON coworking_analytics.%I'
                   ' FOR EACH ROW WHEN (current_user <> ''coworking_analytics_keeper'')'
                   ' EXECUTE FUNCTION coworking_analytics_keeper.leave_out_replicated_row()', ours);
    EXECUTE format('ALTER TABLE coworking_analytics.%I ENABLE REPLICA TRIGGER leave_out_replicated_row', ours);
  END LOOP;
END
$body$;
