-- Who is waiting for a lock, and for whom?
--
-- PostgreSQL 14 or newer. Without the role pg_read_all_stats you see the text and the state of your
-- own sessions only.
--
-- Watch out:
-- * A blocker that is "idle in transaction" runs nothing: its application has not committed.
--   blocker_query is then only the last statement that it ran.
-- * A blocker may itself wait. End the session that is not blocked.
-- * pg_cancel_backend(pid) ends a statement, and pg_terminate_backend(pid) ends a session. A
--   session that is idle in transaction keeps its locks until you terminate it.
-- * A session that only queues ahead for the same lock is listed as a blocker too.
-- * blocker_pid 0 is a prepared transaction: see pg_prepared_xacts.
SELECT
    blocked.pid AS blocked_pid,
    blocked.usename AS blocked_role,
    now() - waiting.since AS waiting_for,
    blocked.query AS blocked_query,
    blocker_pid,
    blocker.usename AS blocker_role,
    blocker.state AS blocker_state,
    now() - blocker.xact_start AS blocker_transaction_age,
    blocker.query AS blocker_query
FROM pg_stat_activity AS blocked
CROSS JOIN LATERAL unnest(pg_blocking_pids(blocked.pid)) AS blocker_pid
LEFT JOIN pg_stat_activity AS blocker ON blocker.pid = blocker_pid
LEFT JOIN LATERAL (
    SELECT min(waitstart) AS since FROM pg_locks WHERE pid = blocked.pid AND NOT granted
) AS waiting ON true
ORDER BY waiting_for DESC NULLS LAST, blocked_pid, blocker_pid;
