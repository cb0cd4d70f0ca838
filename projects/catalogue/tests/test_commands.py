"""What Django's commands check. A process for each would load Django and the API anew."""

import os

import pytest
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_the_openapi_description_is_valid_and_made_without_a_warning() -> None:
    options = ("--format=openapi-json", f"--file={os.devnull}")
    call_command("spectacular", "--validate", "--fail-on-warn", *options)


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run")


def test_no_migration_is_dangerous() -> None:
    options = ("--no-cache", "--quiet=ok", "--include-apps=catalogue")
    call_command("lintmigrations", "--sql-analyser=postgresql", *options)
