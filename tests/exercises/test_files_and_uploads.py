"""The judges of "Files and uploads": the stub, right answers of several kinds, wrong ones."""

import base64
import hashlib
import hmac
import io
import json
import re
import secrets as random_secrets
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import psycopg
import pytest
from django.core.signing import Signer
from PIL import Image, ImageFile, ImageOps

import nexus
from nexus.exercises import files_and_uploads as judges
from nexus.judging import judge_answer
from nexus.judging.sandbox import Connection
from tests.exercises import tables

ONE, TWO, THREE = (f"files-and-uploads.{number}" for number in (1, 2, 3))
DAY = 86_400


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# Exercise 1


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def bare(image: Image.Image) -> Image.Image:
    new = Image.new("RGB", image.size)
    new.paste(image)
    return new


def opened(data: bytes, formats: tuple[str, ...] = ("PNG", "JPEG")) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=formats)
    if image.width * image.height > 10_000_000:
        raise ValueError("too many pixels")
    return image


def by_pasting(data: bytes) -> bytes:
    try:
        image = ImageOps.exif_transpose(opened(data)).convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("no picture") from error
    image = bare(image)
    image.thumbnail((1_000, 1_000))
    return png(image)


def by_raw_bytes(data: bytes) -> bytes:
    """Pillow's own limit instead of one's own, and pixels as bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 10_000_000
        try:
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
                image.load()
                image = ImageOps.exif_transpose(image)
                image = (
                    ImageOps.contain(image, (1_000, 1_000)) if max(image.size) > 1_000 else image
                )
                image = image.convert("RGBA")
        except Exception as error:
            raise ValueError("no picture") from error
        finally:
            Image.MAX_IMAGE_PIXELS = before
    return png(Image.frombytes("RGBA", image.size, image.tobytes()))


def by_resizing(data: bytes) -> bytes:
    """The kind from the first bytes, and a size of one's own."""
    if not data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise ValueError("neither PNG nor JPEG")
    try:
        image = ImageOps.exif_transpose(opened(data)).convert("RGB")
    except Exception as error:
        raise ValueError("no picture") from error
    scale = min(1, 1_000 / max(image.size))
    return png(bare(image.resize([max(1, round(side * scale)) for side in image.size])))


def only_the_beginning(data: bytes) -> bytes:
    if not data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise ValueError("neither PNG nor JPEG")
    return data


def only_checked(data: bytes) -> bytes:
    """Obeys the letter: it is opened, and verified, and the same bytes are returned."""
    by_pasting(data)
    return data if data.startswith(b"\x89PNG") else by_pasting(data)


def not_turned(data: bytes) -> bytes:
    try:
        image = bare(opened(data).convert("RGB"))
    except OSError as error:
        raise ValueError from error
    image.thumbnail((1_000, 1_000))
    return png(image)


def turned_too_late(data: bytes) -> bytes:
    return png(ImageOps.exif_transpose(bare(opened(data).convert("RGB"))))


def as_jpeg(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(by_pasting(data))).save(file, "JPEG")
    return file.getvalue()


def another_shape(data: bytes) -> bytes:
    image = Image.open(io.BytesIO(by_pasting(data)))
    return png(image.resize((1_000, 1_000)) if max(image.size) >= 1_000 else image)


def enlarged(data: bytes) -> bytes:
    return png(ImageOps.contain(Image.open(io.BytesIO(by_pasting(data))), (1_000, 1_000)))


def not_smaller(data: bytes) -> bytes:
    return png(bare(ImageOps.exif_transpose(opened(data)).convert("RGB")))


def mode_as_it_is(data: bytes) -> bytes:
    return png(ImageOps.exif_transpose(opened(data)))


def with_its_text(data: bytes) -> bytes:
    image = ImageOps.exif_transpose(opened(data))
    image = image if image.mode in ("RGB", "P") else image.convert("RGB")
    image.thumbnail((1_000, 1_000))
    return png(image)  # Pillow writes the colour profile and the EXIF that it has read


def keeps_exif(data: bytes) -> bytes:
    image = opened(data)
    file = io.BytesIO()
    Image.open(io.BytesIO(by_pasting(data))).save(file, "PNG", exif=image.info.get("exif", b""))
    return file.getvalue()


