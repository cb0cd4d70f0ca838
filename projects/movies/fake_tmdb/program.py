"""The fake as an ASGI program, commanded by its control endpoint.

- `GET /control` returns how often each path was asked for.
- `POST /control` takes `{"plan": [BEHAVIOUR, …], "then": BEHAVIOUR}`. Each request uses up one
  behaviour of the plan; after that all behave as `then` says. It begins to count anew.

A behaviour is an object with a `kind`, by default `ok`:

- `fail`: an error; `status` (503), `retry_after`.
- `slow`: the answer comes after `seconds`.
- `drip`: a byte comes each `seconds`, so that no single wait is long.
- `cut`: the connection ends in the middle of the answer.
- `garbage`: 200, and no JSON.
- `shape`: 200, and JSON of another shape.
- `encoding`: 200, and a body packed by gzip, though nobody has asked for it.
- `huge`: 200, and many megabytes.
"""

import asyncio
import gzip
import json
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from fake_tmdb.catalogue import GENRES, Made, movies

TOKEN = "fake-token"  # noqa: S105 - it opens nothing
PER_PAGE = 20
ERRORS = {
    401: (7, "Invalid API key: You must be granted a valid key."),
    404: (34, "The resource you requested could not be found."),
    429: (25, "Your request count is over the allowed limit."),
    500: (11, "Internal error: Something went wrong, contact TMDB."),
    503: (9, "Service offline: This service is temporarily offline, try again later."),
}
Behaviour = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Cut(Exception):
    """Ends the connection: the server has promised more bytes than it got."""


