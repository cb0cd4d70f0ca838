-- Who changed which row, when, and from what to what?
--
-- PostgreSQL 14 or newer; tried on 15 and 18. Run it once, as the owner of the database. Then name
-- each table to follow, with the columns whose values must not be stored:
--   psql --set ON_ERROR_STOP=1 --single-transaction --file audit-log.sql
--   SELECT audit.follow('account', 'password');
--
-- In each transaction, the program sets the user for whom it works:
--   SELECT set_config('app.actor', 'account:42', true);
--
-- The history of one row, by an index:
--   SELECT * FROM audit.entry WHERE relation = 'public.account' AND key = '{"id": 42}' ORDER BY at;
--
-- Watch out:
-- * The log's owner and superusers can switch its triggers off. So the program should connect as
--   another role, which may not.
-- * actor is only what the program says, and an SQL injection can say something else. role is true.
-- * key is the row's primary key before the change. If a change gives a row another key, its later
--   entries are under the new key. A table without a primary key has no key in the log, and each
--   question reads all entries of that table.
-- * The columns of the key and the hidden columns are stored by their names. If you rename one,
--   drop both triggers and call audit.follow again in the same transaction.
-- * An UPDATE that changes nothing is not noted.
-- * The log still has what people have deleted. Decide how long you keep entries, and delete older
--   ones as the owner, with the trigger off in that transaction. Until it ends, all changes to
--   followed tables wait.
-- * Each change costs a second row. Follow only tables about which you will be asked.
-- * COPY is followed too. TRUNCATE is noted as one entry, without its rows.
CREATE SCHEMA audit;

CREATE TABLE audit.entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(), -- what was changed together
    role name NOT NULL DEFAULT session_user,
    actor text, -- NULL if the program has not set it
    relation text NOT NULL,
    key jsonb, -- the row's primary key, such as {"id": 42}
    action text NOT NULL,
    old jsonb,
    new jsonb
);
CREATE INDEX entry_of_relation ON audit.entry (relation, at);
CREATE INDEX entry_of_row ON audit.entry (relation, key, at);

-- It runs with its owner's rights. A role that may change a followed table can add an entry only by
-- such a change. Its arguments are the columns of the key, as an array, and then the hidden
-- columns.
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hidden text[] := coalesce(TG_ARGV[1:], '{}');
    before jsonb;
    after jsonb;
    key jsonb;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD *= NEW THEN RETURN NULL; END IF; -- equal, byte by byte
    IF TG_OP IN ('UPDATE', 'DELETE') THEN before := to_jsonb(OLD); END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN after := to_jsonb(NEW); END IF;
    IF TG_LEVEL = 'ROW' THEN
        SELECT jsonb_object_agg(name, coalesce(before, after) -> name) INTO key
        FROM unnest(TG_ARGV[0]::text[]) AS name;
    END IF;
    INSERT INTO audit.entry (actor, relation, key, action, old, new)
    VALUES (
        nullif(current_setting('app.actor', true), ''),
        format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), key, TG_OP, before - hidden, after - hidden
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION audit.follow(relation regclass, VARIADIC hidden text[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    keys text[] := ARRAY(
        SELECT attname FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = relation AND indisprimary
    );
    arguments text := (
        SELECT string_agg(quote_literal(argument), ', ' ORDER BY place)
        FROM unnest(keys::text || hidden) WITH ORDINALITY AS given (argument, place)
    );
    unknown text := (
        SELECT string_agg(quote_ident(name), ', ') FROM unnest(hidden) AS name WHERE NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = relation AND attname = name AND attnum > 0 AND NOT attisdropped
        )
    );
BEGIN
    IF unknown IS NOT NULL THEN -- otherwise a typing error would store a secret
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

-- Entries are never changed.
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