def any_format(data: bytes) -> bytes:
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > 10_000_000:
            raise ValueError
        image = bare(ImageOps.exif_transpose(image).convert("RGB"))
    except OSError as error:
        raise ValueError from error
    image.thumbnail((1_000, 1_000))
    return png(image)


def error_of_pillow(data: bytes) -> bytes:
    image = bare(ImageOps.exif_transpose(opened(data)).convert("RGB"))
    image.thumbnail((1_000, 1_000))
    return png(image)


def bomb_of_pillow(data: bytes) -> bytes:
    try:
        return error_of_pillow(data)
    except OSError as error:
        raise ValueError from error


def decoded_first(data: bytes) -> bytes:
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG"])
        image.load()
        if image.width * image.height > 10_000_000:
            raise ValueError
        image = bare(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError from error
    image.thumbnail((1_000, 1_000))
    return png(image)


def only_pillows_limit(data: bytes) -> bytes:
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG"])
        image = bare(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError from error
    image.thumbnail((1_000, 1_000))
    return png(image)


def half_is_enough(data: bytes) -> bytes:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    return by_pasting(data)


def swallows(data: bytes) -> bytes | None:
    try:
        return by_pasting(data)
    except ValueError:
        return None


def grey(data: bytes) -> bytes:
    return png(Image.open(io.BytesIO(by_pasting(data))).convert("L"))


def an_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(by_pasting(data)))


# Exercise 2

LOCK = judges.LOCK
TRY = LOCK.replace("pg_advisory", "pg_try_advisory")
NAMED = "SELECT 1 FROM photo WHERE digest = %s"


def is_young_part(path: Path) -> bool:
    return path.name.startswith("part-") and time.time() - path.stat().st_mtime < DAY


def old_parts(store: Path) -> None:
    for path in store.glob("part-*"):
        if not is_young_part(path):
            path.unlink()


def digests(store: Path) -> list[Path]:
    return [path for path in store.iterdir() if not path.name.startswith("part-")]


def by_trying(connection: Connection, store: Path) -> None:
    old_parts(store)
    for path in digests(store):
        with connection.transaction():
            mine = connection.execute(TRY, [path.name]).fetchone() == (True,)
            if mine and not connection.execute(NAMED, [path.name]).fetchone():
                path.unlink()


def by_waiting(connection: Connection, store: Path) -> None:
    """It waits for uploads, and looks again afterwards."""
    old_parts(store)
    rows = {name for (name,) in connection.execute("SELECT digest FROM photo")}
    for path in digests(store):
        if path.name in rows:
            continue
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(LOCK, [path.name])
            if cursor.execute("SELECT 1 FROM photo WHERE digest = %s", [path.name]).rowcount == 0:
                path.unlink(missing_ok=True)


def by_session_lock(connection: Connection, store: Path) -> None:
    old_parts(store)
    key = "hashtextextended(%s, 0)"
    for path in digests(store):
        connection.execute(f"SELECT pg_advisory_lock({key})", [path.name])
        try:
            if not connection.execute(NAMED, [path.name]).fetchone():
                path.unlink()
        finally:
            connection.execute(f"SELECT pg_advisory_unlock({key})", [path.name])


def empty_is_false(connection: Connection, store: Path) -> None:
    """SELECT without columns gives an empty tuple for a row, and that is false."""
    old_parts(store)
    for path in digests(store):
        with connection.transaction():
            connection.execute(LOCK, [path.name])
            query = "SELECT FROM photo WHERE digest = %s"
            if not connection.execute(query, [path.name]).fetchone():
                path.unlink()


def all_at_once(connection: Connection, store: Path) -> None:
    """All locks in one transaction; those that can be had."""
    old_parts(store)
    with connection.transaction():
        mine = [p for p in digests(store) if connection.execute(TRY, [p.name]).fetchone()[0]]
        rows = {name for (name,) in connection.execute("SELECT digest FROM photo")}
        for path in mine:
            if path.name not in rows:
                path.unlink()


def no_lock(connection: Connection, store: Path) -> None:
    old_parts(store)
    for path in digests(store):
        if not connection.execute(NAMED, [path.name]).fetchone():
            path.unlink()


def old_list(connection: Connection, store: Path) -> None:
    """Locks, and believes what it has read before."""
    old_parts(store)
    rows = {name for (name,) in connection.execute("SELECT digest FROM photo")}
    for path in digests(store):
        if path.name not in rows:
            with connection.transaction():
                if connection.execute(TRY, [path.name]).fetchone() == (True,):
                    path.unlink()


def lock_of_a_moment(connection: Connection, store: Path) -> None:
    """Without a transaction the lock is gone with its statement."""
    old_parts(store)
    for path in digests(store):
        mine = connection.execute(TRY, [path.name]).fetchone() == (True,)
        if mine and not connection.execute(NAMED, [path.name]).fetchone():
            path.unlink()


def deleted_afterwards(connection: Connection, store: Path) -> None:
    old_parts(store)
    lost = []
    for path in digests(store):
        with connection.transaction():
            mine = connection.execute(TRY, [path.name]).fetchone() == (True,)
            if mine and not connection.execute(NAMED, [path.name]).fetchone():
                lost.append(path)
    for path in lost:
        path.unlink()


def lock_is_kept(connection: Connection, store: Path) -> None:
    old_parts(store)
    for path in digests(store):
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [path.name])
        if not connection.execute(NAMED, [path.name]).fetchone():
            path.unlink()


