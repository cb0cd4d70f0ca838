"""The API. Views read the request and write the answer; services and search do the work."""

import re
from typing import Any, cast

from django.db.models import QuerySet, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, permissions
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ModelViewSet

from catalogue import images, search, serializers, services
from catalogue.fields import given, refuse_unknown
from catalogue.models import Category, Image, Order, Product, User
from catalogue.problems import method_not_allowed

METHODS = ["get", "post", "patch", "delete", "head", "options"]
"""What DRF may offer: no PUT, which would say a whole row anew."""
KEY = re.compile(r"[!-~]{8,64}")
"""What an Idempotency-Key looks like: visible ASCII."""
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{8,64}$"},
    OpenApiParameter.HEADER,
    required=True,
    description="Chosen by the client, once for each order. Sent again, it gives the same order.",
)


class StaffWrite(permissions.BasePermission):
    """Of those with an account, staff write."""

    writers: tuple[str, ...] = (User.Role.STAFF,)

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
        """Return whether the role may do this at all. Querysets say to which rows."""
        return request.method in permissions.SAFE_METHODS or actor(request).role in self.writers


class SellersWrite(StaffWrite):
    """Of those with an account, sellers and staff write."""

    writers = (User.Role.SELLER, User.Role.STAFF)


def actor(request: Request) -> User:
    """Return who asks. The permission classes have let nobody without an account through."""
    return cast("User", request.user)


def query(serializer: type[Serializer[Any]], request: Request, *others: str) -> dict[str, Any]:
    """Return validated parameters.

    An unknown one is refused. A filter with a typing error would otherwise return everything.
    """
    refuse_unknown(set(request.query_params), {*serializer().fields, *others})
    return given(serializer, request.query_params.dict())


def scope_of(request: Request) -> dict[str, str]:
    """Return what a cursor is bound to: everything but the place in the list."""
    parameters = request.query_params.dict()
    return {name: text for name, text in parameters.items() if name not in ("cursor", "limit")}


class CategoryViewSet(ModelViewSet[Category]):
    """The tree: everybody reads it, staff write it."""

    queryset = Category.objects.select_related("parent").order_by("path")
    permission_classes = (permissions.IsAuthenticatedOrReadOnly, StaffWrite)
    http_method_names = METHODS
    lookup_field = "slug"
    lookup_value_converter = "slug"

    def get_serializer_class(self) -> type[serializers.CategorySerializer]:
        """Return what goes in and out."""
        return (
            serializers.CategoryChange
            if self.action == "partial_update"
            else serializers.CategorySerializer
        )

    def list(self, request: Request, *args: Any, **options: Any) -> Response:
        """List all categories, each after its parent."""
        query(Serializer, request)
        return super().list(request, *args, **options)

    def perform_create(self, serializer: BaseSerializer[Category]) -> None:
        """Add a category."""
        serializer.instance = services.create_category(**serializer.validated_data)

    def perform_update(self, serializer: BaseSerializer[Category]) -> None:
        """Rename a category."""
        services.update_category(cast("Category", serializer.instance), serializer.validated_data)

    def perform_destroy(self, instance: Category) -> None:
        """Remove an empty category."""
        instance.delete()


