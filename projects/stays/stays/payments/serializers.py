"""Payments as JSON."""

from typing import Any

from rest_framework import serializers

from stays.payments.models import Payment
from stays.rest.fields import OutputSerializer, Pattern, StrictSerializer


class PaymentSerializer(OutputSerializer[Payment]):
    """A payment. The method, and the provider's name for it, stay inside."""

    class Meta:
        model = Payment
        fields = ("id", "amount_minor", "currency", "status", "failure", "created_at")


class StartPaymentSerializer(StrictSerializer):
    """How to pay."""

    method = Pattern(
        r"\Atok_[0-9A-Za-z_]+\Z",
        max_length=100,
        trim_whitespace=False,
        help_text="The token that the provider gave the browser for a card. Never a card's number.",
    )


class ChargeSerializer(serializers.Serializer[Any]):
    """What the provider tells of a charge."""

    id = serializers.CharField(max_length=100)
    reference = serializers.UUIDField(help_text="The payment")
    status = serializers.ChoiceField(["pending", "succeeded", "failed"])
    amount = serializers.IntegerField(help_text="In the currency's smallest unit")
    currency = serializers.CharField()
    failure = serializers.CharField(required=False, allow_null=True)


class EventSerializer(serializers.Serializer[Any]):
    """A message of the payment provider's, for the description: the service reads the bytes."""

    id = serializers.CharField(max_length=100)
    type = serializers.CharField(max_length=50)
    data = ChargeSerializer()  # type: ignore[assignment]  # the name is the provider's


class ReceivedSerializer(serializers.Serializer[Any]):
    """The answer to a message."""

    received = serializers.BooleanField()
