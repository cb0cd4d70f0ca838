-- Which places fit what somebody has typed, the best first, also with a typing error?
--
-- PostgreSQL 14 or newer, with CREATE EXTENSION pg_trgm. Needs a table place (id, name, description).
-- Replace the names by yours, and the parameter search.words by your driver's.
--
-- Watch out:
-- * The first kind of match compares words in their basic form, so 'houses' finds 'house'. The second
--   one compares groups of three letters of the name, so 'cabbin' finds 'Cabin'.
-- * Without indexes both kinds read the whole table. Create them, and write the same expressions:
--   CREATE INDEX ON place USING gin
--       ((to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, ''))));
--   CREATE INDEX ON place USING gin (name gin_trgm_ops);
-- * The two scores cannot be compared with each other. So words come first, and then similar names.
SELECT id, name, by_words, round(likeness::numeric, 2) AS likeness
FROM (
    SELECT
        id,
        name,
        to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, ''))
            @@ websearch_to_tsquery('english', current_setting('search.words')) AS by_words,
        ts_rank_cd(
            to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, '')),
            websearch_to_tsquery('english', current_setting('search.words'))
        ) AS rank,
        similarity(name, current_setting('search.words')) AS likeness
    FROM place
    WHERE to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, ''))
            @@ websearch_to_tsquery('english', current_setting('search.words'))
        OR name % current_setting('search.words')
) AS found
ORDER BY by_words DESC, rank DESC, likeness DESC, id
LIMIT 20;
