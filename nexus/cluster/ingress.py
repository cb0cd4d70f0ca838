"""The Ingress: one nginx for the whole cluster, which sends requests to Services by host and path.

A stand-in for an Ingress controller. It writes nginx' configuration from all Ingress objects, each
time one of them or the address of a Service changes. There is no TLS here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nexus.cluster.store import Object, Store
from nexus.services.nginx import Nginx, nginx

NO_RULE = """
    server {
        listen 127.0.0.1:{port} default_server;
        location / { return 404 "default backend\\n"; }
    }"""
NO_SERVICE = 'return 503 "no such Service\\n";'


def locations(path: Mapping[str, Any]) -> list[str]:
    """How nginx names a path: `Prefix` goes element by element, so /api is not /apix."""
    way = path.get("path", "/")
    if path["pathType"] == "Exact":
        return [f"= {way}"]
    whole = way.rstrip("/")
    return [f"= {whole}", f"{whole}/"] if whole else ["/"]


def server(host: str, paths: list[Mapping[str, Any]], urls: Mapping[str, str]) -> str:
    """The block of a host."""
    lines = [f"    server {{\n        listen 127.0.0.1:{{port}};\n        server_name {host};"]
    for path in paths:
        url = urls.get(path["backend"]["service"]["name"])
        to = f"proxy_pass {url}; proxy_set_header Host $host;" if url else NO_SERVICE
        lines += [f"        location {where} {{ {to} }}" for where in locations(path)]
    return "\n".join([*lines, "    }"])


class Ingress:
    """The nginx at the entrance.

    Attributes:
        configuration: what nginx has been told.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.configuration = ""
        self._nginx: Nginx | None = None

    def step(self, urls: Mapping[str, str]) -> None:
        """Looks at all Ingress objects once.

        Args:
            urls: where each Service is reached.
        """
        found = self.store.all("ingresses")
        if not found and self._nginx is None:
            return
        text = self.written(found, urls)
        if text == self.configuration:
            return
        if self._nginx is None:
            self._nginx = nginx(text)
        else:
            self._nginx.reload(text)
        self.configuration = text

    def written(self, found: list[Object], urls: Mapping[str, str]) -> str:
        """The configuration of nginx for some objects."""
        hosts: dict[str, list[Mapping[str, Any]]] = {}
        for one in found:
            for rule in one["spec"]["rules"]:
                hosts.setdefault(rule["host"], []).extend(rule["http"]["paths"])
        return "\n".join([NO_RULE, *(server(host, paths, urls) for host, paths in hosts.items())])

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            LookupError: before there is an Ingress object.
        """
        if self._nginx is None:
            raise LookupError("there is no Ingress yet")
        return self._nginx.url

    def servers(self) -> Iterator[Nginx]:
        """The nginx that runs."""
        if self._nginx is not None:
            yield self._nginx
