"""A small HTTP server in a thread: it answers, says nothing, and ends with its thread."""

import socket
import struct
import threading

import httpx
import pytest

from nexus.services.listener import Handler, Listener


class Echo(Handler):
    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.reply(201, self.rfile.read(length), kind="text/html", headers={"X-Path": self.path})


def test_it_answers_and_ends_with_its_thread(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    with Listener(Echo) as listener:
        answer = httpx.post(f"{listener.url}/a", content=b"hello", trust_env=False)
        assert (answer.status_code, answer.text) == (201, "hello")
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.headers["X-Path"] == "/a"
        (thread,) = (each for each in threading.enumerate() if each.name == "listener")
    assert not thread.is_alive()
    listener.close()
    with pytest.raises(httpx.ConnectError):
        httpx.post(listener.url, content=b"", trust_env=False)
    assert capfd.readouterr() == ("", "")
    assert {each for each in threading.enumerate() if each.name == "listener"} <= before


def test_a_client_that_leaves_is_not_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    with Listener(Echo) as listener:
        with socket.create_connection(("127.0.0.1", listener.server_port)) as client:
            client.sendall(b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nabc")
            reset = struct.pack("ii", 1, 0)  # closed with RST
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert httpx.post(listener.url, content=b"x", trust_env=False).status_code == 201
    assert capfd.readouterr() == ("", "")
