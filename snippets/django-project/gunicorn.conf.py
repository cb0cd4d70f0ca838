"""How gunicorn serves the project. gunicorn finds this file in the directory it starts in."""

import os

wsgi_app = "mysite.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")

# Workers times threads is the number of requests that are served at one time. Each thread keeps its
# own database connection.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 30  # seconds until a worker whose main loop is silent is killed; no limit on a request
graceful_timeout = 25  # seconds that running requests have when gunicorn is told to stop
keepalive = 75  # longer than a proxy in front keeps a connection (nginx: 60 s)
max_requests = 10_000  # then a new worker: a leak of memory ends here
max_requests_jitter = 1_000  # not all at the same time

accesslog = "-"  # on standard output
# Without the query, which may hold a token. The last field is the client, if the proxy sets it.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms %({x-forwarded-for}i)s'
control_socket_disable = True  # it would be made in the home directory, which may be read-only
