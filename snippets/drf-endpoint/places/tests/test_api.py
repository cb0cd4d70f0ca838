"""Run by `python manage.py test places`."""

from rest_framework.response import Response
from rest_framework.test import APITestCase

from places.models import Place
from places.problems import MEDIA_TYPE


class PlacesTest(APITestCase):
    """The endpoint survives its clients."""

    @classmethod
    def setUpTestData(cls) -> None:
        """Makes fifty places of three prices."""
        Place.objects.bulk_create(
            Place(title=f"Place {n}", city="accra", nightly_minor=1_000 + n % 3) for n in range(50)
        )

    def walk(self, url: str | None) -> list[int]:
        """Reads all pages, with a new place before each of them."""
        seen = []
        while url:
            with self.assertNumQueries(1):
                page = self.client.get(url).json()
            seen += [place["id"] for place in page["results"]]
            url = page["next"]
            Place.objects.create(title="New", city="accra", nightly_minor=1_000)
        return seen

    def assert_problem(self, response: Response, status: int, code: str) -> None:
        """The response is a problem with this code."""
        body = response.json()
        assert (response.status_code, response["Content-Type"]) == (status, MEDIA_TYPE)
        codes = {body["code"], *(error["code"] for error in body.get("errors", []))}
        assert code in codes

    def test_pages_show_each_place_once(self) -> None:
        """Though places come in between."""
        there = set(Place.objects.values_list("id", flat=True))
        for sort in ("newest", "price"):
            seen = self.walk(f"/places?city=accra&sort={sort}")
            assert len(seen) == len(set(seen))
            assert there <= set(seen)

    def test_refusals(self) -> None:
        """All in one form."""
        self.assert_problem(self.client.get("/places?title__regex=^P"), 400, "unknown")
        self.assert_problem(self.client.get("/places?sort=title"), 400, "invalid_choice")
        self.assert_problem(self.client.get("/places?city=%00"), 400, "invalid")
        self.assert_problem(self.client.get("/places/0"), 404, "not_found")
        self.assert_problem(self.client.get("/nowhere"), 404, "not_found")
        self.assert_problem(self.client.delete("/places"), 405, "method_not_allowed")
        free = {"title": "Free", "city": "accra", "nightly_minor": 0}
        self.assert_problem(self.client.post("/places", free, format="json"), 400, "min_value")

    def test_a_change_says_what_it_has_seen(self) -> None:
        """Nobody's change is lost."""
        new = {"title": "House", "city": "accra", "nightly_minor": 1}
        made = self.client.post("/places", new, format="json")
        url, seen = made["Location"], made["ETag"]
        price = {"nightly_minor": 2}
        self.assert_problem(self.client.patch(url, price, format="json"), 428, "if_match_required")
        first = self.client.patch(url, price, format="json", headers={"If-Match": seen})
        assert (first.status_code, first.json()["nightly_minor"]) == (200, 2)
        second = self.client.patch(url, price, format="json", headers={"If-Match": seen})
        self.assert_problem(second, 412, "changed")
        for known in (first["ETag"], f"W/{first['ETag']}", f'"other", W/{first["ETag"]}', "*"):
            again = self.client.get(url, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        assert self.client.get(url, headers={"If-None-Match": seen}).status_code == 200
        weak = {"If-Match": f"W/{first['ETag']}"}
        self.assert_problem(
            self.client.patch(url, price, format="json", headers=weak), 412, "weak_etag"
        )
        any_state = self.client.patch(url, price, format="json", headers={"If-Match": "*"})
        assert any_state.status_code == 200
