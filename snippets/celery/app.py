"""How is a Celery app set up so that a worker may die at any moment and no task is lost?

Celery 5.5 or newer with Valkey or Redis as its broker; Python 3.11 or newer. Start a worker with
`BROKER_URL=redis://127.0.0.1:6379/0 celery --app app worker --loglevel INFO` in this folder.

What it does:
* Messages are JSON, and nothing else is accepted.
* A task is acknowledged when it is done. What a dead process or a dead machine had begun is run
  again.
* Every task has an end. What fails for a moment is tried again, later each time, and not by all
  at the same second. What fails for good is logged as an error by `given_up`.

Watch out:
* "Run again" means that every task runs twice one day. Make each idempotent: a unique key for
  what must happen once, or a condition in the statement that does it. `charge` shows it.
* visibility_timeout is how long the work of a dead machine waits, and must be longer than every
  task and every pause before a retry. A task that takes longer is run twice at the same time.
* A task that kills its process (out of memory) comes back for ever. From Celery 5.7 on,
  task_retry_on_worker_lost bounds that by max_retries; older versions ignore it.
* Send a task after the commit: in Django `charge.delay_on_commit(…)`, elsewhere when the
  transaction's block has ended. A process can still die between the two. If a lost task is too
  expensive, write it into a table in that transaction, and let a periodic task send what is there.
* Stop workers with SIGTERM: they finish what they have begun and put back the rest.
* Time limits need the default pool, processes. Run one beat, and one only.
"""

import logging
import os
import sqlite3
from contextlib import closing

from celery import Celery, Task
from celery.signals import task_failure

logger = logging.getLogger(__name__)

MINUTES = 60

app = Celery("app", broker=os.environ["BROKER_URL"])
app.conf.update(
    # JSON only: whoever can write to the broker could run code by a pickle.
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,  # a result is a key in the broker for a day; keep those you read
    # Acknowledge after the work, and run again what its process did not survive.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_retry_on_worker_lost=True,  # Celery 5.7: the same, but not for ever
    worker_prefetch_multiplier=1,  # nobody sits on messages that another worker could do
    worker_cancel_long_running_tasks_on_connection_loss=True,  # they will be delivered again
    # An end for each task; the soft one can be caught, to tidy up.
    task_soft_time_limit=4 * MINUTES,
    task_time_limit=5 * MINUTES,
    broker_transport_options={
        "visibility_timeout": 15 * MINUTES,  # longer than a task, and than PAUSE
        "unacked_restore_interval": 30,  # kombu 5.7: look for dead workers' messages this often,
        "unacked_restore_throttle": 1,  # and each time; otherwise it is about 100 seconds
        "socket_timeout": 10,  # a broker that says nothing must not hold up a request for ever
        "socket_connect_timeout": 5,
    },
    broker_connection_retry_on_startup=True,  # it may start before its broker
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0},  # a request waits for this
    worker_max_tasks_per_child=1_000,  # what leaks, leaks for so long
    timezone="UTC",
)

PAUSE = 10 * MINUTES
"""The longest pause before a retry."""


class Patient(Task):
    """A task that tries again what passes: a network or a provider that is down.

    Add what your database's driver raises when the server restarts; that is no OSError.
    Each pause is a random time up to 5, 10, 20 … seconds (full jitter), at most PAUSE.
    """

    autoretry_for = (OSError,)  # ConnectionError and TimeoutError are OSErrors
    max_retries = 8
    default_retry_delay = 5  # after a process was killed
    retry_backoff = 5
    retry_backoff_max = PAUSE
    retry_jitter = True


@task_failure.connect
def given_up(sender: Task, task_id: str, exception: Exception, **_: object) -> None:
    """Tell people of a task that will not be tried again. Keep its arguments in a table, too."""
    logger.error("task %s[%s] has failed for good: %r", sender.name, task_id, exception)


# -- Tasks. Replace them. SQLite stands for your database.


@app.task(base=Patient)
def charge(booking: int) -> None:
    """Take the money for a booking: once, however often this runs."""
    with closing(sqlite3.connect(os.environ.get("DATABASE", "app.sqlite"))) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS payment (booking INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO payment VALUES (?) ON CONFLICT DO NOTHING", [booking])
