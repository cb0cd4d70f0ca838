"""Real servers that live as long as the kernel that started them, and no longer."""

from nexus.services.errors import MissingProgram, ServiceError
from nexus.services.mariadb import MariaDB, mariadb
from nexus.services.nginx import Nginx, nginx
from nexus.services.objects import Objects, objects
from nexus.services.pgbouncer import PgBouncer, pgbouncer
from nexus.services.postgres import Postgres, postgres
from nexus.services.process import current, scratch
from nexus.services.prometheus import Prometheus, prometheus, promtool
from nexus.services.rabbitmq import RabbitMQ, rabbitmq
from nexus.services.valkey import Valkey, valkey
from nexus.services.web import Web, serve

__all__ = [
    "MariaDB",
    "MissingProgram",
    "Nginx",
    "Objects",
    "PgBouncer",
    "Postgres",
    "Prometheus",
    "RabbitMQ",
    "ServiceError",
    "Valkey",
    "Web",
    "current",
    "mariadb",
    "nginx",
    "objects",
    "pgbouncer",
    "postgres",
    "prometheus",
    "promtool",
    "rabbitmq",
    "scratch",
    "serve",
    "valkey",
]
