"""What Django's commands check. A process for each would load Django and the API anew."""

import pytest
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run")


def test_no_migration_is_dangerous() -> None:
    options = ("--no-cache", "--include-apps=jobs")
    call_command("lintmigrations", "--sql-analyser=postgresql", *options)
