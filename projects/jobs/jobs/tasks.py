"""E-mail, by tasks that are rows of the same database.

`enqueue` inserts a row in the caller's transaction. So a task for a rolled-back application never
exists, and a committed application never lacks its task. No other server is asked.

django-tasks-db commits its claim of a row before it runs the task, and it has no retries. So a task
whose worker was killed stays `RUNNING` for ever, and one that raised stays `FAILED`. `recover`
gives both to a worker again. A worker holds an advisory lock with its id as long as its connection
lives, so PostgreSQL itself knows which workers are dead. It sees the end of a process at once. Only
if a whole machine vanishes, the TCP keepalive of the settings has to find out, in about a minute.

This is at-least-once: a worker that dies after the mail server took an e-mail, and before the row
is marked, makes the next worker send the e-mail again. Both have the same Message-ID.
"""

import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import F, Func, IntegerField, Q
from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from jobs import attempts
from jobs.models import Notice, Resume
from jobs.states import Status

logger = logging.getLogger(__name__)
SEED = 7_000_000
"""Keeps these advisory locks apart from others."""
LOCK = f"pg_advisory_lock(hashtextextended(%s, {SEED}))"
TRY_LOCK = f"pg_try_advisory_xact_lock(hashtextextended(%s, {SEED}))"
TEXTS = {
    Status.SUBMITTED: "There is a new application.",
    Status.IN_REVIEW: "Your application is being read.",
    Status.INTERVIEW: "You are invited to an interview.",
    Status.OFFERED: "The job is offered to you.",
    Status.HIRED: "The offer has been accepted.",
    Status.REJECTED: "Your application was not successful.",
    Status.WITHDRAWN: "The application has been withdrawn.",
}
ATTEMPTS = Func(F("worker_ids"), function="jsonb_array_length", output_field=IntegerField())
KEPT = timedelta(days=7)
"""How long what is done with is kept."""


class WorkerDiedError(Exception):
    """The worker of a task's last attempt has died."""


@task()
def send_notice(notice_id: int) -> str:
    """Send an e-mail that is owed, unless it was sent.

    The row is locked meanwhile, so two workers do not send the same e-mail at once. What they send
    one after the other is told by `sent_at`.
    """
    with transaction.atomic():
        notice = (
            Notice.objects.select_for_update(of=("self",))
            .select_related("change__application__job")
            .get(pk=notice_id)
        )
        if notice.sent_at:
            return "was sent before"
        application = notice.change.application
        host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ")
        EmailMessage(
            subject=f"{application.job.title}: {Status(notice.change.target).label.lower()}",
            body=f"{TEXTS[Status(notice.change.target)]}\n\nApplication {application.pk}\n",
            to=[notice.recipient],
            headers={"Message-ID": f"<notice-{notice.pk}@{host}>"},
        ).send()
        notice.sent_at = timezone.now()
        notice.save(update_fields=["sent_at"])
    return "sent"


@contextmanager
def alive(worker_id: str) -> Iterator[None]:
    """Hold the lock that says that a worker lives, on a connection of its own.

    Django may close and open the usual connection between two tasks.
    """
    own = connection.copy()
    try:
        with own.cursor() as cursor:
            cursor.execute(f"SELECT {LOCK}", [worker_id])
        yield
    finally:
        own.close()


def recover() -> int:
    """Give tasks of dead workers, and failed ones, to a worker again; return how many.

    A worker's id is added to a row with each attempt, so their number is the number of attempts.
    After the last attempt a task stays `FAILED`, and a person must look.
    """
    done = 0
    with transaction.atomic():
        stuck = DBTaskResult.objects.annotate(attempts=ATTEMPTS).filter(
            Q(status="RUNNING") | Q(status="FAILED", attempts__lt=settings.TASK_ATTEMPTS)
        )
        for row in stuck.select_for_update(skip_locked=True)[:1000]:
            tried = len(row.worker_ids)
            if row.status == "RUNNING" and not _is_dead(row.worker_ids[-1]):
                continue
            if tried >= settings.TASK_ATTEMPTS:
                row.set_failed(WorkerDiedError(f"Attempt {tried} was the last"))
                continue
            row.status = "READY"
            row.run_after = timezone.now() + settings.TASK_PAUSE * 2 ** (tried - 1)
            row.save(update_fields=["status", "run_after"])
            logger.warning("Task %s is tried again, after attempt %d", row.id, tried)
            done += 1
    return done


def _is_dead(worker_id: str) -> bool:
    """Say whether nobody holds a worker's lock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {TRY_LOCK}", [worker_id])
        return bool(cursor.fetchone()[0])


def sweep_files() -> int:
    """Delete files without a row: their process died in between, or could not delete them."""
    hour_ago = timezone.now() - timedelta(hours=1)
    names = {n for n in default_storage.listdir("")[1] if n.endswith(".pdf")}
    names -= set(Resume.objects.filter(stored_as__in=names).values_list("stored_as", flat=True))
    old = [name for name in names if default_storage.get_modified_time(name) < hour_ago]
    for name in old:
        default_storage.delete(name)
    return len(old)


def keep_house(*, files: bool = True) -> None:
    """Do what nobody asks for. Every worker does it now and then, and it may be done twice.

    Args:
        files: Whether to sweep the files too. A directory may be large, and files have an hour.
    """
    recover()
    attempts.prune()
    if files:
        sweep_files()
    OutstandingToken.objects.filter(expires_at__lt=timezone.now()).delete()
    DBTaskResult.objects.successful().filter(finished_at__lt=timezone.now() - KEPT).delete()


def keep_house_for_ever(over: threading.Event) -> None:
    """Keep house every few seconds, and sweep files once an hour, until it is over."""
    an_hour = max(1, round(3600 / settings.HOUSEKEEPING_SECONDS))
    for turn in itertools.count(1):
        if over.wait(settings.HOUSEKEEPING_SECONDS):
            return
        try:
            keep_house(files=turn % an_hour == 0)
        except Exception:
            logger.exception("The housekeeping failed; it is tried again")
        finally:
            connection.close()
