"""Judges of "Containers": layers, a Dockerfile, a start script, a compose file."""

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from posixpath import basename, join, normpath
from typing import Any

import psutil

from nexus.judging import NotYet, judge
from nexus.judging.limits import within
from nexus.services.surroundings import plain

Files = dict[str, str]


# -- 1. What leaked?

LAYERS: tuple[tuple[str, tuple[Files, ...], set[str]], ...] = (
    ("nothing is hidden", ({"app/app.py": "1", "etc/passwd": "root"},), set()),
    (
        "a whiteout hides a file, and not another whose name begins like it",
        ({"app/.env": "KEY=1", "app/.env.example": "KEY="}, {"app/.wh..env": ""}),
        {"app/.env"},
    ),
    (
        "a whiteout is in the top folder",
        ({"token": "1", "tokens/readme": "2"}, {".wh.token": ""}),
        {"token"},
    ),
    (
        "a later layer has another file of the same name",
        ({"app/settings.py": "KEY = 1", "app/app.py": "1"}, {"app/settings.py": "KEY = None"}),
        {"app/settings.py"},
    ),
    (
        "a whiteout hides a whole folder, and not another whose name begins like it",
        (
            {"app/.git/config": "1", "app/.git/objects/00": "2", "app/.gitignore": "3"},
            {"app/.wh..git": ""},
        ),
        {"app/.git/config", "app/.git/objects/00"},
    ),
    (
        "an opaque folder hides what lower layers have in it, and not what its own layer has",
        (
            {"app/keys/old.pem": "1", "app/keys/more/old.pem": "2", "app/app.py": "3"},
            {"app/keys/.wh..wh..opq": "", "app/keys/new.pem": "4"},
        ),
        {"app/keys/old.pem", "app/keys/more/old.pem"},
    ),
    (
        "an opaque top folder hides all of the lower layers",
        ({"etc/passwd": "1", "token": "2"}, {".wh..wh..opq": "", "hello": "3"}),
        {"etc/passwd", "token"},
    ),
    (
        "a whiteout is in the third layer, and the file in the first",
        ({"app/.env": "KEY=1"}, {"app/app.py": "1"}, {"app/.wh..env": ""}),
        {"app/.env"},
    ),
    (
        "an opaque folder's own layer has a file that comes before the marker",
        ({"keys/old.pem": "1"}, {"keys/+new.pem": "2", "keys/.wh..wh..opq": ""}),
        {"keys/old.pem"},
    ),
    (
        "a whiteout hides a folder, and its own layer has the folder again",
        (
            {"app/cache/old": "1", "app/app.py": "2"},
            {"app/.wh.cache": "", "app/cache/new": "3"},
        ),
        {"app/cache/old"},
    ),
    (
        "a whiteout hides a file that no lower layer has",
        ({"app/app.py": "1"}, {"app/.wh..env": ""}),
        set(),
    ),
    (
        "the name of an ordinary file has .wh. in its middle",
        ({"app/a.wh.txt": "1", "app/atxt": "2", "b.wh.txt": "3"}, {".wh.b.wh.txt": ""}),
        {"b.wh.txt"},
    ),
    (
        "a file is removed, and comes back in a third layer",
        ({"app/.env": "KEY=1"}, {"app/.wh..env": ""}, {"app/.env": "KEY="}),
        {"app/.env"},
    ),
)


def tar(files: Mapping[str, str]) -> bytes:
    """A layer: a tar archive of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return out.getvalue()


GIVEN_1 = """
def leaked(layers):
    shown = container(layers)
    return {name for layer in layers for name in read(layer) if name not in shown}
"""


@judge(
    "containers.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a list of layers, each the bytes of a tar archive, that returns names",
    stub=GIVEN_1,
)
def leaked(answer: Callable[[list[bytes]], object]) -> str:
    """It finds every file that a container does not show, and no other."""
    for what, layers, hidden in LAYERS:
        got = within(lambda layers=layers: answer([tar(layer) for layer in layers]))  # type: ignore[misc]
        if not isinstance(got, list | tuple | set | frozenset | dict):
            raise NotYet("it should return the names, as a list or a set")
        found = set(got)
        if markers := sorted(each for each in map(str, found) if basename(each)[:4] == ".wh."):
            raise NotYet(f"{markers[0]} is a whiteout, and not a file that leaked")
        if found != hidden:
            got_names = _names(set(map(str, found)))
            raise NotYet(f"{what}, so it should find {_names(hidden)}; it found {got_names}")
    return "it finds what whiteouts, opaque folders and later files hide, and nothing else"


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))[:200] or "nothing"


# -- 2. In a good order. The answer is built, as far as files and the cache go.

BASE = "python:3.13.9-slim-bookworm"
FOLDER: Files = {
    "app.py": "from rates import RATES\n",
    "rates.py": "RATES = {}\n",
    "requirements.txt": "gunicorn==1\n",
    ".env": "PAYMENT_KEY=sk_live_4242\n",
}
INSTALLED = ".installed"
"""The file that stands for installed packages; its content is the list they were made from."""

WHEELS = ".wheels"
"""The same for wheels, which are packages that have yet to be installed."""

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
USERS = set(
    "_apt backup bin daemon games irc list lp mail man news nobody proxy sync sys uucp "  # noqa: SIM905
    "www-data".split()
)
"""Those whom Debian's image knows, besides root."""

KNOWN = set(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL "  # noqa: SIM905
    "STOPSIGNAL USER VOLUME WORKDIR".split()
)


