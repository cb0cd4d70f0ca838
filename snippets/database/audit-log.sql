-- Who changed which row, when, and from what to what?
--
-- PostgreSQL 14 or newer; tried on 15 and 18. Run it once, as the owner of the database, and then
-- for each table that is to be followed, naming columns whose values must not be kept:
--   psql --set ON_ERROR_STOP=1 --single-transaction --file audit-log.sql
--   SELECT audit.follow('account', 'password');
--
-- The program says in each transaction for whom it works:
--   SELECT set_config('app.actor', 'account:42', true);
--
-- Watch out:
-- * The log is as true as its owner: who owns it, or is a superuser, can switch its triggers off.
--   The program should connect as another role, which may not.
-- * actor is what the program says, and who can make it run SQL can say another; role is true.
-- * A column is hidden by its name. Who renames it names it again, in a new trigger, at once.
-- * It holds what people have deleted. Say how long it is kept, and drop what is older: as its
--   owner, and with the trigger off in that transaction. While it lasts, all that would add an
--   entry waits.
-- * Each change costs a second row. Follow the tables that somebody will be asked about.
-- * COPY is followed too. TRUNCATE is not seen row by row, and is noted as one entry.
CREATE SCHEMA audit;

CREATE TABLE audit.entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(), -- what was changed together
    role name NOT NULL DEFAULT session_user,
    actor text, -- NULL if the program has not said for whom it works
    relation text NOT NULL,
    action text NOT NULL,
    old jsonb,
    new jsonb
);
CREATE INDEX entry_of_relation ON audit.entry (relation, at);

-- With its owner's rights: whoever may change a followed table may add an entry in no other way.
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hidden text[] := coalesce(TG_ARGV, '{}'); -- NULL if the trigger has no arguments
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN before := to_jsonb(OLD) - hidden; END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN after := to_jsonb(NEW) - hidden; END IF;
    INSERT INTO audit.entry (actor, relation, action, old, new)
    VALUES (
        nullif(current_setting('app.actor', true), ''),
        format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), TG_OP, before, after
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION audit.follow(relation regclass, VARIADIC hidden text[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    arguments text := (
        SELECT coalesce(string_agg(quote_literal(name), ', '), '') FROM unnest(hidden) AS name
    );
    unknown text := (
        SELECT string_agg(quote_ident(name), ', ') FROM unnest(hidden) AS name WHERE NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = relation AND attname = name AND attnum > 0 AND NOT attisdropped
        )
    );
BEGIN
    IF unknown IS NOT NULL THEN -- else a slip of the pen would keep a secret
        RAISE EXCEPTION '% has no column %', relation, unknown USING ERRCODE = 'undefined_column';
    END IF;
    EXECUTE format(
        'CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON %s '
        'FOR EACH ROW EXECUTE FUNCTION audit.note(%s)', relation, arguments
    );
    EXECUTE format(
        'CREATE TRIGGER audit_truncate AFTER TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION audit.note()', relation
    );
END
$$;

-- What is written stays.
CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit.entry is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.entry
FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

REVOKE ALL ON SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
