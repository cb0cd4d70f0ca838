"""Judges of "Files and uploads": a picture that is cleaned, a sweeper, and signed links."""

import hashlib
import io
import os
import re
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from PIL import Image, ImageFile, PngImagePlugin

from nexus.judging import NotYet, judge
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest
from nexus.judging.sandbox import Connection, Sandbox, another, database
from nexus.judging.workers import OtherProcessError, worker

# Exercise 1: a picture

SECRET = b"38.72 N, 9.14 W"
"""What a picture tells besides its pixels."""

MOST_PIXELS = 10_000_000
LONGEST = 1_000

Clean = Callable[[bytes], object]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), (200, 30, 30))
    image.paste((30, 30, 200), (width // 2, 0, width, height))
    return image.convert(mode)


def black(width: int, height: int) -> bytes:
    """A PNG of many pixels, one bit each, that is complete and small."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * min(height, 5_000)), 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def archive() -> bytes:
    """A ZIP file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as album:
        album.writestr("secret.txt", SECRET)
    return file.getvalue()


def turned() -> bytes:
    """A photo that was taken with the camera held upright: right side up, red is above blue."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    exif[0x010E] = SECRET.decode()
    return encoded(halves(), "JPEG", exif=exif, quality=95)


@contextmanager
def decoding() -> Iterator[list[int]]:
    """Notes how many pixels each picture has that is decoded, and keeps Pillow's settings."""
    decoded: list[int] = []
    real = ImageFile.ImageFile.load

    def load(self: ImageFile.ImageFile) -> object:
        decoded.append(self.width * self.height)
        if decoded[-1] > MOST_PIXELS:
            raise ValueError("the judge does not decode this")
        return real(self)

    limit, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with mock.patch.object(ImageFile.ImageFile, "load", load), warnings.catch_warnings():
            yield decoded
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, truncated


GIVEN_1 = """
def clean(data):
    return data
"""


@judge(
    "files-and-uploads.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function that gets the bytes of an upload, and returns the bytes of a PNG or "
    "raises ValueError",
    stub=GIVEN_1,
)
def picture(answer: Clean) -> str:
    """What comes back shows the same and says nothing else; what is no picture is refused."""
    _shows(answer, "a PNG", encoded(halves(), "PNG"), (40, 30))
    _shows(answer, "a JPEG", encoded(halves(), "JPEG", quality=95), (40, 30))
    _shows(answer, "a photo whose EXIF says that it must be turned", turned(), (30, 40))
    _shows(answer, "a JPEG in CMYK", encoded(halves(mode="CMYK"), "JPEG", quality=95), (40, 30))
    _shows(answer, "a PNG with a palette", encoded(halves(mode="P"), "PNG"), (40, 30))
    _shows(answer, "a PNG of 2,000 x 1,000", encoded(halves(2_000, 1_000), "PNG"), (1_000, 500))
    _tells_nothing(answer)
    nothing = {
        "a page": b"<html><script>alert(1)</script></html>",
        "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
        "an empty file": b"",
        "a page that begins like a PNG": b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
        "half of a JPEG": (whole := encoded(halves(400, 300), "JPEG"))[: len(whole) // 2],
        "half of a PNG": (whole := encoded(halves(400, 300), "PNG"))[: len(whole) // 2],
        "a GIF": encoded(halves(), "GIF"),
        "a TIFF": encoded(halves(), "TIFF"),
    }
    for what, data in nothing.items():
        _refuses(answer, what, data)
    for width, height in ((4_000, 3_000), (50_000, 50_000)):
        what = f"a PNG of {width:,} x {height:,} pixels"
        _refuses(answer, what, black(width, height))
    return (
        "the pictures came back upright, small enough, and with nothing but pixels; what is no "
        "PNG or JPEG was refused, and so was what is too large, before it was decoded"
    )


def _cleaned(answer: Clean, what: str, data: bytes) -> bytes:
    """What comes back for a good picture."""
    try:
        with decoding():
            got = within(lambda: answer(data))
    except ValueError as error:
        raise NotYet(f"{what} was refused, and it is a good picture: {error}") from None
    except (OSError, KeyError) as error:
        raise NotYet(f"{what} ended in {type(error).__name__}: {error}") from None
    if not isinstance(got, bytes):
        raise NotYet(f"for {what} it returned {_kind(got)}, and should return bytes")
    return got


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _shows(answer: Clean, what: str, data: bytes, size: tuple[int, int]) -> None:
    """Raises NotYet unless a PNG of the right size comes back, red before blue."""
    got = _cleaned(answer, what, data)
    try:
        with Image.open(io.BytesIO(got)) as image:
            kind, shown = image.format, image.convert("RGB")
    except (OSError, ValueError):
        raise NotYet(f"for {what} it returned bytes that are no picture") from None
    if kind != "PNG":
        raise NotYet(f"for {what} it returned a {kind}, and should return a PNG")
    if any(abs(is_ - should) > 1 for is_, should in zip(shown.size, size, strict=True)):
        raise NotYet(
            f"for {what} it returned {shown.width} x {shown.height} pixels. Expected are "
            f"{size[0]} x {size[1]}"
        )
    upright = size[1] > size[0]
    first = (size[0] // 2, size[1] // 4) if upright else (size[0] // 4, size[1] // 2)
    last = (size[0] // 2, size[1] * 3 // 4) if upright else (size[0] * 3 // 4, size[1] // 2)
    red, blue = shown.getpixel(first), shown.getpixel(last)
    if not (red[0] > red[2] + 60 and blue[2] > blue[0] + 60):  # type: ignore[index,operator]
        raise NotYet(f"for {what} it returned other pixels: {red} where red is, {blue} for blue")


def _tells_nothing(answer: Clean) -> None:
    """Raises NotYet if something goes over that is not a pixel."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    told = {
        "the text of a PNG": encoded(halves(), "PNG", pnginfo=text),
        "the EXIF of a PNG": encoded(halves(), "PNG", exif=exif),
        "the EXIF of a JPEG": encoded(halves(), "JPEG", exif=exif),
        "the comment of a JPEG": encoded(halves(), "JPEG", comment=SECRET),
        "the colour profile of a JPEG": encoded(halves(), "JPEG", icc_profile=SECRET * 20),
        "a ZIP behind the picture": encoded(halves(), "PNG") + archive(),
    }
    for what, data in told.items():
        got = _cleaned(answer, what.replace("the ", "a picture with the ", 1), data)
        with Image.open(io.BytesIO(got)) as image:
            image.load()
            said = [str(value).encode() for value in image.info.values()] + [
                str(value).encode() for value in image.getexif().values()
            ]
            said += [value for value in image.info.values() if isinstance(value, bytes)]
        if any(SECRET in part for part in (got, *said)):
            raise NotYet(f"{what} is in the new file too: copy the pixels, and nothing else")


def _refuses(answer: Clean, what: str, data: bytes) -> None:
    """Raises NotYet unless ValueError comes."""
    try:
        with decoding() as decoded:
            got = within(lambda: answer(data))
    except ValueError:
        if max(decoded, default=0) > MOST_PIXELS:
            raise NotYet(
                f"{what} was refused only when it was decoded: check the size in its header first"
            ) from None
        return
    except Image.DecompressionBombError:
        raise NotYet(
            f"{what} ended in DecompressionBombError, which is no ValueError: it comes from "
            "Image.open"
        ) from None
    except Exception as error:
        if isinstance(error, NotYet):
            raise
        raise NotYet(f"{what} ended in {type(error).__name__}, and not in ValueError") from None
    raise NotYet(f"{what} was not refused: it returned {_kind(got)}")


# Exercise 2: a sweeper

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
"""What each upload does first."""

MOMENTS = 12
"""After how many of the answer's statements an upload may come in between."""

Sweep = Callable[[Connection, Path], object]


def photos(connection: Connection) -> None:
    """Makes the table of the rows."""
    connection.execute("""
        CREATE TABLE photo (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            owner text NOT NULL,
            digest text NOT NULL
        )
    """)


def digest(content: str) -> str:
    """The name of a file."""
    return hashlib.sha256(content.encode()).hexdigest()


class Service:
    """A table and a folder, and uploads as the chapter's."""

    def __init__(self, box: Sandbox, store: Path) -> None:
        self.box, self.store = box, store

    def begin(self) -> None:
        """Two photos with rows, two files without one, and what uploads have left."""
        for path in self.store.iterdir():
            path.unlink()
        self.box.admin.execute("TRUNCATE photo")
        for content in ("kept", "kept too"):
            self.write(content)
            self.insert(self.box.admin, content)
        for content in ("lost", "Esi's"):
            self.write(content)
        for name, hours in (("part-new", 0), ("part-yesterday", 20), ("part-old", 50)):
            path = self.store / name
            path.touch()
            os.utime(path, (time.time() - hours * 3600,) * 2)

    def write(self, content: str) -> None:
        """The second step of an upload: a file that is there is not written again."""
        if not (path := self.store / digest(content)).exists():
            path.write_text(content)
            old = time.time() - 100 * 3600
            os.utime(path, (old, old))  # all were written long ago

    def insert(self, connection: Connection, content: str) -> None:
        """The third step."""
        query = "INSERT INTO photo (owner, digest) VALUES ('Esi', %s)"
        connection.execute(query, [digest(content)])

    def upload(self, content: str) -> bool:
        """A whole upload; says whether it could be done now, with nobody in its way."""
        connection = self.box.server.connect(dbname=self.box.admin.info.dbname)
        try:
            connection.execute("SET lock_timeout = '50ms'")
            connection.execute(LOCK, [digest(content)])
            self.write(content)
            self.insert(connection, content)
            connection.commit()
        except psycopg.errors.LockNotAvailable:
            return False
        finally:
            connection.close()
        return True

    def lost_rows(self) -> list[str]:
        """The digests of rows whose file is gone."""
        rows = self.box.admin.execute("SELECT DISTINCT digest FROM photo").fetchall()
        return [name for (name,) in rows if not (self.store / name).exists()]

    def names(self) -> set[str]:
        """What is in the folder, in words."""
        words = {digest(content): content for content in ("kept", "kept too", "lost", "Esi's")}
        return {words.get(path.name, path.name) for path in self.store.iterdir()}


GIVEN_2 = """
def sweep(connection, store):
    rows = {digest for (digest,) in connection.execute("SELECT digest FROM photo")}
    for path in store.iterdir():
        if path.name not in rows:
            path.unlink()
"""


@judge(
    "files-and-uploads.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection and a folder: it deletes the files that no row names, "
    "and takes the uploads' lock before it decides about a file",
    stub=GIVEN_2,
)
def sweeper(answer: Sweep) -> str:
    """It deletes what nobody needs, and nothing that an upload has begun to use."""
    with (
        database("files_photos", photos) as box,
        tempfile.TemporaryDirectory(dir=box.server.directory) as folder,  # it goes with the server
    ):
        service = Service(box, Path(folder))
        _deletes(answer, service)
        _waits_for_an_upload(answer, service)
        _meets_uploads(answer, service)
    return (
        "files without a row are gone, and so are old parts; and no upload lost its file, wherever "
        "it came in between"
    )


def _call(answer: Sweep, service: Service, client: Connection) -> None:
    """Runs the sweeper, and looks at what it leaves open."""
    within(lambda: answer(client, service.store))
    _left(service, client)


def _left(service: Service, client: Connection) -> None:
    if client.closed:
        raise NotYet("the connection is closed afterwards, but the caller still needs it")
    if client.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet("a transaction is still open afterwards")
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
    if service.box.admin.execute(query, [client.info.backend_pid]).fetchone() != (0,):
        raise NotYet("a lock is still held afterwards: the next upload of this file waits for ever")


def _deletes(answer: Sweep, service: Service) -> None:
    """With nobody else there."""
    with another(service.box) as client:
        service.begin()
        query = "INSERT INTO photo (owner, digest) VALUES ('Amina', 'a row without a file')"
        service.box.admin.execute(query)
        _call(answer, service, client)
        names = service.names()
        if gone := {"kept", "kept too"} - names:
            raise NotYet(f"{len(gone)} of two files that rows name were deleted")
        if gone := {"part-new", "part-yesterday"} - names:
            raise NotYet(
                f"it deleted {' and '.join(sorted(gone))}, which an upload may still be writing"
            )
        if left := {"lost", "Esi's"} & names:
            raise NotYet(f"no row names them, and {len(left)} of two files are still there")
        if "part-old" in names:
            raise NotYet("part-old was begun two days ago, and is still there")
        if service.box.admin.execute("SELECT count(*) FROM photo").fetchone() != (3,):
            raise NotYet("it changed the table. A sweeper of files must leave the rows as they are")
        _call(answer, service, client)


def _waits_for_an_upload(answer: Sweep, service: Service) -> None:
    """An upload has its lock and has found its file, and has no row yet."""
    for is_inserted in (True, False):
        service.begin()
        with another(service.box) as client, another(service.box) as esi:
            esi.execute("BEGIN")
            esi.execute(LOCK, [digest("Esi's")])
            service.write("Esi's")
            if is_inserted:
                service.insert(esi, "Esi's")
            run = Run(partial(answer, client, service.store))
            come_to_rest(service.box, [lambda run=run: run.is_running])  # type: ignore[misc]
            if not is_inserted:
                try:
                    esi.execute("SET lock_timeout = '2s'")
                    service.insert(esi, "Esi's")
                except psycopg.Error as error:
                    esi.execute("ROLLBACK")
                    all_of([run], "it")
                    raise NotYet(
                        "an upload had the lock of its file, and could not insert its row: "
                        f"{str(error).splitlines()[0]}"
                    ) from None
            esi.execute("COMMIT")
            all_of([run], "it")[0].value()
            if service.lost_rows():
                raise NotYet(
                    "an upload held the lock of its file and had not committed. The file was "
                    "deleted, and then the row came: take the same lock, and look for the row once "
                    "you have it"
                )
            _left(service, client)


class Meeting(psycopg.Cursor[Any]):
    """A cursor after whose statements something happens."""

    def execute(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Executes, and lets it happen."""
        result = super().execute(*arguments, **options)
        self.connection.after_statement()  # type: ignore[attr-defined]
        return result


class Met(psycopg.Connection[Any]):
    """A connection that calls a function after a statement of a certain number."""

    count, at, then = 0, 0, staticmethod(lambda: None)

    def after_statement(self) -> None:
        """Counts."""
        self.count += 1
        if self.count == self.at:
            self.then()


def _meets_uploads(answer: Sweep, service: Service) -> None:
    """A whole upload comes before the file is deleted, or after the first statement, and so on."""
    info = service.box.learner.info
    esi = service.store / digest("Esi's")
    real = os.unlink

    def unlink(path: Any, **options: Any) -> None:  # noqa: ANN401
        """Deletes, after an upload of this file if nobody holds its lock."""
        if Path(path) == esi:
            service.upload("Esi's")
        real(path, **options)

    service.begin()
    with (
        another(service.box) as client,
        mock.patch.object(os, "unlink", unlink),
        mock.patch.object(os, "remove", unlink),
    ):
        _call(answer, service, client)
    if service.lost_rows():
        raise NotYet(
            "a file was deleted without its lock: an upload was complete just before. Keep the "
            "lock until the file is gone"
        )
    for at in range(1, MOMENTS + 1):
        service.begin()
        done: list[bool] = []
        client = Met.connect(
            service.box.server.url, dbname=info.dbname, user=info.user, autocommit=True
        )
        try:
            client.cursor_factory = Meeting
            client.at = at
            client.then = lambda done=done: done.append(service.upload("Esi's"))  # type: ignore[method-assign,assign]
            _call(answer, service, client)
            count = client.count
        finally:
            client.close()
        if service.lost_rows():
            raise NotYet(
                f"an upload came between two statements of the sweeper (after the {_nth(at)}), and "
                "was complete before the file was deleted. Look for the row again after you have "
                "the lock, and keep the lock until the file is gone"
            )
        if count < at:
            return


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


# Exercise 3: signed links

END = 1_800_000_000
"""When the links expire."""

Links = Callable[[bytes], Any]

GIVEN_3 = """
def links(secret):
    def link(path, expires):
        return f"{path}?expires={expires}"

    def allows(address, now):
        return True

    return link, allows
"""


@judge(
    "files-and-uploads.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a secret that returns two functions: link(path, expires) and "
    "allows(address, now)",
    stub=GIVEN_3,
)
def signed_links(answer: Links) -> str:
    """A link opens its own path until its end, in each process, and nothing else."""
    link, allows = _pair(answer, b"a secret of the service")
    path = "/photos/17"
    address = _made(link, path)
    if not _says(allows, address, END - 1, "its own link, a second before its end"):
        raise NotYet("a link was refused a second before its end")
    for late in (0, 1, 10**8):
        if _says(allows, address, END + late, "an expired link"):
            raise NotYet(f"a link that has expired was accepted: now is expires + {late:,}")
    with worker(lambda: _made(_pair(answer, b"a secret of the service")[0], path)) as other:
        other.ask()
        try:
            made = str(other.answer("the other process"))
        except OtherProcessError as error:
            raise NotYet(f"in another process, it raised {error}") from None
    if not _says(allows, made, END - 1, "a link of another process"):
        raise NotYet("a link that another process made, with the same secret, was refused")
    stranger = _made(_pair(answer, b"another secret")[0], path)
    if _says(allows, stranger, END - 1, "a link of another secret"):
        raise NotYet("a link was accepted that was made with another secret")
    for what, changed, now in _changed(address, path):
        if changed != address and _says(allows, changed, now, what):
            raise NotYet(f"it accepted {what}: {_short(changed)}")
    for other_path in ("/photos/18", "/a/b-c_d.png", "/"):
        if not _says(allows, _made(link, other_path), END - 1, "a link"):
            raise NotYet(f"the link of {other_path} was refused")
    return (
        "links of each process with the secret open their own path until their end; changed, cut, "
        "moved and repeated ones are refused without an error"
    )


def _pair(answer: Links, secret: bytes) -> tuple[Callable[..., object], Callable[..., object]]:
    got = within(lambda: answer(secret))
    if not (isinstance(got, tuple | list) and len(got) == 2 and all(map(callable, got))):
        raise NotYet("it must return two functions: `return link, allows`")
    return got[0], got[1]


def _made(link: Callable[..., object], path: str) -> str:
    got = within(lambda: link(path, END))
    if not isinstance(got, str) or not got.startswith(f"{path}?"):
        raise NotYet(f"link({path!r}, …) returned {got!r}: it must begin with the path and a ?")
    return got


def _says(allows: Callable[..., object], address: str, now: int, what: str) -> bool:
    try:
        got = within(lambda: allows(address, now))
    except NotYet:
        raise
    except Exception as error:
        raise NotYet(
            f"{what} ended in {type(error).__name__} ({error}), and should be refused: "
            f"{_short(address)}"
        ) from None
    if not isinstance(got, bool):
        raise NotYet(f"allows must return True or False. For {what} it returned {got!r}")
    return got


def _short(address: str) -> str:
    return ascii(address) if len(address) < 100 else ascii(address[:97]) + "…"


def _changed(address: str, path: str) -> Iterator[tuple[str, str, int]]:
    """Links that nobody made, each with what it is and when it comes."""
    query = address.partition("?")[2]
    soon, far = END - 1, 10 * END
    yield "a link to another photo", f"/photos/18?{query}", soon
    yield "a longer path", f"{path}/original?{query}", soon
    yield "a path without its last digit", f"/photos/1?{query}", soon
    # What was the end of the path is now the beginning of the time.
    yield (
        "a path whose last digit went into the time",
        f"/photos/1?{query}".replace(str(END), f"7{END}"),
        soon,
    )
    yield (
        "a path that took a digit of the time",
        f"{path}1?{query}".replace(str(END), str(END)[1:]),
        soon,
    )
    yield "a later end", address.replace(str(END), str(far)), END + 5
    for name in dict.fromkeys(re.findall(r"(?:^|&)([^=&]+)=", query)):
        yield f"a second {name} behind", f"{address}&{name}={far}", END + 5
        yield f"a second {name} in front", f"{path}?{name}={far}&{query}", END + 5
        without = "&".join(part for part in query.split("&") if not part.startswith(f"{name}="))
        yield f"a link without its {name}", f"{path}?{without}", soon
        yield f"an empty {name}", re.sub(rf"(?<=[?&]){name}=[^&]*", f"{name}=", address), soon
        for value in ("é", "never", "-1", "%00", "٣"):
            yield (
                f"a link whose {name} is {value!a}",
                re.sub(rf"(?<=[?&]){name}=[^&]*", f"{name}={value}", address),
                soon,
            )
    yield "a link without anything behind the path", path, soon
    yield "a link with an empty query", f"{path}?", soon
    yield "an empty address", "", soon
    yield "an address that is none", "é?é=é&&=%", soon
    for size in (1, 2, 8, 24):
        yield f"a link without its last {size} characters", address[:-size], soon
    for at in range(len(path) + 1, len(address) - 2):  # the last two of base64 may mean nothing
        letter = address[at]
        if letter.isascii() and letter.isalnum():
            other = {"9": "0", "z": "a", "Z": "A", "f": "a", "F": "A"}.get(letter) or chr(
                ord(letter) + 1
            )
            yield "a link with another character", address[:at] + other + address[at + 1 :], soon