@dataclass
class Stage:
    """A stage of a build: what a container of it would show, and what its layers hold.

    A later layer does not change an earlier one, so `kept` has every path with every content that
    some layer has for it.
    """

    base: str
    key: str = ""
    files: Files = field(default_factory=dict)
    kept: set[tuple[str, str]] = field(default_factory=set)
    folder: str = "/"
    user: str = ""
    users: set[str] = field(default_factory=lambda: set(USERS))
    entrypoint: str = ""
    command: str = ""
    installs: list[str] = field(default_factory=list)
    shell: list[str] = field(default_factory=lambda: ["sh", "-c"])
    stop: str = "SIGTERM"
    images: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})

    def child(self) -> "Stage":
        """A stage that begins where this one ended."""
        return Stage(
            self.base,
            self.key,
            dict(self.files),
            set(self.kept),
            self.folder,
            self.user,
            set(self.users),
            self.entrypoint,
            self.command,
            list(self.installs),
            list(self.shell),
            self.stop,
            list(self.images),
            dict(self.environment),
        )

    def path(self, name: str) -> str:
        """A path as the stage's folder makes it."""
        return normpath(join(self.folder, name))

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder of that name."""
        places = (f"{self.folder}/", *self.files)
        return path == "/" or any(place.startswith(f"{path}/") for place in places)

    def expand(self, text: str) -> str:
        """A text with the values of ARG and ENV in it; the shell's own variables stay."""
        known = self.environment
        return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda m: known.get(m[1] or m[2], m[0]), text)

    def put(self, files: Files) -> None:
        """Adds files, and a layer that holds them."""
        self.files |= files
        self.keep()

    def keep(self) -> None:
        """Ends a layer: it holds what is there now and was not there before."""
        self.kept |= set(self.files.items())


GIVEN_2 = """
FROM python:3.13.9-slim-bookworm
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
CMD ["gunicorn", "app"]
"""


@judge(
    "containers.2",
    takes=str,
    called="a Dockerfile's text",
    hint=f"give a Dockerfile, beginning with FROM {BASE}",
    stub=GIVEN_2,
)
def dockerfile(answer: str) -> str:
    """Code does not install packages, the list does; nothing leaks; not root; it hears SIGTERM."""
    first = build(answer, FOLDER)
    image = first[-1]
    if not image.base.startswith(BASE):
        raise NotYet(f"its last stage is built on {image.base}, and not on {BASE}")
    installs = [key for stage in first for key in stage.installs]
    if not installs:
        raise NotYet("the packages of requirements.txt are not installed")
    for name in ("app.py", "rates.py"):
        again = build(answer, FOLDER | {name: FOLDER[name] + "# changed\n"})
        if [key for stage in again for key in stage.installs] != installs:
            raise NotYet(
                f"after a change of {name} the packages are installed again: copy requirements.txt "
                "alone above the installation, and the code below it"
            )
    listed = FOLDER | {"requirements.txt": "gunicorn==2\n"}
    again = build(answer, listed)
    if [key for stage in again for key in stage.installs] == installs:
        raise NotYet(
            "after a change of requirements.txt the old packages come from the cache: the "
            "installation reads a list that no COPY or bind mount above it brings"
        )
    there = {content for path, content in image.files.items() if basename(path) == INSTALLED}
    if FOLDER["requirements.txt"] not in there:
        taken = "".join(
            f"; there is no stage {each}, so a builder pulls an image of that name"
            for each in image.images[:1]
        )
        raise NotYet(f"the packages were installed in a stage, and are not in the last one{taken}")
    leaks = sorted(each for each in image.kept if FOLDER[".env"].strip() in each[1])
    if leaks:
        path, content = leaks[0]
        hidden = "" if image.files.get(path) == content else ", though it was removed later"
        raise NotYet(f"a layer holds {path}{hidden}")
    for name in ("app.py", "rates.py"):
        if image.path(name) not in image.files and "--chdir" not in image.command:
            raise NotYet(
                f"there is no {name} in {image.folder}, where the program starts: copy it there"
            )
    _check_user(image)
    _check_signal(image)
    return (
        "packages are installed when their list changes, .env is in no layer, and the program is "
        "not root and hears SIGTERM"
    )


def _check_user(image: Stage) -> None:
    user = image.user.partition(":")[0]
    if user in ("", "root") or (user.isdigit() and int(user) == 0):
        raise NotYet("the program is root: give USER the number of another user")
    if not user.isdigit() and user not in image.users:
        raise NotYet(f"unable to find user {user}: no matching entries in passwd file")


def build(text: str, folder: Files) -> list[Stage]:
    """Builds a Dockerfile as far as its files and its cache go.

    Returns:
        The stages; the last one is the image.

    Raises:
        NotYet: if a builder would refuse it.
    """
    stages: list[Stage] = []
    names: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for line in _instructions(text):
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()
        if word not in KNOWN:
            raise NotYet(f"unknown instruction: {word}")
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments.setdefault(name, value)
        if word == "FROM":
            parts = re.sub(r"--platform=\S+ ", "", rest).split()
            if len(parts) not in (1, 3):
                raise NotYet(f"FROM requires either one or three arguments: FROM {rest}".strip())
            source = re.sub(r"\$\{?(\w+)\}?", lambda m: arguments.get(m[1], ""), parts[0])
            stage = names[source].child() if source in names else Stage(source, source)
            stages.append(stage)
            names[str(len(stages) - 1)] = stage
            if len(parts) == 3:
                names[parts[2]] = stage
        elif not stages:
            if word != "ARG":
                raise NotYet(f"no build stage in current context: {word} is above FROM")
        else:
            _step(stages[-1], word, rest, folder, names)
    if not stages:
        raise NotYet("there is no FROM")
    return stages


