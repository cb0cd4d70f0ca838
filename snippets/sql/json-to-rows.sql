-- How does a JSON document become rows?
--
-- PostgreSQL 17 or newer, which has JSON_TABLE. Needs a table event (id, body jsonb); replace the
-- names by yours.
--
-- Watch out:
-- * A path that finds nothing gives NULL, and so does a value of another type. Write
--   ERROR ON ERROR behind a column if a wrong value should end the query.
-- * NESTED PATH is an outer join: an order without lines still has one row.
-- * FOR ORDINALITY numbers the lines from 1, in the order of the array.
SELECT event.id, line.order_id, line.number, line.sku, line.quantity
FROM event
CROSS JOIN JSON_TABLE(
    event.body, '$.orders[*]'
    COLUMNS (
        order_id text PATH '$.id',
        NESTED PATH '$.lines[*]' COLUMNS (
            number FOR ORDINALITY,
            sku text PATH '$.sku',
            quantity int PATH '$.quantity'
        )
    )
) AS line
ORDER BY event.id, line.order_id, line.number;
