-- How is a message sent if and only if the transaction that decided on it commits?
--
-- PostgreSQL 14 or newer; tried on 15 and 18. Run it once:
--   psql --set ON_ERROR_STOP=1 --single-transaction --file outbox.sql
-- Write the message in the transaction that it belongs to:
--   INSERT INTO outbox (topic, payload) VALUES ('booking.confirmed', '{"booking": 7}');
-- A relay takes some messages, sends them, and reports each as done or as failed:
--   SELECT * FROM outbox_take(100, interval '1 minute');
--   SELECT outbox_done(ARRAY[1, 2, 3]);
--   SELECT outbox_failed(4, attempts, 'connection refused');
--
-- Watch out:
-- * A message is handed to a relay at least once, and never exactly once. A relay can die after it
--   has sent a message and before it has reported that. Then another relay sends the message again
--   when the lease (lent_for) is over. So receivers must remember the ids that they have processed.
-- * "Sent" ends where the relay gets its answer. If the receiver is a broker that keeps messages in
--   memory, such as Valkey or Redis, it can still lose them. Then look for work that is overdue,
--   and send it again.
-- * Make the lease longer than a relay needs for one batch. A relay that is slower can still call
--   outbox_done: the message was sent, perhaps twice.
-- * Commit after outbox_take and before you send. Otherwise a transaction stays open while a
--   network is slow, and its rows stay locked.
-- * The order is roughly that of writing, and other messages overtake a failed one. A receiver that
--   needs an order needs a version in the payload.
-- * A message that fails comes again after a pause that doubles, from five seconds to an hour, for
--   ever. Alert on messages with many attempts; last_error says why they failed.
-- * Delete old messages that are done. Otherwise the table grows without end.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL CONSTRAINT outbox_topic CHECK (topic ~ '^[a-z0-9_]+(\.[a-z0-9_]+)*$'),
    payload jsonb NOT NULL CONSTRAINT outbox_payload CHECK (jsonb_typeof(payload) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    done_at timestamptz
);
-- This index has only the messages that are not done, so it stays as small as the queue.
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE done_at IS NULL;

-- Relays that run at once take different messages: each relay skips rows that another has locked.
CREATE FUNCTION outbox_take(most integer, lent_for interval) RETURNS SETOF outbox
LANGUAGE sql AS $$
    UPDATE outbox SET attempts = attempts + 1, due_at = clock_timestamp() + lent_for
    WHERE id = ANY (ARRAY( -- PostgreSQL makes an array once; it may run a query in IN more often
        SELECT id FROM outbox
        -- Not clock_timestamp(): with it, every lent message would be read each time.
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

-- Says that a message was not sent. It comes again after a random pause of up to 5 s, 10 s, 20 s …,
-- at most an hour. attempt is what outbox_take returned: once another relay has the message, a
-- relay whose lease is over changes nothing.
CREATE FUNCTION outbox_failed(message bigint, attempt integer, error text) RETURNS boolean
LANGUAGE sql AS $$
    WITH failed AS (
        UPDATE outbox SET
            last_error = error,
            due_at = clock_timestamp()
                + least(interval '5 seconds' * 2 ^ least(attempt - 1, 20), interval '1 hour')
                * (0.5 + random() / 2)
        WHERE id = message AND attempts = attempt AND done_at IS NULL
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM failed)
$$;