def table_lock(connection: Connection, store: Path) -> None:
    """A lock, and not the one that the uploads take."""
    old_parts(store)
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '1s'")
        connection.execute("LOCK TABLE photo IN SHARE ROW EXCLUSIVE MODE")
        rows = {name for (name,) in connection.execute("SELECT digest FROM photo")}
        for path in digests(store):
            if path.name not in rows:
                path.unlink()


def another_key(connection: Connection, store: Path) -> None:
    old_parts(store)
    for path in digests(store):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [path.name])
            if not connection.execute(NAMED, [path.name]).fetchone():
                path.unlink()


def in_this_process(connection: Connection, store: Path) -> None:
    import threading

    with threading.Lock():
        no_lock(connection, store)


def by_age(connection: Connection, store: Path) -> None:
    """An old file may be a new upload's."""
    old_parts(store)
    for path in digests(store):
        is_old = time.time() - path.stat().st_mtime > DAY
        if is_old and not connection.execute(NAMED, [path.name]).fetchone():
            path.unlink()


def parts_too(connection: Connection, store: Path) -> None:
    for path in store.iterdir():
        with connection.transaction():
            connection.execute(LOCK, [path.name])
            if not connection.execute(NAMED, [path.name]).fetchone():
                path.unlink()


def parts_never(connection: Connection, store: Path) -> None:
    for path in digests(store):
        with connection.transaction():
            connection.execute(LOCK, [path.name])
            if not connection.execute(NAMED, [path.name]).fetchone():
                path.unlink()


def impatient_parts(connection: Connection, store: Path) -> None:
    for path in store.glob("part-*"):
        if time.time() - path.stat().st_mtime > 3_600:
            path.unlink()
    by_trying(connection, store)


def rows_too(connection: Connection, store: Path) -> None:
    by_trying(connection, store)
    there = [path.name for path in store.iterdir()]
    connection.execute("DELETE FROM photo WHERE NOT digest = ANY(%s)", [there])


def leaves_open(connection: Connection, store: Path) -> None:
    connection.autocommit = False
    old_parts(store)
    for path in digests(store):
        connection.execute(LOCK, [path.name])
        if not connection.execute(NAMED, [path.name]).fetchone():
            path.unlink()


def closes(connection: Connection, store: Path) -> None:
    with connection:
        by_trying(connection, store)


def does_little(connection: Connection, store: Path) -> None:
    connection.execute("SELECT 1")
    old_parts(store)


def everything(_: Connection, store: Path) -> None:
    for path in store.iterdir():
        path.unlink()


def swallows_errors(connection: Connection, store: Path) -> None:
    with suppress(psycopg.Error):
        table_lock(connection, store)


# Exercise 3

Made = tuple[Callable[..., Any], Callable[..., Any]]


def signature(secret: bytes, *parts: object) -> str:
    return hmac.digest(secret, "\n".join(map(str, parts)).encode(), "sha256").hex()


def by_hmac(secret: bytes) -> Made:
    def link(path: str, expires: int) -> str:
        return f"{path}?expires={expires}&signature={signature(secret, path, expires)}"

    def allows(address: str, now: int) -> bool:
        path, _, query = address.partition("?")
        found = re.fullmatch(r"expires=([0-9]{1,15})&signature=([0-9a-f]{64})", query)
        if not found:
            return False
        good = hmac.compare_digest(signature(secret, path, found[1]), found[2])
        return good and now < int(found[1])

    return link, allows


