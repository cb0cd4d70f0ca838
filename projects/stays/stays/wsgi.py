"""What gunicorn serves: `gunicorn stays.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stays.settings")

application = get_wsgi_application()
