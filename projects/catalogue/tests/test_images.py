"""Uploaded pictures: decoded, bounded, stored under their hash, and served harmlessly."""

import hashlib
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image as Pillow
from rest_framework.test import APIClient

from catalogue import images
from catalogue.models import Image, Product
from tests.conftest import make_product, race, sign_in

SCRIPT = b"<script>alert(1)</script>"


def picture_file(
    form: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "green", **options: Any
) -> SimpleUploadedFile:
    buffer = io.BytesIO()
    Pillow.new("RGB", size, colour).save(buffer, form, **options)
    return SimpleUploadedFile(f"a.{form.lower()}", buffer.getvalue())


@pytest.fixture
def product(db: None) -> Product:
    return make_product()


def upload(product: Product, file: Any) -> Any:
    client = sign_in(product.seller)
    return client.post(f"/api/v1/products/{product.pk}/images", {"file": file}, format="multipart")


@pytest.mark.parametrize("form", images.FORMATS)
def test_a_picture_is_stored_under_the_hash_of_its_content(
    product: Product, api: APIClient, form: str
) -> None:
    answer = upload(product, picture_file(form))
    assert answer.status_code == 201, answer.content
    served = api.get(answer.data["url"])
    content = served.content
    assert hashlib.sha256(content).hexdigest() == answer.data["digest"]
    assert served.headers["Content-Type"] == "image/webp"
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "immutable" in served.headers["Cache-Control"]
    shown = api.get(f"/api/v1/products/{product.pk}").json()["images"]
    assert shown == [answer.json()]


def test_nothing_else_in_the_file_is_kept(product: Product) -> None:
    exif = Pillow.Exif()
    exif[0x010E] = SCRIPT.decode()
    file = picture_file("JPEG", exif=exif)
    sent = file.read() + SCRIPT
    assert sent.count(SCRIPT) == 2
    answer = upload(product, SimpleUploadedFile("a.html", sent, "text/html"))
    assert answer.status_code == 201
    assert SCRIPT not in images.path_of(answer.data["digest"]).read_bytes()


def test_a_picture_is_turned_as_its_camera_says(product: Product) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter turn
    answer = upload(product, picture_file("JPEG", size=(40, 30), exif=exif))
    assert (answer.data["width"], answer.data["height"]) == (30, 40)


def test_a_large_picture_is_made_smaller(product: Product) -> None:
    answer = upload(product, picture_file("PNG", size=(3200, 100)))
    assert (answer.data["width"], answer.data["height"]) == (1600, 50)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SCRIPT,
        b"\x89PNG\r\n\x1a\n" + SCRIPT,
        picture_file("PNG").read()[:-30],
        picture_file("GIF").read(),
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
    ids=["empty", "html", "only a head", "cut off", "gif", "svg"],
)
def test_what_cannot_be_decoded_is_refused(product: Product, content: bytes) -> None:
    answer = upload(product, SimpleUploadedFile("a.png", content, "image/png"))
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["field"] == "file"
    assert not Image.objects.exists()


def test_pixels_are_bounded_before_they_are_decoded(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes of PNG can hold a hundred million pixels of one colour."""
    bomb = picture_file("PNG", size=(5000, 3000))
    assert bomb.size is not None
    assert bomb.size < 100_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    answer = upload(product, bomb)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_pixels")


def test_bytes_are_bounded(product: Product, settings: Any) -> None:
    settings.MAX_IMAGE_BYTES = 100
    assert upload(product, picture_file("PNG", size=(200, 200))).status_code == 413
    settings.MAX_IMAGE_BYTES = 10
    assert upload(product, SimpleUploadedFile("a.png", b"x" * 20_000)).status_code == 413


def test_the_same_picture_twice_is_one(product: Product) -> None:
    first, second = (upload(product, picture_file()) for _ in range(2))
    assert (first.status_code, second.data) == (201, first.data)
    assert Image.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_10_uploads_at_once_8_are_kept() -> None:
    product = make_product()
    files = [picture_file(size=(10 + number, 10)) for number in range(10)]
    results = race(lambda number: images.add_image(product, files[number]), 10)
    assert sum(isinstance(each, Exception) for each in results) == 2
    assert Image.objects.count() == images.MOST


def test_a_picture_is_taken_away(product: Product, api: APIClient) -> None:
    digest = upload(product, picture_file()).data["digest"]
    address = f"/api/v1/products/{product.pk}/images/{digest}"
    assert sign_in(product.seller).delete(address).status_code == 204
    assert sign_in(product.seller).delete(address).status_code == 404


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "A" * 64])
def test_a_file_is_found_by_a_hash_only(api: APIClient, db: None, name: str) -> None:
    assert api.get(f"/images/{name}.webp").status_code == 404
