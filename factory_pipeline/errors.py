"""Every error that a user can meet, each with the meaning that its message must carry.

A message is one sentence: what is wrong, where, and what is allowed or what to do.
"""

import json
import os
from typing import Any


class FactoryError(Exception):
    """Something that the user can mend; the command line prints the message without a traceback."""


def describe_os_error(error: OSError) -> str:
    """Return what the operating system refused, in one sentence with the file's name."""
    what = os.fspath(error.filename) if isinstance(error.filename, str | os.PathLike) else "A file"
    return f"{what} can't be read or written: {error.strerror or error}."


class HomeError(FactoryError):
    """The factory home is a file, or is to be read and is not there."""


class RecipeError(FactoryError):
    """A recipe or a build's settings hold a value that is not allowed."""


class GranuleError(FactoryError):
    """A granule that can't be read, lacks a field or has no beam; it is set aside, the others go on."""


class GranuleUnavailableError(GranuleError):
    """A granule that can't be reached for a passing reason; it is set aside, and the next run tries again."""


class FootprintTableError(FactoryError):
    """A CSV of footprints that lacks a column or holds a value that is not allowed."""


class CatalogError(FactoryError):
    """A STAC source that answers, but not as a STAC source does (wrong address, no such collection)."""


class CatalogUnavailableError(CatalogError):
    """A STAC source that does not answer after all retries; a later run may succeed."""


class SourceUnavailableError(FactoryError):
    """No raster of a batch can be reached for a passing reason; a later run may succeed."""


class LostFootprintsError(FactoryError):
    """More footprints than allowed are lost by a fault of the catalog or the archive, or all of them are."""


class DatasetFileError(FactoryError):
    """A dataset file that is truncated, has another schema, or does not fit the others."""


class IncompleteBuildError(FactoryError):
    """A fuse that was asked for while batches of the plan are missing; the message names them."""


class BuildError(FactoryError):
    """A stage of a build failed; the message is what the stage said."""


class RegistryError(FactoryError):
    """The registry can't be opened, has no such entry, or does not allow the change in its present state."""


class ArgumentError(FactoryError):
    """An argument of a call that is not allowed; the message names it, its value and what is allowed."""

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        """Say what is wrong in one sentence.

        Args:
            argument: name of the argument, with the place inside it, such as `split_info.train`.
            value: what was given.
            allowed: what may be given, as the end of a sentence.
        """
        super().__init__(f"{argument} is {value!r}; {allowed}.")
        self.argument = argument
        self.value = value
        self.allowed = allowed

    def as_json(self) -> dict[str, Any]:
        """As JSON values, to be raised again elsewhere: `ArgumentError(**values)`."""
        value = json.loads(json.dumps(self.value, default=str))
        return {"argument": self.argument, "value": value, "allowed": self.allowed}


ARGUMENT_ERROR = "argument error"
"""Label of the metadata of a step that an ArgumentError failed: its `as_json`."""


class MissingExtraError(FactoryError, ImportError):
    """A package is not installed that only some uses need; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        """Say what to install.

        Args:
            package: the module that is missing.
            extra: of pyproject.toml, such as `build`.
        """
        super().__init__(
            f"This needs the extra {extra!r}, as {package} is not installed:"
            f" pip install 'factory-pipeline[{extra}]'."
        )


class LakeError(FactoryError):
    """A collection, annotation file or dataset version whose files are missing, broken or don't fit."""


class ExportError(FactoryError):
    """A dataset version that can't be written in a format, or whose files were not read back the same."""


class RemoteError(FactoryError):
    """A Dagster web server that can't be reached, or a run there that failed."""


class DownloadError(FactoryError):
    """A download that can't go on: files in the way that are not its own, or files that don't verify."""


class DamagedExportError(DownloadError):
    """A download whose source is not as its listing says: the export must be made again."""


class OnboardingError(FactoryError):
    """An upload that can't be onboarded; `code` is stable and one of the keys of ONBOARDING_CODES."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the sentence for the user."""
        super().__init__(message)
        self.code = code


ONBOARDING_CODES = {
    "MANIFEST_INVALID": "The manifest is no YAML mapping or holds a value that is not allowed.",
    "MANIFEST_MISSING": "There is no such manifest, or an archive lies in the inbox without one.",
    "SCHEME_NOT_ALLOWED": "The address is of a kind that this installation does not open.",
    "ADDRESS_NOT_ALLOWED": "The host lies in a private network, or the file outside the allowed folders.",
    "URL_UNREACHABLE": "The host does not answer, refuses, or has no such file; a later try may succeed.",
    "HOST_TOO_SLOW": "The host sends less than the lowest rate, or takes longer than the longest time.",
    "RANGES_UNSUPPORTED": "The host can't serve parts of a file, so nothing is known before the download.",
    "NEEDS_DOWNLOAD": "The format of the archive can only be read from its start, so it must be downloaded.",
    "SOURCE_CHANGED": "The archive was changed at its host while it was read.",
    "ARCHIVE_TOO_LARGE": "The archive itself is larger than the limit.",
    "NOT_AN_ARCHIVE": "The file is neither zip nor tar, or it is cut off or broken.",
    "ARCHIVE_CORRUPT": "A member of the archive can't be read or does not fit its checksum.",
    "ARCHIVE_ENCRYPTED": "A member of the archive needs a password.",
    "ARCHIVE_EMPTY": "The archive holds no files.",
    "UNSUPPORTED_COMPRESSION": "A member is compressed by a method that can't be read.",
    "PATH_TRAVERSAL": "A name in the archive leads out of its folder.",
    "ABSOLUTE_PATH": "A name in the archive starts at a root or a drive.",
    "BAD_NAME": "A name in the archive can't be the name of a file on every system.",
    "NAME_CLASH": "Two names in the archive are the same, or differ in case or accent coding only.",
    "LINK": "The archive holds a symbolic or hard link.",
    "DEVICE": "The archive holds a device, a pipe or a socket.",
    "BOMB": "The archive unpacks to more than the limit of bytes, or of bytes per byte.",
    "NESTED_ARCHIVE": "The archive holds another archive, which is never unpacked.",
    "TOO_MANY_MEMBERS": "The archive holds more members than the limit.",
    "DISK_FULL": "There is no space left for the files.",
    "NO_FILES": "No file ends in the suffix of the images, or none in that of the labels.",
    "UNPAIRED": "An image has no label, or a label no image.",
    "SPLIT_INVALID": "The images can't be divided into train, test and validation as asked.",
    "CHECK_FAILED": "A check of the images and labels failed.",
}
"""Every code of an OnboardingError with its meaning, as the documentation and the dataset page show it."""
