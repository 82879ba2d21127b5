"""Limits of an installation: from where uploads may come, and how large they may be."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from factory_pipeline.config.lenient_keys import as_list
from factory_pipeline.errors import DocumentError, RecipeError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.yaml_document import read_yaml

GIB = 1 << 30


class IntakePolicy(BaseModel):
    """Limits of an installation; the defaults suit uploads from the public internet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inbox: Annotated[tuple[str, ...], BeforeValidator(lambda value: as_list(value) or ())] = ()
    """Further inboxes of uploads beside the home's own: folders, and object-store prefixes such as
    `s3://bucket/inbox`, whose credentials come from the environment."""
    schemes: tuple[str, ...] = ("file", "http", "https", "s3")
    """Kinds of address that are opened; others that fsspec knows, such as `gs` or `az`, can be added."""
    folders: tuple[Path, ...] = ()
    """Folders that `file` addresses may lead into; everything below them is allowed."""
    private_addresses: bool = False
    """Whether hosts on loopback and in private networks may be read."""
    timeout_s: float = Field(30, gt=0)
    """Longest silence of a host, in seconds."""
    lowest_rate: float = Field(1000, ge=0)
    """Bytes a second that a host must send, on average over `timeout_s` seconds of waiting for it."""
    deadline_s: float = Field(86_400, gt=0)
    """Longest time that reading one archive from a host may take, its headers or its download, in seconds."""
    retries: int = Field(4, ge=0)
    """How often a request is retried, and an interrupted download is resumed."""
    max_archive_bytes: int = Field(500 * GIB, gt=0)
    """Largest archive."""
    max_unpacked_bytes: int = Field(2000 * GIB, gt=0)
    """Most bytes that an archive may unpack to."""
    max_ratio: float = Field(100, gt=1)
    """Most bytes unpacked per byte of a compressed archive or member."""
    ratio_floor_bytes: int = Field(64 << 20, ge=0)
    """Below this number of unpacked bytes the ratio is not checked: a mask of one value compresses well."""
    max_members: int = Field(1_000_000, gt=0)
    """Most files and folders in an archive."""
    max_pixels: int = Field(10**9, gt=0)
    """Most pixels that an image may declare, all bands together."""
    max_image_bytes: int = Field(4 * GIB, gt=0)
    """Most bytes that the pixels of an image may decode to, all bands together."""
    max_block_bytes: int = Field(GIB // 2, gt=0)
    """Most bytes that a strip or tile of a TIFF may decode to, or a PNG or JPEG, which has but one."""
    max_header_bytes: int = Field(32 << 20, gt=0)
    """Most bytes of a compressed image that the pre-scan unpacks in search of its header."""
    concurrency: int = Field(16, ge=1, le=128)
    """Requests in flight to one host."""

    @classmethod
    def of_home(cls, home: FactoryHome, *, all_folders: bool = False) -> Self:
        """The policy of an installation: what `intake.yaml` says.

        The inboxes, and what is uploaded to the studio, are always allowed folders.

        Args:
            home: whose policy it is.
            all_folders: allow every folder, as for a user who names files on the command line.

        Raises:
            RecipeError: `intake.yaml` contains a value that is not allowed.
        """
        try:
            what = f"The intake policy {home.intake_file}"
            written = read_yaml(home.intake_file, what) if home.intake_file.exists() else None
            policy = cls.model_validate(written or {})
        except DocumentError as error:
            raise RecipeError(str(error)) from error
        except ValidationError as error:
            raise RecipeError(f"The intake policy {home.intake_file} is not valid: {error}.") from error
        inboxes = [Path(inbox) for inbox in policy.inboxes(home) if "://" not in inbox]
        added = [Path("/")] if all_folders else [*inboxes, home.studio.drafts]
        return policy.model_copy(update={"folders": (*policy.folders, *added)})

    def inboxes(self, home: FactoryHome) -> tuple[str, ...]:
        """Return all inboxes, the home's own first; a relative folder starts from the home."""
        named = (
            inbox.rstrip("/") if "://" in inbox else str(home.root / Path(inbox).expanduser())
            for inbox in self.inbox
        )
        return tuple(dict.fromkeys((str(home.upload_inbox), *named)))