class ProductViewSet(ModelViewSet[Product]):
    """Products: everybody reads them, sellers write their own, staff write all."""

    queryset = Product.objects.defer("search").select_related("category")
    permission_classes = (permissions.IsAuthenticatedOrReadOnly, SellersWrite)
    http_method_names = METHODS
    lookup_value_converter = "int"
    filter_backends = (DjangoFilterBackend,)  # for the description; see `filters`
    filterset_class = search.ProductFilter

    def get_serializer_class(self) -> type[serializers.ProductSerializer]:
        """Return what goes in and out."""
        return (
            serializers.ProductChange
            if self.action == "partial_update"
            else serializers.ProductSerializer
        )

    def filter_queryset(self, queryset: Any) -> Any:
        """Leave out what the caller may not write, if this is to write."""
        reads = self.request.method in permissions.SAFE_METHODS
        return queryset if reads else queryset.writable_by(actor(self.request))

    def filters(self, sort: str = "") -> search.ProductFilter:
        """Return the request's filters, checked."""
        asked = search.ProductFilter(self.request.query_params, queryset=Product.objects.all())
        asked.check(sort)
        return asked

    @extend_schema(
        parameters=[serializers.ProductQuery], responses=serializers.ProductPage, filters=True
    )
    def list(self, request: Request) -> Response:
        """Search, filter and sort products, a page at a time."""
        asked = query(serializers.ProductQuery, request, *search.ProductFilter.base_filters)
        sort = asked.get("sort") or ("relevance" if request.query_params.get("q") else "newest")
        filters = self.filters(sort)
        products = filters.apply().defer("search")
        where: dict[str, Any] = {
            "limit": asked["limit"],
            "cursor": asked.get("cursor"),
            "scope": scope_of(request) | {"sort": sort},
        }
        if sort != "relevance":
            page = search.paginate(products, order=search.SORTS[sort], **where)
        elif filters.query is not None:
            page = search.by_relevance(products, filters.query, **where)
        else:
            raise search.refused("sort", "relevance", "Relevance needs `q`.")
        prefetch_related_objects(page.rows, "category", "images")
        body = {"results": page.rows, "next": page.cursor, "corrections": filters.corrections}
        return Response(serializers.ProductPage(body).data)

    @extend_schema(responses=serializers.FacetsSerializer, filters=True)
    @action(detail=False)
    def facets(self, request: Request) -> Response:
        """Count the products by brand, colour, stock and category."""
        query(Serializer, request, *search.ProductFilter.base_filters)
        return Response(serializers.FacetsSerializer(search.facets(self.filters())).data)

    def perform_create(self, serializer: BaseSerializer[Product]) -> None:
        """Offer a product."""
        serializer.instance = services.create_product(
            seller=actor(self.request), **serializer.validated_data
        )

    def perform_update(self, serializer: BaseSerializer[Product]) -> None:
        """Change a product."""
        services.update_product(cast("Product", serializer.instance), serializer.validated_data)

    def perform_destroy(self, instance: Product) -> None:
        """Remove a product. Orders keep what they need of it."""
        services.delete_product(instance)

    @extend_schema(request=serializers.StockInput, responses=serializers.StockSerializer)
    @action(detail=True, methods=["post"])
    def stock(self, request: Request, pk: int) -> Response:  # noqa: ARG002
        """Add pieces or take some away."""
        product = self.get_object()
        stock = services.change_stock(
            product, given(serializers.StockInput, request.data)["change"]
        )
        return Response({"stock": stock})

    @extend_schema(request=serializers.ImageInput, responses={201: serializers.ImageSerializer})
    @action(detail=True, methods=["post"], parser_classes=[MultiPartParser])
    def images(self, request: Request, pk: int) -> Response:  # noqa: ARG002
        """Upload a picture."""
        product = self.get_object()
        image = images.add_image(product, given(serializers.ImageInput, request.data)["file"])
        return Response(serializers.ImageSerializer(image).data, status=201)

    @extend_schema(responses={204: None})
    @action(detail=True, methods=["delete"], url_path="images/<slug:digest>")
    def image(self, request: Request, pk: int, digest: str) -> Response:  # noqa: ARG002
        """Take a picture away."""
        get_object_or_404(Image, product=self.get_object(), digest=digest).delete()
        return Response(status=204)


class OrderViewSet(mixins.RetrieveModelMixin, GenericViewSet[Order]):
    """Orders. A customer sees their own; staff may see each."""

    queryset = Order.objects.prefetch_related("lines")
    serializer_class = serializers.OrderSerializer
    permission_classes = (permissions.IsAuthenticated,)
    lookup_value_converter = "uuid"

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Leave out the orders of others."""
        user = actor(self.request)
        return queryset if user.role == User.Role.STAFF else queryset.filter(customer=user)

    @extend_schema(parameters=[serializers.PageQuery], responses=serializers.OrderPage)
    def list(self, request: Request) -> Response:
        """List one's own orders, the newest first."""
        asked = query(serializers.PageQuery, request)
        page = search.paginate(
            self.get_queryset().filter(customer=actor(request)),
            order=("-id",),
            limit=asked["limit"],
            cursor=asked.get("cursor"),
            scope={"customer": str(actor(request).pk)},
        )
        return Response(serializers.OrderPage({"results": page.rows, "next": page.cursor}).data)

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.OrderInput,
        responses={201: serializers.OrderSerializer, 200: serializers.OrderSerializer},
    )
    def create(self, request: Request) -> Response:
        """Order products: all of them, or none."""
        key = request.headers.get("Idempotency-Key", "")
        if not KEY.fullmatch(key):
            raise search.refused("Idempotency-Key", "required", "8 to 64 visible ASCII characters.")
        items = given(serializers.OrderInput, request.data)["items"]
        order, made = services.place_order(customer=actor(request), key=key, items=items)
        return Response(serializers.OrderSerializer(order).data, status=201 if made else 200)

    @extend_schema(request=None, responses=serializers.OrderSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:  # noqa: ARG002
        """Cancel an order. Its pieces can be sold again."""
        return Response(serializers.OrderSerializer(services.cancel_order(self.get_object())).data)


@extend_schema(exclude=True)
@api_view()
@permission_classes([permissions.AllowAny])
def start(request: Request) -> HttpResponse:  # noqa: ARG001
    """Lead from `/` to the description."""
    return redirect("docs")


def image_file(request: HttpRequest, digest: str) -> HttpResponse:
    """Serve a picture. Its name is its content's hash, so it may be kept for ever."""
    if request.method not in permissions.SAFE_METHODS:
        return method_not_allowed()
    try:
        content = images.path_of(digest).read_bytes()
    except OSError:  # none of this name, or the name is too long
        raise Http404 from None
    response = HttpResponse(content, content_type="image/webp")
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
