"""What is wrong with a document that a user wrote, by its keys and in the words of the user."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def problems_of(error: ValidationError, model: type[BaseModel], document: object = None) -> str:
    """Return all that is wrong with a document, such as `at batch_size: it should be greater than 0`.

    Args:
        error: of its validation.
        model: that the document was validated by, which knows the keys that were meant.
        document: as it was validated; None where it was not plain data.
    """
    reasons: dict[str, list[str]] = {}
    for problem in error.errors():
        key = ".".join(_path_in(document, problem)) or "the document"
        reasons.setdefault(key, []).append(_reason(problem, model))
    # A value that may be one of several kinds has a reason for each.
    return "; ".join(f"at {key}: {' or '.join(dict.fromkeys(said))}" for key, said in reasons.items())


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return a clause with the known names that are spelled nearly alike; empty if there is none.

    Args:
        name: that the user wrote.
        known: the allowed names; case is ignored.
    """
    by_folded = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_folded, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(by_folded[each] for each in close)}?)" if close else ""


def _path_in(document: object, problem: ErrorDetails) -> list[str]:
    """The keys that lead to a problem; what pydantic calls the kinds of a value is left out."""
    path = []
    parts, is_unknown = problem["loc"], document is None
    for number, part in enumerate(parts):
        if _has(document, part):
            document = document[part]  # type: ignore[index]
        elif not is_unknown and (problem["type"] != "missing" or number < len(parts) - 1):
            continue
        path.append(str(part))
    if problem["type"].startswith("union_tag"):
        path.append(problem["ctx"]["discriminator"].strip("'"))
    return path


def _has(document: object, part: str | int) -> bool:
    if isinstance(document, list | tuple):
        return isinstance(part, int) and part < len(document)
    return isinstance(document, Mapping) and part in document


def _reason(problem: ErrorDetails, model: type[BaseModel]) -> str:
    match problem["type"]:
        case "extra_forbidden":
            *parents, key = problem["loc"]
            return f"there is no such key{suggest_names(str(key), _keys_at(parents, model))}"
        case "missing" | "union_tag_not_found":
            return "it is missing"
        case "union_tag_invalid":
            allowed = [tag.strip("'") for tag in problem["ctx"]["expected_tags"].split(", ")]
            return f"it should be one of {', '.join(allowed)}{suggest_names(problem['ctx']['tag'], allowed)}"
        case "model_type":
            return f"keys with values are needed, such as in `name: sites`; it is {_quoted(problem['input'])}"
    reason = problem["msg"].removeprefix("Value error, ").partition(", unable to parse")[0].rstrip(".")
    return reason.replace("Input should be", "it should be")


def _quoted(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:36]} ..."


def _keys_at(parents: Iterable[str | int], model: type[BaseModel]) -> set[str]:
    """The keys that a model allows at a place of its documents."""
    models = {model}
    for part in parents:
        fields = [each.model_fields[part] for each in models if part in each.model_fields]
        of_kind = {each for each in models if _is_of_kind(each, part)}
        if fields:
            models = set().union(*(_models_in(field.annotation) for field in fields))
        elif of_kind:
            models = of_kind
    return {key for each in models for key in each.model_fields}


def _is_of_kind(model: type[BaseModel], kind: str | int) -> bool:
    """Whether a model is the one of a union whose `kind` says so."""
    field = model.model_fields.get("kind")
    return field is not None and kind in get_args(field.annotation)


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return set().union(*(_models_in(each) for each in get_args(annotation)))
