"""Accounts, jobs, applications and résumés, as a client sees them."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from jobs import attempts, services
from jobs.models import Application, Attempt, Category, Resume, User
from jobs.states import Role, Status
from jobs.views import read
from tests.conftest import (
    PASSWORD,
    PDF,
    World,
    client_of,
    make_application,
    make_category,
    make_job,
    make_user,
    race,
)


def log_in(user: User, password: str = PASSWORD) -> Any:
    body = {"email": user.email, "password": password}
    return APIClient().post("/api/v1/auth/login", body)


def refresh(token: str) -> Any:
    return APIClient().post("/api/v1/auth/refresh", {"refresh": token})


def me(access: str) -> Any:
    return APIClient().get("/api/v1/me", headers={"Authorization": f"Bearer {access}"})


# -- Accounts


def test_who_registers_is_an_applicant_whatever_the_body_says(db: None) -> None:
    body = {"email": "New@Example.com", "name": "New", "password": PASSWORD}
    for extra in ({"role": "admin"}, {"employer": 1}, {"is_active": True}, {"id": 7}):
        answer = APIClient().post("/api/v1/auth/register", body | extra)
        assert answer.status_code == 400
        assert answer.json()["errors"] == [
            {"field": next(iter(extra)), "code": "unknown", "detail": "This is not a field here."}
        ]
    answer = APIClient().post("/api/v1/auth/register", body)
    assert (answer.status_code, answer.json()["role"]) == (201, "applicant")
    assert answer.json()["email"] == "new@example.com"
    again = APIClient().post("/api/v1/auth/register", body | {"email": "NEW@example.com"})
    assert (again.status_code, again.json()["code"]) == (409, "taken")


@pytest.mark.parametrize("password", ["password1", "12345678", "new@example.com"])
def test_an_easy_password_is_refused(db: None, password: str) -> None:
    body = {"email": "new@example.com", "name": "New", "password": password}
    answer = APIClient().post("/api/v1/auth/register", body)
    assert {error["field"] for error in answer.json()["errors"]} == {"password"}


def test_the_life_of_tokens(world: World) -> None:
    first = log_in(world.boss).json()
    assert AccessToken(first["access"])["role"] == "employer"
    assert me(first["access"]).json()["employer"] == world.employer.pk
    second = refresh(first["refresh"]).json()
    assert me(second["access"]).status_code == 200
    assert refresh(first["refresh"]).json()["code"] == "token_not_valid"
    gone = APIClient().post("/api/v1/auth/logout", {"refresh": second["refresh"]})
    assert gone.status_code == 204
    assert refresh(second["refresh"]).status_code == 401
    with time_machine.travel(timedelta(minutes=11), tick=False):
        assert me(second["access"]).status_code == 401
    assert me(second["refresh"]).status_code == 401, "a refresh token opens nothing"
    assert refresh(second["access"]).status_code == 401


def test_a_refresh_token_that_nobody_issued_here_is_refused(world: World) -> None:
    token = log_in(world.person).json()["refresh"]
    world.person.outstandingtoken_set.all().delete()  # type: ignore[attr-defined]
    assert refresh(token).status_code == 401


def test_a_refresh_that_fails_leaves_the_token_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: User) -> None:
        raise OperationalError("the disk is full")

    token = log_in(world.boss).json()["refresh"]
    with monkeypatch.context() as patch:
        patch.setattr("jobs.tokens.issue", fail)
        assert refresh(token).status_code == 503
    assert refresh(token).status_code == 200


def test_eight_parallel_refreshes_give_one_pair(committed: World) -> None:
    token = log_in(committed.person).json()["refresh"]
    answers = race([lambda: refresh(token).status_code] * 8)
    assert sorted(answers) == [200] + [401] * 7  # type: ignore[type-var]


def test_an_account_that_is_switched_off_is_out_at_once(world: World) -> None:
    pair = log_in(world.person).json()
    where = f"/api/v1/users/{world.person.pk}"
    assert client_of(world.admin).patch(where, {"is_active": False}).status_code == 200
    assert me(pair["access"]).status_code == 401
    assert refresh(pair["refresh"]).status_code == 401
    assert log_in(world.person).status_code == 401
    assert client_of(world.admin).patch(where, {"is_active": True}).status_code == 200
    assert refresh(pair["refresh"]).status_code == 401, "its tokens stay revoked"
    fresh = log_in(world.person).json()["refresh"]
    User.objects.filter(pk=world.person.pk).update(is_active=False)
    assert refresh(fresh).json()["code"] == "not_active"


def test_admins_cannot_lock_themselves_out(world: World) -> None:
    where = f"/api/v1/users/{world.admin.pk}"
    assert client_of(world.admin).patch(where, {"is_active": False}).status_code == 409


def test_two_admins_cannot_switch_each_other_off_at_once(committed: World) -> None:
    one, two = committed.admin, make_user(Role.ADMIN)
    pairs = [(one, two), (two, one)]
    answers = race(
        [
            lambda by=by, whom=whom: (
                client_of(by).patch(f"/api/v1/users/{whom.pk}", {"is_active": False}).status_code
            )
            for by, whom in pairs
        ]
    )
    assert sorted(answers) == [200, 401]  # type: ignore[type-var]
    assert User.objects.filter(role=Role.ADMIN, is_active=True).count() == 1


def test_admins_make_accounts_of_every_role(world: World) -> None:
    body = {"email": "x@example.com", "name": "X", "password": PASSWORD}
    client = client_of(world.admin)
    for wrong in (
        {"role": "employer"},
        {"role": "admin", "employer": world.employer.pk},
        {"role": "employer", "employer": 10**12},
    ):
        answer = client.post("/api/v1/users", body | wrong)
        assert [error["field"] for error in answer.json()["errors"]] == ["employer"], wrong
    right = body | {"role": "employer", "employer": world.employer.pk}
    assert client.post("/api/v1/users", right).json()["employer"] == world.employer.pk


def test_the_database_ties_the_role_to_the_employer(world: World) -> None:
    with pytest.raises(IntegrityError, match="user_employer_by_role"):
        make_user(Role.APPLICANT, world.employer)


def test_guessing_is_stopped_also_in_parallel(committed: World, settings: Any) -> None:
    settings.LOGIN_ATTEMPTS_PER_ACCOUNT = 5
    guesses = race([lambda: log_in(committed.person, "wrong").status_code] * 12)
    assert sorted(guesses) == [401] * 5 + [429] * 7  # type: ignore[type-var]
    late = log_in(committed.person)
    assert late.status_code == 429
    assert 0 < int(late["Retry-After"]) <= 901
    assert log_in(committed.other_person).status_code == 200


def test_who_logs_in_starts_to_count_anew(world: World, settings: Any) -> None:
    settings.LOGIN_ATTEMPTS_PER_ACCOUNT = 2
    answers = [log_in(world.person, word).status_code for word in ("wrong", PASSWORD) * 3]
    assert answers == [401, 200] * 3


def test_an_old_window_does_not_count(db: None) -> None:
    attempts.count("x", "y", 1)
    Attempt.objects.update(window="2020-01-01T00:00Z")
    attempts.count("x", "y", 1)


def test_the_first_admin_is_made_by_djangos_own_command(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", email="Root@Example.com", name="Root", interactive=False)
    admin = User.objects.get(email="root@example.com")
    assert admin.role == Role.ADMIN
    assert log_in(admin).status_code == 200


# -- Employers, categories, jobs


def job_body(category: Category) -> dict[str, Any]:
    return {
        "title": "Cook",
        "description": "You cook for a hundred.\nEvery day.",
        "category": category.slug,
        "place": "Tarnby",
        "type": "part_time",
        "salary_min": 20_000,
        "salary_max": 30_000,
    }


def test_the_life_of_a_job(world: World) -> None:
    boss, category = client_of(world.boss), make_category()
    where = f"/api/v1/employers/{world.employer.pk}/jobs"
    made = boss.post(where, job_body(category)).json()
    assert made["employer"]["id"] == world.employer.pk
    place = f"/api/v1/jobs/{made['id']}"
    assert APIClient().get(place).json()["description"].endswith("\nEvery day.")
    changed = boss.patch(place, {"salary_max": 35_000, "title": "Head cook"}).json()
    assert (changed["salary_min"], changed["salary_max"]) == (20_000, 35_000)
    assert boss.patch(place, {"salary_min": 35_001}).status_code == 400
    closed = boss.post(f"{place}/close").json()["closed_at"]
    assert boss.post(f"{place}/close").json()["closed_at"] == closed
    assert boss.get(place).status_code == 200
    for other in (None, world.person, world.other_boss):
        assert client_of(other).get(place).status_code == 404
    assert made["id"] not in [
        job["id"] for job in APIClient().get("/api/v1/jobs").json()["results"]
    ]
    assert made["id"] in [job["id"] for job in boss.get(where).json()["results"]]


def test_nobody_moves_a_job_to_another_employer(world: World) -> None:
    place = f"/api/v1/jobs/{world.job.pk}"
    for body in ({"employer": world.other_employer.pk}, {"published_at": "2030-01-01T00:00Z"}):
        assert client_of(world.boss).patch(place, body).status_code == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("title", value) for value in ("", " ", "a\x00b", "a\nb", "x" * 121, 7, None)),
        *(("salary_min", value) for value in ("1", True, 1.5, -1, 10**8, None)),
        *(("type", value) for value in ("", "king", 1)),
        ("category", "none-such"),
    ],
)
def test_a_job_with_a_fault_names_the_field(world: World, field: str, value: Any) -> None:
    body = job_body(world.job.category) | {field: value}
    answer = client_of(world.boss).post(f"/api/v1/employers/{world.employer.pk}/jobs", body)
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {field}


def test_names_are_taken_once(world: World) -> None:
    client = client_of(world.admin)
    slug = world.job.category.slug
    for where, body in (
        ("/api/v1/categories", {"slug": slug, "name": "Other"}),
        ("/api/v1/categories", {"slug": "other", "name": world.job.category.name}),
        ("/api/v1/employers", {"name": world.employer.name, "email": "a@example.com"}),
    ):
        assert client.post(where, body).json()["code"] == "taken"


def test_a_category_without_jobs_can_be_deleted(world: World) -> None:
    category = make_category()
    assert client_of(world.admin).delete(f"/api/v1/categories/{category.slug}").status_code == 204
    assert not Category.objects.filter(pk=category.pk).exists()


def test_a_category_that_is_deleted_meanwhile_is_a_conflict(
    committed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    category = make_category()

    def read_too_early(*args: Any, **options: Any) -> Any:
        wanted = read(*args, **options)
        Category.objects.filter(pk=category.pk).delete()
        return wanted

    monkeypatch.setattr("jobs.views.read", read_too_early)
    where = f"/api/v1/employers/{committed.employer.pk}/jobs"
    answer = client_of(committed.boss).post(where, job_body(category))
    assert (answer.status_code, answer.json()["code"]) == (409, "stale")


# -- Applications


def test_an_application_is_seen_by_its_two_sides_only(world: World) -> None:
    place = "/api/v1/applications"
    seen = {
        name: [row["id"] for row in client_of(getattr(world, name)).get(place).json()["results"]]
        for name in ("person", "other_person", "boss", "other_boss")
    }
    pk = world.application.pk
    assert seen == {"person": [pk], "other_person": [], "boss": [pk], "other_boss": []}
    assert list(Application.objects.visible_to(world.admin)) == []


def test_the_lists_of_an_employer_can_be_narrowed(world: World) -> None:
    other = make_application(make_job(world.employer))
    services.change(world.boss, other.pk, Status.IN_REVIEW)
    client = client_of(world.boss)
    for query, expected in (
        (f"job={world.job.pk}", [world.application.pk]),
        ("status=in_review", [other.pk]),
        ("limit=1", [other.pk]),
    ):
        rows = client.get(f"/api/v1/applications?{query}").json()["results"]
        assert [row["id"] for row in rows] == expected


def test_applying_and_being_hired(world: World) -> None:
    person, boss = client_of(world.person), client_of(world.boss)
    body = {"job": world.other_job.pk, "resume": str(world.resume.pk), "cover_letter": "Hello"}
    made = person.post("/api/v1/applications", body)
    assert (made.status_code, made.json()["status"]) == (201, "submitted")
    assert made.json()["possible"] == ["withdrawn"]
    where = f"/api/v1/applications/{world.application.pk}"
    for step in ("in_review", "interview", "offered"):
        assert boss.post(f"{where}/transitions", {"to": step}).status_code == 200
    last = person.post(f"{where}/transitions", {"to": "hired"}).json()
    assert [change["target"] for change in last["history"]] == [
        *("submitted", "in_review", "interview", "offered", "hired")
    ]
    again = boss.post(f"{where}/transitions", {"to": "rejected"})
    assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")


@pytest.mark.parametrize("extra", [{"status": "hired"}, {"applicant": 1}, {"changed_by": 1}])
def test_nobody_applies_as_hired_or_as_another(world: World, extra: dict[str, Any]) -> None:
    body = {"job": world.other_job.pk, "resume": str(world.resume.pk)} | extra
    assert client_of(world.person).post("/api/v1/applications", body).status_code == 400


def test_there_is_no_applying_for_a_job_that_is_not_there_or_closed(world: World) -> None:
    client, resume = client_of(world.person), str(world.resume.pk)
    nowhere = client.post("/api/v1/applications", {"job": 10**18, "resume": resume})
    assert nowhere.status_code == 404
    services.close(world.other_job)
    closed = client.post("/api/v1/applications", {"job": world.other_job.pk, "resume": resume})
    assert (closed.status_code, closed.json()["code"]) == (409, "job_closed")


@pytest.mark.parametrize(
    ("who", "where", "most"),
    [
        ("admin", "/api/v1/users", 1),
        ("admin", "/api/v1/employers", 1),
        (None, "/api/v1/categories", 1),
        (None, "/api/v1/jobs", 1),
        ("boss", "/api/v1/employers/{employer}/jobs", 2),
        ("boss", "/api/v1/applications", 1),
        ("boss", "/api/v1/applications/{application}", 2),
        ("person", "/api/v1/applications", 1),
        ("person", "/api/v1/resumes", 1),
    ],
)
def test_a_list_costs_the_same_queries_however_long_it_is(
    world: World, who: str | None, where: str, most: int
) -> None:
    names = {"employer": world.employer.pk, "application": world.application.pk}
    client = client_of(getattr(world, who) if who else None)
    for _ in range(2):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(where.format(**names)).status_code == 200
        assert len(queries) == most
        for _ in range(3):
            make_application(make_job(world.employer))
            services.keep_resume(world.person, PDF)


# -- Résumés


def upload(user: User, content: bytes = PDF, name: str = "cv.pdf") -> Any:
    file = io.BytesIO(content)
    file.name = name
    return client_of(user).post("/api/v1/resumes", {"file": file}, format="multipart")


def test_a_resume_is_kept_under_a_random_name(world: World, resumes_apart: Path) -> None:
    answer = upload(world.person, name="../../etc/my secret name.pdf")
    assert answer.status_code == 201
    resume = Resume.objects.get(pk=answer.json()["id"])
    assert set(answer.json()) == {"id", "size", "sha256", "created_at"}
    assert resume.stored_as.removesuffix(".pdf") not in answer.content.decode()
    kept = resumes_apart / resume.stored_as
    assert kept.read_bytes() == PDF
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "secret" not in " ".join(str(path) for path in resumes_apart.rglob("*"))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>%PDF-1.7 %%EOF", b"MZ\x90", b"%PDF-1.7 without an end", b"%PDF-9.9 %%EOF"),
        PDF + b" " * 2000,
    ],
)
def test_what_is_not_a_pdf_by_its_content_is_refused(world: World, content: bytes) -> None:
    answer = upload(world.person, content)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "file"


def test_a_resume_has_a_size(world: World, settings: Any) -> None:
    fits = b"%PDF-1.7" + b"x" * (settings.RESUME_BYTES - 13) + b"%%EOF"
    assert upload(world.person, fits).status_code == 201
    assert upload(world.person, b"%PDF-1.7x" + fits[8:]).status_code == 400
    assert upload(world.person, fits + b"x" * 5_000).status_code == 413


def test_a_person_has_so_many_resumes_also_in_parallel(committed: World, settings: Any) -> None:
    settings.RESUMES_PER_PERSON = 4
    answers = race([lambda: upload(committed.other_person).status_code] * 8)
    assert sorted(answers) == [201] * 4 + [409] * 4  # type: ignore[type-var]
    assert Resume.objects.filter(owner=committed.other_person).count() == 4


def test_the_download_is_an_attachment_that_nobody_keeps_or_guesses_at(world: World) -> None:
    place = f"/api/v1/applications/{world.application.pk}/resume"
    answer = client_of(world.boss).get(place, headers={"Accept": "application/pdf"})
    assert (answer.content, answer["Content-Type"]) == (PDF, "application/pdf")
    expected = f'attachment; filename="resume-{world.application.pk}.pdf"'
    assert answer["Content-Disposition"] == expected
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["Content-Security-Policy"].startswith("sandbox")
    refused = client_of(world.other_boss).get(place, headers={"Accept": "application/pdf"})
    assert (refused.status_code, refused["Content-Type"]) == (404, "application/problem+json")


def test_no_address_leads_to_the_file(world: World) -> None:
    name = world.application.resume.stored_as
    for where in (f"/{name}", f"/resumes/{name}", f"/static/{name}", f"/static/../resumes/{name}"):
        assert APIClient().get(where).status_code == 404


def test_a_resume_is_deleted_with_its_file_unless_it_is_in_use(world: World) -> None:
    client = client_of(world.person)
    used = client.delete(f"/api/v1/resumes/{world.application.resume.pk}")
    assert (used.status_code, used.json()["code"]) == (409, "in_use")
    assert client.delete(f"/api/v1/resumes/{world.resume.pk}").status_code == 204
    assert not default_storage.exists(world.resume.stored_as)
    assert default_storage.exists(world.application.resume.stored_as)


def test_a_file_whose_row_fails_is_removed(
    world: World, monkeypatch: pytest.MonkeyPatch, resumes_apart: Path
) -> None:
    before = set(resumes_apart.iterdir())

    def fail(**_: object) -> None:
        raise OperationalError("the database is gone")

    monkeypatch.setattr(Resume.objects, "create", fail)
    answer = upload(world.person)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert set(resumes_apart.iterdir()) == before