def by_making_it_again(secret: bytes) -> Made:
    link, _ = by_hmac(secret)

    def allows(address: str, now: int) -> bool:
        try:
            path, _, query = address.partition("?")
            expires = int(dict(parse_qsl(query, strict_parsing=True))["expires"])
            return now < expires and hmac.compare_digest(
                link(path, expires).encode(), address.encode()
            )
        except (KeyError, ValueError):
            return False

    return link, allows


def by_django(secret: bytes) -> Made:
    signer = Signer(key=secret.decode(), fallback_keys=[])

    def link(path: str, expires: int) -> str:
        token = signer.sign_object([path, expires])
        return f"{path}?token={token}"

    def allows(address: str, now: int) -> bool:
        try:
            path, _, token = address.partition("?token=")
            signed_path, expires = signer.unsign_object(token)
        except Exception:
            return False
        return signed_path == path and now < expires

    return link, allows


def by_jwt(secret: bytes) -> Made:
    key = hashlib.sha256(secret).digest()

    def link(path: str, expires: int) -> str:
        return f"{path}?token={jwt.encode({'sub': path, 'until': expires}, key, 'HS256')}"

    def allows(address: str, now: int) -> bool:
        path, _, token = address.partition("?token=")
        try:
            claims = jwt.decode(token, key, ["HS256"], options={"verify_sub": False})
        except (jwt.InvalidTokenError, UnicodeError):
            return False
        return claims.get("sub") == path and now < claims["until"]

    return link, allows


def glued(secret: bytes) -> Made:
    """Nobody can see where the path ends."""

    def sign(path: str, expires: str) -> str:
        return hmac.digest(secret, f"{path}{expires}".encode(), "sha256").hex()

    def link(path: str, expires: int) -> str:
        return f"{path}?expires={expires}&signature={sign(path, str(expires))}"

    def allows(address: str, now: int) -> bool:
        path, _, query = address.partition("?")
        found = re.fullmatch(r"expires=([0-9]{1,15})&signature=([0-9a-f]{64})", query)
        return bool(found) and sign(path, found[1]) == found[2] and now < int(found[1])

    return link, allows


def variant(
    secret: bytes, *, signed: Callable[[str, str], str], check: Callable[..., bool]
) -> Made:
    def sign(path: str, expires: str) -> str:
        return hmac.digest(secret, signed(path, expires).encode(), "sha256").hex()

    def link(path: str, expires: int) -> str:
        return f"{path}?expires={expires}&signature={sign(path, str(expires))}"

    def allows(address: str, now: int) -> bool:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        try:
            (expires, *_), (given, *_) = query["expires"], query["signature"]
            return check(sign(parts.path, expires), given, int(expires), now)
        except (KeyError, ValueError):
            return False

    return link, allows


def only_the_path(secret: bytes) -> Made:
    return variant(
        secret, signed=lambda path, _: path, check=lambda s, g, e, now: s == g and now < e
    )


def only_the_time(secret: bytes) -> Made:
    return variant(secret, signed=lambda _, e: e, check=lambda s, g, e, now: s == g and now < e)


def whole(path: str, expires: str) -> str:
    return f"{path}\n{expires}"


def never_expires(secret: bytes) -> Made:
    return variant(secret, signed=whole, check=lambda s, g, e, now: s == g)  # noqa: ARG005


def one_second_more(secret: bytes) -> Made:
    return variant(secret, signed=whole, check=lambda s, g, e, now: s == g and now <= e)


def a_beginning_will_do(secret: bytes) -> Made:
    return variant(secret, signed=whole, check=lambda s, g, e, now: s.startswith(g) and now < e)


def first_characters(secret: bytes) -> Made:
    return variant(secret, signed=whole, check=lambda s, g, e, now: s[:8] == g[:8] and now < e)


def compares_text(secret: bytes) -> Made:
    """compare_digest raises TypeError for text that is not ASCII."""

    def compare(ours: str, given: str, expires: int, now: int) -> bool:
        return hmac.compare_digest(ours, given) and now < expires

    return variant(secret, signed=whole, check=compare)


