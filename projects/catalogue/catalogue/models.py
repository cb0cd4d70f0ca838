"""Tables and their constraints. The database refuses what must not exist, whoever writes it."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, GistIndex, OpClass
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import CheckConstraint, F, Func, Index, Q, UniqueConstraint
from django.db.models.functions import Lower, Now
from django.db.models.lookups import Exact

MAX_PRICE = 1_000_000_000_000
MAX_STOCK = 1_000_000
MAX_DEPTH = 3
"""Levels of categories. Each level has its own indexes, see `Product`."""
SAMPLE = 101
"""One product in so many is in the sample that facets are estimated from. It is a prime number, so
that the sample is fair if a bulk load repeats its values every 10 or every 100 rows."""
IN_SAMPLE = Q(Exact(F("id") % SAMPLE, 0))


class UserManager(BaseUserManager["User"]):
    """Makes users."""

    def create_user(self, email: str, password: str, **fields: Any) -> "User":
        """Store a new user, with the e-mail address in lower case."""
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """Somebody with an account. Visitors have none."""

    class Role(models.TextChoices):
        """What somebody may do."""

        CUSTOMER = "customer"  # orders
        SELLER = "seller"  # orders, and writes products of their own
        STAFF = "staff"  # writes everything

    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=10, choices=Role, default=Role.CUSTOMER)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects = UserManager()

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["email"], name="user_email_once"),
            CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
            CheckConstraint(
                condition=Q(role__in=["customer", "seller", "staff"]), name="user_role"
            ),
        ]


class Category(models.Model):
    """A node of the tree. `path` holds the ids from the root down to this one.

    A category's parent never changes: products carry the path, and there may be a million of them.
    """

    id = models.AutoField(primary_key=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    path = ArrayField(models.IntegerField())
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=60)

    class Meta:
        # The migration adds two more, which only SQL can say: a path ends with the parent and the
        # category itself, and (id, path) is what a product's foreign key points to.
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(path__len__gte=1) & Q(path__len__lte=MAX_DEPTH), name="category_depth"
            ),
            UniqueConstraint(fields=["id", "path"], name="category_id_path"),
        ]


class ProductQuerySet(models.QuerySet["Product"]):
    """Which products somebody may touch."""

    def writable_by(self, user: User) -> "ProductQuerySet":
        """Return those that a user may change: all for staff, a seller's own for the seller."""
        return self if user.role == User.Role.STAFF else self.filter(seller=user)


def _by_price(name: str, *first: str | F) -> Index:
    return Index(*first, "currency", "price_minor", "id", name=name)


class Product(models.Model):
    """Something to sell.

    The indexes come in pairs, one for each order of a list: by id (the newest first) and by price.
    There is a pair for the whole catalogue, one for each level of categories and one for brands.
    So each of these lists is read from an index in its order, a page at a time. No index holds
    `stock`: selling then changes no index (a heap-only update).
    """

    class Colour(models.TextChoices):
        """Colours that can be filtered by."""

        BLACK = "black"
        BLUE = "blue"
        BROWN = "brown"
        GREEN = "green"
        GREY = "grey"
        ORANGE = "orange"
        RED = "red"
        WHITE = "white"

    seller = models.ForeignKey(User, on_delete=models.PROTECT, related_name="products")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    category_path = ArrayField(models.IntegerField())
    name = models.CharField(max_length=120)
    brand = models.CharField(max_length=60)
    colour = models.CharField(max_length=10, choices=Colour)
    description = models.CharField(max_length=2000, blank=True)
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    stock = models.IntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    search = models.GeneratedField(
        expression=SearchVector("name", weight="A", config="english")
        + SearchVector("brand", weight="B", config="english")
        + SearchVector("description", weight="C", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = ProductQuerySet.as_manager()

    class Meta:
        # The migration adds the foreign key (category, category_path).
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(price_minor__gte=0, price_minor__lte=MAX_PRICE), name="product_price"
            ),
            CheckConstraint(condition=Q(stock__gte=0, stock__lte=MAX_STOCK), name="product_stock"),
            CheckConstraint(
                condition=Q(currency__in=list(settings.CURRENCIES)), name="product_currency"
            ),
        ]
        indexes: ClassVar = [
            _by_price("product_price"),
            Index(F("category_path__0"), "id", name="product_level1"),
            _by_price("product_level1_price", F("category_path__0")),
            Index(F("category_path__1"), "id", name="product_level2"),
            _by_price("product_level2_price", F("category_path__1")),
            Index(F("category_path__2"), "id", name="product_level3"),
            _by_price("product_level3_price", F("category_path__2")),
            Index("brand", "id", name="product_brand"),
            _by_price("product_brand_price", "brand"),
            GinIndex("search", name="product_search", fastupdate=False),
            Index("id", name="product_sample", condition=IN_SAMPLE),
        ]


class Word(models.Model):
    """A word that some product has, in its written form. Misspelt words are looked up here."""

    word = models.CharField(max_length=40, primary_key=True)
    stem = models.CharField(max_length=40, help_text="Its form in the full text index")

    class Meta:
        indexes: ClassVar = [
            GistIndex(OpClass("word", "gist_trgm_ops"), name="word_trigrams"),
            Index("stem", name="word_stem"),
        ]


class Image(models.Model):
    """A picture of a product. The file's name is the hash of its content."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="images")
    digest = models.CharField(max_length=64)
    width = models.IntegerField()
    height = models.IntegerField()

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["product", "digest"], name="image_once"),
            CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="image_digest"),
        ]


class UUIDv7(Func):
    """PostgreSQL 18's own UUIDs that ascend with time."""

    template = "uuidv7()"
    output_field = models.UUIDField()
    arity = 0


class Order(models.Model):
    """What a customer ordered at once. `key` makes it one order, however often it is sent."""

    class Status(models.TextChoices):
        """States of an order."""

        PLACED = "placed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, db_default=UUIDv7(), editable=False)
    customer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="orders")
    key = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLACED)
    currency = models.CharField(max_length=3, default="")
    total_minor = models.BigIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["customer", "key"], name="order_key_once"),
            CheckConstraint(condition=Q(status__in=["placed", "cancelled"]), name="order_status"),
            CheckConstraint(
                condition=Q(tax_minor__gte=0, total_minor__gte=F("tax_minor")), name="order_total"
            ),
        ]
        indexes: ClassVar = [Index("customer", "id", name="order_customer")]


class OrderLine(models.Model):
    """One product of an order, as it was when it was ordered. The product may change or go."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.SET_NULL, null=True)
    name = models.CharField(max_length=120)
    quantity = models.IntegerField()
    unit_price_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["order", "product"], name="line_product_once"),
            CheckConstraint(condition=Q(quantity__gte=1, quantity__lte=1000), name="line_quantity"),
        ]


class Attempt(models.Model):
    """How often somebody tried to log in or register, in a window of time."""

    key = models.CharField(max_length=64, primary_key=True)
    started = models.DateTimeField()
    count = models.IntegerField()
