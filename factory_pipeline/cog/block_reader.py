"""The block engine: every needed block of every file is fetched once, decoded once, and cut into all windows.

Requests are asynchronous; inflating, cutting and resampling happen in threads. A request counts as in flight
until its blocks are cut, and a block is freed as soon as it is cut. A window takes memory from its first
block to its last one, when it is handed over. So beside the windows that are being cut, memory contains at
most `bytes_in_flight` bytes, however many windows there are.
"""

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from factory_pipeline.cog.byte_ranges import ByteSource, RetryPolicy, SourceError
from factory_pipeline.cog.header import RasterLayout, UnsupportedRasterError
from factory_pipeline.cog.header_cache import Header, HeaderCache, describe_failure, failure_of
from factory_pipeline.cog.join_tiles import PendingJoins
from factory_pipeline.cog.memory_budget import ByteBudget
from factory_pipeline.cog.mosaic import assemble
from factory_pipeline.cog.packed_pixels import BlockPixels, PackedPixels
from factory_pipeline.cog.range_cache import RangeCache
from factory_pipeline.cog.read_plan import BlockRun, BlockUse, Plan, merge_blocks, plan_reads
from factory_pipeline.cog.reader import (
    Indices,
    ReadFailure,
    ReadStack,
    ReadWindow,
    StackRead,
    TakeAnswer,
    TakeStack,
    WindowRead,
    WindowReader,
    one_by_one,
    stack_reads,
)
from factory_pipeline.cog.window_stack import PendingStack
from factory_pipeline.processors import processor_count

_PIXELS_OF_A_CALL = 4096
"""Pixels that are unpacked in the time that it takes to ask for a part of a block: 4 us."""


