"""Answers that are kept for requests that come again."""

from django.db import models

from stays.common.fields import identifier


class StoredAnswer(models.Model):
    """The answer to a request with an Idempotency-Key.

    It is written in the transaction of the request's effect: there is an answer if and only if
    there is an effect.
    """

    id = identifier()
    client = models.CharField(max_length=36, help_text="The user's id, or 'anonymous'")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="HMAC-SHA256 of method, path and body")
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["client", "key"], name="answer_one_a_key"),)
        indexes = (models.Index(fields=["created_at"], name="answer_age"),)

    def __str__(self) -> str:
        return f"{self.status} for {self.key}"
