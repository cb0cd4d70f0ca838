"""E-mail through tasks: nothing for what is rolled back, nothing lost, and what comes twice."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from jobs import services, tasks, tokens
from jobs.models import Attempt, Notice
from jobs.states import Status
from tests.conftest import MailServer, World, alone, make_application, make_job, program, wait_for

WORKER = ("manage.py", "worker", "--batch", "--verbosity=0", "--no-startup-delay")


def work() -> None:
    """Run every task that is ready, in this process."""
    call_command("worker", batch=True, startup_delay=False, verbosity=0)


def ready_at_once() -> None:
    """Let no task wait for its next attempt."""
    DBTaskResult.objects.filter(status="READY").update(run_after=timezone.now())


def test_each_change_tells_the_other_side(world: World) -> None:
    pk = world.application.pk
    services.change(world.boss, pk, Status.IN_REVIEW)
    services.change(world.person, pk, Status.WITHDRAWN)
    work()
    assert [(message.to, message.subject) for message in mail.outbox] == [
        ([world.employer.email], "Baker: submitted"),
        ([world.person.email], "Baker: in review"),
        ([world.employer.email], "Baker: withdrawn"),
    ]
    assert Notice.objects.filter(sent_at=None).count() == 0


def test_a_rolled_back_application_leaves_no_task(db: None) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_application()
        assert DBTaskResult.objects.count() == 1
        _ = 1 / 0
    assert DBTaskResult.objects.count() == 0
    work()
    assert mail.outbox == []


def test_a_worker_does_not_see_a_task_before_its_transaction_commits(
    committed: World, mail_server: MailServer
) -> None:
    DBTaskResult.objects.all().delete()
    with transaction.atomic():
        make_application(make_job(), committed.other_person)
        with program(*WORKER, EMAIL_URL=mail_server.url) as worker:
            assert worker.wait(60) == 0  # it found nothing to do, and ended
        assert mail_server.taken == []
    with program(*WORKER, EMAIL_URL=mail_server.url) as worker:
        assert worker.wait(60) == 0
    assert len(mail_server.taken) == 1


def test_nothing_is_lost_when_the_worker_is_killed(
    committed: World,
    mail_server: MailServer,
) -> None:
    """The worker is killed while it waits for the mail server's greeting."""
    mail_server.silent = True
    with program(*WORKER, EMAIL_URL=mail_server.url) as worker:
        assert mail_server.reached.wait(60)
        worker.kill()
        worker.wait()
    wait_for(alone)
    row = DBTaskResult.objects.get()
    assert row.status == "RUNNING", "django-tasks-db itself leaves it like this for ever"
    assert (mail_server.taken, Notice.objects.get().sent_at) == ([], None)

    mail_server.silent = False
    with program(*WORKER, EMAIL_URL=mail_server.url, TASK_PAUSE_SECONDS="0") as worker:
        assert worker.wait(60) == 0
    row.refresh_from_db()
    assert (row.status, len(row.worker_ids)) == ("SUCCESSFUL", 2)
    assert len(mail_server.taken) == 1
    assert Notice.objects.get().sent_at


def test_at_least_once_means_that_an_email_may_come_twice(
    committed: World,
    mail_server: MailServer,
) -> None:
    """The worker is killed after the mail server took the e-mail, and before it said so."""
    mail_server.mute = True
    with program(*WORKER, EMAIL_URL=mail_server.url) as worker:
        wait_for(lambda: mail_server.taken)
        worker.kill()
        worker.wait()
    wait_for(alone)
    mail_server.mute = False
    with program(*WORKER, EMAIL_URL=mail_server.url, TASK_PAUSE_SECONDS="0") as worker:
        assert worker.wait(60) == 0
    assert len(mail_server.taken) == 2
    ids = {line for text in mail_server.taken for line in text.splitlines() if "Message-ID" in line}
    assert ids == {f"Message-ID: <notice-{Notice.objects.get().pk}@example.com>"}


def test_a_task_of_a_living_worker_is_left_alone(committed: World) -> None:
    row = DBTaskResult.objects.get()
    with tasks.alive("a-worker"):
        row.claim("a-worker")
        assert tasks.recover() == 0
    wait_for(lambda: tasks.recover() == 1)
    row.refresh_from_db()
    assert row.status == "READY"


