"""What a question is about, by its words."""
# ruff: noqa: E501 - word lists

from __future__ import annotations

import re

_LEADING = re.compile(
    r"^(?:hi|hello|hey|ok|okay|please|now|and|also|so|then|can you|could you|would you|will you|i want you to|"
    r"i would like|help me|let's|write|make|create|give me|show|show me|tell me|explain|describe|summari[sz]e|draft|"
    r"translate|compare|list|generate|build|implement|what is|what are|what's|who is|how do i|how can i|how to|how does|"
    r"how do|why is|why are|why does|why do|when|where|which|me|us|to|about|of|a|an|the|some|in|on|for|with)\b[\s,:!.]*",
    re.IGNORECASE,
)
_ASKS = {
    "greeting": r"^\W*(?:hi|hello|hey|namaste|good (?:morning|evening|afternoon)|hola|salut|hallo)\b[^?]{0,24}$",
    "thanks": r"^\W*(?:thanks|thank you|thx|great|perfect|cool)\b.{0,24}$",
    "title": r"\b(?:short |concise |brief )?title for\b|\btitle (?:of|this)\b.*\bconversation\b",
    "code": r"\b(?:code|function|script|program|class|snippet|regex|python|javascript|typescript|rust|golang|sql|bash"
    r"|html|css|django|algorithm|refactor|debug|unit tests?)\b",
    "table": r"\b(?:table|spreadsheet|columns|compare|comparison|versus|vs\.?|pros and cons)\b",
    "math": r"\b(?:math|maths|equation|integral|derivative|formula|latex|theorem|prove|proof|probability|matrix|solve)\b",
    "emoji": r"\bemojis?\b|[\U0001f300-\U0001faff]",
    "long": r"\b(?:long|essay|detailed|in depth|thorough|article|report|\d{3,5} words)\b",
    "steps": r"\b(?:steps?|how (?:do|can|to)|plan|checklist|guide|recipe|instructions|itinerary)\b",
    "json": r"\b(?:as|in|return|give me|valid) json\b",
    "email": r"\b(?:e-?mail|letter|message to|reply to)\b",
}
_COMPILED = {name: re.compile(pattern, re.IGNORECASE | re.DOTALL) for name, pattern in _ASKS.items()}

LANGUAGES = {
    "python": r"\b(?:python|django|flask|pandas)\b",
    "typescript": r"\btypescript\b|\bts\b",
    "javascript": r"\bjavascript\b|\bjs\b|\bnode\b|\breact\b",
    "rust": r"\brust\b",
    "go": r"\bgolang\b|\bin go\b",
    "sql": r"\bsql\b|\bpostgres\w*\b|\bquery\b",
    "bash": r"\bbash\b|\bshell\b|\bcommand line\b",
    "html": r"\bhtml\b|\bcss\b|\bweb ?page\b",
}


def asks(question: str) -> set[str]:
    """The kinds of answer that a question asks for: names of `_ASKS`."""
    return {name for name, pattern in _COMPILED.items() if pattern.search(question)}


def languages(question: str) -> list[str]:
    """The programming languages named in a question."""
    return [name for name, pattern in LANGUAGES.items() if re.search(pattern, question, re.IGNORECASE)]


def topic(question: str) -> str:
    """A few words that stand for the question; never empty."""
    line = next((line.strip() for line in question.splitlines() if line.strip()), "")
    sentence = re.split(r"(?<=[.?!])\s", line)[0]
    before = None
    while before != sentence:
        before = sentence
        sentence = _LEADING.sub("", sentence)
    sentence = re.sub(r"[\s,]*\b(?:please|thanks|thank you)\W*$", "", sentence, flags=re.IGNORECASE)
    sentence = re.split(r"(?<=\w)(?:[;:]\s|,\s(?:and\s)?(?:an?|the|then|with)\s)", sentence)[0]
    words = re.sub(r"[`*_#<>\[\]|$\\]", "", sentence).strip(" .?!,:;\"'").split()
    return " ".join(words[:9]) or "your question"


def sides(question: str) -> tuple[str, str] | None:
    """The two things that a question compares."""
    about = re.sub(r"^.*\b(?:compar\w+|between|differences?|table of|pros and cons of)\b", "", topic(question))
    found = re.search(r"([\w+#. -]{2,40}?)\s+(?:vs\.?|versus|or|and|with)\s+([\w+#. -]{2,40})", about, re.IGNORECASE)
    return (found.group(1).strip(), found.group(2).strip()) if found else None