def no_secret(secret: bytes) -> Made:  # noqa: ARG001
    return by_hmac(b"")


def hash_only(secret: bytes) -> Made:  # noqa: ARG001
    def sign(path: str, expires: str) -> str:
        return hashlib.sha256(f"{path}\n{expires}".encode()).hexdigest()

    def link(path: str, expires: int) -> str:
        return f"{path}?expires={expires}&signature={sign(path, str(expires))}"

    def allows(address: str, now: int) -> bool:
        path, _, query = address.partition("?")
        found = re.fullmatch(r"expires=([0-9]{1,15})&signature=([0-9a-f]{64})", query)
        return bool(found) and sign(path, found[1]) == found[2] and now < int(found[1])

    return link, allows


def remembers(secret: bytes) -> Made:  # noqa: ARG001
    """Right in one process."""
    made: dict[str, int] = {}

    def link(path: str, expires: int) -> str:
        address = f"{path}?token={random_secrets.token_urlsafe()}"
        made[address] = expires
        return address

    def allows(address: str, now: int) -> bool:
        return now < made.get(address, 0)

    return link, allows


def own_key(secret: bytes) -> Made:
    return by_hmac(secret + random_secrets.token_bytes(8))


def raises(secret: bytes) -> Made:
    link, _ = by_hmac(secret)

    def allows(address: str, now: int) -> bool:
        query = dict(parse_qsl(urlsplit(address).query))
        path = urlsplit(address).path
        good = signature(secret, path, query["expires"]) == query["signature"]
        return good and now < int(query["expires"])

    return link, allows


def last_time_counts(secret: bytes) -> Made:
    """Signs the first expires of the query, and believes the last one."""
    link, _ = by_hmac(secret)

    def allows(address: str, now: int) -> bool:
        path, _, query = address.partition("?")
        found = parse_qs(query)
        try:
            ours = signature(secret, path, found["expires"][0]).encode()
            good = hmac.compare_digest(ours, found["signature"][0].encode())
            return good and now < int(found["expires"][-1])
        except (KeyError, ValueError):
            return False

    return link, allows


def encoded_only(secret: bytes) -> Made:  # noqa: ARG001
    def link(path: str, expires: int) -> str:
        token = base64.urlsafe_b64encode(json.dumps([path, expires]).encode()).decode()
        return f"{path}?{urlencode({'token': token})}"

    def allows(address: str, now: int) -> bool:
        try:
            path, _, query = address.partition("?")
            token = parse_qs(query)["token"][0]
            signed, expires = json.loads(base64.urlsafe_b64decode(token))
        except (KeyError, ValueError, TypeError):
            return False
        return bool(signed == path and now < expires)

    return link, allows


def says_none(secret: bytes) -> Made:
    link, allows = by_hmac(secret)
    return link, lambda address, now: allows(address, now) or None


def one_function(secret: bytes) -> Callable[..., Any]:
    return by_hmac(secret)[0]


def only_a_query(secret: bytes) -> Made:
    link, allows = by_hmac(secret)
    return lambda path, expires: link(path, expires).partition("?")[2], allows


def never_ends(*_: object) -> None:
    while True:
        time.sleep(0.01)


RIGHT: list[tuple[str, Any]] = [
    (ONE, by_pasting),
    (ONE, by_raw_bytes),
    (ONE, by_resizing),
    (TWO, by_trying),
    (TWO, by_waiting),
    (TWO, by_session_lock),
    (TWO, all_at_once),
    (THREE, by_hmac),
    (THREE, by_making_it_again),
    (THREE, by_django),
    (THREE, by_jwt),
]

