"""How gunicorn serves the project. It finds this file by itself, in the directory it starts in."""

import os

wsgi_app = "mysite.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")

# So many requests can be in work at one time: workers times threads. Each thread keeps a database
# connection of its own.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 30  # seconds until a worker whose main loop is silent is killed; not one stuck request
graceful_timeout = 25  # seconds that running requests have when it is to end
keepalive = 75  # longer than a proxy in front keeps a connection (nginx: 60 s)
max_requests = 10_000  # then a worker is replaced, so that no leak lasts
max_requests_jitter = 1_000  # not all at the same time

accesslog = "-"  # on standard output
control_socket_disable = True  # it would be made in the home directory, which may be read-only
