"""Facts into words: Jinja2 templates in two languages, as plain text and as HTML.

Whatever people wrote is one line without control characters in text and a subject, and escaped in HTML.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from notification_service.domain.facts import figures
from notification_service.domain.kinds import Kind
from notification_service.domain.preferences import LANGUAGES
from saras_common.money import rupees

MAX_TITLE_CHARS = 150
_BREAKS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)


@dataclass(frozen=True, slots=True)
class Words:
    """A message in a reader's language."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as mail."""

    subject: str
    text: str
    html: str


def one_line(text: str) -> str:
    """``text`` without anything that could break a line, a header or the direction of reading."""
    return _BREAKS.sub(" ", text).strip()


def inr(paise: int) -> str:
    """Rupees with the Indian grouping.

    >>> inr(1234567890)
    '₹1,23,45,678.90'
    """
    whole, part = rupees(abs(paise)).split(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return f"{'-' if paise < 0 else ''}₹{','.join([*groups, tail])}.{part}"


def words_of(kind: Kind, data: Mapping[str, Any], language: str) -> Words:
    """Title and body as plain text; the title is one line, the body may have several."""
    return _words(kind, figures(kind, _clean(data), language), language)


def words_of_digest(values: Mapping[str, Any], language: str) -> Words:
    """The same for a digest, whose lines are words already."""
    return _words(Kind.DIGEST, values, language)


def _words(kind: Kind, values: Mapping[str, Any], language: str) -> Words:
    title, body = _templates(language)[kind]
    lines = [one_line(line) for line in body.render(v=values).split("\n")]
    return Words(one_line(title.render(v=values))[:MAX_TITLE_CHARS], "\n".join(lines))


def mail_of(words: Words, name: str, language: str) -> Mail:
    """The message as mail to somebody called ``name``."""
    greeting, closing = _frame(language)
    hello = greeting.render(name=one_line(name))
    goodbye = closing.render()
    lines = words.body.split("\n")
    html = _layout().render(language=language, title=words.title, greeting=hello, closing=goodbye, lines=lines)
    return Mail(words.title, f"{hello}\n\n{words.body}\n\n{goodbye}\n", html)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {key: _clean(item) for key, item in value.items()}
    return value


def _text_environment() -> Environment:
    # plain text: nothing is escaped here, and nothing that comes from here is put into HTML but through the layout
    environment = Environment(autoescape=False, undefined=StrictUndefined)  # noqa: S701
    environment.filters["inr"] = inr
    return environment


@cache
def _sources(language: str) -> Mapping[str, Mapping[str, str]]:
    if language not in LANGUAGES:
        raise ValueError("no such language")
    return tomllib.loads((resources.files(__package__) / "templates" / f"{language}.toml").read_text("utf-8"))


@cache
def _templates(language: str) -> Mapping[Kind, tuple[Template, Template]]:
    environment = _text_environment()
    sources = _sources(language)
    return {
        kind: (environment.from_string(sources[kind]["title"]), environment.from_string(sources[kind]["body"]))
        for kind in Kind
    }


@cache
def _frame(language: str) -> tuple[Template, Template]:
    environment = _text_environment()
    frame = _sources(language)["frame"]
    return environment.from_string(frame["greeting"]), environment.from_string(frame["closing"])


@cache
def _layout() -> Template:
    source = (resources.files(__package__) / "templates" / "layout.html").read_text("utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
