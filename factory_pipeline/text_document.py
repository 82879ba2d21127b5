"""The text of a document that others wrote: read up to a limit, and decoded; its syntax is for the caller."""

from pathlib import Path

from factory_pipeline.errors import DocumentError, describe_os_error


def read_document(path: Path, what: str, most_bytes: int) -> bytes:
    """Read a file, of a longer one no more than tells that it is longer.

    Args:
        path: of the file.
        what: begins the sentence of an error, such as `The recipe a.yaml`.
        most_bytes: that are allowed; `decode_document` refuses more.

    Raises:
        DocumentError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most_bytes + 1)
    except OSError as error:
        raise DocumentError(what, f"can't be read: {error.strerror or describe_os_error(error)}") from error


def decode_document(content: str | bytes, what: str, most_bytes: int, syntax: str) -> str:
    """Return the text of a document, without a byte order mark.

    Args:
        content: bytes of UTF-8, with or without a byte order mark, or text.
        what: begins the sentence of an error, such as `The recipe a.yaml`.
        most_bytes: that are allowed, or characters of a text.
        syntax: what the document should be, such as `YAML`.

    Raises:
        DocumentError: it is longer than allowed, or can't be represented in UTF-8.
    """
    if len(content) > most_bytes:
        raise DocumentError(what, f"has more than the {most_bytes:,} bytes that are allowed")
    try:
        return (content.encode() if isinstance(content, str) else content).decode("utf-8-sig")
    except UnicodeError as error:
        raise DocumentError(what, f"is not UTF-8 text, so it is not {syntax}") from error
