"""The snippet drf-endpoint: its own tests pass, and gunicorn serves it to real clients."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import nexus
from nexus.services.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "drf-endpoint"
SETTINGS = """
import os

SECRET_KEY = "only-here" * 8
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
INSTALLED_APPS = ["rest_framework", "places"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "places.api"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ENGINE = "django.db.backends.postgresql"
DATABASES = {"default": {"ENGINE": ENGINE, "NAME": os.environ["PGDATABASE"]}}
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "places.problems.handler",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
"""

Environment = dict[str, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with nexus.postgres() as pg:
        yield pg


@pytest.fixture(scope="module")
def env(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What Django needs to know, and a database with the table."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "drf_settings.py").write_text(SETTINGS)
    path = os.pathsep.join([str(folder), str(FOLDER)])
    env = {**server.env, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "drf_settings"}
    env["PGDATABASE"] = server.env.get("PGDATABASE", "postgres")
    django(env, "migrate", "--run-syncdb", "--verbosity=0")
    return env


def django(env: Environment, *arguments: str) -> str:
    """Runs one of Django's commands, and returns what it says."""
    run = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:places", "-m", "django", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_its_own_tests_pass(env: Environment) -> None:
    said = django(env, "test", "places", "--noinput")
    assert "Ran 3 tests" in said


def test_it_survives_its_clients(env: Environment) -> None:
    with (
        nexus.serve(
            "django.core.wsgi:get_wsgi_application()", env=env, options=["--threads=4"]
        ) as web,
        httpx.Client(base_url=web.url) as client,
    ):
        new = {"title": "Sea house", "city": "accra", "nightly_minor": 9000}
        made = [client.post("/places", json=new) for _ in range(45)]
        assert {answer.status_code for answer in made} == {201}
        seen = []
        url: str | None = "/places?city=accra"
        while url:
            page = client.get(url).raise_for_status().json()
            seen += [place["id"] for place in page["results"]]
            url = page["next"]
        assert seen == sorted((answer.json()["id"] for answer in made), reverse=True)

        place, etag = made[0].headers["Location"], made[0].headers["ETag"]

        def change(price: int) -> int:
            match = {"If-Match": etag}
            return client.patch(place, json={"nightly_minor": price}, headers=match).status_code

        with ThreadPoolExecutor(4) as pool:
            assert Counter(pool.map(change, range(1, 9))) == {200: 1, 412: 7}
        broken = client.post("/places", content="{", headers={"Content-Type": "application/json"})
        assert broken.status_code == 400
        assert broken.headers["Content-Type"] == "application/problem+json"
        assert broken.json()["code"] == "parse_error"


def test_a_proxy_that_compresses_breaks_changes_and_not_reading(env: Environment) -> None:
    """What the head says: nginx makes each ETag weak."""
    new = {"title": "x" * 100, "city": "lagos", "nightly_minor": 9000}
    json_too = "gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;"
    with nexus.serve("django.core.wsgi:get_wsgi_application()", env=env) as web:
        proxy = f"proxy_pass http://127.0.0.1:{web.port}; proxy_set_header Host 127.0.0.1;"
        with (
            nexus.nginx(
                f"server {{ listen 127.0.0.1:{{port}}; location / {{ {json_too} {proxy} }} }}"
            ) as nginx,
            httpx.Client(base_url=nginx.url, headers={"Accept-Encoding": "gzip"}) as client,
        ):
            place = client.post("/places", json=new).headers["Location"]
            tag = client.get(place).headers["ETag"]
            assert tag == 'W/"1"'
            assert client.get(place, headers={"If-None-Match": tag}).status_code == 304
            change = {"nightly_minor": 1}
            refused = client.patch(place, json=change, headers={"If-Match": tag})
            assert (refused.status_code, refused.json()["code"]) == (412, "weak_etag")
            strong = {"If-Match": tag.removeprefix("W/")}
            assert client.patch(place, json=change, headers=strong).status_code == 200


def test_an_error_that_nobody_foresaw_says_nothing(server: Postgres, env: Environment) -> None:
    with (
        nexus.serve("django.core.wsgi:get_wsgi_application()", env=env) as web,
        server.connect(autocommit=True) as db,
    ):
        db.execute("ALTER TABLE places_place RENAME TO places_gone")
        try:
            answer = httpx.get(f"{web.url}/places")
        finally:
            db.execute("ALTER TABLE places_gone RENAME TO places_place")
        assert (answer.status_code, "places_place" in answer.text) == (500, False)
        assert "places_place" in web.log


NESTED = """
from django.db import connection
from django.test import TransactionTestCase, override_settings
from django.urls import path
from rest_framework import serializers
from rest_framework.views import APIView

from places.models import Place


class Host(serializers.Serializer):
    name = serializers.CharField()


class Visit(serializers.Serializer):
    host = Host()
    guests = Host(many=True)

    def validate(self, data):
        raise serializers.ValidationError("never")


class Half(APIView):
    def get(self, request):
        Place.objects.create(title="Half", city="accra", nightly_minor=1)
        raise RuntimeError("secret")

    def post(self, request):
        Visit(data=request.data).is_valid(raise_exception=True)


urlpatterns = [path("half", Half.as_view())]


@override_settings(ROOT_URLCONF="beyond_tests")
class Beyond(TransactionTestCase):
    def test_half_a_request_is_rolled_back(self):
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        with self.assertLogs("places.problems"):
            answer = self.client.get("/half")
        assert answer.status_code == 500 and "secret" not in answer.text
        assert not Place.objects.exists()

    def test_faults_within_faults(self):
        def fields(data):
            body = self.client.post("/half", data, content_type="application/json").json()
            return [(fault["field"], fault["code"]) for fault in body["errors"]]

        sent = {"host": {}, "guests": [{"name": "Esi"}, {}]}
        assert fields(sent) == [("host.name", "required"), ("guests.1.name", "required")]
        whole = {"host": {"name": "Amina"}, "guests": []}
        assert fields(whole) == [("non_field_errors", "invalid")]
        assert fields([]) == [("non_field_errors", "invalid")]
"""


def test_what_users_add_to_it(env: Environment, tmp_path: Path) -> None:
    """A view that fails half-way under ATOMIC_REQUESTS, and a serializer in a serializer."""
    (tmp_path / "beyond_tests.py").write_text(NESTED)
    path = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    said = django({**env, "PYTHONPATH": path}, "test", "beyond_tests", "--noinput")
    assert "Ran 2 tests" in said


def test_the_page_lists_it() -> None:
    page = (ROOT / "snippets" / "README.md").read_text()
    assert "(drf-endpoint/places/api.py)" in page
