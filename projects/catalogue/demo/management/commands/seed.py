"""`manage.py seed`: accounts, the tree of categories, products and some pictures."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from PIL import Image as Pillow

from catalogue import images
from catalogue.models import Image, Product, User
from demo.generate import generate

PASSWORD = "local-only-secret"  # noqa: S105 - for the data of a try-out only
PICTURES = 12


class Command(BaseCommand):
    """Fills an empty database with data to try the project out."""

    help = "Store accounts and products to try the project out. Nothing, if there is data already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say how many."""
        parser.add_argument("--products", type=int, default=20_000)

    def handle(self, *_: Any, **options: Any) -> None:
        """Store everything, if the database is empty."""
        if User.objects.exists() or Product.objects.exists():
            self.stdout.write("The database is not empty: nothing was done.")
            return
        users = {
            role: User.objects.create_user(
                f"{role}@example.com", PASSWORD, name=role.capitalize(), role=role
            )
            for role in User.Role.values
        }
        other = User.objects.create_user(
            "other-seller@example.com", PASSWORD, name="Other seller", role=User.Role.SELLER
        )
        generate(options["products"], [users[User.Role.SELLER], other])
        for number, product in enumerate(Product.objects.order_by("-id")[:PICTURES]):
            picture = Pillow.linear_gradient("L").convert("HSV").resize((320, 240))
            hue = Pillow.new("L", picture.size, number * 256 // PICTURES)
            picture = Pillow.merge("HSV", [hue, *picture.split()[1:]]).convert("RGB")
            Image.objects.create(
                product=product, digest=images.store(picture), width=320, height=240
            )
        self.stdout.write(f"Stored {len(users) + 1} accounts, {options['products']} products.")
