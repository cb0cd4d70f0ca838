"""The Celery application. A worker is started with `celery --app stays worker`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stays.settings")

app = Celery("stays")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
