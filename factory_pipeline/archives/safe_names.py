"""The members of an archive by name: which are accepted, ignored or refused."""

import stat
import tarfile
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError

ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst")
"""Endings of archives within the archive. They are refused, as they would never be unpacked."""
LONGEST_NAME = 255
"""Bytes of a file or folder name on common file systems."""
FOLDER_ENDINGS = ("/", "\\")
"""Endings of folder names in a zip; Windows' own programs write backslashes."""
MACOS_ICONS = ("Icon\r", "._Icon\r")
"""Files with a folder's own icon on macOS."""
ENCRYPTED = 0x1
"""Flag bit of an encrypted zip member (APPNOTE.TXT 4.4.4)."""


ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
"""Supported compression of zip members. LZMA is not: a few bytes of it may require 4 GB of memory."""


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive, its name checked."""

    name: str
    """With `/` between folders; relative, without `.` and `..`."""
    size: int
    """Declared bytes when unpacked."""
    is_folder: bool = False


def zip_member(info: zipfile.ZipInfo, archive: str) -> Member:
    """Check a member of a zip.

    Args:
        info: the member's entry in the central directory.
        archive: how messages name the archive.

    Returns:
        The member under its checked name, with its declared size in bytes.

    Raises:
        OnboardingError: ABSOLUTE_PATH, PATH_TRAVERSAL, BAD_NAME, LINK, DEVICE, ARCHIVE_ENCRYPTED,
            UNSUPPORTED_COMPRESSION.
    """
    name = safe_name(info.filename, archive)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _refusal("LINK", archive, f"contains the link {name!r}; links are not allowed")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refusal("DEVICE", archive, f"contains {name!r}, which is neither a file nor a folder")
    if info.flag_bits & ENCRYPTED:
        raise _refusal("ARCHIVE_ENCRYPTED", archive, f"is encrypted ({name!r}); create it without a password")
    if info.compress_type not in ZIP_METHODS:
        raise _refusal(
            "UNSUPPORTED_COMPRESSION",
            archive,
            f"compresses {name!r} by method {info.compress_type}; pack it with the usual Deflate",
        )
    return Member(
        name, info.file_size, is_folder=info.filename.endswith(FOLDER_ENDINGS) or kind == stat.S_IFDIR
    )


def tar_member(info: tarfile.TarInfo, archive: str) -> Member:
    """Check a member of a tar.

    Args:
        info: the member's header.
        archive: how messages name the archive.

    Returns:
        The member under its checked name, with its size in bytes.

    Raises:
        OnboardingError: ABSOLUTE_PATH, PATH_TRAVERSAL, BAD_NAME, LINK, DEVICE.
    """
    name = safe_name(info.name, archive)
    if info.issym() or info.islnk():
        raise _refusal("LINK", archive, f"contains the link {name!r}; links are not allowed")
    if not (info.isreg() or info.isdir()):
        raise _refusal("DEVICE", archive, f"contains {name!r}, which is neither a file nor a folder")
    return Member(name, info.size, is_folder=info.isdir())


def safe_name(name: str, archive: str) -> str:
    """Return a member's name as a relative path with `/`; refuse one that leads out of the folder.

    Names are normalised only here: `/` separates folders, whatever the system wrote, `.` and empty parts are
    removed, and accents are in NFC, so that names of macOS (NFD) equal others.

    Args:
        name: as the archive has it.
        archive: how messages name the archive.

    Raises:
        OnboardingError: ABSOLUTE_PATH, PATH_TRAVERSAL, BAD_NAME.
    """
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    shown = repr(name[:120])
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        raise _refusal(
            "ABSOLUTE_PATH", archive, f"contains the absolute path {shown}; paths must be relative"
        )
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if parts and parts[-1] in MACOS_ICONS:
        # Its name is not a valid file name here; it starts with a dot and so is ignored like other
        # by-products.
        parts[-1] = ".Icon"
    if ".." in parts:
        raise _refusal(
            "PATH_TRAVERSAL",
            archive,
            f"contains {shown}, which leads out of its folder; paths must stay inside",
        )
    for part in parts:
        encodable = part.isascii() or not any(0xD800 <= ord(letter) <= 0xDFFF for letter in part)
        has_control = not part.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in part)
        if not encodable or has_control:
            raise _refusal(
                "BAD_NAME", archive, f"contains {shown}, a name with control or undecodable characters"
            )
        if len(part.encode()) > LONGEST_NAME or ":" in part:
            raise _refusal("BAD_NAME", archive, f"contains {shown}, a name that is not valid on every system")
    if len(parts) > 64:
        raise _refusal("BAD_NAME", archive, f"contains {shown}, which is more than 64 folders deep")
    return "/".join(parts)


def is_ignored(name: str) -> bool:
    """Return whether a member is a by-product of an operating system, which would break the pairing."""
    parts = PurePosixPath(name).parts
    return (
        not parts
        or any(part.startswith(".") or part.upper() == "__MACOSX" for part in parts)
        or (parts[-1].lower() in ("thumbs.db", "desktop.ini"))
    )


class MemberFilter:
    """Accepts or refuses the members of one archive, one by one, and remembers the accepted names."""

    def __init__(self, archive: str, policy: IntakePolicy) -> None:
        """Start without any member; `archive` is its name in errors."""
        self._archive = archive
        self._policy = policy
        self._count = 0
        self._names: dict[str, str] = {}
        """By folded name, as file systems compare them."""
        self._folders: set[str] = set()
        self._is_empty = True

    def accepts(self, member: Member) -> bool:
        """Return whether a member is a file to unpack; folders and by-products are not.

        Raises:
            OnboardingError: TOO_MANY_MEMBERS, NAME_CLASH, NESTED_ARCHIVE.
        """
        self._count += 1
        if self._count > self._policy.max_members:
            raise _refusal(
                "TOO_MANY_MEMBERS", self._archive, f"contains more than {self._policy.max_members} members"
            )
        if is_ignored(member.name):
            return False
        self._check_clash(member)
        if member.is_folder:
            return False
        if member.name.lower().endswith(ARCHIVE_ENDINGS):
            raise _refusal(
                "NESTED_ARCHIVE",
                self._archive,
                f"contains another archive, {member.name!r}; pack its files directly",
            )
        self._is_empty = False
        return True

    def check_not_empty(self) -> None:
        """Refuse an archive without files.

        Raises:
            OnboardingError: ARCHIVE_EMPTY.
        """
        if self._is_empty:
            raise _refusal("ARCHIVE_EMPTY", self._archive, "contains no files")

    def _check_clash(self, member: Member) -> None:
        """Refuse a name that some file systems consider the same as another: one would overwrite the other.

        Folders of such names become one folder, and the files in them are compared separately.
        """
        folder = member.name if member.is_folder else member.name.rpartition("/")[0]
        while folder and folder not in self._folders:
            self._enter(folder, is_folder=True)
            self._folders.add(folder)
            folder = folder.rpartition("/")[0]
        if not member.is_folder:
            self._enter(member.name, is_folder=False)

    def _enter(self, name: str, *, is_folder: bool) -> None:
        folded = fold_name(name)
        other = self._names.get(folded)
        if other is not None:
            if is_folder and other in self._folders:
                return
            names = f"{other!r} twice" if other == name else f"{other!r} and {name!r}"
            raise _refusal(
                "NAME_CLASH", self._archive, f"contains {names}, which would overwrite one another"
            )
        # The name itself if it is also the key: a second text would need as much memory again.
        self._names[name if folded == name else folded] = name


def fold_name(name: str) -> str:
    """Return a name as a file system compares it that ignores case and the encoding of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _refusal(code: str, archive: str, reason: str) -> OnboardingError:
    return OnboardingError(code, f"The archive {archive} {reason}.")
