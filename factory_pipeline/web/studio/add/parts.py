"""The upload of an archive in parts: a part is written where the last one ended, whatever happened between.

The browser first says which file it has, and is told how much of it has come; then it sends what is missing.
A broken connection, a closed page or a restarted server loses one part at most.
"""

import os
import shutil

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import DocumentError, FactoryError
from factory_pipeline.json_document import parse_json
from factory_pipeline.onboarding.list_inbox import ARCHIVE_ENDINGS
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.add.drafts import Draft, UploadedFile, load_draft, new_draft
from factory_pipeline.web.studio.context import studio_of

PART_BYTES = 8 << 20
"""Bytes that the browser sends at a time."""
MOST_NAME = 200


async def begin(request: Request) -> JSONResponse:
    """Take the name and size of a file; answer which draft it belongs to and how much of it has come."""
    home = studio_of(request).home
    try:
        told = parse_json(await request.body(), "The request")
        file = UploadedFile(str(told["name"])[-MOST_NAME:], int(told["bytes"]), str(told["modified"])[:40])
        wanted = str(told.get("draft") or "")
    except (DocumentError, ValueError, OverflowError, KeyError, TypeError):
        return JSONResponse({"error": "The request must have name, bytes and modified."}, 400)
    try:
        draft = await run_in_threadpool(_begin, home, wanted, file)
    except FactoryError as error:
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({"draft": draft.id, "received": draft.received, "part": PART_BYTES})


async def append(request: Request) -> JSONResponse:
    """Take a part of the archive; answer how much has come. A part that is there already changes nothing."""
    home = studio_of(request).home
    try:
        draft = await run_in_threadpool(load_draft, home, request.path_params["draft"])
    except FactoryError as error:
        return JSONResponse({"error": str(error)}, 404)
    offset = request.query_params.get("offset", "")
    if draft.file is None or not offset.isascii() or not offset.isdigit():
        raise HTTPException(400, "The request must have an offset, of a file that was begun.")
    room = min(PART_BYTES, draft.file.bytes - int(offset))
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > room:
                return JSONResponse({"error": f"A part has {PART_BYTES:,} bytes at most."}, 413)
    except ClientDisconnect:
        # What has come of the part is a part itself.
        await run_in_threadpool(_write, draft, int(offset), bytes(body))
        raise
    written = await run_in_threadpool(_write, draft, int(offset), bytes(body))
    return JSONResponse({"received": draft.received}, 200 if written else 409)


def _begin(home: FactoryHome, draft_id: str, file: UploadedFile) -> Draft:
    """Return the draft of a file; what has come of it stays, what has come of another file is removed."""
    policy = IntakePolicy.of_home(home)
    if not file.ending:
        raise FactoryError(f"{file.name} is not an archive; allowed are {', '.join(ARCHIVE_ENDINGS)}.")
    if not 0 < file.bytes <= policy.max_archive_bytes:
        raise FactoryError(
            f"{file.name} has {file.bytes:,} bytes; allowed are 1 to {policy.max_archive_bytes:,}."
        )
    draft = load_draft(home, draft_id) if draft_id else new_draft(home)
    if draft.file != file:
        draft.files.archive.unlink(missing_ok=True)
        draft.files.scan.unlink(missing_ok=True)
    home.studio.drafts.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home.studio.drafts).free
    if free < file.bytes - draft.received:
        raise FactoryError(f"{file.name} has {file.bytes:,} bytes; the factory's disk has {free:,} free.")
    begun = Draft(draft.id, draft.files, draft.manifest, file).answered(dataset_url=None)
    return begun.save()


def _write(draft: Draft, offset: int, part: bytes) -> bool:
    """Write a part at the end of what has come; False where it begins elsewhere."""
    with file_lock(draft.files.lock):
        if offset != draft.received:
            return False
        with draft.files.archive.open("ab") as archive:
            archive.write(part)
            archive.flush()
            os.fsync(archive.fileno())
    return True


ROUTES = [
    Route("/add/upload", begin, methods=["POST"]),
    Route("/add/{draft}/archive", append, methods=["PUT"]),
]
