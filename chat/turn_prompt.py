"""What goes to the models of a turn: chosen by the weight of its messages, read once the turn is admitted.

A refused turn costs no text: what fits, what it may cost at most and whether that is covered are decided
from the messages' sizes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from accounts.claims import Standing
from chat import attached, context
from chat.attached import Files
from chat.catalog import CatalogModel
from chat.context import Fitted, Prompt, Weight
from chat.models import Message
from chat.tree import Step
from chat.turn_jobs import Start
from chat.turn_place import Place
from oneai.kit.errors import Refusal
from quotas import bounds
from quotas.ledger import FLOOR, Ask, KeyLimits, Price

HISTORY_DEPTH: Final = 400
HISTORY_BYTES: Final = 4 * 1024 * 1024
"""Of a history for a model whose window is not known."""


def weigh(job: Start) -> Weight:
    """The weight of what the request itself brings; measured once, before any lock is taken."""
    if job.weight is None:
        job.weight = context.of_request(job.params)
        if job.messages is not None:
            job.weight += context.of_messages(job.messages)
        elif job.content:
            job.weight += context.of_text(job.content)
    return job.weight + attached.weight(job.attached)


def history_bytes(job: Start) -> int:
    """More bytes of history than any of the job's models can read."""
    windows = [model.context_length for model in job.models]
    return max(HISTORY_BYTES if window is None else window * context.BYTES_PER_TOKEN for window in windows)


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt by its parts, the oldest first: as much of ``history`` as fits, and all of ``always``.

    ``question`` is the turn's own; None when a stored one is answered, which then is among ``always``, and
    ``prefix`` behind it when that is an answer to be continued. ``fixed`` is the weight of all but ``history``.
    """

    system: str
    history: Sequence[Step]
    always: Sequence[Step]
    question: str | None
    prefix: Step | None
    fixed: Weight


def draft(job: Start, place: Place, path: Sequence[Step]) -> Draft:
    """The draft of a job whose place is at the end of ``path``.

    Refusals ``context_length_exceeded``, and ``conflict`` when no question stands where one must.
    """
    fixed = weigh(job)
    if place.system:
        fixed += context.of_text(place.system)
    history: list[Step] = list(path)
    always: list[Step] = []
    prefix = None
    if place.question is not None:
        at = next((number for number, step in enumerate(history) if step.id == place.question), None)
        if at is None or history[at].role != Message.Role.USER:
            raise Refusal("conflict", "There is no question that this message answers.")
        history, always = history[:at], history[at:]
        prefix = always[1] if len(always) > 1 else None
        always = [step for step in always if step.size]
        if any(step.size < 0 for step in always):
            raise Refusal("context_length_exceeded")
        for step in always:
            fixed += context.of_bytes(step.size) + context.of_pictures(step.images, step.tiles)
        if job.instruction:
            fixed += context.of_text(_joined("", job.instruction))
    question = job.content if place.question is None else None
    return Draft(place.system, [step for step in history if step.size], always, question, prefix, fixed)


@dataclass(frozen=True, slots=True)
class Portion:
    """One model's part of a turn before it is admitted. ``included`` counts the messages that it reads."""

    model: CatalogModel
    draft: Draft
    fitted: Fitted
    included: int
    ask: Ask


def portion(job: Start, standing: Standing, made: Draft, model: CatalogModel, number: int, reference: str) -> Portion:
    """The part of the job's model in position ``number``.

    Refusals ``context_length_exceeded``, and ``model_reads_no_images`` when the question has pictures for a model
    that reads none; those of its history such a model is told of.
    """
    sees = model.sees
    if made.fixed.images and not sees:
        raise Refusal("model_reads_no_images", param="attachments" if job.messages is None else "messages")
    window = model.context_length
    cap = context.output_cap(job.max_tokens, model.max_output, window)
    weights = (_weight(step, sees) for step in reversed(made.history))
    fitted = context.fit(made.fixed, weights, len(made.history), window, cap)
    cap = context.room_for_answer(cap, window, fitted.weight.estimate)
    wanted = None if job.max_tokens is None else min(job.max_tokens, cap)
    included = fitted.kept + len(made.always) + (made.question is not None)
    if job.messages is not None:
        included = len(job.messages)
    ask = _ask(job, standing, model, number, reference, fitted.weight, wanted, cap)
    return Portion(model, made, fitted, included, ask)