class BlockReader(WindowReader):
    """Reads windows of tiled GeoTIFFs block by block; equal to GDAL's warp with an exact transformer.

    What it can't read is read by `fallback`. Headers are cached for later calls, up to 32 MB of them.
    """

    def __init__(
        self,
        sign: Callable[[str], str] | None = None,
        fallback: WindowReader | None = None,
        requests_in_flight: int = 64,
        bytes_in_flight: int = 256 * 2**20,
        retry_policy: RetryPolicy | None = None,
        *,
        requester_pays: bool = False,
        bytes_kept: int = 0,
    ) -> None:
        """Create a reader.

        Args:
            sign: returns the signed address of an unsigned one; it must cache its tokens, as it is called
                before every request.
            fallback: reads what the engine can't; without a fallback such windows fail.
            requests_in_flight: largest number of concurrent requests.
            bytes_in_flight: largest number of bytes that are fetched and decoded at a time. Each request
                counts what it fetches (up to 1 MB, or one block) and one decoded block; memory that a codec
                allocates itself is not counted. A request that is larger than the limit runs alone.
            retry_policy: retries and timeouts of requests.
            requester_pays: whether requests to S3 say that their sender pays for the transfer.
            bytes_kept: how many of `bytes_in_flight` are for fetched bytes, those that were used last: later
                calls for the same ranges, such as those of a neighbouring batch, find them.
        """
        self._source = ByteSource(sign, retry_policy or RetryPolicy(), requester_pays=requester_pays)
        self._fallback = fallback
        self._requests_in_flight = requests_in_flight
        self._bytes_in_flight = bytes_in_flight - bytes_kept
        self._ranges = RangeCache(bytes_kept)
        self.on_progress: Callable[[float], None] = _ignore_progress
        """Called, from any thread, with the progress of a call of `read`: the fraction of its blocks that are
        cut.
        """
        self._headers = HeaderCache(self._source)
        self._fell_back: dict[str, str] = {}

    @property
    def fell_back(self) -> Mapping[str, str]:
        """Return the addresses that the engine could not read itself so far, each with the reason."""
        return dict(self._fell_back)

    def read_headers(self, hrefs: Iterable[str]) -> None:
        """Read headers that later calls will need, all at the same time; one that fails is left to them.

        Args:
            hrefs: unsigned addresses of rasters.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as thread:
            reading = self._headers.read_ahead(hrefs, self._requests_in_flight)
            thread.submit(asyncio.run, reading).result()

    def read(self, reads: Sequence[WindowRead]) -> list[ReadWindow | ReadFailure]:
        """Read all windows; the results are in the order of `reads`. A failed window fails alone."""
        answers: dict[int, ReadWindow | ReadFailure] = {}
        self.read_each(reads, answers.__setitem__)
        return [answers[position] for position in range(len(reads))]

    def read_each(self, reads: Sequence[WindowRead], take: TakeAnswer) -> None:
        """Read all windows; each is handed over as soon as its last block is cut. A failed one fails alone.

        Args:
            reads: any number.
            take: is given every answer once, in any order, by several threads at a time. What it raises ends
                the reading.
        """

        def hand_over(positions: Indices, answer: ReadStack | ReadFailure) -> None:
            for position, each in one_by_one(positions, answer):
                take(position, each)

        self.read_stacks(stack_reads(reads), hand_over)

    def read_stacks(self, stacks: Sequence[StackRead], take: TakeStack) -> None:
        """Read all windows; those that are resampled together are handed over once their last block is cut.

        Args:
            stacks: any number; every window has a position of its own.
            take: is given every position once, in any order, by several threads at a time. What it raises
                ends the reading.
        """
        self._source.reset_outages()
        # In a thread of its own: the caller may be inside an event loop, as in a notebook.
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as thread:
            left_over = thread.submit(asyncio.run, self._read(stacks, take)).result()
        if left_over:
            self._read_otherwise(left_over, take)

    def _read_otherwise(self, stacks: Sequence[StackRead], take: TakeStack) -> None:
        if self._fallback is None:
            for read in stacks:
                href = next(href for href in read.hrefs if href in self._fell_back)
                reason = describe_failure(href, self._fell_back[href])
                take(read.positions, ReadFailure(href, reason, transient=False))
            return
        failed: list[tuple[Indices, ReadFailure]] = []

        def hand_over(positions: Indices, answer: ReadStack | ReadFailure) -> None:
            if isinstance(answer, ReadFailure):
                failed.append((positions, answer))
            else:
                take(positions, answer)

        self._fallback.read_stacks(stacks, hand_over)
        # The engine has read their headers: a server that refuses them now sent them before.
        refused = sorted({failure.href for _, failure in failed if failure.refused})
        unavailable = {href: failure for href in refused if (failure := self._refusal(href))}
        for positions, failure in failed:
            take(positions, unavailable.get(failure.href, failure))

    def _refusal(self, href: str) -> ReadFailure | None:
        """Return the failure of a file whose server no longer sends anything.

        None if the file alone is refused.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="blocks") as thread:
            try:
                thread.submit(asyncio.run, self._source.fetch(href, 0, 1, exact=False)).result()
            except SourceError as error:
                return failure_of(href, error) if error.unavailable else None
        return None

    async def _read(self, reads: Sequence[StackRead], take: TakeStack) -> list[StackRead]:
        """Hand over the windows that the engine can read itself; return the others."""
        slots = asyncio.Semaphore(self._requests_in_flight)
        headers = await self._headers.read((href for read in reads for href in read.hrefs), slots)
        layouts = {href: header for href, header in headers.items() if isinstance(header, RasterLayout)}
        failures = {
            hrefs: self._without_headers(hrefs, headers)
            for hrefs in dict.fromkeys(read.hrefs for read in reads)
            if not all(href in layouts for href in hrefs)
        }
        wanted: list[StackRead] = []
        left_over: list[StackRead] = []
        joins = PendingJoins(reads, take)
        for read in reads:
            failure = failures.get(read.hrefs) or _without_band(read, layouts)
            if failure is not None:
                take(read.positions, failure)
            elif read.hrefs in failures:
                left_over.append(read)
            else:
                wanted.append(joins.split(read, layouts))
        plan = plan_reads([*wanted, *joins.parts()], layouts)
        with ThreadPoolExecutor(processor_count(), thread_name_prefix="decode") as pool:
            budget = ByteBudget(self._bytes_in_flight)
            scheduler = _BlockScheduler(
                self._source,
                self._ranges,
                self._requests_in_flight,
                budget,
                pool,
                self.on_progress,
                joins.put,
            )
            await scheduler.work(plan)
        reason = "the window's pixels are larger than its own, which requires GDAL's wider kernel"
        for read in plan.left_out:
            self._fell_back.update(dict.fromkeys(read.hrefs, reason))
        return [*left_over, *plan.left_out]

    def _without_headers(self, hrefs: Sequence[str], headers: Mapping[str, Header]) -> ReadFailure | None:
        """Return the failure of windows of which not all assets can be read.

        None if the fallback may read them.
        """
        for href in hrefs:
            header = headers[href]
            if isinstance(header, ReadFailure):
                return header
        for href in hrefs:
            header = headers[href]
            if isinstance(header, UnsupportedRasterError):
                self._fell_back[href] = str(header)
        return None


