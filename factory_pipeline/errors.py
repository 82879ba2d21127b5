"""Every error that a user can see, each with what its message must say.

A message is one sentence: what is wrong, where, and what is allowed or what to do.
"""

import errno
import json
import os
from typing import Any


class FactoryError(Exception):
    """An error that the user can correct; the command line prints its message without a traceback."""


FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
"""What the operating system says of a path that a person has to put right."""


def describe_os_error(error: OSError) -> str:
    """Return what the operating system refused, as one sentence with the file's name."""
    what = os.fspath(error.filename) if isinstance(error.filename, str | os.PathLike) else "A file"
    return f"{what} can't be read or written: {error.strerror or error}."


def describe_error(error: FactoryError | OSError) -> str:
    """Return what went wrong in one sentence, for an error that a user can correct."""
    return str(error) if isinstance(error, FactoryError) else describe_os_error(error)


class DocumentError(FactoryError):
    """A document of YAML or JSON that is damaged or larger than allowed; its reader says what it was for."""

    def __init__(self, what: str, problem: str) -> None:
        """Compose the message from its parts.

        Args:
            what: begins the sentence, such as `The recipe a.yaml`.
            problem: ends it, such as `is not UTF-8 text`.
        """
        super().__init__(f"{what} {problem}.")
        self.problem = problem

    def __reduce__(self) -> tuple[type["DocumentError"], tuple[str, str]]:
        """Be sent from a worker process as it was raised."""
        return type(self), (str(self).removesuffix(f" {self.problem}."), self.problem)


class HomeError(FactoryError):
    """The factory home is a file, or is to be read and does not exist."""


class StoreError(FactoryError):
    """An object store that refuses, does not answer, or isn't set up; a missing object is none of these."""


class WrittenMeanwhileError(StoreError):
    """Two processes wrote one object at the same time; that of the other stays."""


class RecipeError(FactoryError):
    """A recipe or the settings of a build contain a value that is not allowed."""


class GranuleError(FactoryError):
    """A granule that can't be read, lacks a field or has no beam; it is skipped, the others continue."""


class GranuleUnavailableError(GranuleError):
    """A granule that is unavailable for a transient reason; it is skipped, and the next run tries again."""


class FootprintTableError(FactoryError):
    """A CSV of footprints that lacks a column or contains a value that is not allowed."""


class CatalogError(FactoryError):
    """A STAC source whose responses are not those of one (wrong address, no such collection)."""


class CatalogUnavailableError(CatalogError):
    """A STAC source that does not respond after all retries; a later run may succeed."""


class SourceUnavailableError(FactoryError):
    """No raster of a batch is available for a transient reason; a later run may succeed."""


class LostFootprintsError(FactoryError):
    """More footprints than allowed are lost to a fault of the catalog or the archive, or all of them are."""


class DatasetFileError(FactoryError):
    """A dataset file that is truncated, has another schema, or does not fit the others."""


class IncompleteBuildError(FactoryError):
    """A fuse was requested while batches of the plan are missing; the message names them."""


class BuildError(FactoryError):
    """A stage of a build failed; the message is that of the stage."""


class InstallationError(FactoryError):
    """A library of this installation lacks what it needs."""


class WorkerError(FactoryError):
    """This process may not start workers."""


class RegistryError(FactoryError):
    """The registry can't be opened, has no such entry, or does not allow the change in its current state."""


class ArgumentError(FactoryError):
    """An argument of a call that is not allowed; the message names it, its value and what is allowed."""

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        """Compose the message from its parts.

        Args:
            argument: name of the argument, with the path inside it, such as `split_info.train`.
            value: the value that was passed.
            allowed: what may be passed, as the end of a sentence.
        """
        super().__init__(f"{argument} is {value!r}; {allowed}.")
        self.argument = argument
        self.value = value
        self.allowed = allowed

    def as_json(self) -> dict[str, Any]:
        """Return the parts as JSON values: `ArgumentError(**values)` raises the error in another process."""
        value = json.loads(json.dumps(self.value, default=str))
        return {"argument": self.argument, "value": value, "allowed": self.allowed}


ARGUMENT_ERROR = "argument error"
"""Label of the metadata of a step that an ArgumentError failed: its `as_json`."""


