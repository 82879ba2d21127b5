"""One query in the short form and in CQL2 text finds the same items."""

from typing import Any

import cql2
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.datalake.query.items import matching_items
from factory_pipeline_tests.datalake.query.test_agreement import WORDS, tables
from factory_pipeline_tests.examples import up_to

NAMES = [
    "annotation.label",
    "annotation.attributes.word",
    "id",
    "metadata.word",
    "metadata.tags",
    "metadata.real",
]
VALUES = st.sampled_from([*WORDS, "hot air balloon", "it's", "and"]) | st.sampled_from([-1, 5, 5.5])
CONDITIONS = st.tuples(st.sampled_from(NAMES), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), VALUES)
TREES = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3))
        | st.tuples(st.just("not"), inner)
    ),
    max_leaves=5,
)


def in_cql2(tree: Any) -> str:
    """The query in CQL2 text, everything in parentheses."""
    match tree:
        case ("not", inner):
            return f"(NOT {in_cql2(inner)})"
        case ("and" | "or" as keyword, list(parts)):
            return f"({f' {keyword.upper()} '.join(in_cql2(part) for part in parts)})"
        case (name, comparison, str(text)):
            quoted = text.replace("'", "''")
            return f"""("{name}" {comparison} '{quoted}')"""
        case (name, comparison, number):
            return f'("{name}" {comparison} {number})'
    raise AssertionError(tree)


def in_short_form(tree: Any, draw: Any) -> str:
    """The query in the short form, as somebody may type it."""
    blank = draw(st.sampled_from(["", " "]))
    match tree:
        case ("not", inner):
            return f"not ({in_short_form(inner, draw)})"
        case ("and" | "or" as keyword, list(parts)):
            typed = draw(st.sampled_from([keyword, keyword.upper(), keyword.title()]))
            return f" {typed} ".join(f"({blank}{in_short_form(part, draw)})" for part in parts)
        case (name, comparison, value):
            typed = draw(st.sampled_from(["!=", "<>"])) if comparison == "<>" else comparison
            return f"{name}{blank}{typed}{blank}{written(value, draw)}"
    raise AssertionError(tree)


def written(value: Any, draw: Any) -> str:
    if not isinstance(value, str):
        return str(value)
    quote = draw(st.sampled_from("'\""))
    quoted = f"{quote}{value.replace(quote, 2 * quote)}{quote}"
    has_another_meaning = value.lower() in ("", "and", "true", "5", "5.0", "5.5", "-1", "1e1")
    return quoted if has_another_meaning or draw(st.booleans()) else value


@settings(max_examples=up_to(100), deadline=None)
@given(TREES, st.data())
def test_the_short_form_finds_what_cql2_finds(tree: Any, data: st.DataObject) -> None:
    items, annotations, _ = tables(0)
    short, text = in_short_form(tree, data.draw), in_cql2(tree)

    by_short = matching_items(items, annotations, short, {}).collect()
    by_text = matching_items(items, annotations, text, {}).collect()
    by_json = matching_items(items, annotations, cql2.parse_text(text).to_json(), {}).collect()

    assert by_short["id"].to_list() == by_text["id"].to_list() == by_json["id"].to_list()