def test_the_server_asks_whether_a_silent_worker_is_still_there(db: None) -> None:
    """Else the lock of a machine that lost its power would be held for two hours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT source FROM pg_settings WHERE name LIKE 'tcp_keepalives%'")
        assert cursor.fetchall() == [("client",)] * 3


def test_a_failed_task_is_tried_again_later_and_later_and_at_last_given_up(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("no mail server")

    monkeypatch.setattr("jobs.tasks.EmailMessage.send", fail)
    pauses = []
    for _ in range(settings.TASK_ATTEMPTS):
        work()
        before = timezone.now()
        tasks.recover()
        row = DBTaskResult.objects.get()
        pauses.append(round((row.run_after - before) / settings.TASK_PAUSE))
        ready_at_once()
    row = DBTaskResult.objects.get()
    assert pauses[:4] == [1, 2, 4, 8]
    assert (row.status, len(row.worker_ids)) == ("FAILED", settings.TASK_ATTEMPTS)
    assert row.exception_class_path.endswith("ConnectionRefusedError")


def test_a_task_that_kills_its_workers_is_given_up_too(world: World) -> None:
    row = DBTaskResult.objects.get()
    row.worker_ids = ["a", "b", "c", "d"]
    row.claim("e")
    assert tasks.recover() == 0
    row.refresh_from_db()
    assert (row.status, row.exception_class_path) == ("FAILED", "jobs.tasks.WorkerDiedError")


def test_an_email_that_was_sent_is_not_sent_again(world: World) -> None:
    notice = Notice.objects.get()
    assert [tasks.send_notice.func(notice.pk) for _ in range(2)] == ["sent", "was sent before"]
    assert len(mail.outbox) == 1


# -- Housekeeping


def test_the_housekeeping_removes_what_nobody_needs(world: World, resumes_apart: Path) -> None:
    default_storage.save("orphan.pdf", ContentFile(b"x"))
    old = time.time() - 7200
    for file in resumes_apart.iterdir():
        os.utime(file, (old, old))
    default_storage.save("young.pdf", ContentFile(b"x"))
    (resumes_apart / "not-ours.txt").touch()
    now = timezone.now()
    Attempt.objects.create(key="old", window=now - timedelta(days=1), count=3)
    Attempt.objects.create(key="new", window=now, count=3)
    tokens.issue(world.person)
    OutstandingToken.objects.update(expires_at=now - timedelta(days=1))
    work()
    DBTaskResult.objects.update(finished_at=now - timedelta(days=8))
    tasks.keep_house()
    names = {file.name for file in resumes_apart.iterdir()}
    kept = {world.resume.stored_as, world.application.resume.stored_as}
    assert names == kept | {"young.pdf", "not-ours.txt"}
    assert list(Attempt.objects.values_list("key", flat=True)) == ["new"]
    assert not OutstandingToken.objects.exists()
    assert not DBTaskResult.objects.exists()


def test_the_housekeeping_goes_on_after_a_fault(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    class Over:
        rounds = 0

        def wait(self, seconds: float) -> bool:
            assert seconds == settings.HOUSEKEEPING_SECONDS
            self.rounds += 1
            return self.rounds > 241

    done = []

    def fail(*, files: bool) -> None:
        done.append(files)
        raise OSError("the disk is gone")

    monkeypatch.setattr(tasks, "keep_house", fail)
    monkeypatch.setattr("jobs.tasks.connection.close", lambda: None)
    tasks.keep_house_for_ever(Over())  # type: ignore[arg-type]
    assert len(done) == 241
    assert [turn for turn, files in enumerate(done, 1) if files] == [240], "once an hour"


def test_a_worker_serves_until_it_is_asked_to_end(
    committed: World,
    mail_server: MailServer,
) -> None:
    options = [each for each in WORKER if each != "--batch"]
    with program(*options, "--interval=0.05", EMAIL_URL=mail_server.url) as worker:
        wait_for(lambda: mail_server.taken)
        make_application()
        wait_for(lambda: len(mail_server.taken) == 2)
        worker.terminate()
        assert worker.wait(60) == 0
