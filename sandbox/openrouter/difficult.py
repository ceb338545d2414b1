"""Text that is hard to carry: characters, bytes and markup that break careless readers."""

from __future__ import annotations

HELLO = "Hello from the sandbox: twenty tokens or so, always the same, to measure by."

ACCENTS = (
    "Żółć, größte Æsop — ₹1,250 € naïve 漢字かな交じり文 हिन्दी العربية 😀👩‍👩‍👧 ñandú façade Ελληνικά Привет 🏳️‍🌈 "
    "done: every event of this answer came in two packets."
)

EMOJI = (
    "Plain 😀😎🥳, skin tones 👋🏻👋🏽👋🏿, joined 👩‍👩‍👧‍👦 🧑🏽‍💻 🏳️‍🌈, flags 🇮🇳🇯🇵🇩🇪, keycaps 1️⃣ #️⃣, hearts ❤️🖤, "
    "a combining e\u0301 and a Zalgo z\u0336\u0337\u0321, and Devanagari क्षि. The end 🎉"
)

CONTROLS = "before\x00after, bell\x07, escape\x1b[31mred\x1b[0m, backspace\x08, delete\x7f, next line. Still here."

SEPARATORS = (
    "one\rtwo\r\nthree\u2028four\u2029five\u0085six\x0bseven\x0ceight\n\ndata: nine\nevent: ten\n: eleven\n"
    "The end of the lines."
)

MARKUP = (
    "# <script>alert(1)</script>\n\n"
    "<img src=x onerror=alert(1)> <iframe srcdoc='<script>alert(1)</script>'></iframe> <svg onload=alert(1)>\n\n"
    "[a link](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>) "
    "![beacon](https://tracker.example/pixel.gif?q=secret) [good](https://example.org/)\n\n"
    "```html\n<script>alert('code')</script>\n```\n\n"
    '```mermaid\ngraph TD; A["<img src=x onerror=alert(1)>"]-->B\n```\n\n'
    "$\\href{javascript:alert(1)}{x}$ and `<b>inline</b>`.\n\n<style>*{display:none}</style>\n"
)

BAD_UTF8: tuple[tuple[bytes, int], ...] = ((b'"caf\xe9 \xff\xfe"', 2), (b'"\xc3"', 1), (b'"\xed\xa0\x80"', 1))
"""JSON strings with bytes that are no UTF-8: Latin-1, a lone lead byte, an encoded surrogate."""

HALVES: tuple[tuple[bytes, int], ...] = ((b'"\\ud83d"', 1), (b'"\\ude00"', 1))
"""One emoji as two escaped halves."""
