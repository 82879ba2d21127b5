"""Rules of a recipe as polars expressions: parsed and checked before any row is looked at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import polars.selectors as cs

from factory_pipeline.config.recipe import QualityRule
from factory_pipeline.errors import RecipeError


@dataclass(frozen=True)
class CheckedRule:
    """A rule whose expression is known to work on the table of footprints."""

    name: str
    keep: str
    """The SQL as the recipe has it."""
    expression: pl.Expr

    def passes(self, footprints: pl.DataFrame) -> pl.Series:
        """Return a boolean for each footprint; null counts as failed.

        Raises:
            RecipeError: the expression fails on these values (such as a cast that is not possible).
        """
        try:
            return footprints.select(passes=self.expression.fill_null(False)).to_series()
        except pl.exceptions.PolarsError as error:
            raise RecipeError(_sentence(self, str(error))) from error

    def shortcomings(self, dropped: pl.DataFrame) -> pl.Series:
        """Return a sentence for each footprint that fails, with the values that the rule looks at."""
        names = dict.fromkeys(self.expression.meta.root_names())
        values = [
            part for name in names for part in (pl.lit(f", {name} is "), _format_value(dropped.schema, name))
        ]
        return dropped.select(detail=pl.concat_str(pl.lit(f"{self.keep} is not true"), *values)).to_series()


GEDI_HINT = "; other fields of a granule must be named in extra_fields"


def check_rules(rules: Sequence[QualityRule], schema: pl.Schema, hint: str = GEDI_HINT) -> list[CheckedRule]:
    """Parse the rules of a recipe against the columns of the footprints, or of other labels.

    Args:
        rules: of the recipe.
        schema: of the table that they look at.
        hint: what a user can do about an unknown column, as the end of a sentence.

    Raises:
        RecipeError: a rule is no SQL expression, names an unknown column, or is not true or false for
            each footprint; the message names the rule and the columns that there are.
    """
    return [_check(rule, schema, hint) for rule in rules]


def rule_fields(rules: Sequence[QualityRule]) -> frozenset[str]:
    """Return the fields that rules look at.

    Raises:
        RecipeError: a rule is no SQL expression.
    """
    return frozenset(name for rule in rules for name in _parse(rule).meta.root_names())


def without_nan(footprints: pl.DataFrame) -> pl.DataFrame:
    """Return the same table with null for NaN, which polars holds for the greatest number.

    Null passes nothing.
    """
    return footprints.with_columns(cs.float().fill_nan(None))


def _parse(rule: QualityRule) -> pl.Expr:
    try:
        return pl.sql_expr(rule.keep)
    except pl.exceptions.PolarsError as error:
        raise RecipeError(_sentence(rule, str(error))) from error


def _check(rule: QualityRule, schema: pl.Schema, hint: str) -> CheckedRule:
    expression = _parse(rule)
    unknown = sorted(set(expression.meta.root_names()) - set(schema))
    if unknown:
        raise RecipeError(
            f"The quality rule {rule.name} ({rule.keep}) names the unknown column {unknown[0]}; "
            f"there are {', '.join(schema)}{hint}."
        )
    two_rows = pl.DataFrame({name: [None, None] for name in schema}, schema=schema)
    try:
        answers = two_rows.select(expression).to_series()
    except pl.exceptions.PolarsError as error:
        raise RecipeError(_sentence(rule, str(error))) from error
    if answers.dtype != pl.Boolean or answers.len() != two_rows.height:
        raise RecipeError(_sentence(rule, "it is not true or false for each footprint"))
    return CheckedRule(rule.name, rule.keep, expression)


def _format_value(schema: pl.Schema, name: str) -> pl.Expr:
    """Return a value in words.

    Of a float four digits, as many different texts would make the ledger large.
    """
    column = pl.col(name)
    short = column.round_sig_figs(4) if schema[name].is_float() else column
    return short.cast(pl.String).fill_null("missing")


_PARSER_NAME = re.compile(r"\b[A-Z]\w*[a-z][A-Z]\w+\b")


def _sentence(rule: QualityRule | CheckedRule, problem: str) -> str:
    first_line = problem.partition("\n")[0].rstrip(".")
    if _PARSER_NAME.search(re.sub(r"'[^']*'", "", first_line)):
        # The parser tells an operator or a clause by the name that it has in the parser's own source.
        first_line = "it uses an operator or a function that can't be used here"
    return f"The quality rule {rule.name} ({rule.keep}) can't be used: {first_line}."
