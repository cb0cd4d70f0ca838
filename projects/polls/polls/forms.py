"""The forms of the pages. They check the form of what is sent; the services decide."""

from datetime import UTC
from typing import Any

from django import forms
from django.contrib.auth import password_validation

from polls.api import USERNAME
from polls.fields import one_line
from polls.models import MOST_OPTIONS, Poll


class CredentialsForm(forms.Form):
    """A name and a password."""

    username = forms.CharField(
        max_length=30, widget=forms.TextInput({"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        max_length=200,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )


class RegisterForm(CredentialsForm):
    """An account to be."""

    username = forms.CharField(
        max_length=30,
        validators=[USERNAME],
        help_text="3 to 30 lower-case letters, digits, _ and -",
        widget=forms.TextInput({"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        max_length=200,
        strip=False,
        help_text=password_validation.password_validators_help_text_html,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class PollForm(forms.Form):
    """A poll, with one option a line: that works without JavaScript."""

    question = forms.CharField(max_length=200, validators=[one_line])
    options = forms.CharField(
        help_text=f"2 to {MOST_OPTIONS}, one a line",
        max_length=4_000,
        widget=forms.Textarea({"rows": 6}),
    )
    closes_at = forms.DateTimeField(
        label="Closes at (UTC)",
        help_text="Such as 2030-12-31 18:00",
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M:%S"),
    )
    private_results = forms.BooleanField(
        required=False, label="Show the results to nobody else until the poll is closed"
    )

    def clean_options(self) -> list[str]:
        """Return the lines that are not blank."""
        lines = [line.strip() for line in self.cleaned_data["options"].splitlines()]
        options = [line for line in lines if line]
        if not 2 <= len(options) <= MOST_OPTIONS:
            raise forms.ValidationError(f"A poll has 2 to {MOST_OPTIONS} options.")
        if any(len(option) > 100 for option in options):
            raise forms.ValidationError("An option has 100 characters at most.")
        for option in options:
            one_line(option)
        return options

    @staticmethod
    def of(poll: Poll) -> dict[str, Any]:
        """Return what the form shows of a poll."""
        return {
            "question": poll.question,
            "options": "\n".join(option.text for option in poll.options.all()),
            "closes_at": poll.closes_at.astimezone(UTC).replace(tzinfo=None),
            "private_results": poll.private_results,
        }
