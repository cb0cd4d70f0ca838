"""A marketplace of places to stay."""

from stays.celery import app as celery_app

__all__ = ["celery_app"]
