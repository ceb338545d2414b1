"""Answers for people, put together from templates by what the question asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from sandbox.jsontext import pretty

from . import snippets
from .structured import instance
from .topic import asks, languages, sides, topic

NOTE = (
    "> **Sandbox answer.** `{model}` is imitated here: no language model was asked, and this text comes from templates."
)

OPENERS = (
    "Here is how **{topic}** can be looked at, in the order in which it usually matters.",
    "A short tour of **{topic}**: first the idea, then what to do with it.",
    "There is more than one way into **{topic}**. This one starts with the facts.",
    "**{topic}**, in a few paragraphs.",
)

POINTS = (
    ("Start with the goal", "write down what should be different at the end, in one sentence"),
    ("Look at what is there", "most of the time a part of {topic} exists already and only needs a new place"),
    ("Choose the smallest step", "one that shows a result today and can be undone tomorrow"),
    ("Measure", "a number before and the same number after say more than an opinion"),
    ("Ask someone", "a person who never heard of {topic} finds the missing word in a minute"),
    ("Write it down", "what was decided, and why; the reason is forgotten first"),
    ("Plan for failure", "what happens on the worst day decides how good the plan is"),
)

SECTIONS = (
    (
        "Background",
        (
            "Every account of {topic} begins with the question what it is for. The answer changes with the "
            "reader: a beginner wants a picture, a practitioner wants the limits, and whoever pays wants to "
            "know the cost. It helps to keep the three apart, and to say which of them a paragraph serves."
        ),
    ),
    (
        "The main idea",
        (
            "Reduced to its core, {topic} is a trade: something that is plentiful is given for something that "
            "is scarce. Once you see which is which, most of the details fall into place, and the "
            "*exceptions* become interesting instead of annoying."
        ),
    ),
    (
        "In practice",
        (
            "Work on {topic} rarely fails for lack of ideas. It fails at the seams: two parts that were each "
            "right and were never tried together. A small experiment across the seam is worth a week of "
            "planning."
        ),
    ),
    (
        "Common mistakes",
        (
            "The usual mistake is to begin with the tool. The second is to measure what is easy in place of "
            "what matters. The third, seldom named, is to stop when it works for the first time, since that "
            "is when `{topic}` has only been shown to work once."
        ),
    ),
    (
        "Costs and limits",
        (
            "Nothing about {topic} is free: it takes time, attention, and the patience of others. Put a bound "
            "on each before you begin, and decide beforehand what you will do when a bound is reached."
        ),
    ),
    (
        "What to do next",
        (
            "Take the smallest part of {topic} that someone would miss if it were gone, and make it good. "
            "Then take the next. Large things that work have nearly always grown from small things that "
            "worked."
        ),
    ),
)

MATH = """The roots of $ax^2 + bx + c = 0$ follow by completing the square:

$$
x_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}
$$

For $a = 1$, $b = -3$ and $c = 2$ this gives $x_1 = 2$ and $x_2 = 1$. Two more that are worth knowing:

$$
\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}
\\qquad
\\sum_{n=1}^{\\infty} \\frac{1}{n^2} = \\frac{\\pi^2}{6}
$$

