"""Text from outside becomes values here, or errors that tell which field is wrong."""

from django import forms

from mysite.listings.models import Place


class PlaceForm(forms.ModelForm):
    """What a host sends."""

    class Meta:
        """The fields that a client may set; no others."""

        model = Place
        fields = ("title", "nightly_minor")
