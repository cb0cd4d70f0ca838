"""How passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB for each hash, two passes and one lane. Django takes 100 MiB.

    Eight threads may hash at once, and the container of `compose.yaml` has 512 MiB.
    The values come from OWASP's Password Storage Cheat Sheet.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1
