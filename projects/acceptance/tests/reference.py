"""The API that the suite `notes` is written for, with faults to switch on. SQLite in memory.

python tests/reference.py PORT [FAULT …]
"""

import base64
import hashlib
import hmac
import json
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TABLES = """
CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, author TEXT, likes INTEGER DEFAULT 0);
CREATE TABLE liked (note INTEGER, person TEXT, UNIQUE (note, person));
"""
ROUTES = ["GET /notes", "POST /notes", "GET /notes/{id}", "PATCH /notes/{id}", "DELETE /notes/{id}"]
ROUTES += ["POST /notes/{id}/like", "POST /auth/register", "POST /auth/login", "GET /auth/me"]


class Problem(Exception):
    """A refusal: status and words."""


class Store:
    """The data of one server."""

    def __init__(self, faults: Collection[str]) -> None:
        self.faults = set(faults)
        self.key = "secret" if "weak-key" in self.faults else secrets.token_hex(32)
        self.people = {"admin": "admin-of-the-example"}
        self.refresh: dict[str, str] = {}
        self.lock = threading.Lock()
        self.second = threading.Barrier(2)
        self.db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(TABLES)

    def sign(self, text: str) -> str:
        made = hmac.new(self.key.encode(), text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    def tokens(self, person: str) -> dict[str, str]:
        life = 30 * 86_400 if "long-token" in self.faults else 600
        parts = ({"alg": "HS256"}, {"sub": person, "exp": time.time() + life})
        coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
        text = b".".join(coded).decode()
        again = secrets.token_hex(16)
        self.refresh[again] = person
        return {"access": f"{text}.{self.sign(text)}", "refresh": again}

    def person(self, header: str | None) -> str:
        """Return whose token it is."""
        try:
            text, _, signature = (header or "").removeprefix("Bearer ").rpartition(".")
            right = hmac.compare_digest(signature, self.sign(text))
            body = text.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            if (right or "no-signature" in self.faults) and claims["exp"] > time.time():
                return str(claims["sub"])
        except (IndexError, ValueError, KeyError):
            pass
        if "no-token" in self.faults:
            return "admin"
        raise Problem(401, "A token, please")

    def rows(self, query: dict[str, str]) -> dict[str, Any]:
        """Return a page of notes."""
        size = max(1, min(int(query.get("size", 10)), 100))
        order = query.get("ordering", "-id")
        column = order.strip("-") if order.strip("-") in ("id", "title") else "id"
        way = "DESC" if order.startswith("-") != ("wrong-order" in self.faults) else "ASC"
        where, values = ["title LIKE ?"], [f"%{query.get('search', '')}%"]
        if "injection" in self.faults:
            where, values = [f"(title LIKE '%{query.get('search', '')}%')"], []
        if "author" in query and "no-filter" not in self.faults:
            where, values = [*where, "author = ?"], [*values, query["author"]]
        offset = "offset" in self.faults or column != "id"
        cursor = int(query.get("cursor", 0))
        if cursor and not offset:
            where.append(f"id < {cursor}")
        sql = f"SELECT * FROM note WHERE {' AND '.join(where)} ORDER BY {column} {way} LIMIT {size}"
        with self.lock:
            rows = [dict(r) for r in self.db.execute(sql + f" OFFSET {cursor * offset}", values)]
        if "n-plus-one" in self.faults:
            for row in rows:  # work for each row, about as much as a query over the network
                hashlib.pbkdf2_hmac("sha256", row["title"].encode(), b"", 2_000)
        after = cursor + size if offset else rows[-1]["id"] if rows else 0
        return {"results": rows, "next": after if len(rows) == size else None}

    def like(self, note: int, person: str) -> dict[str, Any]:
        """Count a like, once for a person; with the fault, two look before either writes."""
        if "double-like" in self.faults:
            with self.lock:
                sql = "SELECT 1 FROM liked WHERE note = ? AND person = ?"
                if self.db.execute(sql, (note, person)).fetchone():
                    raise Problem(409, "Liked already")
            try:
                self.second.wait(timeout=1)
            except threading.BrokenBarrierError:
                self.second.reset()
        with self.lock:
            sql = "INSERT OR IGNORE INTO liked VALUES (?, ?)"
            if not self.db.execute(sql, (note, person)).rowcount and (
                "double-like" not in self.faults
            ):
                raise Problem(409, "Liked already")
            self.db.execute("UPDATE note SET likes = likes + 1 WHERE id = ?", (note,))
        return self.note(note)

    def note(self, note: int) -> dict[str, Any]:
        with self.lock:
            row = self.db.execute("SELECT * FROM note WHERE id = ?", (note,)).fetchone()
        if row is None:
            if "html-error" in self.faults:
                raise Problem(404, "<h1>Not found</h1>")
            raise Problem(404, "No such note")
        return dict(row)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # without that, each answer takes 40 ms
    store: Store

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        kind = "application/json"
        try:
            status, data = self.route(body)
        except Problem as problem:
            status, words = problem.args
            data = {"detail": words}
        except Exception as error:
            status, data = 500, {"detail": f"Traceback (most recent call last): {error!r}"}
        if isinstance(data, str) or str(data.get("detail", "")).startswith("<"):
            kind = "text/html"
        text = (data if isinstance(data, str) else json.dumps(data)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def data(self, body: bytes) -> dict[str, Any]:
        try:
            data = json.loads(body)
        except ValueError:
            raise Problem(400, "The body is not JSON") from None
        return data if isinstance(data, dict) else {}

    def route(self, body: bytes) -> tuple[int, Any]:
        store, faults = self.store, self.store.faults
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        token = self.headers.get("authorization")
        match (self.command, *parts.path.strip("/").split("/")):
            case "GET", "docs" if "no-docs" not in faults:
                return 200, "<h1>Notes</h1>"
            case "GET", "openapi.json":
                routes = [r for r in ROUTES if "thin-schema" not in faults or "like" not in r]
                paths: dict[str, Any] = {}
                for method, path in map(str.split, routes):
                    paths.setdefault(path, {})[method.lower()] = {}
                return 200, {"openapi": "3.1.0", "paths": paths}
            case "POST", "auth", step:
                return self.auth(step, self.data(body))
            case "GET", "auth", "me":
                return 200, {"username": store.person(token)}
            case "GET", "notes":
                return 200, store.rows(query)
            case "POST", "notes":
                person, data = store.person(token), self.data(body)
                if not data.get("title"):
                    raise Problem(400, "A title, please")
                given = data if "mass-assignment" in faults else {}
                values = (data["title"], given.get("author", person), given.get("likes", 0))
                with store.lock:
                    sql = "INSERT INTO note (title, author, likes) VALUES (?, ?, ?)"
                    number = store.db.execute(sql, values).lastrowid
                if "lost-title" in faults:
                    store.db.execute("UPDATE note SET title = '?' WHERE id = ?", (number,))
                return 201, store.note(number or 0)
            case "GET", "notes", number:
                return 200, store.note(int(number))
            case "POST", "notes", number, "like":
                return 201, store.like(int(number), store.person(token))
            case (("PATCH" | "DELETE"), "notes", number):
                return self.change(int(number), store.person(token), body)
        raise Problem(404, "Nothing is here")

    def change(self, number: int, person: str, body: bytes) -> tuple[int, Any]:
        store, delete = self.store, self.command == "DELETE"
        note = store.note(number)
        may = person == note["author"] or (delete and person == "admin")
        if not may and "anyone-changes" not in store.faults:
            raise Problem(403, "This note is not yours")
        with store.lock:
            if delete:
                store.db.execute("DELETE FROM note WHERE id = ?", (number,))
                return 200, {}
            values = (self.data(body).get("title"), number)
            store.db.execute("UPDATE note SET title = ? WHERE id = ?", values)
        return 200, store.note(number)

    def auth(self, step: str, data: dict[str, Any]) -> tuple[int, Any]:
        store = self.store
        name, password = str(data.get("username")), str(data.get("password"))
        if step == "register":
            if name in store.people:
                raise Problem(400, "The name is taken")
            store.people[name] = password
            return 201, {"username": name}
        if step == "login":
            if store.people.get(name) != password:
                raise Problem(401, "Wrong name or password")
            return 200, store.tokens(name)
        old = str(data.get("refresh"))
        if old not in store.refresh:
            raise Problem(401, "No such token")
        if step == "logout":
            if "no-logout" not in store.faults:
                del store.refresh[old]
            return 200, {}
        person = store.refresh[old] if "refresh-twice" in store.faults else store.refresh.pop(old)
        return 200, store.tokens(person)


@contextmanager
def serve(*faults: str, port: int = 0) -> Iterator[str]:
    """Serve until the end of the block, and yield the address."""
    handler = type("Bound", (Handler,), {"store": Store(faults)})
    kept = {"daemon_threads": True, "request_queue_size": 64}
    server = type("Server", (ThreadingHTTPServer,), kept)(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with serve(*sys.argv[2:], port=int(sys.argv[1])) as address:
        print(address, flush=True)
        threading.Event().wait()
