-- Which statements have cost the most work in this database?
--
-- PostgreSQL 14 or newer, with pg_stat_statements in shared_preload_libraries and
-- CREATE EXTENSION pg_stat_statements in this database.
--
-- Watch out:
-- * The order is by buffers, the number of 8 kB pages that all calls asked for. Unlike a time, this
--   number does not depend on how busy the machine was. Order by total_ms to see which statements
--   took most time.
-- * The sums begin at the last pg_stat_statements_reset(). A server keeps only
--   pg_stat_statements.max statements, and forgets the rarest.
-- * Without the role pg_read_all_stats the text of other roles' statements is hidden.
-- * With pg_stat_statements.track = 'all', work inside a function is counted twice: in the function
--   and in the statement that called it.
SELECT
    calls,
    rows,
    shared_blks_hit + shared_blks_read AS buffers,
    round((shared_blks_hit + shared_blks_read) / greatest(calls, 1)::numeric) AS buffers_a_call,
    round(total_exec_time) AS total_ms,
    query
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY buffers DESC, queryid
LIMIT 10;
