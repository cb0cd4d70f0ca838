"""What the rows on Valkey say, a real Valkey or redis-py says: each message is provoked here."""

import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis

import nexus
from nexus.services import Valkey
from nexus.services.ports import free_port
from nexus.services.process import wait_for
from tools import messages

(GROUP,) = (group for group in messages.load() if group.name == "valkey")
ROWS = {row.id: row for row in GROUP.rows}
PATIENCE = 60


def answers(server: Valkey, *commands: str, password: bool = True) -> list[str]:
    """What the server answers to each command, with the words that redis-py drops."""
    auth = [f"AUTH {server.password}"] if password else []
    with (
        socket.create_connection(("127.0.0.1", server.port), PATIENCE) as line,
        line.makefile("rw", newline="\r\n") as talk,
    ):
        told = []
        for command in (*auth, *commands):
            talk.write(command + "\r\n")
            talk.flush()
            told.append(talk.readline().strip())
    return told


COMMANDS = {
    "valkey-oom": ["CONFIG SET maxmemory 1", "SET a 1"],
    "valkey-readonly": ["REPLICAOF 127.0.0.1 1", "SET a 1"],
    "valkey-masterdown": [
        "CONFIG SET replica-serve-stale-data no",
        "REPLICAOF 127.0.0.1 1",
        "GET a",
    ],
    "valkey-noreplicas": ["CONFIG SET min-replicas-to-write 1", "SET a 1"],
    "valkey-wrongpass": ["AUTH wrong"],
    "valkey-noperm": ["ACL SETUSER ada on >x +get", "AUTH ada x", "SET a 1"],
    "valkey-wrongtype": ["SET text a", "LPUSH text 1"],
    "valkey-not-integer": ["SET text a", "INCR text"],
    "valkey-unknown-command": ["JSON.SET a $ 1"],
    "valkey-noscript": [f"EVALSHA {'0' * 40} 0"],
    "valkey-execabort": ["MULTI", "SET a", "EXEC"],
    "valkey-no-cluster": ["CLUSTER INFO"],
    "valkey-busygroup": ["XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s g $ MKSTREAM"],
    "valkey-nogroup": ["XREADGROUP GROUP nobody me STREAMS s >"],
    "valkey-lfu": ["SET text a", "OBJECT FREQ text"],
}
BACK = [
    "CONFIG SET maxmemory 0",
    "CONFIG SET replica-serve-stale-data yes",
    "CONFIG SET min-replicas-to-write 0",
    "REPLICAOF NO ONE",
]


def busy(server: Valkey) -> str:
    """Ask while a script runs that never ends by itself."""
    answers(server, "CONFIG SET busy-reply-threshold 1")
    script = 'EVAL "while true do end" 0'
    thread = threading.Thread(target=answers, args=(server, script))
    thread.start()

    def refusal() -> str:
        said = answers(server, "GET a")[-1]
        return said if said.startswith("-BUSY") else ""

    try:
        wait_for(refusal, PATIENCE, "it is never busy")
        return refusal()
    finally:
        answers(server, "SCRIPT KILL")
        thread.join()


def misconf(folder: Path) -> str:
    """Take the folder away in which the snapshot is to be written."""
    place = folder / "data"
    place.mkdir()
    with nexus.valkey(tcp=True, dir=place, save="3600 1") as server:
        shutil.rmtree(place)
        answers(server, "BGSAVE")
        failed = "rdb_last_bgsave_status"
        with server.connect() as client:
            wait_for(lambda: client.info("persistence")[failed] == "err", PATIENCE, "it was saved")
        return answers(server, "SET a 1")[-1]


def cluster(*slots: str) -> Valkey:
    server = nexus.valkey(tcp=True, cluster_enabled=True, cluster_port=free_port())
    if slots:
        answers(server, f"CLUSTER ADDSLOTSRANGE {' '.join(slots)}")
    return server


def clustered(command: str, *refusals: str) -> str:
    """What a node with all slots answers, when its cluster is up."""
    with cluster("0", "16383") as server:
        up = "+OK"
        wait_for(lambda: answers(server, "SET a 1")[-1] == up, PATIENCE, "it is not up")
        return answers(server, *refusals, command)[-1]


def moved() -> str:
    """Ask a node for a key that another one has."""
    with cluster("0", "8000") as one, cluster("8001", "16383") as two:
        with two.connect() as client:
            bus = client.config_get("cluster-port")["cluster-port"]
        answers(one, f"CLUSTER MEET 127.0.0.1 {two.port} {bus}")

        def refusal() -> str:
            said = answers(one, "GET a")[-1]  # of slot 15495
            return said if said.startswith("-MOVED") else ""

        wait_for(refusal, PATIENCE, "the nodes do not know each other")
        return refusal()


