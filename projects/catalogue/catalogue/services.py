"""Everything that writes: categories, products, stock, orders.

Stock cannot be oversold, for two reasons that do not depend on each other. Each piece is taken by
one conditional UPDATE, whose condition PostgreSQL checks again after it has waited for the row. And
a constraint of the table refuses a negative stock, whoever writes it.

Where a constraint refuses a row that a client may ask for, `problems.py` says so in words.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.shortcuts import get_object_or_404

from catalogue import search
from catalogue.models import MAX_DEPTH, MAX_STOCK, Category, Order, OrderLine, Product, User
from catalogue.money import tax_within
from catalogue.problems import Refusal

# -- Categories


def create_category(*, slug: str, name: str, parent: Category | None) -> Category:
    """Add a node to the tree.

    Raises:
        Refusal: If the parent is on the last level.
    """
    above = parent.path if parent else []
    if len(above) >= MAX_DEPTH:
        raise Refusal(422, "too_deep", f"The tree has {MAX_DEPTH} levels.", field="parent")
    with connection.cursor() as cursor:  # the path holds the id: it must be known before
        cursor.execute("SELECT nextval(pg_get_serial_sequence('catalogue_category', 'id'))")
        (number,) = cursor.fetchone()
    category = Category(id=number, slug=slug, name=name, parent=parent, path=[*above, number])
    category.save(force_insert=True)
    return category


def update_category(category: Category, fields: Mapping[str, str]) -> None:
    """Change the name or the slug: what is given, and only that.

    Raises:
        Http404: If the category was removed meanwhile.
    """
    for name, value in fields.items():
        setattr(category, name, value)
    with transaction.atomic():
        lock(category)
        category.save(update_fields=fields)


def lock(row: Category | Product) -> None:
    """Lock a row until the transaction ends.

    Raises:
        Http404: If it was removed meanwhile.
    """
    get_object_or_404(type(row)._default_manager.select_for_update().only("id"), pk=row.pk)


# -- Products


def create_product(*, seller: User, category: Category, **fields: Any) -> Product:
    """Offer a product."""
    with transaction.atomic():
        product = Product.objects.create(
            seller=seller, category=category, category_path=category.path, **fields
        )
        search.learn(product.name, product.brand, product.description)
    return product


def update_product(product: Product, fields: Mapping[str, Any]) -> None:
    """Change what is given, and only that: two people may change two fields at once.

    Raises:
        Http404: If the product was removed meanwhile.
    """
    for name, value in fields.items():
        setattr(product, name, value)
    product.category_path = product.category.path
    with transaction.atomic():
        lock(product)
        product.save(update_fields={*fields, "category_path"} if "category" in fields else fields)
        search.learn(product.name, product.brand, product.description)


def delete_product(product: Product) -> None:
    """Remove a product. The lines of orders stay, without it.

    The lock comes first. Django looks for the lines before it deletes the product, and would not
    see the line of an order that is being placed. The line's foreign key would then fail.

    Raises:
        Http404: If the product was removed meanwhile.
    """
    with transaction.atomic():
        lock(product)
        product.delete()


def change_stock(product: Product, change: int) -> int:
    """Add to the stock, or take away.

    It is a change, and not a new number, because customers buy while somebody counts.

    Returns:
        The stock after it.

    Raises:
        Refusal: If there would be less than nothing, or too much.
    """
    least, most = max(0, -change), MAX_STOCK - max(0, change)
    rows = Product.objects.filter(pk=product.pk, stock__gte=least, stock__lte=most)
    with transaction.atomic():
        if not rows.update(stock=F("stock") + change):
            raise Refusal(409, "stock_range", f"The stock stays between 0 and {MAX_STOCK}.")
        return Product.objects.values_list("stock", flat=True).get(pk=product.pk)


# -- Orders


def place_order(
    *, customer: User, key: str, items: Sequence[Mapping[str, int]]
) -> tuple[Order, bool]:
    """Order some products: all of them, or none.

    Args:
        customer: Who orders.
        key: Chosen by the client. The same key again gives the same order again.
        items: `product` (its id), `quantity`, and `price_minor` if the customer was shown one.

    Returns:
        The order, and whether it was made just now.

    Raises:
        Refusal: If a product is unknown, sold out, or has another price or currency.
    """
    ordered = sorted((dict(item) for item in items), key=lambda item: item["product"])
    fingerprint = hashlib.sha256(json.dumps(ordered, sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        # The key comes first. Whoever sends the same key at the same moment waits at its unique
        # index until this transaction ends, and then finds the order.
        order, made = Order.objects.get_or_create(
            customer=customer, key=key, defaults={"fingerprint": fingerprint}
        )
        if not made:
            if order.fingerprint != fingerprint:
                raise Refusal(422, "key_reused", "The Idempotency-Key is of another order.")
            return order, False
        # Always in the order of ids: two orders that share products cannot deadlock.
        lines = [_take(order, item) for item in ordered]
        currencies = {currency for currency, _ in lines}
        if len(currencies) > 1:
            raise Refusal(422, "currencies", "An order has one currency.", field="items")
        OrderLine.objects.bulk_create(line for _, line in lines)
        order.currency = currencies.pop()
        order.total_minor = sum(line.unit_price_minor * line.quantity for _, line in lines)
        order.tax_minor = sum(line.tax_minor for _, line in lines)
        order.save(update_fields=["currency", "total_minor", "tax_minor"])
    return order, True


def _take(order: Order, item: Mapping[str, int]) -> tuple[str, OrderLine]:
    """Take pieces of a product, and return its currency and the line of the order."""
    number, quantity = item["product"], item["quantity"]
    rows = Product.objects.filter(pk=number)
    taken = rows.filter(stock__gte=quantity).update(stock=F("stock") - quantity)
    # From here on the row is locked: nobody changes the price before this order is stored.
    product = rows.only("name", "price_minor", "currency").first()
    if product is None:
        raise Refusal(422, "unknown_product", f"There is no product {number}.", field="items")
    if not taken:
        raise Refusal(409, "out_of_stock", f"Fewer than {quantity} of {number} are left.")
    if item.get("price_minor", product.price_minor) != product.price_minor:
        raise Refusal(409, "price_changed", f"Product {number} has another price now.")
    return product.currency, OrderLine(
        order=order,
        product=product,
        name=product.name,
        quantity=quantity,
        unit_price_minor=product.price_minor,
        tax_minor=tax_within(product.price_minor * quantity, settings.VAT_PERCENT),
    )


def cancel_order(order: Order) -> Order:
    """Cancel an order and put its pieces back, once.

    Raises:
        Refusal: If it was cancelled before, or a stock would be too large with the pieces.
    """
    with transaction.atomic():
        placed = Order.objects.filter(pk=order.pk, status=Order.Status.PLACED)
        if not placed.update(status=Order.Status.CANCELLED):
            raise Refusal(409, "cancelled", "The order was cancelled before.")
        for line in order.lines.order_by("product_id"):
            if line.product_id is None:
                continue  # the product is gone
            rows = Product.objects.filter(pk=line.product_id)
            room = rows.filter(stock__lte=MAX_STOCK - line.quantity)
            if not room.update(stock=F("stock") + line.quantity) and rows.exists():
                raise Refusal(409, "stock_range", f"The stock stays between 0 and {MAX_STOCK}.")
    order.status = Order.Status.CANCELLED
    return order
