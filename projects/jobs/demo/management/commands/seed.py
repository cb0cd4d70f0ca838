"""`manage.py seed`: demonstration data, for an empty database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.db.models.functions import Now
from django_tasks_db.models import DBTaskResult

from demo import seeding
from jobs import services
from jobs.models import OPEN, Employer, Job, Notice, User
from jobs.states import Role, Status

PASSWORD = "correct-horse-battery"  # noqa: S105 - for demonstration, and printed
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
STEPS = (Status.IN_REVIEW, Status.INTERVIEW, Status.OFFERED, Status.HIRED)


class Command(BaseCommand):
    """Fill an empty database."""

    help = "Make demonstration data, with accounts whose password is printed"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--jobs`."""
        parser.add_argument("--jobs", type=int, default=300, help="how many jobs")

    @transaction.atomic
    def handle(self, *, jobs: int, **options: Any) -> None:  # noqa: ARG002
        """Do it."""
        if User.objects.exists():
            self.stdout.write("There is data already.")
            return
        seeding.make_base(employers=20)
        seeding.copy_jobs(jobs)
        first = Employer.objects.earliest("id")
        admin = self.user("admin", "Anna Admin", Role.ADMIN)
        boss = self.user("employer", "Emil Employer", Role.EMPLOYER, first)
        second = Employer.objects.exclude(pk=first.pk).earliest("id")
        other = self.user("other", "Olga Other", Role.EMPLOYER, second)
        people = [
            self.user(name.split()[0].lower(), name, Role.APPLICANT)
            for name in seeding.WORDS["words"]["people"]
        ]
        offered = Job.objects.filter(OPEN, employer=first).order_by("-published_at")[:3]
        for number, person in enumerate(people):
            resume = services.keep_resume(person, PDF)
            for job in offered:
                application = services.apply(person, job.pk, resume.pk, "I would like to join you.")
                for step in STEPS[: number % 5]:
                    actor = person if step == Status.HIRED else boss
                    services.change(actor, application.pk, step)
        # Nobody waits for these e-mails. The first one that you see is about your own request.
        DBTaskResult.objects.all().delete()
        Notice.objects.update(sent_at=Now())
        self.stdout.write(f"{jobs} jobs. All passwords are: {PASSWORD}")
        for user in (admin, boss, other, people[0], people[1]):
            self.stdout.write(f"  {user.role:<10} {user.email}")

    def user(self, name: str, full: str, role: Role, employer: Employer | None = None) -> User:
        """Make an account."""
        user = User(email=f"{name}@jobs.example", name=full, role=role, employer=employer)
        user.set_password(PASSWORD)
        user.save()
        return user
