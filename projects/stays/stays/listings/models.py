"""Cities, amenities and the properties that hosts offer."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast, Coalesce, NullIf, Round

from stays.accounts.models import User
from stays.common.fields import CURRENCY_PATTERN, currency, identifier, minor_units


class City(models.Model):
    """A place that one searches by."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=80)
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2")
    timezone = models.CharField(max_length=64, help_text="IANA name")
    latitude = models.FloatField()
    longitude = models.FloatField()

    class Meta:
        verbose_name_plural = "cities"
        constraints = (
            models.CheckConstraint(condition=Q(country__regex=r"^[A-Z]{2}$"), name="city_country"),
            models.CheckConstraint(condition=Q(latitude__range=(-90, 90)), name="city_latitude"),
            models.CheckConstraint(
                condition=Q(longitude__range=(-180, 180)), name="city_longitude"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name}, {self.country}"


class Amenity(models.Model):
    """Something that a place may have."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=40)

    class Meta:
        verbose_name_plural = "amenities"

    def __str__(self) -> str:
        return self.name


class Kind(models.TextChoices):
    """How much of a place a guest has alone."""

    ENTIRE = "entire", "Entire place"
    PRIVATE = "private", "Private room"
    SHARED = "shared", "Shared room"


class Property(models.Model):
    """A place to stay. The outside knows it by its slug."""

    id = identifier()
    slug = models.SlugField(max_length=100, unique=True)
    host = models.ForeignKey(User, on_delete=models.PROTECT, related_name="properties")
    city = models.ForeignKey(City, on_delete=models.PROTECT, related_name="properties")
    title = models.CharField(max_length=100)
    description = models.TextField(max_length=5000, blank=True)
    kind = models.CharField(max_length=7, choices=Kind)
    address = models.CharField(max_length=200)
    latitude = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    max_guests = models.PositiveSmallIntegerField()
    bedrooms = models.PositiveSmallIntegerField()
    nightly_minor = minor_units()
    cleaning_minor = minor_units(default=0)
    currency = currency()
    instant_book = models.BooleanField(
        default=False, help_text="A paid booking needs no word from the host"
    )
    is_listed = models.BooleanField(default=True)
    amenities = models.ManyToManyField(Amenity, related_name="properties", blank=True)
    rating_sum = models.PositiveIntegerField(default=0)
    rating_count = models.PositiveIntegerField(default=0)
    rating = models.GeneratedField(
        expression=Coalesce(
            Round(
                Cast("rating_sum", models.DecimalField(max_digits=12, decimal_places=2))
                / NullIf(F("rating_count"), 0),
                precision=2,
            ),
            0,
        ),
        output_field=models.DecimalField(max_digits=3, decimal_places=2),
        db_persist=True,
    )
    document = models.GeneratedField(
        expression=SearchVector("title", weight="A", config="english")
        + SearchVector("description", weight="B", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )
    version = models.PositiveIntegerField(
        default=1, help_text="Counts the changes; the ETag is made of it"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "properties"
        constraints = (
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="property_kind_known"),
            models.CheckConstraint(
                condition=Q(nightly_minor__range=(1, 100_000_000)), name="property_nightly"
            ),
            models.CheckConstraint(
                condition=Q(cleaning_minor__range=(0, 100_000_000)), name="property_cleaning"
            ),
            models.CheckConstraint(
                condition=Q(currency__regex=CURRENCY_PATTERN), name="property_currency"
            ),
            models.CheckConstraint(
                condition=Q(max_guests__range=(1, 50)), name="property_max_guests"
            ),
            models.CheckConstraint(condition=Q(bedrooms__range=(0, 50)), name="property_bedrooms"),
            models.CheckConstraint(
                condition=Q(latitude__range=(-90, 90)), name="property_latitude"
            ),
            models.CheckConstraint(
                condition=Q(longitude__range=(-180, 180)), name="property_longitude"
            ),
            models.CheckConstraint(
                condition=Q(rating_sum__gte=F("rating_count"))
                & Q(rating_sum__lte=F("rating_count") * 5),
                name="property_rating",
            ),
        )
        indexes = (
            models.Index("city", "id", condition=Q(is_listed=True), name="property_newest"),
            models.Index(
                "city", "nightly_minor", "id", condition=Q(is_listed=True), name="property_price"
            ),
            models.Index(
                "city", "rating", "id", condition=Q(is_listed=True), name="property_rating"
            ),
            # The same orders without a city; the newest are read from the primary key.
            models.Index(
                "currency",
                "nightly_minor",
                "id",
                condition=Q(is_listed=True),
                name="property_price_anywhere",
            ),
            models.Index(
                "rating", "id", condition=Q(is_listed=True), name="property_rating_anywhere"
            ),
            GinIndex(fields=["document"], name="property_document"),
        )

    def __str__(self) -> str:
        return self.title