NOT_YET: list[tuple[str, Any, str]] = [
    (ONE, None, "give a function"),
    (ONE, b"bytes", "should be a function"),
    (ONE, only_the_beginning, "returned a JPEG"),
    (ONE, only_checked, "of 2,000 x 1,000 it returned 2000 x 1000"),
    (ONE, not_turned, "must be turned it returned 40 x 30"),
    (ONE, turned_too_late, "must be turned it returned 40 x 30"),
    (ONE, as_jpeg, "returned a JPEG"),
    (ONE, another_shape, "returned 1000 x 1000 pixels. Expected are 1000 x 500"),
    (ONE, enlarged, "returned 1000 x 750 pixels. Expected are 40 x 30"),
    (ONE, not_smaller, "of 2,000 x 1,000 it returned 2000 x 1000"),
    (ONE, mode_as_it_is, "CMYK ended in OSError: cannot write mode CMYK as PNG"),
    (ONE, with_its_text, "is in the new file too"),
    (ONE, keeps_exif, "is in the new file too"),
    (ONE, any_format, "a GIF was not refused"),
    (ONE, error_of_pillow, "a page ended in UnidentifiedImageError, and not in ValueError"),
    (ONE, bomb_of_pillow, "ended in DecompressionBombError, which is no ValueError"),
    (ONE, decoded_first, "only when it was decoded"),
    (ONE, only_pillows_limit, "only when it was decoded"),
    (ONE, half_is_enough, "half of a JPEG was not refused"),
    (ONE, swallows, "a page was not refused: it returned None"),
    (ONE, grey, "returned other pixels"),
    (ONE, an_image, "should return bytes"),
    (TWO, None, "give a function"),
    (TWO, empty_is_false, "2 of two files that rows name were deleted"),
    (TWO, no_lock, "had not committed"),
    (TWO, old_list, "came between two statements"),
    (TWO, lock_of_a_moment, "was deleted without its lock"),
    (TWO, deleted_afterwards, "was deleted without its lock"),
    (TWO, lock_is_kept, "a lock is still held"),
    (TWO, table_lock, "had not committed"),
    (TWO, another_key, "had not committed"),
    (TWO, in_this_process, "had not committed"),
    (TWO, by_age, "had not committed"),
    (TWO, parts_too, "it deleted part-new and part-yesterday"),
    (TWO, parts_never, "part-old was begun two days ago"),
    (TWO, impatient_parts, "it deleted part-yesterday, "),
    (TWO, rows_too, "it changed the table"),
    (TWO, leaves_open, "a transaction is still open"),
    (TWO, closes, "the connection is closed"),
    (TWO, does_little, "2 of two files are still there"),
    (TWO, everything, "2 of two files that rows name were deleted"),
    (TWO, swallows_errors, "had not committed"),
    (THREE, None, "give a function"),
    (THREE, glued, "a path whose last digit went into the time"),
    (THREE, only_the_path, "it accepted a later end"),
    (THREE, only_the_time, "it accepted a link to another photo"),
    (THREE, never_expires, "a link that has expired was accepted: now is expires + 0"),
    (THREE, one_second_more, "a link that has expired was accepted: now is expires + 0"),
    (THREE, a_beginning_will_do, "it accepted"),
    (THREE, first_characters, "it accepted"),
    (THREE, compares_text, "ended in TypeError"),
    (THREE, no_secret, "made with another secret"),
    (THREE, hash_only, "made with another secret"),
    (THREE, remembers, "another process made"),
    (THREE, own_key, "another process made"),
    (THREE, raises, "ended in KeyError"),
    (THREE, last_time_counts, "it accepted a second expires behind"),
    (THREE, encoded_only, "made with another secret"),
    (THREE, says_none, "must return True or False"),
    (THREE, one_function, "must return two functions"),
    (THREE, only_a_query, "it must begin with the path and a ?"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


@pytest.mark.parametrize(
    ("exercise", "stub"),
    [(ONE, judges.GIVEN_1), (TWO, judges.GIVEN_2), (THREE, judges.GIVEN_3)],
)
def test_the_stub_is_no_try(exercise: str, stub: str) -> None:
    names: dict[str, Any] = {}
    exec(stub, names)
    verdict = judge_answer(exercise, list(names.values())[-1])
    assert (verdict.right, verdict.tried) == (False, False)


@pytest.mark.parametrize("exercise", [ONE, TWO, THREE])
def test_an_answer_that_never_ends_is_ended(exercise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)
    verdict = judge_answer(exercise, never_ends)
    assert not verdict.right
    assert "after 1 seconds" in verdict.message


def test_nothing_is_left_behind() -> None:
    pillow = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.ImageFile.load
    server = nexus.services.current("postgres")
    before = set(server.directory.iterdir())
    for exercise, answer in [(ONE, half_is_enough), (TWO, no_lock), (THREE, remembers)]:
        judge_answer(exercise, answer)
    assert set(server.directory.iterdir()) == before
    assert (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        ImageFile.ImageFile.load,
    ) == pillow