def _instructions(text: str) -> Iterator[str]:
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    text = "\n".join(lines)
    # RUN <<EOF: what follows up to EOF are the shell's lines, each of which may fail unnoticed.
    here = re.compile(r"^(RUN\b.*?)<<-?[\"']?(\w+)[\"']?\n(.*?)\n\s*\2$", re.M | re.S | re.I)
    lines = here.sub(lambda m: m[1] + m[3].replace("\n", "; "), text).splitlines()
    joined = "\n".join(lines).replace("\\\n", " ")
    return (" ".join(line.split()) for line in joined.splitlines())


def _step(stage: Stage, word: str, rest: str, folder: Files, names: dict[str, Stage]) -> None:
    """Carries out one instruction."""
    seen = ""
    if word in ("ADD", "COPY", "ENV", "USER", "WORKDIR"):
        rest = stage.expand(rest)
    if word in ("ARG", "ENV"):
        with suppress(ValueError):
            values = [part.partition("=") for part in shlex.split(rest)]
            stage.environment |= {name: value for name, sign, value in values if sign}
    if word in ("COPY", "ADD"):
        copied, seen = _copied(stage, rest, folder, names)
        stage.put(copied)
    elif word == "WORKDIR":
        stage.folder = stage.path(rest)
    elif word == "USER":
        stage.user = rest
    elif word == "ENTRYPOINT":
        stage.entrypoint, stage.command = rest, ""
    elif word == "CMD":
        stage.command = rest
    elif word == "STOPSIGNAL":
        stage.stop = stage.expand(rest)
    elif word == "SHELL":
        stage.shell = _list(rest)
        if not stage.shell:
            raise NotYet(f"SHELL requires the arguments to be in JSON form: SHELL {rest}")
    elif word == "RUN":
        seen = _mounted(rest, folder)
    stage.key = hashlib.sha256(f"{stage.key}\n{word} {rest}\n{seen}".encode()).hexdigest()
    if word == "RUN":
        _run(stage, rest, folder)


def _list(text: str) -> list[str]:
    """The words of an instruction in exec form; none, if a builder takes it for a shell's line."""
    with suppress(ValueError):
        words = json.loads(text)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return []


def _copied(stage: Stage, rest: str, folder: Files, names: dict[str, Stage]) -> tuple[Files, str]:
    """The files that COPY brings, by where they land, and what a builder looks at for its cache."""
    flags = dict(re.findall(r"--(\w+)=(\S+)", rest))
    without = re.findall(r"--exclude=(\S+)", rest)
    rest = re.sub(r"--\w+(=\S+)? ", "", rest)
    words = _list(rest) or rest.split()
    if len(words) < 2:
        raise NotYet(f"COPY requires at least two arguments: COPY {rest}")
    *sources, target = words
    origin = folder
    if "from" in flags and flags["from"] not in names:
        # A builder takes it for an image; what is in there is not known here.
        stage.images.append(flags["from"])
        names = names | {flags["from"]: Stage("", flags["from"], dict.fromkeys(sources, ""))}
    if "from" in flags:
        origin = {path.lstrip("/"): text for path, text in names[flags["from"]].files.items()}
    place = stage.path(target)
    into = target.endswith(("/", "/.")) or target == "." or stage.is_folder(place)
    if len(sources) > 1 and not target.endswith(("/", "/.")) and target != ".":
        raise NotYet(
            "When using COPY with more than one source file, the destination must be a directory "
            f"and end with a /: COPY {rest}"
        )
    found: Files = {}
    for source in sources:
        wanted = normpath(source).lstrip("/")
        inside = "" if wanted in (".", "") else f"{wanted}/"
        many = into or bool(set("*?[") & set(source))
        some = {}
        for name, content in origin.items():
            if any(fnmatchcase(name.removeprefix(inside), each) for each in without):
                continue
            if inside == "" or name.startswith(inside):
                some[normpath(join(place, name.removeprefix(inside)))] = content
            elif fnmatchcase(name, wanted):
                some[normpath(join(place, basename(name)) if many else place)] = content
        if not some:
            raise NotYet(f"COPY {source}: not found")
        found |= some
    looked_at = names[flags["from"]].key if "from" in flags else json.dumps(sorted(found.items()))
    return found, looked_at


def _mounted(rest: str, folder: Files) -> str:
    """What the bind mounts of a RUN make the builder look at."""
    seen = []
    for options in _mounts(rest):
        source = normpath(options.get("source", options.get("src", ".")))
        seen.append(sorted(folder.items()) if source == "." else folder.get(source))
    return json.dumps(seen)


def _mounts(rest: str) -> list[dict[str, str]]:
    """The bind mounts of a RUN that show files of the folder; bind is the type if none is given."""
    mounts = [
        dict(part.partition("=")[::2] for part in mount.split(","))
        for mount in re.findall(r"--mount=(\S+)", rest)
    ]
    return [each for each in mounts if each.get("type", "bind") == "bind" and "from" not in each]


