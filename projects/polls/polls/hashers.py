"""How passwords are hashed."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

_at_once = threading.BoundedSemaphore(2)


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB for each hash, and two hashes at a time in a process.

    Django's takes 100 MiB for each, so eight log-ins at once would end a container of 512 MB.
    The others wait here for some milliseconds. Source of the figures: OWASP's Password Storage
    Cheat Sheet.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Hash a password."""
        with _at_once:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Tell whether a password has this hash."""
        with _at_once:
            return super().verify(password, encoded)
