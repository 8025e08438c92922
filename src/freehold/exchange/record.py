"""The exchange record: one row per exchange, without content, in a local spool.

A row is written before the last byte of the answer reaches the client, so `kill -9` loses none; it is synced to
disk every 100 ms, so power loss costs at most that.  A spool that can not be written stops new exchanges (see
`Spool.failed`).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from freehold.ir import Loss

log = logging.getLogger("freehold.record")

Outcome = Literal["ok", "refused", "failed", "client_gone", "broken"]
"""`refused`: the caller's fault, as we or the provider say; `failed`: no target could answer; `broken`: a stream died
after it had begun."""

UsageSource = Literal["provider", "partial", "estimate"]
"""`provider`: its final figure. `partial`: what it had reported when the stream broke or the client left. `estimate`:
what Freehold counted, for a stream that another target went on with, or for a client that asked for a count."""

MOST_LOSSES = 1000
"""Losses on one record; a caller can make one of each field of a body, ten times as long as the field."""
MAX_NOTED = 200
"""Characters of a provider's own error code or request id that go on the record; real ones are under 100."""


class AttemptRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One try at one target. Times are milliseconds since it was sent; `usage` is what is known to be billed."""

    target: str
    lane: str
    status: int | None = None
    error: str | None = None
    hedge: bool = False
    lost: bool = False
    check: str | None = None
    judge: str | None = None
    request_id: str | None = None
    first_byte_ms: float | None = None
    last_byte_ms: float | None = None
    usage: UsageRecord | None = None
    cost_nano_usd: int | None = None
    price_version: str | None = None
    seam: SeamRecord | None = None


class SeamRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where an attempt went on with what another had begun: lengths in characters of text."""

    how: Literal["prefill", "instruction", "afresh"]
    after: int
    removed: int = 0


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens as `freehold.ir.Usage` counts them, and who says so."""

    source: UsageSource
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class ExchangeRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One exchange. Times are Unix seconds; money is whole nano-dollars (10⁻⁹ USD), None where a price is not known.

    `strategy` chose among several targets by their `scores`, the lowest `score` first; `rejections` names the targets
    that were not tried and why.
    """

    id: str
    started: float
    protocol: str
    operation: str
    finished: float | None = None
    project: str | None = None
    key: str | None = None
    snapshot: int = 0
    parent: str | None = None
    model: str = ""
    stream: bool = False
    status: int = 0
    outcome: Outcome = "ok"
    error: str | None = None
    region: str | None = None
    tags: dict[str, str] = {}
    attempts: list[AttemptRecord] = []
    strategy: str | None = None
    scores: dict[str, dict[str, float]] = {}
    rejections: dict[str, str] = {}
    usage: UsageRecord | None = None
    price_version: str | None = None
    cost_nano_usd: int | None = None
    losses: tuple[Loss, ...] = ()


def add_up(record: ExchangeRecord) -> None:
    """Make the exchange's usage and cost the sums over its attempts; where none was billed they stay as they are."""
    usage: UsageRecord | None = None
    for attempt in record.attempts:
        if attempt.usage is None:
            continue
        if usage is None:
            usage, record.cost_nano_usd = attempt.usage, attempt.cost_nano_usd
        else:
            usage = _both(usage, attempt.usage)
            record.cost_nano_usd = _plus_known(record.cost_nano_usd, attempt.cost_nano_usd)
        record.price_version = attempt.price_version or record.price_version
    if usage is not None:
        record.usage = usage


def _both(one: UsageRecord, other: UsageRecord) -> UsageRecord:
    """The sum, which is as good as the worse of the two."""
    return UsageRecord(
        source=one.source if _QUALITY.index(one.source) > _QUALITY.index(other.source) else other.source,
        input_tokens=plus(one.input_tokens, other.input_tokens),
        output_tokens=plus(one.output_tokens, other.output_tokens),
        cache_read=plus(one.cache_read, other.cache_read),
        cache_write=plus(one.cache_write, other.cache_write),
        reasoning=plus(one.reasoning, other.reasoning),
    )


_QUALITY: tuple[UsageSource, ...] = ("provider", "partial", "estimate")


