import tempfile
from pathlib import Path

from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import TestCase

from mysite.accounts.models import User
from mysite.common.errors import Refused
from mysite.listings.models import Place
from mysite.listings.services import MAX_PLACES, offer_place

HOUSE = {"title": "Sea house", "nightly_minor": 9000}


class Listings(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.host = User.objects.create_user("Host@Example.org", "a long password")

    def test_a_place_that_is_offered_is_listed(self) -> None:
        self.client.force_login(self.host)
        made = self.client.post("/places/", HOUSE, secure=True)
        self.assertEqual(made.status_code, 201)
        with self.assertNumQueries(1):
            listed = self.client.get("/places/", secure=True).json()
        self.assertEqual(listed, {"places": [made.json()]})

    def test_a_host_has_no_more_places_than_are_allowed(self) -> None:
        for _ in range(MAX_PLACES):
            offer_place(host=self.host, **HOUSE)
        with self.assertRaises(Refused):
            offer_place(host=self.host, **HOUSE)
        self.client.force_login(self.host)
        self.assertEqual(self.client.post("/places/", HOUSE, secure=True).status_code, 409)

    def test_who_is_not_logged_in_offers_nothing(self) -> None:
        self.assertEqual(self.client.post("/places/", HOUSE, secure=True).status_code, 401)

    def test_what_cannot_be_read_is_refused(self) -> None:
        self.client.force_login(self.host)
        refused = self.client.post("/places/", {"title": ""}, secure=True)
        self.assertEqual(refused.status_code, 400)
        self.assertEqual(set(refused.json()["errors"]), {"title", "nightly_minor"})

    def test_the_database_refuses_a_place_that_costs_nothing(self) -> None:
        with self.assertRaises(IntegrityError), transaction.atomic():
            Place.objects.create(host=self.host, title="Gift", nightly_minor=0)

    def test_an_import_is_all_or_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "places.csv"
            file.write_text("title,nightly_minor\n" + "Hut,4000\n" * (MAX_PLACES + 1))
            with (
                self.assertNoLogs("mysite.listings"),
                self.captureOnCommitCallbacks(execute=True),
                self.assertRaisesMessage(CommandError, f"Place {MAX_PLACES + 1}: A host may"),
            ):
                call_command("import_places", "host@example.org", str(file))
        self.assertEqual(Place.objects.count(), 0)

    def test_a_place_is_logged_when_it_is_committed(self) -> None:
        with self.assertLogs("mysite.listings") as logs:
            with self.captureOnCommitCallbacks() as callbacks:
                place = offer_place(host=self.host, **HOUSE)
            self.assertEqual(logs.output, [])
            for callback in callbacks:
                callback()
        (line,) = logs.output
        self.assertIn(f"place {place.pk} offered", line)
