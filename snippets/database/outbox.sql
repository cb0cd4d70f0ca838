-- How is a message sent if and only if the transaction that decided on it commits?
--
-- PostgreSQL 14 or newer; tried on 15 and 18. Run it once:
--   psql --set ON_ERROR_STOP=1 --single-transaction --file outbox.sql
-- Write the message in the transaction that it belongs to:
--   INSERT INTO outbox (topic, payload) VALUES ('booking.confirmed', '{"booking": 7}');
-- A relay takes some, sends them, and says which are done:
--   SELECT * FROM outbox_take(100, interval '1 minute');
--   SELECT outbox_done(ARRAY[1, 2, 3]);
--
-- Watch out:
-- * At least once, never exactly once: a relay can die between sending and saying so. Then the
--   message comes again when the time it was lent for is over. Whoever receives it must know its
--   id.
-- * Commit what outbox_take has done before you send: else a transaction stays open while a
--   network is slow, and its rows are locked.
-- * The order is roughly that of writing, and a failed message is overtaken. A receiver that needs
--   an order needs a version in the payload.
-- * Messages that fail stay, with their attempts counted. Look at those with many.
-- * Delete what is done after a while: a table that only grows is an archive.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL CONSTRAINT outbox_topic CHECK (topic ~ '^[a-z0-9_]+(\.[a-z0-9_]+)*$'),
    payload jsonb NOT NULL CONSTRAINT outbox_payload CHECK (jsonb_typeof(payload) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
-- As small as the queue is, however many messages were sent before.
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE done_at IS NULL;

-- Relays that run at once take different messages: each skips what another one has locked.
CREATE FUNCTION outbox_take(most integer, lent_for interval) RETURNS SETOF outbox
LANGUAGE sql AS $$
    UPDATE outbox SET attempts = attempts + 1, due_at = clock_timestamp() + lent_for
    WHERE id = ANY (ARRAY( -- an array is made once; a plan may run what stands in IN more often
        SELECT id FROM outbox
        -- Not clock_timestamp(), with which all that is lent and not due would be read each time.
        WHERE done_at IS NULL AND due_at <= statement_timestamp()
        ORDER BY due_at, id
        LIMIT most
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING *
$$;

CREATE FUNCTION outbox_done(ids bigint[]) RETURNS bigint LANGUAGE sql AS $$
    WITH done AS (
        UPDATE outbox SET done_at = clock_timestamp()
        WHERE id = ANY (ids) AND done_at IS NULL
        RETURNING 1
    )
    SELECT count(*) FROM done
$$;
