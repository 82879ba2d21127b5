"""The templates of pages: escaped, strict, numbers that stay readable."""

import pytest
from jinja2 import DictLoader, UndefinedError

from factory_pipeline.onboarding.page.jinja_environment import environment, make_environment

MADE = make_environment(DictLoader({"a": "{{ text }}|{{ value | number }}|{{ value | weight }}"}))


def render(text: str, value: float | None) -> str:
    """The template with two values."""
    return MADE.get_template("a").render(text=text, value=value if value is not None else 0)


def test_code_in_a_sentence_is_code_and_the_rest_is_escaped():
    template = make_environment(DictLoader({"a": "{{ text | ticks }}"})).get_template("a")
    assert template.render(text="`a: {b}` <i> or `<b>`, not `") == (
        "<code>a: {b}</code> &lt;i&gt; or <code>&lt;b&gt;</code>, not `"
    )


def test_text_of_uploads_is_escaped_and_a_missing_value_is_an_error():
    assert render("<b>", 1).startswith("&lt;b&gt;|")
    with pytest.raises(UndefinedError):
        MADE.get_template("a").render(value=1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (1_234_567.0, "1,234,567"),
        (1234.567, "1,235"),
        (12.3456, "12.35"),
        (0.012345, "0.0123"),
        (1.5e-7, "1.500e-07"),
    ],
)
def test_numbers_have_four_digits(value: float | None, shown: str):
    assert MADE.filters["number"](value) == shown


def test_the_templates_of_the_page_are_compiled_once():
    assert environment() is environment()
    assert "page.html" in environment().list_templates()
