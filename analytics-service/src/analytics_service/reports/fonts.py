"""The PDFs' letters: Noto Sans, and its sisters for the scripts names in India are written in.

reportlab shapes what these need (vowel signs, conjuncts) through HarfBuzz where a style says ``shaping``.
"""

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby

from reportlab.pdfbase.pdfmetrics import getFont, registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "NotoSans-Regular", "NotoSans-Bold"

_BLOCK = 0x80
_FIRST = 0x0900
_SCRIPTS = (
    "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam",
)  # fmt: skip
"""In the order of their blocks in Unicode, 128 code points each."""

_JOINERS = frozenset(" .-\u200c\u200d")
"""In every font: these stay with what they follow."""


def _shown(text: str, font: str) -> str:
    return "".join(letter if ord(letter) in _known(font) else "?" for letter in text)


@cache
def _known(font: str) -> Mapping[int, int]:
    """Glyphs of a font by letter."""
    _load()
    glyphs: Mapping[int, int] = getFont(font).face.charToGlyph
    return glyphs


@cache
def _load() -> None:
    """Make the fonts known to reportlab, once."""
    folder = files("analytics_service") / "data" / "fonts"
    for name in (REGULAR, BOLD, *(_regular(script) for script in _SCRIPTS)):
        with (folder / f"{name}.ttf").open("rb") as file:
            registerFont(TTFont(name, file))
    registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
    for script in _SCRIPTS:
        name = _regular(script)
        registerFontFamily(name, normal=name, bold=name, italic=name, boldItalic=name)


def is_plain(text: str) -> bool:
    """Whether the main font alone shows ``text``."""
    return all(ord(letter) in _known(REGULAR) for letter in text)


def plain(text: str) -> str:
    """``text`` in the main font's letters: a question mark for any other."""
    return _shown(text, REGULAR)


def marked(text: str) -> str:
    """``text`` as reportlab's markup, each part in a font that has its letters; nothing in it is markup itself."""
    return "".join(_part(font, "".join(letter for letter, _ in letters)) for font, letters in _parts(text))


def _parts(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    found: list[tuple[str, str]] = []
    for letter in text:
        font = found[-1][1] if found and letter in _JOINERS else _font_of(letter)
        found.append((letter, font))
    return [(font, list(letters)) for font, letters in groupby(found, key=lambda pair: pair[1])]


def _part(font: str, text: str) -> str:
    shown = escape(_shown(text, font))
    return shown if font == REGULAR else f'<font name="{font}">{shown}</font>'


def _font_of(letter: str) -> str:
    number = (ord(letter) - _FIRST) // _BLOCK
    return _regular(_SCRIPTS[number]) if 0 <= number < len(_SCRIPTS) else REGULAR


def _regular(script: str) -> str:
    return f"NotoSans{script}-Regular"
