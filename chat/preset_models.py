"""What somebody has put together to use again: words, instructions, a model and its parameters."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from oneai.kit.clock import now, uuid7


class Preset(models.Model):
    """A preset of one person, called by its name. Whatever is empty or null it leaves as it is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="presets")
    name = models.CharField(max_length=60)
    prompt = models.TextField(blank=True)
    system = models.TextField(blank=True)
    model = models.CharField(max_length=200, blank=True)
    temperature = models.FloatField(null=True, blank=True)
    max_tokens = models.PositiveIntegerField(null=True, blank=True)
    reasoning_effort = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    updated_at = models.DateTimeField(default=now)

    class Meta:
        db_table = "presets"
        ordering = ["name"]
        constraints = [models.UniqueConstraint("user", Lower("name"), name="presets_one_of_a_name")]

    def __str__(self) -> str:
        return self.name
