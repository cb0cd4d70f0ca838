"""HTTP in, a service or a selector, HTTP out. There is no rule here."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from mysite.common.errors import Refused
from mysite.listings import selectors, services
from mysite.listings.forms import PlaceForm
from mysite.listings.models import Place


def shown(place: Place) -> dict[str, object]:
    """Return the fields that clients see."""
    return {"id": place.pk, "title": place.title, "nightly_minor": place.nightly_minor}


@require_http_methods(["GET", "POST"])
def places(request: HttpRequest) -> HttpResponse:
    """List places, or offer one."""
    if request.method == "GET":
        return JsonResponse({"places": [shown(place) for place in selectors.listed()[:100]]})
    if not request.user.is_authenticated:
        return JsonResponse({"error": "Log in first."}, status=401)
    form = PlaceForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    try:
        place = services.offer_place(host=request.user, **form.cleaned_data)
    except Refused as refusal:
        return JsonResponse({"error": str(refusal)}, status=409)
    return JsonResponse(shown(place), status=201)
