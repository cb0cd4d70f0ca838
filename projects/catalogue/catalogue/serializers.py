"""What goes in and out as JSON. Input is named field by field, so nothing else can be set."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from catalogue.fields import Integer, StrictModelSerializer, StrictSerializer
from catalogue.models import MAX_PRICE, MAX_STOCK, Category, Image, Order, OrderLine, Product
from catalogue.money import in_words
from catalogue.search import SORTS

MAX_ID = 2**63 - 1
MAX_LIMIT = 100


class BySlug(serializers.SlugRelatedField[Category]):
    """A category, named by its slug."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="slug", **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Refuse numbers, which DRF makes texts, and the empty text, which it takes for null."""
        if data == "" or isinstance(data, int | float):
            self.fail("invalid")
        return super().run_validation(data)


class CategorySerializer(StrictModelSerializer):
    """A node of the tree. Its parent is for ever."""

    slug = serializers.SlugField(max_length=60)
    parent = BySlug(  # type: ignore[assignment]
        queryset=Category.objects.all(), allow_null=True, default=None
    )
    depth = serializers.SerializerMethodField(help_text="1 for a root")

    class Meta:
        model = Category
        fields = ("slug", "name", "parent", "depth")

    def get_depth(self, category: Category) -> int:
        """Return the level in the tree."""
        return len(category.path)


class CategoryChange(CategorySerializer):
    """What a PATCH can change of a category."""

    parent = BySlug(read_only=True, allow_null=True)


class ImageSerializer(serializers.ModelSerializer[Image]):
    """A picture of a product."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Image
        fields = ("digest", "url", "width", "height")

    @extend_schema_field({"type": "string", "format": "uri-reference"})
    def get_url(self, image: Image) -> str:
        """Return where it is served."""
        return f"/images/{image.digest}.webp"


class ProductSerializer(StrictModelSerializer):
    """A product."""

    category = BySlug(queryset=Category.objects.all())
    price_minor = Integer(min_value=0, max_value=MAX_PRICE, help_text="In the minor unit: cents")
    currency = serializers.ChoiceField(choices=list(settings.CURRENCIES))
    price = serializers.SerializerMethodField(help_text="For people: EUR 12.30")
    stock = Integer(min_value=0, max_value=MAX_STOCK, default=0)
    images = ImageSerializer(many=True, read_only=True)

    class Meta:
        model = Product
        fields: tuple[str, ...] = (
            *("id", "name", "brand", "colour", "description", "category", "seller"),
            *("price_minor", "currency", "price", "stock", "created_at", "images"),
        )
        read_only_fields = ("seller", "created_at")

    def get_price(self, product: Product) -> str:
        """Return the price for people."""
        return in_words(product.price_minor, product.currency)


class ProductChange(ProductSerializer):
    """What a PATCH can change: not the currency, the stock or the seller."""

    currency = serializers.CharField(read_only=True)  # type: ignore[assignment]
    stock = Integer(read_only=True)


class StockInput(StrictSerializer):
    """How many came, or went."""

    change = Integer(min_value=-MAX_STOCK, max_value=MAX_STOCK)


class StockSerializer(serializers.Serializer[Any]):
    """How many are there."""

    stock = serializers.IntegerField()


class ImageInput(serializers.Serializer[Any]):
    """A file with a picture."""

    file = serializers.FileField(help_text="JPEG, PNG or WebP")


class PageQuery(serializers.Serializer[Any]):
    """The parameters of a page."""

    cursor = serializers.CharField(required=False, max_length=500, help_text="From `next`")
    limit = serializers.IntegerField(default=20, min_value=1, max_value=MAX_LIMIT)


class ProductQuery(PageQuery):
    """The parameters of a page of products, besides the filters."""

    sort = serializers.ChoiceField(
        choices=list(SORTS), required=False, help_text="By default newest, or relevance with `q`"
    )


@extend_schema_serializer(many=False)
class ProductPage(serializers.Serializer[Any]):
    """Some products."""

    results = ProductSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's cursor")
    corrections = serializers.DictField(
        child=serializers.CharField(), help_text="Words of `q` that were replaced, and by what"
    )


class FacetValue(serializers.Serializer[Any]):
    """A value, and how many products have it."""

    value = serializers.CharField()
    count = serializers.IntegerField()


class Facet(serializers.Serializer[Any]):
    """The most frequent values of a property."""

    exact = serializers.BooleanField(help_text="Whether all were counted; else it is an estimate")
    values = FacetValue(many=True)


class FacetsSerializer(serializers.Serializer[Any]):
    """The counts of all facets."""

    brand = Facet()
    colour = Facet()
    in_stock = Facet()
    category = Facet()


class ItemInput(StrictSerializer):
    """A product of an order."""

    product = Integer(min_value=1, max_value=MAX_ID)
    quantity = Integer(min_value=1, max_value=1000)
    price_minor = Integer(
        min_value=0,
        max_value=MAX_PRICE,
        required=False,
        help_text="The price that the customer saw. The order is refused if it has changed.",
    )


class OrderInput(StrictSerializer):
    """What somebody orders."""

    items = ItemInput(many=True, allow_empty=False, max_length=50)  # type: ignore[call-arg]

    def validate_items(self, items: list[dict[str, int]]) -> list[dict[str, int]]:
        """Refuse a product that comes twice."""
        if len({item["product"] for item in items}) < len(items):
            raise serializers.ValidationError("A product comes twice.", code="twice")
        return items


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    """A product as it was ordered."""

    class Meta:
        model = OrderLine
        fields = ("product", "name", "quantity", "unit_price_minor", "tax_minor")


class OrderSerializer(serializers.ModelSerializer[Order]):
    """An order."""

    lines = OrderLineSerializer(many=True, read_only=True)
    total = serializers.SerializerMethodField(help_text="For people: EUR 12.30")

    class Meta:
        model = Order
        fields = (
            *("id", "status", "currency", "total_minor", "tax_minor", "total", "created_at"),
            "lines",
        )

    def get_total(self, order: Order) -> str:
        """Return the total for people."""
        return in_words(order.total_minor, order.currency)


@extend_schema_serializer(many=False)
class OrderPage(serializers.Serializer[Any]):
    """Some orders of the customer's own, the newest first."""

    results = OrderSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's cursor")
