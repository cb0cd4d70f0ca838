from http import HTTPStatus

from django.core.management import call_command
from django.test import TestCase

from mysite.accounts.models import User


class Project(TestCase):
    def test_models_and_migrations_agree(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_plain_http_is_redirected_but_for_the_probe(self) -> None:
        with self.settings(SECURE_SSL_REDIRECT=True):
            self.assertEqual(self.client.get("/places/").status_code, HTTPStatus.MOVED_PERMANENTLY)
            self.assertEqual(self.client.get("/healthz").status_code, HTTPStatus.OK)

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