def _run(stage: Stage, rest: str, folder: Files) -> None:
    """What the commands of a RUN do to the files, as far as this exercise is about them.

    The layer of a RUN is the difference between the files before it and after its last command. So
    it has no trace of a file that one command made and a later one removed.
    """
    bound: Files = {}
    for options in _mounts(rest):
        source = normpath(options.get("source", options.get("src", ".")))
        target = options.get("target", options.get("dst", options.get("destination", source)))
        if source in folder:
            bound[stage.path(target)] = folder[source]
        elif source == ".":
            bound |= {stage.path(join(target or ".", name)): folder[name] for name in folder}
    mounted = re.findall(r"--mount=\S*(?:target|dst|destination)=([^,\s]+)", rest)
    line = re.sub(r"--(mount|network|security)=\S+ ", "", rest)
    if words := _list(line):  # the exec form
        shell = basename(words[0]) in ("sh", "bash") and len(words) == 3
        line = words[2] if shell else shlex.join(words)
    active: list[str] = []
    for command in (part.strip(" (){}") for part in re.split(r"&&|;|\|\|?", line)):
        try:
            words = shlex.split(command)
        except ValueError:
            continue
        if words[:1] in (["rm"], ["unlink"]):
            for name in (stage.path(word) for word in words[1:] if not word.startswith("-")):
                gone = [p for p in stage.files if fnmatchcase(p, name) or p.startswith(f"{name}/")]
                for path in gone:
                    del stage.files[path]
        elif words[:1] in (["cp"], ["mv"], ["install"], ["ln"], ["cat"], ["tee"]):
            _copy(stage, words, bound)
        elif words[:1] == ["uv"] and not _has(stage, "uv", mounted):
            raise NotYet("sh: 1: uv: not found: the image of Python has pip, and not uv")
        elif any(word in ("useradd", "adduser") for word in words):
            stage.users.update(words)  # the name may stand anywhere among the options
        elif words[:1] in (["."], ["source"]):
            active = words[1:]  # the activate of a virtual environment
        elif "venv" in words:
            after = words[words.index("venv") + 1 :]
            folders = [stage.path(stage.expand(word)) for word in after if word[:1] != "-"]
            if not folders and words[0] == "uv":
                folders = [stage.path(".venv")]
            stage.files.update({join(folder, "pyvenv.cfg"): "" for folder in folders})
        elif {"install", "wheel"} & set(words) and re.search(r"\b(pip3?|uv)\b", command):
            _install(stage, [*words, *active], command, bound)
    stage.keep()


def _has(stage: Stage, program: str, mounted: list[str]) -> bool:
    """Whether a program is where PATH looks, in a layer or only mounted."""
    places = {join(folder, program) for folder in stage.environment["PATH"].split(":")}
    return bool(places & (set(stage.files) | set(mounted)))


def _copy(stage: Stage, words: list[str], bound: Files) -> None:
    """What cp and its like leave of the files, those of a mount included."""
    there = stage.files | bound
    plain_words = [word for word in words[1:] if not word.startswith("-")]
    if words[0] in ("cat", "tee"):  # cat source > target, tee target < source
        named = [stage.path(word.lstrip("<>")) for word in plain_words if word.strip("<>")]
        texts = "".join(there.get(each, "") for each in named)
        to = re.search(r">+ ?(\S+)", " ".join(words)) or re.match(r"tee (\S+)", " ".join(words))
        if to and texts:
            stage.files.update({stage.path(to[1]): texts})
        return
    if len(plain_words) < 2:
        return
    *sources, target = (stage.expand(word) for word in plain_words)
    place = stage.path(target)
    into = target.endswith(("/", ".")) or len(sources) > 1 or stage.is_folder(place)
    for source in sources:
        path = stage.path(source)
        top = path if source.endswith(("/.", ".")) or not into else path.rpartition("/")[0]
        for each, content in there.items():
            if fnmatchcase(each, path):
                stage.files.update(
                    {normpath(join(place, basename(each))) if into else place: content}
                )
            elif each.startswith(f"{path.rstrip('/')}/"):
                inside = each.removeprefix(top.rstrip("/") + "/")
                stage.files.update({normpath(join(place, inside)): content})
        if words[0] == "mv":
            for each in [p for p in stage.files if fnmatchcase(p, path)]:
                if each != place:
                    del stage.files[each]


def _install(stage: Stage, words: list[str], command: str, bound: Files) -> None:
    """What pip leaves behind: a file that stands for the packages, with the list it was given."""
    listed = re.findall(r"(?:-r|--requirements?)[ =]?(\S+)", command)
    at = [join(stage.path(word.partition("=")[2] or word), WHEELS) for word in words]
    at += [join(stage.path(word), "..", WHEELS) for word in words]
    wheels = [stage.files[path] for path in map(normpath, at) if path in stage.files]
    if "uv" in words[1:] and "install" in words:  # pip install uv
        stage.files.update({join(_environment(stage, words), "bin", "uv"): ""})
    if not listed and not wheels:
        return
    path = stage.path(listed[0]) if listed else ""
    content = wheels[0] if wheels else bound.get(path, stage.files.get(path))
    if content is None:
        raise NotYet(
            "ERROR: Could not open requirements file: [Errno 2] No such file or directory: "
            f"'{listed[0]}'"
        )
    stage.installs.append(stage.key)
    if "wheel" in words:
        where = re.search(r"(?:-w|--wheel-dir)[ =]?(\S+)", command)
        stage.files.update(
            {stage.path(join(stage.expand(where[1]) if where else ".", WHEELS)): content}
        )
        return
    where = re.search(r"--(prefix|target|root)[ =](\S+)", command)
    place, flat = _environment(stage, words), False
    if where:
        place, flat = stage.path(stage.expand(where[2])), where[1] == "target"
    elif words[0] == "uv" and not _uv_knows(stage, words):
        raise NotYet(
            "error: No virtual environment found; run `uv venv` to create an environment, or pass "
            "`--system` to install into a non-virtual environment"
        )
    elif "--user" in words:
        place = join("/root", ".local")  # whose HOME that is in the image
    elif place == "/usr/local" and stage.user.partition(":")[0].strip("0").isdigit():
        raise NotYet(
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: "
            f"'/.local': pip is run by user {stage.user}"
        )
    library = place if flat else join(place, "lib", "python3.13", "site-packages")
    stage.files.update({join(library, INSTALLED): content, join(place, "bin", "gunicorn"): ""})


