"""How gunicorn serves the project. It finds this file by itself, in the directory it starts in."""

import os

wsgi_app = "feed.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
timeout = 30
max_requests = 10_000
max_requests_jitter = 1_000
accesslog = None
control_socket_disable = True  # it would be a file in the home directory
