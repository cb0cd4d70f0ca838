"""The bench of Project Nexus: what a chapter imports."""

from nexus.services import nginx, postgres, rabbitmq, serve, valkey

__all__ = ["nginx", "postgres", "rabbitmq", "serve", "valkey"]
