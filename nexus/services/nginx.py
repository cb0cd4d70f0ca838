"""nginx from a wheel, or the machine's own, on a free port and with its files in its directory."""

import os
import signal
from pathlib import Path

from nexus.services import programs
from nexus.services.ports import free_port
from nexus.services.process import Server, wait_for

CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
pid "{directory}/pid";
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    default_type text/plain;
    access_log "{directory}/access.log";
    client_body_temp_path "{directory}/body";
    proxy_temp_path "{directory}/proxy";
    fastcgi_temp_path "{directory}/fastcgi";
    uwsgi_temp_path "{directory}/uwsgi";
    scgi_temp_path "{directory}/scgi";
    {http}
}}
"""


class Nginx(Server):
    """A running nginx.

    Attributes:
        url: where it listens, such as http://127.0.0.1:40123.
    """

    kind = "nginx"
    stop_signal = "SIGQUIT"  # "graceful": requests under way are finished

    def __init__(self, http: str) -> None:
        """Starts nginx.

        Args:
            http: what stands in the http block. {port} in it stands for a free TCP port.

        Raises:
            MissingProgram: if there is no nginx.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self.http = http
        self._program = programs.nginx()
        self._start_first(free_port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_log(self) -> str:
        """The requests that were answered, a line each."""
        path = self.directory / "access.log"
        return path.read_text() if path.exists() else ""

    def reload(self, http: str) -> None:
        """Takes a new configuration without dropping a request, as `nginx -s reload` does.

        Returns when only workers with the new one accept requests; old ones may still finish
        theirs. An invalid configuration changes nothing.

        Args:
            http: what stands in the http block from now on.

        Raises:
            ServiceError: if nginx refuses the configuration; with its message.
        """
        before, self.http = self.http, http
        self.log_start = self.log_file.stat().st_size
        self._write_configuration()
        self.processes()[0].send_signal(signal.SIGHUP)
        # A worker writes this line and then accepts no more.
        said = ("[emerg]", "gracefully shutting down")
        wait_for(
            lambda: any(text in self.log[self.log_start :] for text in said),
            self.patience,
            "nginx to take the new configuration",
        )
        if "[emerg]" in self.log[self.log_start :]:
            self.http = before
            self._write_configuration()
            raise self._failure("nginx refused the configuration, and goes on with the old one")

    def command(self) -> list[str]:
        """The program, on its own configuration."""
        return [
            str(self._program),
            *("-p", str(self.directory)),
            *("-c", str(self._write_configuration())),
            *("-e", "stderr"),
        ]

    def is_ready(self) -> bool:
        """Whether it listens."""
        return self.listens()

    def hint(self, log: str) -> str:
        """What to do about the failures that are known."""
        if "[emerg]" in log and "bind()" not in log:
            return "The line number counts from the start of the whole file: see .configuration."
        return ""

    @property
    def configuration(self) -> str:
        """The whole configuration file."""
        return CONFIGURATION.format(
            directory=self.directory,
            # As root it would give its workers to a user that cannot enter the directory.
            user="user root;" if os.geteuid() == 0 else "",
            http=self.http.replace("{port}", str(self.port)),
        )

    def _write_configuration(self) -> Path:
        path = self.directory / "nginx.conf"
        path.write_text(self.configuration)
        return path


def nginx(http: str) -> Nginx:
    """Starts an nginx that lives as long as its handle, and at most as the kernel.

    Args:
        http: what stands in the http block, such as "server { listen 127.0.0.1:{port}; … }".
            {port} stands for a free TCP port.

    Returns:
        The running server's handle. It is a context manager too.

    Raises:
        MissingProgram: if there is no nginx.
        ValueError: if the configuration has no {port}.
        ServiceError: if it does not start; with the end of its log.
    """
    if "{port}" not in http:
        raise ValueError("where does it listen? Write {port}: listen 127.0.0.1:{port};")
    return Nginx(http)