class Fake:
    """The program.

    Attributes:
        asked: How often each path was asked for.
        at_once: The most requests that were under way at a time.
    """

    def __init__(self, count: int = 1000) -> None:
        self.movies = {movie.id: movie for movie in movies(count)}
        self.asked: Counter[str] = Counter()
        self.at_once = 0
        self._under_way: set[object] = set()
        self._plan: deque[Behaviour] = deque()
        self._then: Behaviour = {}
        self._lock = threading.Lock()

    def behave(self, *plan: Behaviour, then: Behaviour | None = None) -> None:
        """Set how the next requests are answered, and count anew."""
        with self._lock:
            self._plan, self._then = deque(plan), then or {}
            self.asked.clear()
            self.at_once = 0
            self._under_way = set()  # what still sleeps belongs to the order before

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.asked.values())

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/control":
            await self._control(scope["method"], receive, send)
            return
        with self._lock:
            self.asked[scope["path"]] += 1
            behaviour = self._plan.popleft() if self._plan else self._then
            this = object()
            self._under_way.add(this)
            self.at_once = max(self.at_once, len(self._under_way))

        async def counted(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":  # the client may ask again at once
                with self._lock:
                    self._under_way.discard(this)
            await send(message)

        await self._behave(behaviour, scope, counted)

    async def _control(self, method: str, receive: Any, send: Send) -> None:
        if method == "POST":
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            order = json.loads(body)
            self.behave(*order.get("plan", []), then=order.get("then"))
        told = {"asked": dict(self.asked), "total": self.total, "at_once": self.at_once}
        await _answer(send, 200, json.dumps(told).encode())

    async def _behave(self, behaviour: Behaviour, scope: dict[str, Any], send: Send) -> None:
        status, content = self._look(scope)
        body = json.dumps(content).encode()
        match behaviour.get("kind", "ok"):
            case "fail":
                status = behaviour.get("status", 503)
                told = behaviour.get("retry_after")
                headers = {} if told is None else {"Retry-After": str(told)}
                await _answer(send, status, json.dumps(_error(status)).encode(), **headers)
                return
            case "slow":
                await asyncio.sleep(behaviour.get("seconds", 10))
            case "drip":
                await _begin(send, status, len(body))
                for place in range(len(body)):
                    await asyncio.sleep(behaviour.get("seconds", 0.1))
                    await send(_part(body[place : place + 1], more=True))
                await send(_part(b"", more=False))
                return
            case "cut":
                await _begin(send, status, len(body) + 1)
                await send(_part(body[: len(body) // 2], more=True))
                raise Cut
            case "garbage":
                body = b"<html>502 from a proxy, with status 200</html>"
            case "shape":
                body = b'{"page": "one", "results": {"title": 1}}'
            case "encoding":
                await _answer(send, status, gzip.compress(body), **{"content-encoding": "gzip"})
                return
            case "huge":
                body = b'{"page": 1, "results": [' + b" " * 8_000_000 + b"]}"
        await _answer(send, status, body)

    def _look(self, scope: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return a status and what the API answers."""
        if dict(scope["headers"]).get(b"authorization") != f"Bearer {TOKEN}".encode():
            return 401, _error(401)
        query = parse_qs(scope["query_string"].decode())
        page = int(query.get("page", ["1"])[0])
        match scope["path"].split("/")[1:]:
            case ["3", "trending", "movie", "day" | "week" as window]:
                sign = -1 if window == "week" else 1
                ranked = sorted(self.movies.values(), key=lambda m: (-m.popularity, sign * m.id))
                return 200, _page(ranked, page)
            case ["3", "movie", text] if text.isdigit() and int(text) in self.movies:
                return 200, _details(self.movies[int(text)])
            case ["3", "movie", text, "recommendations"] if (
                text.isdigit() and int(text) in self.movies
            ):
                liked = self.movies[int(text)]
                genres = set(liked.genre_ids)
                alike = [m for m in self.movies.values() if genres & set(m.genre_ids)]
                alike.remove(liked)
                alike.sort(key=lambda m: (-len(genres & set(m.genre_ids)), -m.popularity, m.id))
                return 200, _page(alike, page)
            case ["3", "genre", "movie", "list"]:
                return 200, {"genres": [{"id": key, "name": name} for key, name in GENRES.items()]}
        return 404, _error(404)


def _error(status: int) -> dict[str, Any]:
    code, message = ERRORS.get(status, ERRORS[500])
    return {"success": False, "status_code": code, "status_message": message}


def _common(movie: Made) -> dict[str, Any]:
    return {
        "adult": False,
        "backdrop_path": None,
        "id": movie.id,
        "title": movie.title,
        "original_language": "en",
        "original_title": movie.title,
        "overview": movie.overview,
        "poster_path": f"/made-up-{movie.id}.jpg",
        "popularity": movie.popularity,
        "release_date": movie.release_date.isoformat(),
        "video": False,
        "vote_average": movie.vote_average,
        "vote_count": movie.vote_count,
    }


def _listed(movie: Made) -> dict[str, Any]:
    return _common(movie) | {"media_type": "movie", "genre_ids": movie.genre_ids}


def _details(movie: Made) -> dict[str, Any]:
    genres = [{"id": genre, "name": GENRES[genre]} for genre in movie.genre_ids]
    rest = {"budget": 0, "homepage": "", "imdb_id": None, "revenue": 0, "runtime": 100}
    return _common(movie) | {"genres": genres, "status": "Released", "tagline": ""} | rest


def _page(ranked: list[Made], page: int) -> dict[str, Any]:
    part = ranked[(page - 1) * PER_PAGE : page * PER_PAGE]
    return {
        "page": page,
        "results": [_listed(movie) for movie in part],
        "total_pages": -(-len(ranked) // PER_PAGE),
        "total_results": len(ranked),
    }


async def _begin(send: Send, status: int, length: int, **headers: str) -> None:
    all_headers = {"content-type": "application/json;charset=utf-8", "content-length": str(length)}
    pairs = [(k.encode(), v.encode()) for k, v in (all_headers | headers).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _answer(send: Send, status: int, body: bytes, **headers: str) -> None:
    await _begin(send, status, len(body), **headers)
    await send(_part(body, more=False))
