"""How text falls into words, and what of it an excerpt shows."""

from __future__ import annotations

import pytest

from chat.search_words import excerpt, sought, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Größe GROSSE", ["grosse"]),
        ("Ελλάδα", ["ελλαδα"]),
        ("नमस्ते दुनिया", ["दुनिया", "नमस्ते"]),
        ("ज़मीन", ["जमीन"]),  # the dot below is often left out
        ("தமிழ் తెలుగు বাংলা", ["তবাংলা"[1:], "தமிழ்", "తెలుగు"]),
        ("snake_case e.g. it's 3.14", ["14", "3", "case", "e", "g", "it", "s", "snake"]),
        ("東京", ["京", "東", "東京"]),
        ("!? -- \"'\\ %_", []),
    ],
)
def test_words_are_whole_and_without_case_and_accents(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_a_search_looks_for_pairs_where_words_are_not_spaced() -> None:
    assert sought("東京都 Größe") == ["東京", "京都", "grosse"]


def test_an_excerpt_is_the_stretch_with_the_most_of_what_is_sought() -> None:
    text = "hash " + "filler " * 80 + "a hash of the नमस्ते map\n" + "more " * 80
    parts = excerpt(text, sought("नमस्ते HASH mAp"))
    assert [part.text for part in parts if part.match] == ["hash", "नमस्ते", "map"]
    assert parts[0].text.startswith("…") and parts[-1].text.endswith("…")
    assert sum(len(part.text) for part in parts) < 330
    assert "".join(part.text for part in parts).strip("…") in " ".join(text.split()) + " "


def test_without_a_match_there_is_no_excerpt() -> None:
    assert excerpt("nothing here", ["absent"]) == []
    assert excerpt("nothing here", []) == []