and as a matrix, $\\det\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix} = ad - bc$.
A price of \\$5 is not math."""

EMOJIS = "🎉 🚀 🌱 🧑🏽‍💻 👩‍👩‍👧 🇮🇳 🏳️‍🌈 ❤️ 1️⃣ 👋🏿"


def _pick(options: tuple[Any, ...], seed: str) -> Any:
    return options[crc32(seed.encode()) % len(options)]


def thought(question: str) -> str:
    """What a reasoning model thinks aloud before it answers."""
    about = topic(question)
    return (
        f"The question is about {about}. First I settle what kind of answer helps: a short one with the "
        "reasons beside it. Then I look for what could be misunderstood, and name it. Checking the order: idea, "
        "steps, limits. That holds together, so I can write it down."
    )


def answer(
    question: str,
    *,
    model: str,
    turn: int = 1,
    earlier: str = "",
    system: str = "",
    schema: Mapping[str, Any] | None = None,
    pictures: Sequence[str] = (),
    texts_before: int = 0,
    tool_result: str | None = None,
) -> str:
    """The Markdown answer to a question; the same for the same input."""
    about = topic(question)
    wanted = asks(question)
    if schema is not None:
        value = instance(schema, about) if schema else {"topic": about, "source": "sandbox", "items": [1, 2, 3]}
        return pretty(value).decode()
    if "title" in wanted or "title" in asks(system):
        return f"{topic(question.splitlines()[-1] if 'title' in wanted else question).capitalize()}"
    note = NOTE.format(model=model)
    if tool_result is not None:
        return f"The tool answered:\n\n```json\n{tool_result[:2000]}\n```\n\nThat settles **{about}**.\n\n{note}"
    parts = []
    if pictures:
        parts.append(f"With this conversation came {', '.join(pictures)}. A sandbox can't look at pictures.")
    if texts_before:
        parts.append(f"Your message brought {texts_before:,} characters of text beside the question.")
    if earlier and turn > 1:
        parts.append(f"This is your message number {turn}; the conversation began with *{topic(earlier)}*.")
    body = _body(question, about, wanted, model)
    return "\n\n".join([*parts, body, note])


def _body(question: str, about: str, wanted: set[str], model: str) -> str:
    if "greeting" in wanted:
        return (
            "Hello! 👋 I am a sandbox model, here so that everything can be tried without a key. "
            "Ask me for *code*, a *table*, some *math*, *emoji*, or something *long*."
        )
    if "thanks" in wanted:
        return "You're welcome. Ask for another example whenever you like."
    if "long" in wanted:
        return essay(question, sections=12)
    named = languages(question)
    parts = []
    if "code" in wanted or named:
        parts.append(_code(question, about, named))
    if "table" in wanted:
        parts.append(_table(question, about))
    if "math" in wanted:
        parts.append(f"## Math for {about}\n\n{MATH}")
    if "emoji" in wanted:
        parts.append(
            f"## Emoji for {about}\n\n{EMOJIS}\n\n- joined: 👩‍👩‍👧‍👦\n- skin tone: 👋🏽\n- flag: 🇯🇵\n- keycap: #️⃣"
        )
    if "json" in wanted:
        parts.append(f"```json\n{pretty({'topic': about, 'steps': [point for point, _ in POINTS[:3]]}).decode()}\n```")
    if "email" in wanted and not parts:
        parts.append(
            f"**Subject:** {about.capitalize()}\n\nHello,\n\nthank you for your note about {about}. I have read it and "
            "suggest that we settle three things: what it is for, by when, and who decides. Would Thursday suit "
            "you?\n\nKind regards"
        )
    if "steps" in wanted and not parts:
        parts.append(_steps(about))
    return "\n\n".join(parts) if parts else _explanation(about, question + model)


def _code(question: str, about: str, named: list[str]) -> str:
    chosen = named or ["python", "javascript"]
    blocks = [snippets.snippet(language, question) for language in chosen[:3]]
    return (
        f"## Code for {about}\n\n" + "\n\n".join(blocks) + "\n\nHow it works:\n\n"
        "1. the input is read once, so the time grows with its size,\n"
        "2. nothing is changed in place: the function gives a *new* value,\n"
        "3. names say what they hold, so that `comments` can say why."
    )


def _table(question: str, about: str) -> str:
    left, right = sides(question) or ("The simple way", "The thorough way")
    return (
        f"## A comparison: {about}\n\n"
        f"| Aspect | {left} | {right} |\n|---|:---:|---:|\n"
        "| First result | 1 day | 5 days |\n| Cost in a year | ₹12,000 | ₹30,000 |\n"
        "| Risk | *medium* | **low** |\n| Can be undone | yes | partly |\n| Needs training | no | `2 h` |\n\n"
        f"In short: **{left}** when time matters most, **{right}** when mistakes are dear. The figures are examples."
    )


def _steps(about: str) -> str:
    lines = [f"{number}. **{name}**: {text.format(topic=about)}." for number, (name, text) in enumerate(POINTS, 1)]
    return (
        f"## Steps: {about}\n\n" + "\n".join(lines) + "\n\nBefore you start:\n\n"
        "- [x] the goal is written down\n- [ ] somebody knows that you begin\n- [ ] a way back exists"
    )


def _explanation(about: str, seed: str) -> str:
    start = crc32(seed.encode()) % 4
    points = "\n".join(f"- **{name}**: {text.format(topic=about)}." for name, text in POINTS[start : start + 3])
    name, text = _pick(SECTIONS, seed)
    return (
        f"## About {about}\n\n{_pick(OPENERS, seed).format(topic=about)}\n\n{points}\n\n"
        f"### {name}\n\n{text.format(topic=about)}\n\n"
        f"Ask for *code*, a *table* or *math* about {about} to see more of what an answer can hold."
    )


def essay(question: str, *, sections: int) -> str:
    """A long text with headings, lists, a table, code and math."""
    about = topic(question)
    parts = [f"# {about[:1].upper()}{about[1:]}\n\nA long answer in {sections} sections."]
    for number in range(sections):
        name, text = SECTIONS[number % len(SECTIONS)]
        parts.append(f"## {number + 1}. {name}\n\n{text.format(topic=about)}")
        match number % 6:
            case 0:
                first = number % len(POINTS)
                parts.append("\n".join(f"- **{a}**: {b.format(topic=about)}." for a, b in POINTS[first : first + 3]))
            case 2:
                parts.append(snippets.snippet(("python", "rust", "sql", "go")[number // 6 % 4], ""))
            case 3:
                parts.append(_table("", about).partition("\n\n")[2])
            case 4:
                parts.append(MATH)
            case _:
                parts.append(f"> Someone who works on {about} every day would say: *begin, then correct.*")
    return "\n\n".join(parts)
