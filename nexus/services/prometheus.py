"""Prometheus from the machine (no wheel carries it), on a free port and with its own data."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from nexus.services import programs
from nexus.services.errors import ServiceError
from nexus.services.ports import free_port
from nexus.services.process import Server


class Prometheus(Server):
    """A running Prometheus.

    Attributes:
        url: where it listens, such as http://127.0.0.1:40123.
    """

    kind = "prometheus"

    def __init__(self, configuration: str) -> None:
        """Starts Prometheus.

        Args:
            configuration: the text of prometheus.yml.

        Raises:
            MissingProgram: if Prometheus is not installed.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self.configuration = configuration
        self._program = programs.prometheus()
        self._start_first(free_port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def api(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 (JSON)
        """Asks the HTTP API, and gives the `data` of its answer.

        Args:
            path: what stands after /api/v1/, such as "query".
            **parameters: of the query string.

        Raises:
            ServiceError: if Prometheus refuses; with its reason.
        """
        query = urllib.parse.urlencode(parameters)
        try:
            address = f"{self.url}/api/v1/{path}?{query}"
            with urllib.request.urlopen(address, timeout=10) as got:  # noqa: S310 (our own)
                return json.load(got)["data"]
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            raise ServiceError(f"Prometheus refuses {path}: {said[:300]}") from None

    def query(self, promql: str) -> dict[str, float]:
        """The values of a query at this moment, by the labels of each series in braces.

        Args:
            promql: the query; it has to give an instant vector.
        """
        return {
            "{" + ", ".join(f"{k}={v}" for k, v in sorted(each["metric"].items())) + "}": float(
                each["value"][1]
            )
            for each in self.api("query", query=promql)["result"]
        }

    def command(self) -> list[str]:
        """The program, on its own configuration and data."""
        file = self.directory / "prometheus.yml"
        file.write_text(self.configuration)
        return [
            str(self._program),
            f"--config.file={file}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
            "--enable-feature=exemplar-storage",
        ]

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        if not self.listens():
            return False
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as got:  # noqa: S310
                return bool(got.status == 200)
        except OSError:
            return False


def prometheus(configuration: str) -> Prometheus:
    """Starts a Prometheus that lives as long as its handle, and at most as the kernel.

    Args:
        configuration: the text of prometheus.yml.

    Returns:
        The running server's handle. It is a context manager too.

    Raises:
        MissingProgram: if Prometheus is not installed.
        ServiceError: if it does not start; with the end of its log.
    """
    return Prometheus(configuration)


def promtool(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs promtool, which comes with Prometheus.

    Args:
        *arguments: such as "test", "rules", "alerts.test.yml".
        folder: where it runs, and its files are.

    Returns:
        The finished program with its status and its output, errors included.

    Raises:
        MissingProgram: if Prometheus is not installed.
    """
    program = programs.prometheus().with_name("promtool")
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
