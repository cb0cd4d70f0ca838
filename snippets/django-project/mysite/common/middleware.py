"""Django's CommonMiddleware with two exceptions."""

from django.http import HttpRequest, HttpResponseBase
from django.middleware import common

PROBES = ("/healthz", "/readyz")


class CommonMiddleware(common.CommonMiddleware):
    """Django's own, but for probes and for requests that a redirect would break."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """Check the Host, but not of a probe.

        An orchestrator or a load balancer asks by the container's own address. ALLOWED_HOSTS
        cannot list that address, because nobody knows it beforehand.
        """
        return None if request.path_info in PROBES else super().process_request(request)

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        """Add a missing slash to GET and HEAD only.

        Clients follow a 301 with a GET: POST /places would become GET /places/, without its body.
        """
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)
