"""The API. Views read the request and write the answer; services and search do the work."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalogue import images, search, services
from catalogue.fields import refuse_unknown
from catalogue.models import Category, Image, Order, Product, User
from catalogue.problems import problem_response
from catalogue.serializers import (
    CategoryChange,
    CategoryInput,
    CategorySerializer,
    FacetsSerializer,
    ImageInput,
    ImageSerializer,
    OrderInput,
    OrderPage,
    OrderSerializer,
    PageQuery,
    ProductChange,
    ProductInput,
    ProductPage,
    ProductQuery,
    ProductSerializer,
    StockInput,
    StockSerializer,
)

S = TypeVar("S", bound=serializers.Serializer[Any])
KEY = re.compile(r"[!-~]{8,64}")
"""What an Idempotency-Key looks like: visible ASCII."""
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{8,64}$"},
    OpenApiParameter.HEADER,
    required=True,
    description="Chosen by the client, once for each order. Sent again, it gives the same order.",
)


class StaffWrite(BasePermission):
    """Everybody reads. Staff write."""

    everybody_reads = True
    writers: tuple[str, ...] = (User.Role.STAFF,)

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the role may do this at all. Querysets say to which rows."""
        method = request.method or ""
        if method in SAFE_METHODS or not hasattr(view, method.lower()):  # that is a 405
            return True
        return request.user.is_authenticated and request.user.role in self.writers


class SellersWrite(StaffWrite):
    """Everybody reads. Sellers and staff write."""

    writers = (User.Role.SELLER, User.Role.STAFF)


def actor(request: Request) -> User:
    """Return who asks. The permission classes have let nobody without an account through."""
    return cast("User", request.user)


def given(serializer: type[S], data: Any, **options: Any) -> dict[str, Any]:
    """Return validated input."""
    checked = serializer(data=data, **options)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def query(serializer: type[S], request: Request, *others: str) -> dict[str, Any]:
    """Return validated parameters.

    An unknown one is refused. A filter with a typing error would otherwise return everything.
    """
    refuse_unknown(set(request.query_params), {*serializer().fields, *others})
    return given(serializer, request.query_params.dict())


def scope_of(request: Request) -> dict[str, str]:
    """Return what a cursor is bound to: everything but the place in the list."""
    parameters = request.query_params.dict()
    return {name: text for name, text in parameters.items() if name not in ("cursor", "limit")}


class CategoriesView(APIView):
    """The tree."""

    permission_classes = (StaffWrite,)

    @extend_schema(responses=CategorySerializer(many=True), operation_id="list_categories")
    def get(self, request: Request) -> Response:
        """List all categories, each after its parent."""
        query(serializers.Serializer, request)
        rows = Category.objects.select_related("parent").order_by("path")
        return Response(CategorySerializer(rows, many=True).data)

    @extend_schema(
        request=CategoryInput,
        responses={201: CategorySerializer},
        operation_id="create_category",
    )
    def post(self, request: Request) -> Response:
        """Add a category. Staff only."""
        category = services.create_category(**given(CategoryInput, request.data))
        return Response(CategorySerializer(category).data, status=201)


