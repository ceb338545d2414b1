"""Classes of models on the staff desk: named patterns that a plan's or a person's limit can be set on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from chat.models import ModelClass
from quotas.allowances import InvalidTerms, check_patterns

if TYPE_CHECKING:  # Django's own take no parameter at run time
    ModelAdmin = admin.ModelAdmin[ModelClass]
    ClassForm = forms.ModelForm[ModelClass]
else:
    ModelAdmin = admin.ModelAdmin
    ClassForm = forms.ModelForm


class ModelClassForm(ClassForm):
    """One pattern a line, and why."""

    models = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6, "cols": 60}),
        help_text="One a line: a model's id, or a pattern such as openai/* or *:free. New models that fit come in.",
    )
    reason = forms.CharField(max_length=500, help_text="Kept in the audit.")

    class Meta:
        model = ModelClass
        fields = ["name", "note"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["models"].initial = "\n".join(self.instance.patterns)

    def clean_models(self) -> list[str]:
        """The lines as patterns."""
        lines = [line for line in self.cleaned_data["models"].splitlines() if line.strip()]
        try:
            return check_patterns(lines)
        except InvalidTerms as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(ModelClass)
class ModelClassAdmin(ModelAdmin):
    """Limits on a class are set in Plans, or by `manage.py set_quota EMAIL --model class:NAME`."""

    form = ModelClassForm
    list_display = ["name", "shown", "note"]
    fields = ["name", "models", "note", "reason"]

    @admin.display(description="models")
    def shown(self, row: ModelClass) -> str:
        return ", ".join(row.patterns)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj is not None else []  # counters and plans name it

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a limit on it would bind nothing any more; without patterns it does as little

    def save_model(self, request: HttpRequest, obj: ModelClass, form: Any, change: bool) -> None:
        staff: Any = request.user
        before = list(ModelClass.objects.filter(pk=obj.pk).values_list("patterns", flat=True))
        obj.patterns = form.cleaned_data["models"]
        with transaction.atomic():
            obj.save()
            audit.record(
                staff.email,
                "models.classed",
                target=obj.name,
                reason=form.cleaned_data["reason"],
                details={"before": before[0] if before else None, "patterns": obj.patterns},
                actor_id=staff.pk,
            )