def _uv_knows(stage: Stage, words: list[str]) -> bool:
    """Whether uv is told where to install, or finds a virtual environment."""
    told = {"--system", "--python", "-p"} & {word.partition("=")[0] for word in words}
    known = {"UV_SYSTEM_PYTHON", "VIRTUAL_ENV"} & set(stage.environment)
    return bool(told or known or stage.path(".venv/pyvenv.cfg") in stage.files)


def _environment(stage: Stage, words: list[str]) -> str:
    """The place that pip installs into: a virtual environment's, or the system's."""
    named = [stage.path(stage.expand(word.rpartition("=")[2])) for word in words if "/bin/" in word]
    if words[:1] == ["uv"] and "VIRTUAL_ENV" in stage.environment and not named:
        return stage.path(stage.environment["VIRTUAL_ENV"])
    own = stage.path(".venv")
    if words[0] == "uv" and "--system" not in words and f"{own}/pyvenv.cfg" in stage.files:
        return named[0].partition("/bin/")[0] if named else own
    # Without a path it is the program that PATH finds first.
    found = named or [
        folder + "/pip"
        for folder in stage.environment["PATH"].split(":")
        if f"{folder.removesuffix('/bin')}/pyvenv.cfg" in stage.files
    ]
    return found[0].partition("/bin/")[0] if found else "/usr/local"


def _check_signal(image: Stage) -> None:
    """Starts the image's command here, with a program in gunicorn's place, and asks it to stop."""
    argv: list[str] = []
    for form in (image.entrypoint, image.command):
        if form.startswith("[") and (words := _list(form)):
            argv += words
            continue
        if form.startswith("["):
            raise NotYet(f"this is no JSON, which wants double quotes, so a shell gets it: {form}")
        if form and form is image.entrypoint:
            argv = [*image.shell, form]
            break  # CMD is ignored behind a shell-form ENTRYPOINT
        if form:
            argv += [*image.shell, form]
    sent = image.stop.upper()
    if sent not in ("SIGTERM", "TERM", str(int(signal.SIGTERM))):
        raise NotYet(
            f"STOPSIGNAL {image.stop}: an engine sends {image.stop} to the program, and no SIGTERM"
        )
    if not argv:
        raise NotYet("it does not say what to start: there is no CMD")
    _check_program(image, argv)
    argv[0], shown = basename(argv[0]), " ".join(argv)[:120]
    flag = next((at for at, word in enumerate(argv) if re.fullmatch(r"-\w*c", word)), len(argv))
    if argv[0] == "sh" and flag + 1 < len(argv):
        # Debian's sh stays in front of a bare command. Another may not, but it is not the image's.
        argv[flag + 1] += "\nexit $?"
    with commands({"gunicorn": SERVE}) as here, here.start(argv) as run:
        if not here.wait("serving", run):
            raise NotYet(f"its command does not start gunicorn: {shown}")
        if "app" not in re.split(r"[\s:]", (here.folder / "serving").read_text()):
            raise NotYet("gunicorn is not told which module to serve: app")
        run.terminate()
        if not here.wait("told", run):
            raise NotYet(
                "a SIGTERM did not reach the program: a shell is in front of it. Write CMD as a "
                "list, or put exec before the command"
            )
        (here.folder / "finish").touch()


def _check_program(image: Stage, argv: list[str]) -> None:
    """Looks whether the image has gunicorn where its command looks for it."""
    named = re.search(r"(?<!\S)(-m )?(\S*/)?gunicorn(?!\S)", " ".join(argv))
    if not named or named[1]:  # behind -m it is Python that finds it
        return
    places = [image.path(named[2])] if named[2] else image.environment["PATH"].split(":")
    if not any(join(place, "gunicorn") in image.files for place in places):
        raise NotYet(
            f'exec: "{named[2] or ""}gunicorn": executable file not found in $PATH, which is '
            f"{image.environment['PATH']}"
        )


# -- 3. A start script that stops. It is run for real, with programs that report.

SECONDS = 5.0
"""How long a program has for what should take a moment."""

MOMENT = 0.7
"""How long a script is watched that should go on, and what comes after one that has ended."""

MIGRATE = """
import sys
from pathlib import Path

Path("migrated").touch()
sys.exit(int(Path("migrate-status").read_text()))
"""
SERVE = """
import os, signal, sys, time
from pathlib import Path

def stop(*_):
    Path("told").touch()
    deadline = time.monotonic() + 20
    while not Path("finish").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    sys.exit(7)

signal.signal(signal.SIGTERM, stop)
Path("order").write_text("migrated" if Path("migrated").exists() else "early")
Path("serving.new").write_text(" ".join(sys.argv[1:]))
os.replace("serving.new", "serving")
deadline = time.monotonic() + 20
while not Path("end").exists() and time.monotonic() < deadline:
    time.sleep(0.005)
sys.exit(5)
"""


