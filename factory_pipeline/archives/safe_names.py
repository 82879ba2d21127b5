"""The members of an archive by name: what is let in, what is left out, what is refused."""

import stat
import tarfile
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import OnboardingError

ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst")
"""Names that end so are archives within the archive. They are refused, for they would never be unpacked."""
LONGEST_NAME = 255
"""Bytes of a file or folder name on common file systems."""
FOLDER_ENDINGS = ("/", "\\")
"""Names of folders in a zip end so; Windows' own programs write backslashes."""
MACOS_ICONS = ("Icon\r", "._Icon\r")
"""Files with a folder's own icon on macOS."""
ENCRYPTED = 0x1
"""Flag bit of an encrypted zip member (APPNOTE.TXT 4.4.4)."""


ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
"""Compression of zip members that is read. LZMA is not: a few bytes of it may ask for 4 GB of memory."""


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive, its name checked."""

    name: str
    """With `/` between folders; relative, without `.` and `..`."""
    size: int
    """Declared bytes when unpacked."""
    is_folder: bool = False


def zip_member(info: zipfile.ZipInfo, archive: str) -> Member:
    """A checked member of a zip.

    Raises:
        OnboardingError: ABSOLUTE_PATH, PATH_TRAVERSAL, BAD_NAME, LINK, DEVICE, ARCHIVE_ENCRYPTED,
            UNSUPPORTED_COMPRESSION.
    """
    name = safe_name(info.filename, archive)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _refused("LINK", archive, f"holds the link {name!r}; links are not allowed")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused("DEVICE", archive, f"holds {name!r}, which is neither file nor folder")
    if info.flag_bits & ENCRYPTED:
        raise _refused("ARCHIVE_ENCRYPTED", archive, f"is encrypted ({name!r}); upload it without a password")
    if info.compress_type not in ZIP_METHODS:
        raise _refused(
            "UNSUPPORTED_COMPRESSION",
            archive,
            f"compresses {name!r} by method {info.compress_type}; pack it with the usual Deflate",
        )
    return Member(
        name, info.file_size, is_folder=info.filename.endswith(FOLDER_ENDINGS) or kind == stat.S_IFDIR
    )


def tar_member(info: tarfile.TarInfo, archive: str) -> Member:
    """A checked member of a tar.

    Raises:
        OnboardingError: ABSOLUTE_PATH, PATH_TRAVERSAL, BAD_NAME, LINK, DEVICE.
    """
    name = safe_name(info.name, archive)
    if info.issym() or info.islnk():
        raise _refused("LINK", archive, f"holds the link {name!r}; links are not allowed")
    if not (info.isreg() or info.isdir()):
        raise _refused("DEVICE", archive, f"holds {name!r}, which is neither file nor folder")
    return Member(name, info.size, is_folder=info.isdir())


def safe_name(name: str, archive: str) -> str:
    """A member's name as a relative path with `/`, or an error if it could lead anywhere else.

    Names are normalised here and nowhere else: `/` stands between folders whatever the system wrote, `.` and
    empty parts are left out, and accents are coded as in NFC, so that names of macOS (NFD) equal others.

    Raises:
        OnboardingError: ABSOLUTE_PATH, PATH_TRAVERSAL, BAD_NAME.
    """
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    shown = repr(name[:120])
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        raise _refused("ABSOLUTE_PATH", archive, f"holds the absolute path {shown}; paths must be relative")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if parts and parts[-1] in MACOS_ICONS:
        # Its name is none that a file may have here; by its dot it is left out as other by-products are.
        parts[-1] = ".Icon"
    if ".." in parts:
        raise _refused(
            "PATH_TRAVERSAL", archive, f"holds {shown}, which leads out of its folder; paths must stay inside"
        )
    for part in parts:
        encodable = part.isascii() or not any(0xD800 <= ord(letter) <= 0xDFFF for letter in part)
        if not encodable or any(unicodedata.category(letter) == "Cc" for letter in part):
            raise _refused("BAD_NAME", archive, f"holds {shown}, a name with control or undecodable letters")
        if len(part.encode()) > LONGEST_NAME or ":" in part:
            raise _refused("BAD_NAME", archive, f"holds {shown}, a name that not every system can keep")
    if len(parts) > 64:
        raise _refused("BAD_NAME", archive, f"holds {shown}, which lies more than 64 folders deep")
    return "/".join(parts)


def is_left_out(name: str) -> bool:
    """Whether a member is a by-product of an operating system, which would spoil the pairing."""
    parts = PurePosixPath(name).parts
    return (
        not parts
        or any(part.startswith(".") or part.upper() == "__MACOSX" for part in parts)
        or (parts[-1].lower() in ("thumbs.db", "desktop.ini"))
    )


class MemberFilter:
    """Lets the members of one archive in, one after the other, and knows what it let in before."""

    def __init__(self, archive: str, policy: IntakePolicy) -> None:
        """An archive by the name that errors show."""
        self._archive = archive
        self._policy = policy
        self._count = 0
        self._names: dict[str, str] = {}
        """By what file systems take them for."""
        self._folders: set[str] = set()
        self._is_empty = True

    def accepts(self, member: Member) -> bool:
        """Whether a member is a file to be unpacked; folders and by-products are not.

        Raises:
            OnboardingError: TOO_MANY_MEMBERS, NAME_CLASH, NESTED_ARCHIVE.
        """
        self._count += 1
        if self._count > self._policy.max_members:
            raise _refused(
                "TOO_MANY_MEMBERS", self._archive, f"holds more than {self._policy.max_members} members"
            )
        if is_left_out(member.name):
            return False
        self._check_clash(member)
        if member.is_folder:
            return False
        if member.name.lower().endswith(ARCHIVE_ENDINGS):
            raise _refused(
                "NESTED_ARCHIVE",
                self._archive,
                f"holds another archive, {member.name!r}; pack its files directly",
            )
        self._is_empty = False
        return True

    def check_not_empty(self) -> None:
        """Refuse an archive of no files.

        Raises:
            OnboardingError: ARCHIVE_EMPTY.
        """
        if self._is_empty:
            raise _refused("ARCHIVE_EMPTY", self._archive, "holds no files")

    def _check_clash(self, member: Member) -> None:
        """Names that some file systems take for the same would overwrite one another there.

        Folders of such names become one folder, and what is in them is compared by itself.
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
            raise _refused("NAME_CLASH", self._archive, f"holds {names}, which would overwrite one another")
        # The name itself where it is the key too: a second text would take as much memory again.
        self._names[name if folded == name else folded] = name


def fold_name(name: str) -> str:
    """A name as a file system sees it that minds neither case nor the coding of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _refused(code: str, archive: str, reason: str) -> OnboardingError:
    return OnboardingError(code, f"The archive {archive} {reason}.")
