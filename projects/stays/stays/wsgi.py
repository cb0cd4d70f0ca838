"""What gunicorn serves: `gunicorn stays.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from stays.operations import tracing
from stays.operations.wsgi import KnownLength

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stays.settings")

tracing.start()  # before Django loads its middleware; gunicorn loads this module after the fork
django = get_wsgi_application()

from django.conf import settings  # noqa: E402

application = KnownLength(django, limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
