-- Noting: the trigger on tokens, and the trigger that keeps replicated rows out of our own tables.

-- Whether the columns that the rollups read have types that they support.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.are_known(id pg_catalog.regtype, user_id pg_catalog.regtype,
                                                                created_at pg_catalog.regtype, used_at pg_catalog.regtype)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $body$
  SELECT id OPERATOR(pg_catalog.=) ANY ('{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8}'::pg_catalog.regtype[])
         AND user_id OPERATOR(pg_catalog.=) ANY ('{pg_catalog.int2,pg_catalog.int4,pg_catalog.int8}'::pg_catalog.regtype[])
         AND created_at OPERATOR(pg_catalog.=) 'pg_catalog.timestamp'::pg_catalog.regtype
         AND used_at OPERATOR(pg_catalog.=) 'pg_catalog.timestamp'::pg_catalog.regtype
$body$;

-- Notes the old and the new version of a token whose id is below noted_to. A write must never fail because
-- of this trigger, whatever happens to the columns:
--  * A column is missing: the block that reads it fails and is caught. It writes nothing, so its
--    subtransaction gets no transaction id and has no cost for others.
--  * A column has another type: a cast from it could be code of somebody else, which would run with our
--    rights. So nothing is cast; concat() runs only the type's output function.
--  * A column had another type when this session planned the function: the plan then fails until the
--    session ends. EXECUTE reads the columns as they are now.
-- In the first two cases the table does not meet the conditions of basis(), so reports do not read the rollups.
--
-- Each change is noted once, as the row was written: AFTER triggers see what BEFORE triggers and rules made
-- of a row, and statements inside other triggers fire this one as well. The owner of tokens may put further
-- triggers with this function on the table; only the one with our name notes, since a table has one of a name.
--
-- The function runs with the writer's search_path: SET search_path = '' would make it half as expensive again
-- for a write that needs no note. So every name, operators included, is qualified with its schema. NULLIF, IN,
-- BETWEEN, IS DISTINCT FROM and CASE with an operand must not be used: they find their operator by search_path.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.note_change()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
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
    IF pg_catalog.concat(least(OLD.id, NEW.id))::bigint
       OPERATOR(pg_catalog.>=) pg_catalog.pg_sequence_last_value('coworking_analytics.noted_to') THEN
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
  IF TG_NAME OPERATOR(pg_catalog.<>) 'coworking_analytics_change' THEN
    RETURN NULL;
  END IF;
  INSERT INTO coworking_analytics.token_changes (relation, change, id, user_id, created_at, used_at)
  SELECT TG_RELID, c.*
    FROM (VALUES (-1, old_id, old_user_id, old_created_at, old_used_at),
                 (1, new_id, new_user_id, new_created_at, new_used_at)) AS c (change, id)
   WHERE c.id OPERATOR(pg_catalog.<) coalesce(pg_catalog.pg_sequence_last_value('coworking_analytics.noted_to'), 9223372036854775807);
  RETURN NULL;
END
$body$;

-- A publication of all tables also publishes ours. A subscriber builds rollups of its own from the tokens
-- it receives, and discards the publisher's rows for our tables: install/rights.sql gives each of them this
-- trigger, which fires for replicated rows only. It lets the keeper's rows through: note_change() writes
-- them while a replicated token is applied.
CREATE OR REPLACE FUNCTION coworking_analytics_keeper.leave_out_replicated_row()
RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
  RETURN NULL;
END
$body$;
