"""Read YAML that others wrote, in bounded time and memory: the only place that constructs values from YAML.

PyYAML's compiled constructor calls itself for each level, so a document of very many `[` ends the process,
and an alias stands for as much as it names. The events of a document are therefore counted first; libyaml
keeps its own stack for them.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from factory_pipeline.errors import DocumentError
from factory_pipeline.text_document import decode_document, read_document

MOST_BYTES = 16 << 20
MOST_LEVELS = 100
"""Lists and mappings inside one another, each alias counted as what it names."""
MOST_VALUES = 1_000_000
"""Scalars, lists and mappings, each alias counted as what it names."""
MOST_DIGITS = 100
"""Characters of a number: any that is longer fits no type of number here, and takes long to read."""

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Constructs plain data only; the one in C is ten times faster, where PyYAML was built with it."""
_NUMBER = re.compile(r"[-+.:0-9A-Fa-fox_]+")
_PLACE = re.compile(r'in "<(?:unicode|byte) string>", ')
# What PyYAML raises for a scalar that does not fit its tag, such as `2001-99-99`, `!!int ""` or `!!bool x`.
_NO_SUCH_VALUE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)


def read_yaml(path: Path, what: str) -> Any:
    """Read a file of YAML.

    Args:
        path: of the file.
        what: begins the sentence of an error, such as `The recipe a.yaml`.

    Returns:
        Plain data; None for an empty file.

    Raises:
        DocumentError: the file can't be read, or is not what `parse_yaml` reads.
    """
    return parse_yaml(read_document(path, what, MOST_BYTES), what)


def parse_yaml(text: str | bytes, what: str) -> Any:
    """Read a document of YAML.

    Args:
        text: the document; bytes are UTF-8, with or without a byte order mark.
        what: begins the sentence of an error, such as `The recipe a.yaml`.

    Returns:
        Plain data; None for an empty document.

    Raises:
        DocumentError: it is not UTF-8 or not YAML, has more bytes, levels or values than are allowed, or a
            list or mapping that contains itself.
    """
    decoded = decode_document(text, what, MOST_BYTES, "YAML")
    try:
        _check_events(decoded, what)
        return yaml.load(decoded, Loader=_LOADER)
    except (yaml.YAMLError, *_NO_SUCH_VALUE) as error:
        reason = " ".join(_PLACE.sub("", str(error)).split()).rstrip(".")
        raise DocumentError(what, f"is not YAML: {reason}") from error


@dataclass
class _Node:
    """A list or mapping, or what an anchor names; the whole document is the outermost."""

    anchor: str | None = None
    values: int = 1
    """Itself and all in it."""
    levels: int = 0
    """Lists and mappings inside one another, itself not counted."""
    is_open: bool = True

    def add(self, values: int, levels: int) -> None:
        """Count something in it that has so many values and levels."""
        self.values += values
        self.levels = max(self.levels, levels)


@dataclass
class _Count:
    """The events of a document, counted."""

    what: str
    open: list[_Node] = field(default_factory=lambda: [_Node()])
    """The document, and the lists and mappings that have begun."""
    named: dict[str, _Node] = field(default_factory=dict)
    """By anchor."""

    def add(self, event: Any) -> None:
        """Count an event.

        Raises:
            DocumentError: with it, the document has more than is allowed.
        """
        if isinstance(event, yaml.ScalarEvent):
            if event.implicit[0] and len(event.value) > MOST_DIGITS and _NUMBER.fullmatch(event.value):
                raise self._error(
                    event, f"has a number of more than the {MOST_DIGITS} digits that are allowed"
                )
            self._close(event, _Node(event.anchor))
        elif isinstance(event, yaml.AliasEvent):
            node = self.named.get(event.anchor or "")
            if node is None:
                return  # The constructor refuses it.
            if node.is_open:
                raise self._error(event, f"has the alias *{event.anchor} inside what it names")
            self._close(event, _Node(None, node.values, node.levels))
        elif isinstance(event, yaml.CollectionStartEvent):
            node = _Node(event.anchor)
            self.open.append(node)
            if node.anchor:
                self.named[node.anchor] = node
            if len(self.open) - 1 > MOST_LEVELS:
                raise self._too_deep(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self.open.pop()
            node.levels += 1
            self._close(event, node)

    def _close(self, event: Any, node: _Node) -> None:
        node.is_open = False
        if node.anchor:
            self.named[node.anchor] = node
        outer = self.open[-1]
        outer.add(node.values, node.levels)
        if len(self.open) - 1 + node.levels > MOST_LEVELS:
            raise self._too_deep(event)
        if outer.values > MOST_VALUES:
            raise self._error(event, f"has more than the {MOST_VALUES:,} values that are allowed")

    def _too_deep(self, event: Any) -> DocumentError:
        return self._error(event, f"is nested more deeply than the {MOST_LEVELS} levels that are allowed")

    def _error(self, event: Any, problem: str) -> DocumentError:
        return DocumentError(self.what, f"{problem} (line {event.start_mark.line + 1})")


def _check_events(text: str, what: str) -> None:
    count = _Count(what)
    for event in yaml.parse(text, Loader=_LOADER):
        count.add(event)