def _weight(step: Step, sees: bool) -> Weight | None:
    if step.size < 0:
        return None
    own = context.of_bytes(step.size)
    return own + context.of_pictures(step.images, step.tiles) if step.images and sees else own


def another_ask(job: Start, standing: Standing, model: CatalogModel, weight: Weight, reference: str) -> Ask:
    """What ``model`` needs to answer in place of another, from a prompt of the same ``weight``.

    Refusal ``context_length_exceeded``.
    """
    cap = context.output_cap(job.max_tokens, model.max_output, model.context_length)
    cap = context.room_for_answer(cap, model.context_length, weight.estimate)
    wanted = None if job.max_tokens is None else min(job.max_tokens, cap)
    return _ask(job, standing, model, 1, reference, weight, wanted, cap)


def least_asks(job: Start, standing: Standing) -> list[Ask]:
    """What the job needs at the very least, whatever its history: refused for this, it is refused for all."""
    wanted = FLOOR if job.max_tokens is None else min(FLOOR, job.max_tokens)
    weight = weigh(job)
    return [_ask(job, standing, model, number, "", weight, wanted, wanted) for number, model in enumerate(job.models)]


def _ask(
    job: Start,
    standing: Standing,
    model: CatalogModel,
    number: int,
    reference: str,
    weight: Weight,
    wanted: int | None,
    default: int,
) -> Ask:
    key, price = standing.key, model.price
    assert price is not None  # a door lets no model without one through
    bound = weight.bound_for(model.slug)
    return Ask(
        account_id=standing.principal.user_id,
        reference=reference,
        model_id=model.slug,
        input_bound=bound,
        learnt_bound=None if weight.images else bounds.tightened(bound, model.bound_ppm),
        learns=not weight.images,
        wanted_tokens=wanted,
        default_tokens=default,
        price=Price(
            id=price.id,
            prompt_pico=price.prompt_pico,
            completion_pico=price.completion_pico,
            request_nano=price.request_nano,
            cached_pico=price.cached_pico,
        ),
        api_key=None
        if key is None
        else KeyLimits(
            id=key["id"],
            limit_tokens=key["limit_tokens"],
            limit_nano_usd=key["limit_nano_usd"],
            requests_per_minute=key["requests_per_minute"],
            tokens_per_minute=key["tokens_per_minute"],
        ),
        model_classes=model.classes,
        worker=job.worker,
        counts_as_request=number == 0,
        fees_nano=weight.images * price.image_nano,
    )


def needed(portion: Portion) -> list[UUID]:
    """The stored messages whose text the prompt needs."""
    kept = portion.draft.history[len(portion.draft.history) - portion.fitted.kept :]
    return [step.id for step in (*kept, *portion.draft.always)]


def holding(portion: Portion) -> list[UUID]:
    """The stored messages of the prompt that hold files."""
    kept = portion.draft.history[len(portion.draft.history) - portion.fitted.kept :]
    return [step.id for step in (*kept, *portion.draft.always) if step.attached]


def prompt(job: Start, portion: Portion, said: Mapping[UUID, str], files: Files) -> Prompt:
    """The prompt in full, from the texts of what is ``needed``, and the ``files`` of its messages."""
    if job.messages is not None:
        return job.messages
    made = portion.draft
    found: Prompt = [{"role": "system", "content": made.system}] if made.system else []
    kept = made.history[len(made.history) - portion.fitted.kept :]
    steps = [(step.role, said[step.id], files.of.get(step.id, ())) for step in (*kept, *made.always)]
    if made.question is not None:
        steps.append((Message.Role.USER.value, made.question, files.new(job.attached)))
    elif job.instruction:
        role, text, held = steps[-1]
        steps[-1] = role, _joined(text, job.instruction), held
    found += attached.said(steps, portion.model.sees)
    if made.prefix is not None and made.prefix.size:
        # Some providers take no answer to go on with that ends in a blank.
        found[-1]["content"] = found[-1]["content"].rstrip()
    return found


def _joined(question: str, instruction: str) -> str:
    return f"{question}\n\n{instruction}"
