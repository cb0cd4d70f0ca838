from http import HTTPStatus
from unittest import mock

from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import TestCase

from mysite.accounts.models import User


class Project(TestCase):
    def test_models_and_migrations_agree(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_plain_http_is_redirected_but_for_the_probes(self) -> None:
        with self.settings(SECURE_SSL_REDIRECT=True):
            self.assertEqual(self.client.get("/places/").status_code, HTTPStatus.MOVED_PERMANENTLY)
            for probe in ("/healthz", "/readyz"):
                self.assertEqual(self.client.get(probe).status_code, HTTPStatus.OK)

    def test_probes_may_ask_by_the_containers_address_and_nobody_else(self) -> None:
        by_address = {"headers": {"host": "10.0.0.5:8000"}}
        for probe in ("/healthz", "/readyz"):
            self.assertEqual(self.client.get(probe, **by_address).status_code, HTTPStatus.OK)
        with self.assertLogs("django.security.DisallowedHost"):
            places = self.client.get("/places/", secure=True, **by_address)
        self.assertEqual(places.status_code, HTTPStatus.BAD_REQUEST)

    def test_without_its_database_it_lives_and_is_not_ready(self) -> None:
        away = mock.patch.object(connection, "cursor", side_effect=OperationalError)
        with away, self.assertLogs("mysite.common.views", "WARNING"):
            self.assertEqual(self.client.get("/healthz").status_code, HTTPStatus.OK)
            ready = self.client.get("/readyz")
        self.assertEqual(ready.status_code, HTTPStatus.SERVICE_UNAVAILABLE)

    def test_a_missing_slash_makes_no_get_of_a_post(self) -> None:
        got = self.client.get("/places", secure=True)
        self.assertEqual(got.status_code, HTTPStatus.MOVED_PERMANENTLY)
        posted = self.client.post("/places", {"title": "Hut"}, secure=True)
        self.assertEqual(posted.status_code, HTTPStatus.NOT_FOUND)

    def test_an_address_is_kept_in_lower_case_and_finds_its_user(self) -> None:
        User.objects.create_user("Esi@Example.org", "a long password")
        self.assertTrue(self.client.login(username="esi@example.org", password="a long password"))

    def test_superusers_can_be_made_and_see_the_admin(self) -> None:
        admin = User.objects.create_superuser("admin@example.org", "a long password")
        self.client.force_login(admin)
        storage = {"staticfiles": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
        with self.settings(STORAGES=storage):
            for page in ("", "accounts/user/", "accounts/user/add/", "listings/place/"):
                answer = self.client.get(f"/admin/{page}", secure=True)
                self.assertEqual(answer.status_code, HTTPStatus.OK, page)
