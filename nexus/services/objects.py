"""An object storage that speaks S3: JuiceFS's gateway, on files in its own directory.

The gateway is MinIO's code for S3, so signatures, policies and expiry are really checked.
"""

import contextlib
import secrets
import subprocess
import urllib.error
import urllib.request
from typing import Any

from nexus.services import programs
from nexus.services.errors import MissingProgram, ServiceError
from nexus.services.ports import free_port
from nexus.services.process import Server

REGION = "us-east-1"
"""A signature names a region; the gateway takes this one."""


class Objects(Server):
    """A running object storage with one bucket.

    Attributes:
        url: where it is, for clients of S3 as their endpoint.
        bucket: the name of its bucket.
        access_key: who its administrator is.
        secret_key: what the administrator signs with.
    """

    kind = "objects"

    def __init__(self, bucket: str = "photos") -> None:
        """Starts the gateway.

        Args:
            bucket: the name of the bucket: small letters, digits and hyphens.

        Raises:
            MissingProgram: if juicefs is not installed.
            ServiceError: if it does not start; with the end of its log.
        """
        super().__init__()
        self.bucket = bucket
        self.access_key = "harbour"
        self.secret_key = secrets.token_urlsafe(20)
        try:
            self._program = programs.juicefs()
        except MissingProgram:
            self.close()
            raise
        self._start_first(free_port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self, **options: Any) -> Any:  # noqa: ANN401 (boto3's clients have no class to name)
        """Opens a client of boto3.

        Args:
            **options: those of botocore's Config, such as retries.

        Raises:
            MissingProgram: if boto3 is not installed.
        """
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            message = f"boto3 is not on this machine: {programs.HEAVY}"
            raise MissingProgram(message) from None
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(signature_version="s3v4", **options),
        )
        self._keep_for(client)
        return client

    def prepare(self) -> None:
        """Makes the volume that the gateway shows as a bucket.

        Raises:
            ServiceError: if juicefs refuses, as it does for a name that no bucket can have.
        """
        done = subprocess.run(
            [
                *(str(self._program), "format", "--storage=file", "--trash-days=0"),
                *(f"--bucket={self.directory}/blocks", self._metadata, self.bucket),
            ],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise ServiceError(f"juicefs could not make the bucket {self.bucket!r}: {said}")

    def command(self) -> list[str]:
        """The gateway, with small buffers, and without its banner and its report of use."""
        return [
            *(str(self._program), "gateway", "--no-banner", "--no-usage-report", "--no-bgjob"),
            *("--backup-meta=0", "--cache-size=0", "--buffer-size=32"),
            *(f"--cache-dir={self.directory}/cache", f"--log={self.directory}/gateway.log"),
            *(self._metadata, f"127.0.0.1:{self.port}"),
        ]

    def environment(self) -> dict[str, str]:
        """Its two keys, and a home of its own, where it keeps what MinIO keeps there."""
        return {
            **super().environment(),
            "HOME": str(self.directory),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
        }

    def is_ready(self) -> bool:
        """Whether it refuses a stranger, as only a gateway does that knows its users."""
        if not self.listens():
            return False
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(f"{self.url}/{self.bucket}", timeout=5)  # noqa: S310
            except urllib.error.HTTPError as error:
                with error:
                    return error.code == 403
        return False

    @property
    def _metadata(self) -> str:
        return f"sqlite3://{self.directory}/metadata.db"


def objects(bucket: str = "photos") -> Objects:
    """Starts an object storage that lives as long as its handle, and at most as the kernel.

    Args:
        bucket: the name of its bucket.

    Returns:
        The running storage's handle. It is a context manager too.

    Raises:
        MissingProgram: if juicefs is not installed; the message is the command that does it.
        ServiceError: if it does not start; with the end of its log.
    """
    return Objects(bucket)
