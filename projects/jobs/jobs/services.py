"""What changes applications and résumés. Each function is one transaction."""

from contextlib import suppress
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now
from django.shortcuts import get_object_or_404
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError

from jobs import states, tasks
from jobs.models import OPEN, Application, Change, Job, Notice, Resume, User, random_name
from jobs.problems import Conflict


@transaction.atomic
def apply(applicant: User, job_id: int, resume_id: UUID, cover_letter: str) -> Application:
    """Apply for a job.

    This function does not look whether the person has applied before, or whether the job is open.
    The database refuses the row, also in a race (see `problems.CONFLICTS`).

    Raises:
        NotFound: if there is no such job.
        ValidationError: if the résumé is not the applicant's.
    """
    if not Job.objects.filter(pk=job_id).exists():
        raise NotFound("There is no such job.")
    if not Resume.objects.filter(pk=resume_id, owner=applicant).exists():
        raise ValidationError({"resume": "You have no such résumé."})
    application = Application.objects.create(
        job_id=job_id,
        applicant=applicant,
        resume_id=resume_id,
        cover_letter=cover_letter,
        changed_by=applicant,
    )
    _notify(application)
    return application


@transaction.atomic
def change(actor: User, application_id: int, target: str) -> Application:
    """Change the status of an application.

    The row is locked until the end, so of two people who change it at once the second sees what the
    first has done. The trigger would refuse an illegal change anyhow. This code says it better.

    Raises:
        NotFound: if the actor may not see the application.
        PermissionDenied: if this role never sets this status.
        Conflict: if the application cannot change like this now.
    """
    visible = Application.objects.visible_to(actor)
    application = visible.select_for_update(of=("self",)).filter(pk=application_id).first()
    if application is None:
        raise NotFound("There is no such application.")
    if actor.role not in states.actors(target):
        raise PermissionDenied(f"The role {actor.role} can never set this status.")
    possible = states.choices(application.status, actor.role)
    if target not in possible:
        hint = f"Possible now: {', '.join(possible)}." if possible else "Nothing is possible now."
        detail = f"The application is {application.status} and cannot become {target}. {hint}"
        raise Conflict(detail, "illegal_transition")
    application.status = target
    application.changed_by = actor
    application.save(update_fields=["status", "changed_by"])
    _notify(application)
    return application


def _notify(application: Application) -> None:
    """Owe somebody an e-mail about the last change, in the same transaction as the change."""
    change = Change.objects.filter(application=application).latest("id")
    by_applicant = change.actor_id == application.applicant_id
    to = application.job.employer.email if by_applicant else application.applicant.email
    notice = Notice.objects.create(change=change, recipient=to)
    tasks.send_notice.enqueue(notice.pk)


@transaction.atomic
def close(job: Job) -> None:
    """Close a job, if it is open. Who applies at this moment comes before or is refused."""
    Job.objects.filter(OPEN, pk=job.pk).update(closed_at=Now())
    job.refresh_from_db(fields=["closed_at"])


# -- Résumés


def keep_resume(owner: User, content: bytes) -> Resume:
    """Keep a PDF.

    The file is written first and the row after it. If the row fails, the file is removed. If the
    process dies in between, the housekeeping finds the file.

    Raises:
        ValidationError: if it is not a PDF, or too large.
        Conflict: if this person has too many.
    """
    if len(content) > settings.RESUME_BYTES:
        raise ValidationError({"file": f"It may have {settings.RESUME_BYTES} bytes at most."})
    if not is_pdf(content):
        raise ValidationError({"file": "This is not a PDF file."})
    name = random_name()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)  # so that two uploads are counted
        if Resume.objects.filter(owner=owner).count() >= settings.RESUMES_PER_PERSON:
            most = settings.RESUMES_PER_PERSON
            raise Conflict(f"You have {most} résumés already. Delete one.", "too_many")
        default_storage.save(name, ContentFile(content))
        try:
            return Resume.objects.create(
                owner=owner,
                stored_as=name,
                size=len(content),
                sha256=sha256(content).hexdigest(),
            )
        except BaseException:
            default_storage.delete(name)
            raise


def is_pdf(content: bytes) -> bool:
    """Say whether bytes look like a whole PDF file, whatever they are called.

    The header names the version, and the marker of the end is near the end (ISO 32000-1, 7.5).
    """
    return content[:7] in (b"%PDF-1.", b"%PDF-2.") and b"%%EOF" in content[-1024:]


def delete_resume(owner: User, resume_id: UUID) -> None:
    """Delete a résumé and its file.

    Raises:
        Http404: if this person has no such résumé.
        Conflict: if it belongs to an application.
    """
    with transaction.atomic():
        resume = get_object_or_404(Resume.objects.select_for_update(), pk=resume_id, owner=owner)
        try:
            resume.delete()
        except ProtectedError:
            raise Conflict("An application holds this résumé.", "in_use") from None
    with suppress(OSError):  # else the housekeeping removes it
        default_storage.delete(resume.stored_as)


def resume_of(user: User, application_id: int) -> Resume:
    """Return the résumé of an application.

    Raises:
        Http404: if the user is neither its applicant nor of the job's employer.
    """
    visible = Application.objects.visible_to(user).select_related("resume")
    return get_object_or_404(visible, pk=application_id).resume
