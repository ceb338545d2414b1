"""How conversations and messages look on the wire, and what may be written to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat import bulk, catalog
from chat.api.attachment_shapes import AttachmentShape
from chat.attachments import load_held
from chat.models import Conversation, Folder, Message
from chat.requests import LONGEST_MESSAGE, LONGEST_SYSTEM
from oneai.kit.errors import Refusal
from oneai.kit.fields import Body, Flag, Metadata, Tags, Text, Texts

MESSAGE_COLUMNS: Final = (
    "id", "role", "content", "status", "model_id", "parent_message_id", "finish_reason", "tokens_used",
    "usage", "created_at", "attached_bytes",
)  # fmt: skip
"""What a message's shape needs: the cached HTML and the reasoning stay in the database."""


class EmptyIsNull(serializers.CharField):
    """A text column whose empty value is null outside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        return value or None


@extend_schema_field({"type": "string", "pattern": f"^({'|'.join(Message.Role.values)})$"})
class MessageRole(serializers.CharField):
    """Who speaks. No enum in the schema: the name "role" is a person's there, with other values."""


class UsageShape(serializers.Serializer[Any]):
    """What an answer used, in tokens and dollars; ``estimated`` until the upstream's own figure is there."""

    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()
    cost_usd = serializers.CharField()
    estimated = serializers.BooleanField()


