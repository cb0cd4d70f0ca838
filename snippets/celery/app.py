"""How is a Celery app set up so that work is done again when a worker dies?

Celery 5.5 or newer with Valkey or Redis as its broker; Python 3.11 or newer. Start a worker and the
scheduler in this folder:
    BROKER_URL=redis://127.0.0.1:6379/0 celery --app app worker --loglevel INFO
    BROKER_URL=redis://127.0.0.1:6379/0 celery --app app beat --loglevel INFO

What it does:
* Messages are JSON. The worker accepts nothing else.
* A worker acknowledges a task after it has run the task. If a process or a machine dies in the
  middle of a task, another worker runs the task again.
* Every task has a time limit. A task that fails for a moment is tried again, after a random pause
  that grows. A task that fails for good is logged as an error by `given_up`.
* Every five minutes `charge_overdue` looks in the database for bookings that should have been
  charged by now, and sends their tasks again.

Watch out:
* Messages can be lost. A worker takes a message off the list with BRPOP, and only then writes it
  into `unacked`. If the worker is killed between the two, the message is gone. No setting closes
  this gap: kombu works this way with Valkey and Redis. Late acknowledgement makes the gap small,
  and a sweep like `charge_overdue` sends again what was lost in it.
* Messages live in the broker's memory. Give the broker its own server, apart from the cache, with
  `maxmemory-policy noeviction` and `appendonly yes`. A cache that evicts keys evicts whole
  queues. With `appendfsync everysec` a crash of the broker loses about a second.
* Every task will run twice one day. Make each task idempotent: use a unique key for what must
  happen once, or a condition in the statement that does it. `charge` shows a unique key.
* visibility_timeout must be longer than the longest pause before a retry, plus the wait for a free
  process, plus the longest run. A task that is not acknowledged by then runs a second time, even
  while it still runs. The timeout is also how long the work of a dead machine waits.
* A task that kills its process (out of memory) comes back for ever. From Celery 5.7 on,
  task_retry_on_worker_lost bounds that by max_retries; older versions ignore this setting.
* Send a task after the commit: in Django with `charge.delay_on_commit(…)`, elsewhere after the
  transaction's block. The process can still die between the commit and the message. The sweep
  covers this gap too, and so does a table of messages (see database/outbox.sql).
* Stop a worker with SIGTERM. The worker finishes the tasks that it has begun, and puts the other
  messages back. If your platform kills it sooner than a task can end, set REMAP_SIGTERM=SIGQUIT in
  the environment and worker_soft_shutdown_timeout (Celery 5.5) to a little less than that time:
  then the worker also puts back the messages of the tasks that it has to cut off.
* A broker that refuses writes (MISCONF, when its disk is full) ends the workers. Let something
  start them again: `restart: unless-stopped` in Compose, `Restart=always` in systemd.
* Only the default pool, processes, enforces both time limits. Run one beat, and only one.
"""

import logging
import os
import sqlite3
import time
from contextlib import closing

from celery import Celery, Task
from celery.signals import task_failure

logger = logging.getLogger(__name__)

MINUTES = 60

app = Celery("app", broker=os.environ["BROKER_URL"])
app.conf.update(
    # JSON only: with pickle, anybody who can write to the broker could run code in the worker.
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,  # a result is a key in the broker for a day; store those you read
    # Acknowledge a task after its work. If its process dies, run the task again.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_retry_on_worker_lost=True,  # Celery 5.7: the same, but not for ever
    worker_prefetch_multiplier=1,  # no worker holds messages that another worker could run
    worker_cancel_long_running_tasks_on_connection_loss=True,  # they will be delivered again
    # Time limits. A task can catch the soft one, to tidy up.
    task_soft_time_limit=4 * MINUTES,
    task_time_limit=5 * MINUTES,
    broker_transport_options={
        # Longer than PAUSE, plus five minutes of waiting, plus task_time_limit
        "visibility_timeout": 25 * MINUTES,
        "unacked_restore_interval": 30,  # kombu 5.7: look for dead workers' messages this often,
        "unacked_restore_throttle": 1,  # and each time; otherwise it is about 100 seconds
        "socket_timeout": 10,  # a broker that does not answer must not hold up a request for ever
        "socket_connect_timeout": 5,
    },
    broker_connection_retry_on_startup=True,  # it may start before its broker
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0},  # a request waits for this
    worker_max_tasks_per_child=1_000,  # then a new process: a leak of memory ends here
    timezone="UTC",
    # `expires` is no longer than the interval. So after an outage one of these runs, not a hundred.
    beat_schedule={
        "charge overdue": {
            "task": "app.charge_overdue",
            "schedule": 5 * MINUTES,
            "options": {"expires": 5 * MINUTES},
        }
    },
)

PAUSE = 10 * MINUTES
"""The longest pause before a retry."""


class Patient(Task):
    """A task that tries again after a fault that passes: a network or a provider that is down.

    Add the exceptions that your database's driver raises when the server restarts: they are no
    OSErrors. Each pause is a random time up to 5, 10, 20 … seconds (full jitter), at most PAUSE.
    """

    autoretry_for = (OSError,)  # ConnectionError and TimeoutError are OSErrors
    max_retries = 8
    default_retry_delay = 5  # after a process was killed
    retry_backoff = 5
    retry_backoff_max = PAUSE
    retry_jitter = True


@task_failure.connect
def given_up(sender: Task, task_id: str, exception: Exception, **_: object) -> None:
    """Report a task that will not be tried again. Store its arguments in a table, too."""
    logger.error("task %s[%s] has failed for good: %r", sender.name, task_id, exception)


# -- Tasks. Replace them. SQLite stands for your database.

OVERDUE = 30 * MINUTES
"""When a booking should have been charged, the first retries included."""
TABLES = """
CREATE TABLE IF NOT EXISTS booking (id INTEGER PRIMARY KEY, booked_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS payment (booking INTEGER PRIMARY KEY);
"""


def database() -> sqlite3.Connection:
    """Connect to the database."""
    db = sqlite3.connect(os.environ.get("DATABASE", "app.sqlite"))
    db.executescript(TABLES)
    return db


def book(booking: int) -> None:
    """Store a booking, and send its task after the commit. This is what your request does."""
    with closing(database()) as db, db:
        db.execute("INSERT INTO booking VALUES (?, ?)", [booking, time.time()])
    charge.delay(booking)


@app.task(base=Patient)
def charge(booking: int) -> None:
    """Take the money for a booking: once, however often this runs."""
    with closing(database()) as db, db:
        db.execute("INSERT INTO payment VALUES (?) ON CONFLICT DO NOTHING", [booking])


@app.task(base=Patient)
def charge_overdue(older_than: float = OVERDUE) -> None:
    """Send the tasks of bookings that are not charged yet, though they should be."""
    with closing(database()) as db:
        overdue = db.execute(
            "SELECT id FROM booking WHERE booked_at <= ?"
            " AND id NOT IN (SELECT booking FROM payment) ORDER BY id LIMIT 1000",
            [time.time() - older_than],
        ).fetchall()
    for (booking,) in overdue:
        logger.warning("booking %s is not charged yet: its task is sent again", booking)
        charge.delay(booking)
