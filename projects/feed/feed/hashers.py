"""How passwords are hashed: with a bound on the memory that it takes."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher

_hashing = ThreadPoolExecutor(1, thread_name_prefix="hashing")
"""A process hashes one password at a time; its other threads wait. A lock would do the same, but
the memory of each thread that has hashed would be kept for the next time."""


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane, where Django's takes 100 MiB for each hash.

    Whoever logs in with a password that was hashed otherwise has it hashed anew.

    Source: OWASP's Password Storage Cheat Sheet.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, *args: Any, **options: Any) -> str:
        """Hash a password."""
        return _hashing.submit(super().encode, *args, **options).result()

    def verify(self, *args: Any, **options: Any) -> bool:
        """Tell whether a password is the one that was hashed."""
        return _hashing.submit(super().verify, *args, **options).result()