@dataclass
class Here:
    """A folder with programs in it, and whatever was started there."""

    folder: Path
    environment: dict[str, str]
    mark: str

    @contextmanager
    def start(self, argv: list[str]) -> "Iterator[subprocess.Popen[bytes]]":
        """Runs a command there; when the block ends, nothing of it is left."""
        for name in ("migrated", "order", "serving", "told", "finish", "end"):
            (self.folder / name).unlink(missing_ok=True)
        try:
            run = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,  # it is full at some time, as no disk should be
                start_new_session=True,
            )
        except OSError as error:
            raise NotYet(f"it cannot be started: {error.strerror}: {argv[0]}") from None
        try:
            yield run
        finally:
            for process in [*self.left(), run]:
                with suppress(psutil.Error, ProcessLookupError):
                    process.kill()
            run.wait()
            if run.stderr:
                run.stderr.close()

    def said(self, run: "subprocess.Popen[bytes]") -> str:
        """The first line of what the command complained about, to go behind a hint."""
        if not run.stderr:
            return ""
        os.set_blocking(run.stderr.fileno(), False)
        lines = (run.stderr.read(2000) or b"").decode(errors="replace").split("\n")
        line = lines[0].replace("\r", "\\r").strip()[:120]
        return f"; it says: {line}" if line else ""

    def wait(self, name: str, run: "subprocess.Popen[bytes]") -> bool:
        """Whether a file comes to be in time; soon, if the command has ended meanwhile."""
        deadline = time.monotonic() + SECONDS
        ended = False
        while time.monotonic() < deadline:
            if (self.folder / name).exists():
                return True
            if not ended and run.poll() is not None:
                ended = True
                deadline = min(deadline, time.monotonic() + MOMENT)
            time.sleep(0.005)
        return False

    def left(self) -> list[psutil.Process]:
        """The processes that were started there and still run, by a mark in their environment."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                mine = process.environ().get("NEXUS_JUDGED") == self.mark
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@contextmanager
def commands(programs: Mapping[str, str]) -> Iterator[Here]:
    """A folder whose `bin` comes first in PATH, with programs written in Python."""
    with tempfile.TemporaryDirectory(prefix="nexus-judge-") as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        for program, text in programs.items():
            (folder / f"{program}.py").write_text(text)
            path = folder / "bin" / program
            python, script = shlex.quote(sys.executable), shlex.quote(f"{folder}/{program}.py")
            path.write_text(f'#!/bin/sh\nexec {python} -I -S {script} "$@"\n')
            path.chmod(0o755)
            package = folder / "modules" / program
            package.mkdir(parents=True)
            (package / "__main__.py").write_text(text)
        for alias in ("python", "python3"):
            path = folder / "bin" / alias
            path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
            path.chmod(0o755)
        mark = uuid.uuid4().hex
        own = plain({"PATH": os.environ.get("PATH", os.defpath)})
        environment = own | {
            "PATH": f"{folder}/bin:{own['PATH']}",
            "PYTHONPATH": f"{folder}/modules",
            "HOME": name,
            "NEXUS_JUDGED": mark,
        }
        # Its programs are ended in `start`; PATH finds the folder's own first.
        yield Here(folder, environment, mark)


GIVEN_3 = """
migrate
serve
"""


@judge(
    "containers.3",
    takes=str,
    called="the text of start.sh",
    hint="give the text of start.sh: it runs migrate, and then serve",
    stub=GIVEN_3,
)
def script(answer: str) -> str:
    """SIGTERM reaches the program, its status comes back, and a failed migration stops it all."""
    with commands({"migrate": MIGRATE, "serve": SERVE}) as here:
        path = here.folder / "start.sh"
        path.write_text(answer if answer.endswith("\n") else f"{answer}\n")
        path.chmod(0o755)
        argv = ["./start.sh"] if answer.startswith("#!") else ["sh", "start.sh"]
        status = here.folder / "migrate-status"
        status.write_text("0")
        with here.start(argv) as run:
            if not here.wait("serving", run):
                raise NotYet(
                    f"serve was not started after a migration that succeeded{here.said(run)}"
                )
            if (here.folder / "order").read_text() == "early":
                raise NotYet("serve was started before migrate had run")
            with suppress(subprocess.TimeoutExpired):
                run.wait(MOMENT / 2)
                raise NotYet(
                    "the script ended while serve was running: it is PID 1, so an engine ends the "
                    "container, and serve with it. Let the script wait for serve, or become it"
                )
            run.send_signal(signal.SIGTERM)
            if not here.wait("told", run):
                kept = "the shell kept it"
                if run.poll() is not None:
                    kept = "it went to the shell, which ended and handed nothing on"
                raise NotYet(
                    f"serve did not get the SIGTERM: {kept}. Let serve take the place of the "
                    "shell, or hand the signal on"
                )
            with suppress(subprocess.TimeoutExpired):
                run.wait(MOMENT)
                raise NotYet("the script ended while serve was still finishing its requests")
            (here.folder / "finish").touch()
            _ended(run, here, 7, "after SIGTERM")
        with here.start(argv) as run:
            if not here.wait("serving", run):
                raise NotYet("serve was not started the second time")
            (here.folder / "end").touch()
            _ended(run, here, 5, "when serve ended by itself")
        for failed in (3, 41):
            status.write_text(str(failed))
            with here.start(argv) as run:
                _ended(run, here, failed, f"after a migration that failed with {failed}")
                if (here.folder / "serving").exists():
                    raise NotYet("the migration failed, and serve was started nevertheless")
    return (
        "serve hears SIGTERM and may finish, its status comes back, and a failed migration ends it"
    )


def _ended(run: "subprocess.Popen[bytes]", here: Here, wanted: int, when: str) -> None:
    """Waits for the script's end, with a status, and with nobody left behind."""
    deadline = time.monotonic() + SECONDS
    while run.poll() is None:
        if (here.folder / "serving").exists() and "migration" in when:
            raise NotYet("the migration failed, and serve was started nevertheless")
        if time.monotonic() > deadline:
            raise NotYet(f"{when} the script did not come to an end")
        time.sleep(0.005)
    if run.returncode != wanted:
        raise NotYet(f"{when} the script's status was {run.returncode}, and not {wanted}")
    if here.left():
        raise NotYet(f"{when} the script ended, and left a process behind")