class MissingExtraError(FactoryError, ImportError):
    """An optional package is not installed; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        """Compose the message.

        Args:
            package: the module that is missing.
            extra: of pyproject.toml, such as `build`.
        """
        super().__init__(
            f"This needs the extra {extra!r}, as {package} is not installed:"
            f" pip install 'factory-pipeline[{extra}]'."
        )
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """Be sent from a worker process as it was raised."""
        return type(self), (self.package, self.extra)


class LakeError(FactoryError):
    """A collection, annotation file or dataset version whose files are missing, broken or don't fit."""


class SpecError(FactoryError):
    """A spec of image pairs, or its points, with values that are not allowed; the message names each."""


class VolumeError(FactoryError):
    """A volume that can't be read, lacks a mip or a part that is needed, or has another form than allowed."""


class VolumeUnavailableError(VolumeError):
    """A volume whose server does not respond after all retries; a later run may succeed."""


class PairFileError(FactoryError):
    """A file of image pairs or fields that can't be read, does not fit the others, or is of other work."""


class ExportError(FactoryError):
    """A dataset version that can't be written in a format, or whose files differ when they are read back."""


class AlignerError(FactoryError):
    """An aligner that can't be loaded or run, or that returns something else than a field."""


class RemoteError(FactoryError):
    """A Dagster web server that is unavailable, or a run there that failed."""


class DownloadError(FactoryError):
    """A download that can't continue: other files are in its folder, or a checksum does not match."""


class DamagedExportError(DownloadError):
    """An export whose files differ from its listing: it must be written again."""


class OnboardingError(FactoryError):
    """An upload that can't be onboarded; `code` is stable and one of the keys of ONBOARDING_CODES."""

    def __init__(self, code: str, message: str) -> None:
        """Store the code beside the sentence for the user."""
        super().__init__(message)
        self.code = code


ONBOARDING_CODES = {
    "MANIFEST_INVALID": "The manifest is not a YAML mapping or contains a value that is not allowed.",
    "MANIFEST_MISSING": "The manifest does not exist, or an archive is in the inbox without one.",
    "SCHEME_NOT_ALLOWED": "The scheme of the address is not one that this installation opens.",
    "ADDRESS_NOT_ALLOWED": "The host is in a private network, or the file is outside the allowed folders.",
    "URL_UNREACHABLE": "The host does not respond, refuses, or has no such file; try again later.",
    "HOST_TOO_SLOW": "The host sends less than the lowest rate, or takes longer than the longest time.",
    "RANGES_UNSUPPORTED": "The host can't serve parts of a file, so nothing is checked before the download.",
    "NEEDS_DOWNLOAD": "The format of the archive can only be read from its start, so it must be downloaded.",
    "SOURCE_CHANGED": "The archive changed on its host while it was read.",
    "ARCHIVE_TOO_LARGE": "The archive itself is larger than the limit.",
    "NOT_AN_ARCHIVE": "The file is neither zip nor tar, or it is truncated or corrupt.",
    "ARCHIVE_CORRUPT": "A member of the archive can't be read or does not match its checksum.",
    "ARCHIVE_ENCRYPTED": "A member of the archive needs a password.",
    "ARCHIVE_EMPTY": "The archive contains no files.",
    "UNSUPPORTED_COMPRESSION": "A member is compressed by a method that is not supported.",
    "PATH_TRAVERSAL": "A name in the archive leads out of its folder.",
    "ABSOLUTE_PATH": "A name in the archive starts at a root or a drive.",
    "BAD_NAME": "A name in the archive is not a valid file name on every system.",
    "NAME_CLASH": "Two names in the archive are the same, or differ in case or accent coding only.",
    "LINK": "The archive contains a symbolic or hard link.",
    "DEVICE": "The archive contains a device, a pipe or a socket.",
    "BOMB": "The archive unpacks to more bytes than the limit, or its compression ratio is too high.",
    "NESTED_ARCHIVE": "The archive contains another archive; these are never unpacked.",
    "TOO_MANY_MEMBERS": "The archive contains more members than the limit.",
    "DISK_FULL": "There is no space left for the files.",
    "NO_FILES": "No file name ends with the suffix of the images, or none with that of the labels.",
    "UNPAIRED": "An image has no label, or a label no image.",
    "SPLIT_INVALID": "The images can't be divided into train, test and validation as requested.",
    "CHECK_FAILED": "A check of the images and labels failed.",
}
"""Every code of an OnboardingError with its meaning, as the documentation and the dataset page show it."""
