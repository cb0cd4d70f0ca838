"""A mail server that keeps e-mails in a file: `python -m chaos.mail PORT FILE`.

An e-mail is in the file before it is taken, so that a killed server has lost none. Each is a line
of JSON with its Message-ID and the moment.
"""

import json
import os
import socketserver
import sys
import time
from email import message_from_bytes


class Mailbox(socketserver.StreamRequestHandler):
    """Speaks as much of SMTP as a client needs."""

    timeout = 30

    def handle(self) -> None:
        """Take e-mails from one client."""
        self._say("220 chaos")
        for line in self.rfile:
            match line.split(maxsplit=1)[0].upper() if line.strip() else b"":
                case b"EHLO" | b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP":
                    self._say("250 OK")
                case b"DATA":
                    self._say("354 Go on")
                    self._keep(b"".join(iter(self.rfile.readline, b".\r\n")))
                    self._say("250 OK")
                case b"QUIT":
                    self._say("221 Bye")
                    return
                case _:
                    self._say("502 What?")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _keep(self, data: bytes) -> None:
        line = json.dumps({"at": time.time(), "id": message_from_bytes(data)["Message-ID"]})
        file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, f"{line}\n".encode())
        os.close(file)


class Server(socketserver.ThreadingTCPServer):
    """A thread for each client."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Mailbox) as server:
        server.serve_forever()