# -- 4. The right to wait. The services are started, on a clock of our own.

SERVICES = ("database", "cache", "migrate", "web", "worker")
ALLOWED = {
    "database": set[str](),
    "cache": set[str](),
    "migrate": {"database"},
    "web": {"database", "cache", "migrate"},
    "worker": {"database", "cache", "migrate"},
}
CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
SPEEDS = (
    {"database": 5, "cache": 2, "migrate": 3, "web": 9, "worker": 9},
    {"database": 1, "cache": 20, "migrate": 3, "web": 9, "worker": 9},
    {"database": 5, "cache": 0, "migrate": 30, "web": 9, "worker": 9},
)
"""How long each takes to get ready; migrate, to end. Whoever is slow, the order must hold."""


STATES = {
    "database": (
        ("is set up, and listens on the socket only", False),
        ("is starting up", False),
        ("accepts connections", True),
    ),
    "cache": (
        ("does not listen yet", False),
        ("loads its file", False),
        ("answers", True),
    ),
}
"""What a healthcheck may meet, and whether it should say that all is well."""

PG_ISREADY = """
import os, re, sys
from pathlib import Path

words = " ".join(sys.argv[1:])
if sys.argv[0].endswith("psql.py"):
    fails, words = (2, 2), re.sub(r"(-c|--command)[ =]?.*?(?= -|$)", "", words)
else:
    fails = (2, 1)
host = re.search(r"(?:^|\\s)(?:-h ?|--host[ =])(\\S+)|host=(\\S+)|://(?:[^@/]*@)?([^:/?]+)", words)
host = next(filter(None, host.groups()), "") if host else os.environ.get("PGHOST", "")
port = re.search(r"(?:^|\\s)(?:-p ?|--port[ =])(\\d+)", words)
state = int(Path(os.environ["NEXUS_STATE"]).read_text())
if port and port[1] != "5432":
    sys.exit(2)
if state == 0 and host and not host.startswith("/"):
    sys.exit(fails[0])
if state == 1:
    print("rejecting connections")
    sys.exit(fails[1])
print("accepting connections")
"""
VALKEY_CLI = """
import os, sys
from pathlib import Path

words = sys.argv[1:]
asked = " ".join(words).lower()
state = int(Path(os.environ["NEXUS_STATE"]).read_text())
if state == 0 or ("-p" in words and words[words.index("-p") + 1 :][:1] != ["6379"]):
    print("Could not connect to Valkey at 127.0.0.1:6379: Connection refused", file=sys.stderr)
    sys.exit(1)
if "info" in asked:
    print(f"# Persistence\\nloading:{int(state == 1)}\\r\\nasync_loading:0")
elif state == 1:
    print("LOADING Valkey is loading the dataset in memory")
    sys.exit(int("-e" in words))
else:
    print("PONG" if "ping" in asked else "OK")
"""
PROGRAMS = {
    "database": {"pg_isready": PG_ISREADY, "psql": PG_ISREADY},
    "cache": {"valkey-cli": VALKEY_CLI, "redis-cli": VALKEY_CLI},
}
"""What each image has to ask its server with. Valkey's has the old name, too."""

COMMON = (
    "sh bash true false test [ grep egrep sed awk cat head tail cut tr wc echo printf sleep env "
    "timeout"
)
"""What both images have besides, as far as this machine has it."""


GIVEN_4 = """
services:
  database: {}
  cache: {}
  migrate:
    depends_on: [database]
  web:
    depends_on: [migrate, cache]
  worker:
    depends_on: [migrate, cache]
"""


@judge(
    "containers.4",
    takes=str,
    called="the text of compose.yaml",
    hint="give the text of compose.yaml, with depends_on for those who have to wait",
    stub=GIVEN_4,
)
def compose(answer: str) -> str:
    """Everybody starts when what they need is ready, and not later."""
    services = _services(answer)
    needs = {name: _needs(name, services) for name in SERVICES}
    for name, wanted in needs.items():
        for other in sorted(set(wanted) - ALLOWED[name]):
            raise NotYet(f"{name} waits for {other}, which it does not need")
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise NotYet(f"dependency cycle detected: {' -> '.join(error.args[1])}") from None
    for takes in SPEEDS:
        _start(order, needs, takes)
    again = services["migrate"].get("restart")
    if str(again) in ("always", "unless-stopped"):
        raise NotYet(
            f"migrate has restart: {again}, so it is started again each time that it has ended, "
            "and changes the tables again"
        )
    for name in ("database", "cache"):
        waiting = [who for who, wanted in needs.items() if wanted.get(name) == "service_healthy"]
        if waiting:
            _ask(name, services[name], waiting[0])
    return (
        "each service starts when those that it needs are ready, whichever is slow, and not "
        "later, and each healthcheck succeeds for a server that is ready and for no other"
    )


