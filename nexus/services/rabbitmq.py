"""RabbitMQ from the machine (no wheel carries it), as a node of its own."""

import json
import re
import socket
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from nexus.services import programs
from nexus.services.ports import free_port
from nexus.services.process import Server

CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users = none
log.console = true
log.file = false
"""

MANAGEMENT = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {port}
"""

WITH_MAPPER = 'command -v epmd >/dev/null && epmd & exec "$0"'
"""Starts the server beside Erlang's port mapper, which ends with it.

A node that finds no mapper starts one as a daemon, and that daemon outlives the node.
"""


class RabbitMQ(Server):
    """A running RabbitMQ node.

    Attributes:
        url: where it is, for kombu, pika, Celery and all that take an AMQP URL.
        management: whether it has the HTTP API.
    """

    kind = "rabbitmq"
    patience = 90.0  # Erlang takes its time

    def __init__(self, *, management: bool = False, plugins: Sequence[str] = ()) -> None:
        """Starts the node.

        Args:
            management: whether it has the HTTP API of RabbitMQ's management plugin.
            plugins: the names of more plugins of those that come with RabbitMQ.

        Raises:
            MissingProgram: if RabbitMQ is not installed.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self._program = programs.rabbitmq()
        self._erlang_port = 0
        self._mapper_port = 0
        self.management = management
        self._plugins = ["rabbitmq_management"] * management + list(plugins)
        self._management_port = 0
        self._start_first(self._choose_ports)

    @property
    def url(self) -> str:
        """The node's address; guest is RabbitMQ's own first user, on loopback only."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{quote('/', safe='')}"

    def vhost(self, name: str) -> str:
        """The address of another virtual host of the node."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{quote(name, safe='')}"

    def api(self, path: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401
        """Asks the HTTP API of the management plugin.

        Args:
            path: such as "definitions" or "vhosts/orders".
            method: of HTTP.
            body: what is sent, as JSON.

        Returns:
            What the API answers, from JSON; None for an answer without a body.

        Raises:
            urllib.error.HTTPError: if the API refuses it.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._management_port}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": "Basic " + b64encode(b"guest:guest").decode(),
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=self.patience) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def ctl(self, *arguments: str) -> str:
        """Runs rabbitmqctl on this node and gives its output.

        Args:
            *arguments: such as "list_queues", "name", "messages".

        Raises:
            subprocess.CalledProcessError: if it fails; with its output.
        """
        return subprocess.run(
            [str(self._program.with_name("rabbitmqctl")), "--quiet", *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def command(self) -> list[str]:
        """The server program."""
        configuration = self.directory / "rabbitmq.conf"
        settings = CONFIGURATION.format(port=self.port)
        if self.management:
            settings += MANAGEMENT.format(port=self._management_port)
        configuration.write_text(settings)
        (self.directory / "enabled_plugins").write_text(f"[{','.join(self._plugins)}].\n")
        return ["/bin/sh", "-c", WITH_MAPPER, str(self._program)]

    def environment(self) -> dict[str, str]:
        """Node name, ports and directories of its own, so that two kernels never meet."""
        own = str(self.directory)
        return {
            **super().environment(),
            "HOME": own,  # the Erlang cookie
            "RABBITMQ_NODENAME": f"nexus-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._erlang_port),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": f"{own}/mnesia",
            "RABBITMQ_LOG_BASE": own,
            "RABBITMQ_CONFIG_FILE": f"{own}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{own}/enabled_plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{own}/none",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2",
        }

    def is_ready(self) -> bool:
        """Whether it answers the first bytes of AMQP 0-9-1 with a method frame (type 1)."""
        if not self.listens():
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def hint(self, log: str) -> str:
        """What to do about the failures that are known."""
        if re.search(r"epmd|nodedown|address", log):
            return "Erlang could not take one of its ports: start it once more."
        return ""

    def _choose_ports(self) -> int:
        self._erlang_port, self._mapper_port = free_port(), free_port()
        self._management_port = free_port()
        return free_port()


def rabbitmq(*, management: bool = False, plugins: Sequence[str] = ()) -> RabbitMQ:
    """Starts a RabbitMQ node that lives as long as its handle, and at most as the kernel.

    Args:
        management: whether it has the HTTP API of RabbitMQ's management plugin.
        plugins: the names of more plugins of those that come with RabbitMQ.

    Returns:
        The running node's handle. It is a context manager too.

    Raises:
        MissingProgram: if RabbitMQ is not installed; the message is the command that does it.
        ServiceError: if it does not start; with the end of its log.
    """
    return RabbitMQ(management=management, plugins=plugins)