def plus(one: int | None, other: int | None) -> int | None:
    """The sum of what is known; None where neither is."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _plus_known(one: int | None, other: int | None) -> int | None:
    """The sum, where both are known."""
    return None if one is None or other is None else one + other


def shortened(losses: tuple[Loss, ...]) -> tuple[Loss, ...]:
    """Losses as a record may hold them: not without end, nor with whatever a caller made a field's name of."""
    kept = [
        loss
        if len(loss.path) <= MAX_NOTED and len(loss.detail) <= MAX_NOTED
        else msgspec.structs.replace(loss, path=loss.path[:MAX_NOTED], detail=loss.detail[:MAX_NOTED])
        for loss in losses[:MOST_LOSSES]
    ]
    if len(losses) > MOST_LOSSES:
        more = f"{len(losses) - MOST_LOSSES} more losses"
        kept.append(Loss(path="", kind="dropped", effect="unknown", detail=more))
    return tuple(kept)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ExchangeRecord)
CURRENT = "exchanges.jsonl"
"""The file that rows are appended to, of the first worker and of commands; see `current_file`."""

_LOOK_AGAIN = 1.0
"""Seconds until a spool looks again at how much the others have written."""


def current_file(slot: int) -> str:
    """The name of the file that the worker of a slot, from 0, appends to."""
    return CURRENT if slot == 0 else f"exchanges.{slot + 1}.jsonl"


def take_over(folder: Path, workers: int) -> None:
    """Finish the files of workers that there are no more, so that they count and are moved away like all older ones.

    Whoever still writes to one goes on doing so under its new name.
    """
    current = {current_file(slot) for slot in range(workers)}
    for path in folder.glob("exchanges*.jsonl"):
        if "-" not in path.stem and path.name not in current:
            path.rename(_finished(path))


def _finished(path: Path) -> Path:
    return path.with_name(f"{path.stem}-{time.time_ns():020d}.jsonl")


