"""The state machine, and who wins when two work on the same application."""

import itertools
import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from jobs import services, states
from jobs.models import Application, Change
from jobs.problems import Conflict
from jobs.states import TRANSITIONS, Role, Status
from tests.conftest import (
    World,
    client_of,
    make_application,
    make_job,
    make_user,
    race,
    wait_for,
)

TERMINAL = {Status.HIRED, Status.REJECTED, Status.WITHDRAWN}


def put_into(application: Application, status: str) -> None:
    """Set a status, past the guard."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        cursor.execute(
            "UPDATE jobs_application SET status = %s WHERE id = %s", [status, application.pk]
        )
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_the_database_allows_exactly_the_pairs_of_the_code(world: World) -> None:
    allowed = set()
    for source, target in itertools.permutations(Status, 2):
        put_into(world.application, source)
        names = []
        try:
            with transaction.atomic():
                Application.objects.filter(pk=world.application.pk).update(status=target)
            allowed.add((source, target))
        except IntegrityError as error:
            names.append(error.__cause__.diag.constraint_name)  # type: ignore[union-attr]
        assert names in ([], ["application_transition"])
    assert allowed == set(TRANSITIONS)


def test_the_terminal_statuses_lead_nowhere_and_all_others_do() -> None:
    assert {source for source, _ in TRANSITIONS} == set(Status) - TERMINAL
    assert {target for _, target in TRANSITIONS} == set(Status) - {Status.SUBMITTED}
    assert all(len(states.actors(status)) == 1 for status in set(Status) - {Status.SUBMITTED})


def test_an_application_begins_as_submitted_only(world: World) -> None:
    resume = services.keep_resume(world.other_person, b"%PDF-1.4 %%EOF")
    with pytest.raises(IntegrityError, match="begins as submitted"):
        Application.objects.create(
            job=world.job,
            applicant=world.other_person,
            resume=resume,
            changed_by=world.other_person,
            status=Status.HIRED,
        )


def test_an_application_keeps_its_job_its_person_and_its_resume(world: World) -> None:
    with pytest.raises(IntegrityError, match="do not change"):
        Application.objects.filter(pk=world.application.pk).update(job=world.other_job)


def test_the_database_refuses_the_resume_of_another(world: World) -> None:
    with pytest.raises(IntegrityError, match="not the applicant's"):
        Application.objects.create(
            job=world.job,
            applicant=world.other_person,
            resume=world.resume,
            changed_by=world.other_person,
        )


def test_the_history_tells_each_step_and_who_took_it(world: World) -> None:
    pk = world.application.pk
    services.change(world.boss, pk, Status.IN_REVIEW)
    services.change(world.boss, pk, Status.INTERVIEW)
    services.change(world.boss, pk, Status.OFFERED)
    services.change(world.person, pk, Status.HIRED)
    steps = Change.objects.filter(application=pk).order_by("id")
    assert list(steps.values_list("source", "target", "actor")) == [
        ("", "submitted", world.person.pk),
        ("submitted", "in_review", world.boss.pk),
        ("in_review", "interview", world.boss.pk),
        ("interview", "offered", world.boss.pk),
        ("offered", "hired", world.person.pk),
    ]


def test_plain_sql_writes_history_too_and_a_rollback_takes_it_back(world: World) -> None:
    before = Change.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Application.objects.update(status="in_review", changed_by=world.boss)
        assert Change.objects.count() == before + 1
        _ = 1 / 0
    assert Change.objects.count() == before


def test_an_update_that_leaves_the_status_writes_no_history(world: World) -> None:
    before = Change.objects.count()
    Application.objects.update(cover_letter="Another letter.")
    assert Change.objects.count() == before


@pytest.mark.parametrize(
    "sql", ["UPDATE jobs_change SET target = 'hired'", "DELETE FROM jobs_change"]
)
def test_the_history_cannot_be_changed(world: World, sql: str) -> None:
    with pytest.raises(DatabaseError, match="history does not change"), connection.cursor() as c:
        c.execute(sql)


# -- Races


def test_reject_against_withdraw_exactly_one_wins(committed: World) -> None:
    winners = set()
    for _ in range(10):
        person = make_user()
        pk = make_application(committed.job, person).pk
        results = race(
            [
                lambda pk=pk: services.change(committed.boss, pk, Status.REJECTED),
                lambda pk=pk, person=person: services.change(person, pk, Status.WITHDRAWN),
            ]
        )
        assert sorted(type(result) for result in results if isinstance(result, Exception)) == [
            Conflict
        ]
        status = Application.objects.get(pk=pk).status
        ends = Change.objects.filter(application=pk, target__in=TERMINAL)
        assert [end.target for end in ends] == [status]
        winners.add(status)
    assert winners <= {Status.REJECTED, Status.WITHDRAWN}


@pytest.mark.parametrize("first", [Status.REJECTED, Status.WITHDRAWN])
def test_the_trigger_alone_decides_the_race_too(committed: World, first: Status) -> None:
    """Both saw `submitted`, and neither locks. The second waits, and then the trigger refuses."""
    second = Status.WITHDRAWN if first == Status.REJECTED else Status.REJECTED
    rows = Application.objects.filter(pk=committed.application.pk)
    caught: list[Exception] = []

    def late() -> None:
        try:
            rows.update(status=second)
        except Exception as error:
            caught.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=late)
    with transaction.atomic():
        rows.update(status=first)
        thread.start()
        wait_for(somebody_waits)
    thread.join()
    assert [str(error).splitlines()[0] for error in caught] == [f"{first} does not become {second}"]
    assert rows.get().status == first


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_fifty_parallel_applications_give_one(committed: World) -> None:
    person = committed.other_person
    resume = services.keep_resume(person, b"%PDF-1.4 %%EOF")
    body = {"job": committed.job.pk, "resume": str(resume.pk)}
    answers = race([lambda: client_of(person).post("/api/v1/applications", body)] * 50)
    statuses = sorted(answer.status_code for answer in answers)  # type: ignore[union-attr]
    assert statuses == [201] + [409] * 49
    lost = next(a for a in answers if a.status_code == 409)  # type: ignore[union-attr]
    assert lost.json()["code"] == "already_applied"  # type: ignore[union-attr]
    made = Application.objects.filter(applicant=person)
    assert made.count() == 1
    assert Change.objects.filter(application__applicant=person).count() == 1


def test_who_applies_while_the_job_is_closed_is_refused(committed: World) -> None:
    person = committed.other_person
    resume = services.keep_resume(person, b"%PDF-1.4 %%EOF")
    answers: list[int] = []

    def late() -> None:
        body = {"job": committed.job.pk, "resume": str(resume.pk)}
        answers.append(client_of(person).post("/api/v1/applications", body).status_code)
        connection.close()

    thread = threading.Thread(target=late)
    with transaction.atomic():
        services.close(committed.job)
        thread.start()
        wait_for(somebody_waits)
    thread.join()
    assert answers == [409]
    assert not Application.objects.filter(applicant=person).exists()


def test_the_code_says_what_is_possible(world: World) -> None:
    application = world.application
    assert states.choices(application.status, Role.APPLICANT) == [Status.WITHDRAWN]
    with pytest.raises(Conflict, match="Possible now: in_review, rejected"):
        services.change(world.boss, application.pk, Status.OFFERED)
    services.change(world.person, application.pk, Status.WITHDRAWN)
    with pytest.raises(Conflict, match="Nothing is possible now"):
        services.change(world.boss, application.pk, Status.REJECTED)


def test_a_person_may_apply_for_several_jobs(world: World) -> None:
    make_application(make_job(), world.person)
    assert Application.objects.filter(applicant=world.person).count() == 2
