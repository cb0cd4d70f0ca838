"""How passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane, where Django's takes 100 MiB for each hash.

    Source: OWASP's Password Storage Cheat Sheet.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1
