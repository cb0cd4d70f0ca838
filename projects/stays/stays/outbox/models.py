"""The outbox: tasks that a transaction has decided on, kept until the broker has them."""

from django.db import models

from stays.common.fields import identifier


class OutboxMessage(models.Model):
    """A task to be sent. It is written in the transaction whose effect it belongs to."""

    id = identifier()
    task = models.CharField(max_length=100)
    arguments = models.JSONField()
    request_id = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        """The relay reads what is not sent, oldest first."""

        indexes = (
            models.Index(
                fields=["id"], condition=models.Q(sent_at__isnull=True), name="outbox_unsent"
            ),
        )

    def __str__(self) -> str:
        return f"{self.task} ({'sent' if self.sent_at else 'waiting'})"
