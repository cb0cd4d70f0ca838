"""The project's settings, with three addresses more (see bench.urls)."""

from stays.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