class ConversationShape(serializers.Serializer[Conversation]):
    """A conversation, without what is said in it."""

    id = serializers.UUIDField()
    title = serializers.CharField(help_text="Empty until there is one.")
    model = EmptyIsNull(help_text="What the next message is sent to unless it says otherwise.")
    system = EmptyIsNull()
    folder = serializers.UUIDField(source="folder_id", allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    pinned = serializers.BooleanField()
    archived = serializers.BooleanField()
    message_count = serializers.IntegerField()
    active_message_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_message_at = serializers.DateTimeField(allow_null=True)
    metadata = serializers.DictField()

    def to_representation(self, instance: Conversation) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if not instance.message_count:
            # The column has the time of creation while there is no message, so that lists sort by it.
            shown["last_message_at"] = None
        return shown


class PartShape(serializers.Serializer[Any]):
    """A piece of an excerpt; ``match`` where it is what was sought."""

    text = serializers.CharField()
    match = serializers.BooleanField()


class HighlightShape(serializers.Serializer[Any]):
    """Where something was found: in the title, or in the message that is named."""

    field = serializers.ChoiceField(choices=["title", "content"])
    message_id = serializers.UUIDField(allow_null=True)
    parts = PartShape(many=True)


class FoundConversationShape(ConversationShape):
    """A conversation of a list; ``highlights`` is there when the list was searched with ``q``."""

    highlights = HighlightShape(many=True, required=False)


class MessageShape(serializers.Serializer[Message]):
    """A message: what was asked, or what a model answered."""

    id = serializers.UUIDField()
    role = MessageRole()
    content = serializers.CharField()
    status = serializers.ChoiceField(choices=Message.Status.choices)
    model = EmptyIsNull(source="model_id")
    parent_message_id = serializers.UUIDField(allow_null=True)
    finish_reason = EmptyIsNull()
    tokens_used = serializers.IntegerField()
    usage = UsageShape(allow_null=True)
    attachments = serializers.SerializerMethodField(help_text="Its files, in the order in which they were given.")
    created_at = serializers.DateTimeField()

    @extend_schema_field(AttachmentShape(many=True))
    def get_attachments(self, message: Message) -> list[dict[str, Any]]:
        held: Any = self.context.get("held", {}).get(message.pk, ())
        return list(AttachmentShape(held, many=True).data)


def messages_shown(messages: Sequence[Message]) -> Any:
    """Messages as they are shown, with the files that they hold."""
    several: Any = messages
    return MessageShape(several, many=True, context={"held": load_held(messages)}).data


class FoundMessageShape(MessageShape):
    """A message of a list; ``highlights`` is there when the list was searched with ``q``."""

    highlights = PartShape(many=True, required=False)


class FolderShape(serializers.Serializer[Folder]):
    """A folder, and how many conversations are in it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    conversation_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class FolderName(Body):
    """What a folder is called."""

    name = Text(max_length=60)


class BulkDeed(Body):
    """What is to be done to which conversations."""

    ids = Texts(help_text="Up to 100 ids of conversations.")
    action = serializers.ChoiceField(choices=bulk.DEEDS)
    folder = Text(
        max_length=36, required=False, allow_blank=True, help_text="Where ``move`` puts them; empty: nowhere."
    )
    tag = Text(max_length=50, required=False, help_text="For ``tag`` and ``untag``.")


class BulkResult(serializers.Serializer[Any]):
    """Which conversations it was done to; those of ``not_found`` are not yours, or are not there."""

    changed = serializers.ListField(child=serializers.UUIDField())
    not_found = serializers.ListField(child=serializers.CharField())


class MessageContent(Body):
    """A message's new text."""

    content = Text(max_length=LONGEST_MESSAGE, trim_whitespace=False)


class LimitShape(serializers.Serializer[Any]):
    """A limit and what is left of it; ``limit`` and ``remaining`` are null when it is unlimited."""

    scope = serializers.CharField()
    unit = serializers.ChoiceField(choices=["tokens", "nano_usd"])
    limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField()
    held = serializers.IntegerField()
    remaining = serializers.IntegerField(allow_null=True)
    reset_at = serializers.DateTimeField()


class PricingShape(serializers.Serializer[Any]):
    """US dollars per million tokens, as decimal strings."""

    prompt = serializers.CharField()
    completion = serializers.CharField()


class ModelShape(serializers.Serializer[Any]):
    """A model that may be asked now. ``allowed``: by the person's plan and key."""

    id = serializers.CharField()
    name = serializers.CharField()
    context_length = serializers.IntegerField(allow_null=True)
    max_output = serializers.IntegerField(allow_null=True)
    input_modalities = serializers.ListField(child=serializers.CharField())
    supports = serializers.ListField(child=serializers.CharField())
    pricing = PricingShape()
    allowed = serializers.BooleanField()
    quota = LimitShape(allow_null=True, help_text="The limit of this model alone; null when it has none.")
    local = serializers.BooleanField(help_text="Runs on the machine of this site.")


class OpenAIModelShape(serializers.Serializer[Any]):
    """A model in OpenAI's shape."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["model"])
    created = serializers.IntegerField()
    owned_by = serializers.CharField()
    context_length = serializers.IntegerField(allow_null=True)


class OpenAIModelList(serializers.Serializer[Any]):
    """OpenAI's list of models: one page."""

    object = serializers.ChoiceField(choices=["list"])

    def get_fields(self) -> dict[str, Any]:
        # Not a class attribute: a serializer's own ``data`` is what it has serialised.
        return super().get_fields() | {"data": OpenAIModelShape(many=True)}


def known_model(slug: str) -> str:
    """``slug`` if the catalogue has it; Refusal ``model_not_found``."""
    if slug and slug not in catalog.current().models:
        raise Refusal("model_not_found", param="model")
    return slug


class NewConversation(Body):
    """What a conversation may begin with."""

    title = Text(max_length=200, required=False)
    model = Text(max_length=200, required=False)
    system = Text(max_length=LONGEST_SYSTEM, required=False, allow_blank=True, trim_whitespace=False)
    metadata = Metadata(required=False)

    def validate_model(self, value: str) -> str:
        return known_model(value)


class ConversationTitle(Body):
    """A new title."""

    title = Text(max_length=200)


class ConversationChange(Body):
    """What may be changed: what is left out or null stays; an empty ``model`` or ``system`` clears it."""

    title = Text(max_length=200, required=False)
    model = Text(max_length=200, required=False, allow_blank=True)
    system = Text(max_length=LONGEST_SYSTEM, required=False, allow_blank=True, trim_whitespace=False)
    pinned = Flag(required=False)
    archived = Flag(required=False)
    tags = Tags(required=False)
    folder = Text(max_length=36, required=False, allow_blank=True, help_text="A folder of yours; empty: in none.")
    metadata = Metadata(required=False)
    active_message_id = Text(max_length=36, required=False, help_text="A message of this conversation.")

    def validate_model(self, value: str) -> str:
        return known_model(value)
