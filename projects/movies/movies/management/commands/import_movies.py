"""Keep movies from TMDb's list of trending ones, so that there is something to recommend."""

from argparse import ArgumentParser
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.management.base import BaseCommand

from movies.favorites import save_movies
from movies.services import running


class Command(BaseCommand):
    """The command."""

    help = "Keep movies from TMDb's list of trending ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be given."""
        parser.add_argument("--pages", type=int, default=50, help="of twenty movies")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        async_to_sync(self.keep)(options["pages"])

    async def keep(self, pages: int) -> None:
        """Ask page by page, through the cache and all limits."""
        async with running() as own:
            for page in range(1, pages + 1):
                found = (await own.tmdb.trending("week", page)).value
                await sync_to_async(save_movies)(found["results"])
                if page >= found["total_pages"]:
                    break
