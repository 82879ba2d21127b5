"""Parsing a query as text: conditions in the short form or in CQL2, combined by `and`, `or` and `not`.

The grammar, in which keywords are of any case:

    either    = both {"or" both}
    both      = negated {"and" negated}
    negated   = {"not"} ("(" either ")" | condition)
    condition = property comparison value | a condition in CQL2
    property  = name | '"' name '"'
    value     = quoted | word {word}
"""

import re
from collections.abc import Callable
from typing import Any

from factory_pipeline.datalake.query.cql2_text import Cql2TextError, parse_cql2_condition
from factory_pipeline.datalake.query.operands import DEEPEST, number
from factory_pipeline.datalake.query.queryables import is_property

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<quoted>"(?:[^"]|"")*"|'(?:[^']|'')*')
    | (?P<comparison><>|!=|<=|>=|=|<|>)
    | (?P<parenthesis>[()])
    | (?P<word>(?:[^\s()<>=!"']|!(?!=))(?:[^\s()<>=!]|!(?!=))*)
    | (?P<end>$)
    | (?P<stray>.))""",
    re.VERBOSE | re.DOTALL,
)
_JOINT = re.compile(
    r"""'(?:[^']|'')*'|"[^"]*"|[()]|(?<![\w.:])(?:and|or|between)(?![\w.:])""",
    re.IGNORECASE,
)
"""Where a condition in CQL2 may end, and what must be skipped to find it."""
_NAME = re.compile(r"[^\W\d][\w.:]*")
_CALCULATION = re.compile(r"[-+*/%^]+")
_KEYWORDS = ("and", "or", "not")

MOST_CHARACTERS = 300_000
"""Of a query as text: a level of parentheses may read all of it once more."""


class TextError(Exception):
    """The text is not a query."""

    def __init__(self, position: int, expected: str) -> None:
        """Compose the message.

        Args:
            position: in the text, counted from 0.
            expected: what is expected there, as the start of a sentence.
        """
        super().__init__(f"{expected} at character {position + 1}")
        self.position = position


class _TooDeepError(TextError):
    """The text has more levels than are allowed, however it is read."""


def parse_text(text: str) -> dict[str, Any]:
    """Parse a query to CQL2 JSON.

    In the short form a word without quotes after a comparison is a value, in CQL2 it is a property; so a
    condition is read as CQL2 only if it is not valid in the short form.

    Raises:
        TextError: the text is not a query.
    """
    if len(text) > MOST_CHARACTERS:
        raise TextError(MOST_CHARACTERS, f"a text may have {MOST_CHARACTERS:,} characters; there are more")
    reader = _Reader(text)
    query = reader.either(0)
    if reader.kind != "end":
        raise reader.expected("`and`, `or` or the end is expected")
    return query


class _Reader:
    """A reader of the text, at its next token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.go_to(0)

    def go_to(self, position: int) -> None:
        """Make the token at a position the next one."""
        token = _TOKEN.match(self._text, position)
        assert token is not None
        self._after = token.end()
        self.kind = token.lastgroup or "end"
        self.token = token[self.kind]
        self.position = token.start(self.kind)

    def step(self) -> None:
        """Move to the token after the next."""
        self.go_to(self._after)

    def expected(self, what: str) -> TextError:
        return TextError(self.position, what)

    def is_keyword(self, *words: str) -> bool:
        return self.kind == "word" and self.token.lower() in words

    def either(self, depth: int) -> dict[str, Any]:
        return self._parse_joined("or", self.both, depth)

    def both(self, depth: int) -> dict[str, Any]:
        return self._parse_joined("and", self.negated, depth)

    def _parse_joined(
        self, keyword: str, part: Callable[[int], dict[str, Any]], depth: int
    ) -> dict[str, Any]:
        parts = [part(depth)]
        while self.is_keyword(keyword):
            self.step()
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else {"op": keyword, "args": parts}

    def negated(self, depth: int) -> dict[str, Any]:
        if depth > DEEPEST:
            problem = f"at most {DEEPEST} levels of nesting are allowed; there are more"
            raise _TooDeepError(self.position, problem)
        if self.is_keyword("not"):
            self.step()
            return {"op": "not", "args": [self.negated(depth + 1)]}
        start = self.position
        try:
            found = self._group(depth) if self.token == "(" else self._parse_short_condition()
            if not (self.kind == "end" or self.token == ")" or self.is_keyword("and", "or")):
                raise self.expected("`and`, `or` or the end is expected")
        except _TooDeepError:
            raise
        except TextError as error:
            return self._cql2_condition(start, error)
        return found

    def _group(self, depth: int) -> dict[str, Any]:
        self.step()
        inner = self.either(depth + 1)
        if self.token != ")":
            raise self.expected("`)`, `and` or `or` is expected")
        self.step()
        return inner

    def _parse_short_condition(self) -> dict[str, Any]:
        name = self._property()
        if self.kind != "comparison":
            raise self.expected(f"one of = != < <= > >= is expected after `{name}`")
        comparison = "<>" if self.token == "!=" else self.token
        self.step()
        return {"op": comparison, "args": [{"property": name}, self._value()]}

    def _property(self) -> str:
        if self.kind == "quoted" and self.token[0] == '"':
            name = _unquote(self.token)
        elif self.kind == "word" and _NAME.fullmatch(self.token) and not self.is_keyword(*_KEYWORDS):
            name = self.token
        else:
            raise self.expected("a property such as annotation.label is expected")
        self.step()
        return name

    def _value(self) -> str | float | bool:
        if self.kind == "quoted":
            value = _unquote(self.token)
            self.step()
            return value
        if self.kind == "stray":
            raise self.expected("a quote is opened and not closed")
        start = end = self.position
        while self.kind == "word" and not self.is_keyword(*_KEYWORDS):
            if _CALCULATION.fullmatch(self.token):
                raise self.expected("a value without calculation, or one in quotes, is expected")
            end = self.position + len(self.token)
            self.step()
        if start == end:
            raise self.expected("a value is expected")
        return _bare(self._text[start:end], start)

    def _cql2_condition(self, start: int, short: TextError) -> dict[str, Any]:
        """Return the condition in CQL2 at a position.

        Of two errors, the one further in the text is raised.
        """
        end = self._condition_end(start)
        try:
            condition = parse_cql2_condition(self._text[start:end])
        except Cql2TextError as error:
            if start + error.position <= short.position:
                raise short from error
            raise TextError(start + error.position, str(error)) from error
        if condition is None:
            raise short
        self.go_to(end)
        return condition

    def _condition_end(self, start: int) -> int:
        depth = bounds = 0
        for joint in _JOINT.finditer(self._text, start):
            mark = joint[0].lower()
            if mark == "(":
                depth += 1
            elif mark == ")":
                depth -= 1
            elif depth == 0 and mark == "between":
                bounds += 1
            elif depth == 0 and mark == "and" and bounds:
                bounds -= 1
            elif depth == 0 and mark in ("and", "or"):
                return joint.start()
            if depth < 0:
                return joint.start()
        return len(self._text)


def _bare(text: str, position: int) -> str | float | bool:
    """Parse a value without quotes; a property of metadata or annotations is left to CQL2, as is null."""
    if text.lower() == "null" or ("." in text and is_property(text)):
        raise TextError(position, "a value is expected")
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    found = number(text)
    return text if found is None else found


def _unquote(token: str) -> str:
    quote = token[0]
    return token[1:-1].replace(2 * quote, quote)
