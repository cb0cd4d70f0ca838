-- Which page views belong to one visit?
--
-- PostgreSQL 14 or newer. Needs a table page_view (visitor, at timestamptz); replace the names by yours.
--
-- Watch out:
-- * A visit ends after 30 minutes without a page view. That is a convention and no law of nature.
-- * Two page views at one moment belong to the same visit, in whatever order they come.
-- * If you cut the table by a date, the first visit after the cut may be the rest of a longer one.
-- * An index on (visitor, at) saves the sort.
WITH marked AS (
    SELECT
        visitor,
        at,
        -- True for the first page view of a visitor, too, whose lag is null.
        coalesce(
            at - lag(at) OVER (PARTITION BY visitor ORDER BY at) > interval '30 minutes', true
        ) AS begins
    FROM page_view
),
numbered AS (
    SELECT
        visitor,
        at,
        count(*) FILTER (WHERE begins) OVER (
            PARTITION BY visitor ORDER BY at ROWS UNBOUNDED PRECEDING
        ) AS visit
    FROM marked
)
SELECT visitor, visit, min(at) AS began, max(at) AS ended, count(*) AS pages
FROM numbered
GROUP BY visitor, visit
ORDER BY visitor, visit;