class _BlockScheduler:
    """Fetches, decodes and cuts the blocks of one call."""

    def __init__(
        self,
        source: ByteSource,
        ranges: RangeCache,
        requests_in_flight: int,
        budget: ByteBudget,
        pool: ThreadPoolExecutor,
        on_progress: Callable[[float], None],
        put: TakeStack,
    ) -> None:
        self._put = put
        self._on_progress = on_progress
        self._source = source
        self._ranges = ranges
        self._requests_in_flight = requests_in_flight
        self._budget = budget
        self._pool = pool
        self._count = self._done = 0
        self._counting = threading.Lock()

    async def work(self, plan: Plan) -> None:
        """Fill every window of a plan; the plan's blocks are removed from it as they are scheduled."""
        complete = [stack for stack in plan.stacks if stack.blocks_missing == 0]
        await asyncio.get_running_loop().run_in_executor(self._pool, self._finish, complete)
        runs: deque[BlockRun] = deque()
        while plan.uses:  # frees what is cut when it is cut, not at the end
            layout, blocks = plan.uses.popitem()
            for block in _lost_blocks(layout, blocks):
                uses = blocks.pop(block)
                _fail(uses, _damage(layout, f"the file ends before its block {block}"))
                self._count_down(uses)
            runs += merge_blocks(layout, blocks)
        self._count = len(runs)
        at_once = min(self._requests_in_flight, len(runs))
        await asyncio.gather(*(self._process(runs) for _ in range(at_once)))

    async def _process(self, runs: deque[BlockRun]) -> None:
        """Fetch and cut one run after the other, until none is left; several tasks do so at a time."""
        while runs:
            run = runs.popleft()
            block_left = await self._attempt(run)
            if block_left is not None:
                await self._attempt(run.of_whole(block_left))
            self._done += 1
            self._on_progress(self._done / self._count)

    async def _attempt(self, run: BlockRun) -> int | None:
        """Fetch blocks and cut them; return the block of which too few bytes were fetched, if any."""
        async with self._budget.hold(run.length + run.layout.block_bytes):
            loop = asyncio.get_running_loop()
            try:
                data = await self._bytes_of(run)
            except SourceError as error:
                uses = [use for uses in run.blocks.values() for use in uses]
                _fail(uses, failure_of(run.layout.href, error))
                await loop.run_in_executor(self._pool, self._count_down, uses)
                return None
            return await loop.run_in_executor(self._pool, self._cut, run, data)

    async def _bytes_of(self, run: BlockRun) -> memoryview:
        href, start, length = run.layout.href, run.start, run.length
        data = self._ranges.get(href, start, length)
        if data is not None:
            return data
        return self._ranges.keep(href, start, (await self._source.fetch(href, start, length)).data)

    def _cut(self, run: BlockRun, data: memoryview) -> int | None:
        with data:  # the executor holds its arguments a moment longer
            for block, uses in run.blocks.items():
                begin = int(run.layout.offsets[block]) - run.start
                end = begin + int(run.layout.byte_counts[block])
                if not _cut_block(run.layout, block, data[begin:end], uses, run.tops[block]):
                    return block  # the last one
                self._count_down(uses)
        return None

    def _count_down(self, uses: Sequence[BlockUse]) -> None:
        """Record that a block is cut, or lost; finish the windows that wait for no other."""
        complete = []
        with self._counting:
            for tile, _ in uses:
                tile.stack.blocks_missing -= 1
                if tile.stack.blocks_missing == 0:
                    complete.append(tile.stack)
        self._finish(complete)

    def _finish(self, stacks: Sequence[PendingStack]) -> None:
        """Hand over the windows of stacks that miss no block."""
        for stack in stacks:
            answers = list(assemble(stack))
            stack.forget_pixels()
            for positions, answer in answers:
                self._put(positions, answer)


def _ignore_progress(fraction: float) -> None:
    """Ignore the progress of a call."""


def _cut_block(
    layout: RasterLayout, block: int, data: memoryview, uses: Sequence[BlockUse], rows: int | None
) -> bool:
    """Cut a block into the windows that use it; they fail if it is damaged.

    Returns:
        False if only the first bytes of the block were fetched and do not reach as far as the windows.
    """
    try:
        pixels = _decode(layout, block, data, rows)
    except Exception:  # a codec may raise anything when a block is damaged
        _fail(uses, _damage(layout, f"its block {block} is damaged"))
        return True
    if pixels is None:
        return False
    if isinstance(pixels, PackedPixels) and _cost_of_parts(uses) > pixels.size:
        pixels = pixels.unpack()
    for tile, members in uses:
        tile.take(block, pixels, members)
    return True


def _cost_of_parts(uses: Sequence[BlockUse]) -> int:
    """Return the number of pixels of which unpacking takes as long as that of every window's part alone."""
    return sum(len(members) * (_PIXELS_OF_A_CALL + math.prod(tile.shape)) for tile, members in uses)


def _decode(layout: RasterLayout, block: int, data: memoryview, rows: int | None) -> BlockPixels | None:
    if rows is None or layout.decode_top is None:
        return layout.decode(data, block)
    pixels = layout.decode_top(data, rows)
    if pixels is None and len(data) == layout.byte_counts[block]:
        raise ValueError("the block ends before its rows do")
    return pixels


def _without_band(read: StackRead, layouts: Mapping[str, RasterLayout]) -> ReadFailure | None:
    """Return the failure of a window whose band one of its assets lacks."""
    for layout in (layouts[href] for href in read.hrefs if href in layouts):
        if read.band > layout.bands:
            reason = f"it has {layout.bands} bands, not {read.band}"
            return ReadFailure(layout.href, describe_failure(layout.href, reason), transient=False)
    return None


def _lost_blocks(layout: RasterLayout, blocks: Iterable[int]) -> list[int]:
    """Return the blocks that are beyond the end of a truncated file."""
    ends = layout.offsets + layout.byte_counts
    return [block for block in blocks if ends[block] > layout.file_size]


def _damage(layout: RasterLayout, reason: str) -> ReadFailure:
    return ReadFailure(layout.href, describe_failure(layout.href, reason), transient=False)


def _fail(uses: Sequence[BlockUse], failure: ReadFailure) -> None:
    for tile, members in uses:
        tile.stack.failures.update(dict.fromkeys(members.tolist(), failure))