class Spool:
    """An append-only file of rows, rotated by size, readable by its owner only. Each worker has its own in one folder.

    `failed` holds the reason once a row could not be written; it is cleared by the next write that works, which
    `probe` tries. Rows that could not be written are kept (bounded) and written first when the disk recovers.
    """

    _MAX_PENDING = 10_000

    def __init__(
        self,
        folder: Path,
        *,
        slot: int = 0,
        rotate_bytes: int = 64 * 1024 * 1024,
        rotate_seconds: float = 86400.0,
        max_bytes: int = 4 * 1024 * 1024 * 1024,
    ) -> None:
        """A new file is begun at either size or age; at `max_bytes` of all files together the spool counts as full.

        `slot` is the worker's. What other workers write is looked at once a second, so all together may exceed
        `max_bytes` by what they write in that time.

        Raises OSError if the folder can not be made or written.
        """
        self.folder = folder
        self.failed: str | None = None
        self._rotate_bytes = rotate_bytes
        self._rotate_seconds = rotate_seconds
        self._max_bytes = max_bytes
        self._pending: list[bytes] = []
        self._dirty = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / current_file(slot)
        self._file = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        try:
            others = self._written_by_others()
            size = os.fstat(file).st_size + self._end_line(file)
        except OSError:
            os.close(file)
            raise
        self._size, self._others, self._begun = size, others, time.monotonic()
        self._looked = self._begun
        return file

    def _written_by_others(self) -> int:
        """Bytes of all files but our own."""
        total = 0
        for path in self.folder.glob("exchanges*.jsonl"):
            with contextlib.suppress(FileNotFoundError):  # renamed or moved away since it was listed
                total += 0 if path == self._path else path.stat().st_size
        return total

    def _end_line(self, file: int) -> int:
        """A crash in mid-write leaves half a row; close its line so that only that row is lost to readers."""
        if os.fstat(file).st_size == 0:
            return 0
        with self._path.open("rb") as reader:
            reader.seek(-1, os.SEEK_END)
            torn = reader.read(1) != b"\n"
        return os.write(file, b"\n") if torn else 0

    def write(self, record: ExchangeRecord) -> None:
        """Append one row. Never raises: what goes wrong is in `failed`, and the row waits."""
        self._append(_ENCODER.encode(record) + b"\n")

    def _append(self, row: bytes) -> None:
        try:
            if self._pending:
                self._flush()
            self._put(row)
        except OSError as error:
            if self.failed is None:
                # A full disk is no bug: no traceback.
                log.error("the exchange record can not be written: %s: %s", self._path, error.strerror or error)  # noqa: TRY400
            self.failed = f"{self._path}: {error.strerror or error}"
            if len(self._pending) < self._MAX_PENDING:
                self._pending.append(row)

    def _put(self, row: bytes) -> None:
        if self._others + self._size + len(row) > self._max_bytes:
            self._recount()
        if not self._dirty and os.fstat(self._file).st_nlink == 0:
            # Somebody removed the file; rows written to it would vanish without a word.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            removed, self._file = self._file, self._open()
            os.close(removed)
        written = os.write(self._file, row)
        if written != len(row):
            # A full disk may take half a row. Cut it off again, unless a command has written behind it meanwhile.
            before = os.fstat(self._file).st_size - written
            if before == self._size:
                os.ftruncate(self._file, before)
            raise OSError(errno.ENOSPC, "no space left on device")
        self._size += written
        self._dirty = True
        if self._size >= self._rotate_bytes or time.monotonic() - self._begun >= self._rotate_seconds:
            self._rotate()

    def _recount(self) -> None:
        """Look whether older files have been taken away since. Raises OSError while the spool is full."""
        self._others = self._written_by_others()
        if self._others + self._size >= self._max_bytes:
            raise OSError(errno.ENOSPC, "the spool is full ([ledger] max_size); move its older files away")

    def _flush(self) -> None:
        while self._pending:
            self._put(self._pending[0])
            del self._pending[0]
        if self.failed is not None:
            log.info("the exchange record can be written again")
        self.failed = None

    def probe(self) -> bool:
        """Whether rows can be written; tries again what failed before."""
        if self.failed is None:
            return True
        try:
            self._flush()
        except OSError as error:
            self.failed = f"{self._path}: {error.strerror or error}"
            return False
        return True

    def _rotate(self) -> None:
        """Begin a new file; where that fails the old one serves on, and the next row tries again."""
        old = self._file
        with contextlib.suppress(OSError):
            os.fsync(old)
            with contextlib.suppress(FileNotFoundError):  # an earlier try came as far as this
                self._path.rename(_finished(self._path))
            # Closed last: a descriptor that is closed may be a client's socket a moment later.
            self._file = self._open()
            os.close(old)

    def sync(self) -> None:
        """Bring what was written to the disk; blocks, so call it off the event loop."""
        if self._dirty:
            self._dirty = False
            os.fsync(self._file)
            now = time.monotonic()
            if now - self._looked >= _LOOK_AGAIN:
                self._looked = now
                self._others = self._written_by_others()

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._file)


def read_records(folder: Path, *, since: float = 0.0) -> Iterator[ExchangeRecord]:
    """Every whole row of the spool, oldest file first; torn rows are skipped.

    A file that is finished meanwhile, and so gets another name, is read once. Files that were last written before the
    Unix time `since` are left out whole.
    """
    read: set[int] = set()
    while new := [path for path, file in _files(folder, since) if file not in read]:
        for path in new:
            try:
                rows = path.open("rb")
            except FileNotFoundError:
                continue
            with rows:
                file = os.fstat(rows.fileno()).st_ino
                if file in read:
                    continue
                read.add(file)
                for row in rows:
                    try:
                        yield _DECODER.decode(row)
                    except msgspec.DecodeError:
                        continue


def _files(folder: Path, since: float) -> list[tuple[Path, int]]:
    """The files of the spool that were written since then, and their inodes, oldest first."""
    found: list[tuple[float, Path, int]] = []
    for path in folder.glob("exchanges*.jsonl"):
        with contextlib.suppress(FileNotFoundError):
            facts = path.stat()
            if facts.st_mtime >= since:
                found.append((facts.st_mtime, path, facts.st_ino))
    return [(path, file) for _, path, file in sorted(found)]
