"""Text from outside becomes values here, or errors that name the wrong field."""

from django import forms

from mysite.listings.models import Place


class PlaceForm(forms.ModelForm):
    """The fields that a host sends."""

    class Meta:
        """A client may set these fields, and no others."""

        model = Place
        fields = ("title", "nightly_minor")