def _ask(name: str, service: Mapping[str, Any], who: str) -> None:
    """Runs a healthcheck beside a server in each of its states."""
    test = service["healthcheck"]["test"]
    if isinstance(test, list):
        shown = " ".join(map(str, test[1:]))
        argv = [str(word).replace("$$", "$") for word in test[1:]]
        if test[0] == "CMD-SHELL":
            argv = ["sh", "-c", argv[0] if argv else ""]
    else:
        shown, argv = str(test), ["sh", "-c", str(test).replace("$$", "$")]
    if not argv:
        raise NotYet(f"services.{name}.healthcheck.test says nothing to run")
    # The images' own folders are this one.
    argv = [re.sub(r"(?<![\w.-])/(?:usr/)?(?:local/)?s?bin/(?=[\w\[])", "", each) for each in argv]
    shown = shown[:80]
    with commands(PROGRAMS[name]) as here:
        for tool in COMMON.split():
            if (there := shutil.which(tool)) and not (here.folder / "bin" / tool).exists():
                (here.folder / "bin" / tool).symlink_to(there)
        state = here.folder / "state"
        given = service.get("environment") or {}
        if isinstance(given, list):
            given = dict(str(each).partition("=")[::2] for each in given)
        given = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        bin_only = {"PATH": str(here.folder / "bin"), "NEXUS_STATE": str(state)}
        here.environment = here.environment | given | bin_only
        for at, (what, well) in enumerate(STATES[name]):
            state.write_text(str(at))
            # One that takes as long as the limit is late for a server that is well, too.
            status, said = _status(here, argv, SECONDS * (0.8 if well else 1))
            if status == 0 and not well:
                raise NotYet(
                    f"{who} was started too early: the healthcheck of {name} ({shown}) ended with "
                    f"0 while the server {what}{said}"
                )
            if status and well:
                raise NotYet(
                    f"{who} is never started: the healthcheck of {name} ({shown}) ended with "
                    f"{status} though the server {what}{said}"
                )


def _status(here: Here, argv: list[str], seconds: float) -> tuple[int, str]:
    """How a healthcheck ended, within so many seconds, and what it complained about."""
    found = shutil.which(argv[0], path=here.environment["PATH"])
    if not found:
        return 127, f"; its image has no {argv[0]}"
    with here.start([found, *argv[1:]]) as run:
        try:
            status = run.wait(seconds)
        except subprocess.TimeoutExpired:
            return 1, f"; it had not ended after {seconds:g} seconds"
        return status, here.said(run) if status else ""


def _services(answer: str) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        read = yaml.safe_load(answer)
    except yaml.YAMLError as error:
        raise NotYet(f"it is not YAML: {' '.join(str(error).split())[:120]}") from None
    if not isinstance(read, dict):
        raise NotYet("it should be a mapping, with the key services")
    services = read.get("services", read)
    if not isinstance(services, dict) or not set(SERVICES) <= set(services):
        raise NotYet(f"it should have the services {', '.join(SERVICES)}")
    found = {name: {} if services[name] is None else services[name] for name in SERVICES}
    for name, service in found.items():
        if not isinstance(service, dict):
            raise NotYet(f"services.{name} must be a mapping")
    return found


def _needs(name: str, services: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What a service waits for, and until when."""
    given = services[name].get("depends_on") or {}
    if isinstance(given, list):
        given = {other: {"condition": "service_started"} for other in map(str, given)}
    if not isinstance(given, dict):
        raise NotYet(f"services.{name}.depends_on must be a list or a mapping")
    wanted = {}
    for other, how in given.items():
        condition = how.get("condition") if isinstance(how, dict) else None
        if other not in services:
            raise NotYet(f"service {name} depends on undefined service {str(other)[:40]}")
        if condition not in CONDITIONS:
            raise NotYet(
                f"{name} waits for {other} with the condition {str(condition)[:40]}, which is none "
                f"of {', '.join(CONDITIONS)}"
            )
        check = services[other].get("healthcheck") or {}
        test = check.get("test") if isinstance(check, dict) else None
        off = not test or test == ["NONE"] or check.get("disable")
        if test and not isinstance(test, str | list):
            raise NotYet(f"services.{other}.healthcheck.test must be a string or a list")
        if isinstance(test, list) and test and test[0] not in ("NONE", "CMD", "CMD-SHELL"):
            raise NotYet(
                f"services.{other}.healthcheck.test is a list, so its first item must be NONE, CMD "
                "or CMD-SHELL"
            )
        if how.get("required") is False:
            raise NotYet(
                f"{name} waits for {other} with required: false, so it also starts when {other} "
                "has failed"
            )
        if condition == "service_healthy" and other == "migrate":
            raise NotYet(
                "migrate ends, so nobody can wait for its health: wait until it has completed"
            )
        if condition == "service_healthy" and off:
            raise NotYet(f"{name} waits for the health of {other}, which has no healthcheck")
        if condition == "service_completed_successfully" and other != "migrate":
            raise NotYet(f"{name} waits for {other} to end, and it never does")
        wanted[str(other)] = str(condition)
    return wanted


def _start(order: list[str], needs: Mapping[str, Mapping[str, str]], takes: dict[str, int]) -> None:
    """Starts all on a clock of ours, and looks whether each finds what it needs."""
    began: dict[str, int] = {}
    ready: dict[str, int] = {}
    for name in order:
        moments = [
            began[other] if condition == "service_started" else ready[other]
            for other, condition in needs[name].items()
        ]
        began[name] = max(moments, default=0)
        ready[name] = began[name] + takes[name]
    migrated = ready["database"] + takes["migrate"]
    least = {
        "database": (0, ""),
        "cache": (0, ""),
        "migrate": (
            ready["database"],
            "the database was starting up, and only its health says when it is ready",
        ),
        "web": (max(migrated, ready["cache"]), "not all it needs was ready"),
        "worker": (max(migrated, ready["cache"]), "not all it needs was ready"),
    }
    for name in SERVICES:
        moment, why = least[name]
        if began[name] < moment:
            if name in ("web", "worker"):
                early = "the cache" if began[name] < ready["cache"] else "the migration"
                why = f"{early} was not ready"
            raise NotYet(f"{name} was started too early: {why}")
        if began[name] > moment:
            raise NotYet(
                f"{name} was started later than it had to be: it waits for more than it needs"
            )