class CategoryView(APIView):
    """One category."""

    permission_classes = (StaffWrite,)

    @extend_schema(responses=CategorySerializer, operation_id="read_category")
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Read a category."""
        return Response(CategorySerializer(get_object_or_404(Category, slug=slug)).data)

    @extend_schema(
        request=CategoryChange(partial=True),
        responses=CategorySerializer,
        operation_id="change_category",
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Rename a category. Staff only."""
        category = get_object_or_404(Category, slug=slug)
        changes = given(CategoryChange, request.data, partial=True)
        return Response(CategorySerializer(services.update_category(category, changes)).data)

    @extend_schema(responses={204: None}, operation_id="delete_category")
    def delete(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Remove an empty category. Staff only."""
        services.delete_category(get_object_or_404(Category, slug=slug))
        return Response(status=204)


class FilteredView(APIView):
    """What has the filters of products in its description."""

    permission_classes: Any = (SellersWrite,)
    filter_backends = (DjangoFilterBackend,)
    filterset_class = search.ProductFilter

    def get_queryset(self) -> search.Products:
        """Return what the filters are for. The description needs it."""
        return Product.objects.all()

    def filters(self, request: Request, sort: str = "") -> search.ProductFilter:
        """Return the request's filters, checked."""
        asked = search.ProductFilter(request.query_params, queryset=self.get_queryset())
        asked.check(sort)
        return asked


class ProductsView(FilteredView):
    """All products."""

    @extend_schema(
        parameters=[ProductQuery], responses=ProductPage, operation_id="list_products", filters=True
    )
    def get(self, request: Request) -> Response:
        """Search, filter and sort products, a page at a time."""
        asked = query(ProductQuery, request, *search.ProductFilter.base_filters)
        sort = asked.get("sort") or ("relevance" if request.query_params.get("q") else "newest")
        filters = self.filters(request, sort)
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
        return Response(ProductPage(body).data)

    @extend_schema(
        request=ProductInput,
        responses={201: ProductSerializer},
        operation_id="create_product",
        filters=False,
    )
    def post(self, request: Request) -> Response:
        """Offer a product. Sellers and staff only."""
        product = services.create_product(
            seller=actor(request), **given(ProductInput, request.data)
        )
        return Response(ProductSerializer(product).data, status=201)


class FacetsView(FilteredView):
    """Counts for the filters."""

    permission_classes = (AllowAny,)

    @extend_schema(responses=FacetsSerializer, operation_id="count_facets", filters=True)
    def get(self, request: Request) -> Response:
        """Count the products by brand, colour, stock and category."""
        query(serializers.Serializer, request, *search.ProductFilter.base_filters)
        return Response(FacetsSerializer(search.facets(self.filters(request))).data)


class ProductPartView(APIView):
    """One product, or something of it."""

    permission_classes = (SellersWrite,)

    def product(self, request: Request, number: int) -> Product:
        """Return the product, if the request may do to it what it wants to do."""
        rows = Product.objects.defer("search")
        if request.method not in SAFE_METHODS:
            rows = rows.writable_by(actor(request))
        return get_object_or_404(rows.select_related("category"), pk=number)


class ProductView(ProductPartView):
    """One product."""

    @extend_schema(responses=ProductSerializer, operation_id="read_product")
    def get(self, request: Request, number: int) -> Response:
        """Read a product."""
        return Response(ProductSerializer(self.product(request, number)).data)

    @extend_schema(
        request=ProductChange(partial=True),
        responses=ProductSerializer,
        operation_id="change_product",
    )
    def patch(self, request: Request, number: int) -> Response:
        """Change a product. Its seller and staff only."""
        product = self.product(request, number)
        changes = given(ProductChange, request.data, partial=True)
        return Response(ProductSerializer(services.update_product(product, changes)).data)

    @extend_schema(responses={204: None}, operation_id="delete_product")
    def delete(self, request: Request, number: int) -> Response:
        """Remove a product. Orders keep what they need of it. Its seller and staff only."""
        services.delete_product(self.product(request, number))
        return Response(status=204)


class StockView(ProductPartView):
    """The stock of a product."""

    @extend_schema(request=StockInput, responses=StockSerializer, operation_id="change_stock")
    def post(self, request: Request, number: int) -> Response:
        """Add pieces or take some away. Its seller and staff only."""
        product = self.product(request, number)
        stock = services.change_stock(product, given(StockInput, request.data)["change"])
        return Response({"stock": stock})


class ImagesView(ProductPartView):
    """The pictures of a product."""

    parser_classes = (MultiPartParser,)

    @extend_schema(request=ImageInput, responses={201: ImageSerializer}, operation_id="add_image")
    def post(self, request: Request, number: int) -> Response:
        """Upload a picture. Its seller and staff only."""
        product = self.product(request, number)
        image = images.add_image(product, given(ImageInput, request.data)["file"])
        return Response(ImageSerializer(image).data, status=201)


class ImageView(ProductPartView):
    """A picture of a product."""

    @extend_schema(responses={204: None}, operation_id="remove_image")
    def delete(self, request: Request, number: int, digest: str) -> Response:
        """Take a picture away. Its seller and staff only."""
        product = self.product(request, number)
        get_object_or_404(Image, product=product, digest=digest).delete()
        return Response(status=204)


class OrdersView(APIView):
    """The customer's own orders."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(parameters=[PageQuery], responses=OrderPage, operation_id="list_orders")
    def get(self, request: Request) -> Response:
        """List one's own orders, the newest first."""
        asked = query(PageQuery, request)
        page = search.paginate(
            Order.objects.filter(customer=actor(request)).prefetch_related("lines"),
            order=("-id",),
            limit=asked["limit"],
            cursor=asked.get("cursor"),
            scope={"customer": str(actor(request).pk)},
        )
        return Response(OrderPage({"results": page.rows, "next": page.cursor}).data)

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=OrderInput,
        responses={201: OrderSerializer, 200: OrderSerializer},
        operation_id="place_order",
    )
    def post(self, request: Request) -> Response:
        """Order products: all of them, or none."""
        key = request.headers.get("Idempotency-Key", "")
        if not KEY.fullmatch(key):
            raise search.refused("Idempotency-Key", "required", "8 to 64 visible ASCII characters.")
        items = given(OrderInput, request.data)["items"]
        order, made = services.place_order(customer=actor(request), key=key, items=items)
        return Response(OrderSerializer(order).data, status=201 if made else 200)


class OrderView(APIView):
    """One order of the customer's own."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=OrderSerializer, operation_id="read_order")
    def get(self, request: Request, number: str) -> Response:
        """Read an order."""
        return Response(OrderSerializer(own_order(request, number)).data)


class CancelView(APIView):
    """The end of an order."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=OrderSerializer, operation_id="cancel_order")
    def post(self, request: Request, number: str) -> Response:
        """Cancel an order. Its pieces can be sold again."""
        return Response(OrderSerializer(services.cancel_order(own_order(request, number))).data)


def own_order(request: Request, number: str) -> Order:
    """Return an order of the customer's own; staff may see each."""
    rows = Order.objects.all()
    if actor(request).role != User.Role.STAFF:
        rows = rows.filter(customer=actor(request))
    return get_object_or_404(rows, pk=number)


def only_read(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refuse all but GET and HEAD in the one form of errors, for the views that are not DRF's.

    Django's check against forged requests is left out. It would answer first, with a page.
    """

    @csrf_exempt
    @wraps(view)
    def checked(request: HttpRequest, **options: Any) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            response = problem_response(405, "method_not_allowed", "Only GET and HEAD.")
            response["Allow"] = "GET, HEAD"
            return response
        return view(request, **options)

    return checked


@only_read
def image_file(request: HttpRequest, digest: str) -> HttpResponse:  # noqa: ARG001
    """Serve a picture. Its name is its content's hash, so it may be kept for ever."""
    try:
        content = images.path_of(digest).read_bytes()
    except FileNotFoundError:
        raise Http404 from None
    response = HttpResponse(content, content_type="image/webp")
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@only_read
def start(request: HttpRequest) -> HttpResponse:
    """The page at `/`: what is here."""
    return render(request, "catalogue/start.html")