def full() -> str:
    """Be one client too many, of a server that is not used again."""
    with nexus.valkey(tcp=True) as server, socket.create_connection(("127.0.0.1", server.port)):
        answers(server, "CONFIG SET maxclients 1")
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as other:
            return other.makefile().readline().strip()


def no_password() -> str:
    with nexus.valkey(tcp=True) as server:
        answers(server, "CONFIG SET requirepass ''")
        return answers(server, "AUTH some", password=False)[0]


def watched(client: redis.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.watch("a")
        client.set("a", 2)
        pipe.multi()
        pipe.set("a", 3)
        pipe.execute()


def held_too_long(client: redis.Redis) -> None:
    lock = client.lock("lock", timeout=0.001)
    lock.acquire()
    wait_for(lambda: not client.exists("lock"), PATIENCE, "the lock does not end")
    lock.release()


def one_too_many(
    url: str,
    kind: type[redis.ConnectionPool] = redis.ConnectionPool,
    **options: float,
) -> None:
    with closing(kind.from_url(url, max_connections=1, **options)) as pool:
        pool.get_connection()
        pool.get_connection()


CLIENT: dict[str, Callable[[Valkey], object]] = {
    "valkey-hello-auth": lambda s: redis.Redis(port=s.port, protocol=3).ping(),
    "redis-refused": lambda _: redis.Redis("127.0.0.1", free_port(), retry=None).ping(),
    "redis-unknown-name": lambda _: redis.Redis("valkey.invalid", retry=None).ping(),
    "redis-timeout-reading": lambda s: s.connect(socket_timeout=0.1).blpop("nothing", timeout=0),
    "redis-pool-exhausted": lambda s: one_too_many(s.url),
    "redis-blocking-pool": lambda s: one_too_many(s.url, redis.BlockingConnectionPool, timeout=0.1),
    "redis-watch": lambda s: watched(s.connect()),
    "redis-data-none": lambda s: s.connect().set("a", None),
    "redis-lock-not-owned": lambda s: held_too_long(s.connect()),
    "redis-client-caching": lambda s: s.connect(
        protocol=3, cache_config=redis.cache.CacheConfig()
    ).ping(),
}
OTHERS: dict[str, Callable[[Valkey, Path], str]] = {
    "valkey-noauth": lambda server, _: answers(server, "GET a", password=False)[-1],
    "valkey-auth-without-password": lambda *_: no_password(),
    "valkey-maxclients": lambda *_: full(),
    "valkey-busy": lambda server, _: busy(server),
    "valkey-misconf": lambda _, folder: misconf(folder),
    "valkey-crossslot": lambda *_: clustered("MGET a b"),
    "valkey-clusterdown": lambda *_: unserved(),
    "valkey-moved": lambda *_: moved(),
}


def unserved() -> str:
    with cluster() as server:
        return answers(server, "GET a")[-1]


@pytest.fixture(scope="module")
def shared() -> Valkey:
    return nexus.valkey(tcp=True)


@pytest.fixture
def server(shared: Valkey) -> Iterator[Valkey]:
    yield shared
    said = answers(shared, *BACK)
    assert set(said) == {"+OK"}, said


def fits(name: str, said: str) -> None:
    row = ROWS[name]
    assert messages.pattern(row.message).search(said), said
    if row.code.isupper() and said.startswith("-"):
        assert said.startswith(f"-{row.code} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_server_says_what_the_row_says(server: Valkey, name: str) -> None:
    fits(name, answers(server, *COMMANDS[name])[-1])


@pytest.mark.parametrize("name", OTHERS)
def test_the_server_says_it_in_other_states(server: Valkey, name: str, tmp_path: Path) -> None:
    fits(name, OTHERS[name](server, tmp_path))


@pytest.mark.parametrize("name", CLIENT)
def test_redis_py_says_what_the_row_says(
    server: Valkey, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = server.connect
    with ExitStack() as clients:
        # The exception holds the client, and the garbage collector may begin with its socket.
        monkeypatch.setattr(
            server, "connect", lambda **given: clients.enter_context(closing(connect(**given)))
        )
        with pytest.raises(redis.RedisError) as caught:
            CLIENT[name](server)
    kind = type(caught.value)
    module = "redis.exceptions" if hasattr(redis.exceptions, kind.__name__) else kind.__module__
    fits(name, f"{module}.{kind.__name__}: {caught.value}")


@pytest.mark.parametrize("row", [row for row in GROUP.rows if "raises" in row.program])
def test_the_exceptions_that_rows_name_exist(row: messages.Message) -> None:
    (name,) = re.findall(r"raises (\w+)", row.program)
    assert issubclass(getattr(redis.exceptions, name), redis.RedisError)


def test_what_is_said_to_be_reproduced_is_reproduced() -> None:
    reproduced = {row.id for row in GROUP.rows if row.shown == "ci"}
    assert reproduced == {*COMMANDS, *OTHERS, *CLIENT}
