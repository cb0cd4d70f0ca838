"""Pictures that strangers upload: believed only after they were decoded.

What is stored is not what was sent. The picture is decoded and encoded anew, so that nothing else
that the file carried (a script, a place, a camera's number) reaches a browser.
"""

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from PIL import Image as Pillow
from PIL import ImageOps

from catalogue.models import Image, Product
from catalogue.problems import Refusal
from catalogue.services import lock

FORMATS = ("JPEG", "PNG", "WEBP")
MOST = 8
"""Pictures of one product."""
WIDEST = 1600
"""Pixels of the longer side of what is stored."""


def decode(file: "UploadedFile[Any]") -> Pillow.Image:
    """Return the picture that a file holds.

    Raises:
        Refusal: If it is too large, or no picture that Pillow can decode to its last line.
    """
    if (file.size or 0) > settings.MAX_IMAGE_BYTES:
        raise Refusal(413, "too_large", f"At most {settings.MAX_IMAGE_BYTES} bytes.", field="file")
    try:
        picture = Pillow.open(file, formats=FORMATS)  # reads the head only
        if picture.width * picture.height > settings.MAX_IMAGE_PIXELS:
            raise Refusal(422, "too_many_pixels", f"At most {settings.MAX_IMAGE_PIXELS}.", "file")
        picture.load()
        return ImageOps.exif_transpose(picture).convert("RGB")
    except Refusal:
        raise
    except Exception as error:  # Pillow raises almost anything on a broken file
        raise Refusal(
            422, "not_an_image", "It is no JPEG, PNG or WebP that can be decoded.", field="file"
        ) from error


def path_of(digest: str) -> Path:
    """Return where the picture with this hash is."""
    return Path(settings.MEDIA_ROOT) / digest[:2] / f"{digest}.webp"


def store(picture: Pillow.Image) -> str:
    """Write a picture under the hash of its content, and return the hash."""
    picture.thumbnail((WIDEST, WIDEST))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = path_of(digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getvalue())
        Path(name).replace(path)  # at once: nobody reads half a picture
    return digest


def add_image(product: Product, file: "UploadedFile[Any]") -> Image:
    """Decode an upload, store it and show it with a product.

    Raises:
        Refusal: If the file is no such picture, or the product has enough of them or was removed.
    """
    picture = decode(file)
    digest = store(picture)
    with transaction.atomic():
        # One at a time for each product: two uploads at once would both see one place left.
        lock(product)
        others = product.images.exclude(digest=digest)
        if others.count() >= MOST:
            raise Refusal(409, "enough_images", f"A product has at most {MOST} pictures.")
        size = {"width": picture.width, "height": picture.height}
        image, _ = Image.objects.get_or_create(product=product, digest=digest, defaults=size)
    return image
