"""The native engine, for what of a view is on the fast path, and what it asks for."""

import contextlib
import os
from array import array
from collections.abc import Mapping
from typing import cast

from biofuse import native
from biofuse.encode.choice import fast_arrays, is_fast
from biofuse.encode.fetch import Fetcher
from biofuse.encode.records import Records, open_encoder
from biofuse.errors import BiofuseError
from biofuse.formats.base import GENOTYPES, PHASED
from biofuse.genotypes.array import GenotypeArray
from biofuse.genotypes.samples import SampleChunks, plan_sample_chunks
from biofuse.manifest import Plan, StreamedFile
from biofuse.open_files import files_left
from biofuse.stores import FarStore, Piece, Range, Store
from biofuse.stores.limits import encoded
from biofuse.stores.local import LocalStore

# What a call may take, beside planes, of an answer's bytes.
_MAX_ANSWER = 1 << 20
_BLOCK = 512 << 10
_MAX_BLOCK = 2 << 20
# Planes of a block: where there are more than two alleles, all of them.
_PLANES, _WIDE_PLANES = 2, 8
# What the engine may want for a request: two arrays' chunks; of a store at some distance, chunk
# rows.
_MAX_GIFTS, _MAX_ROWS = 8, 4096
# Of the budget, scratch of calls takes at most this part, and what they hold in the cache that.
_SCRATCH_PART, _PINNED_PART = 4, 2
# Of a store at some distance, what is under way takes this part of the cache's room.
_UNDER_WAY_PART = 5
# Files of the store that are kept open, and that are open, at most.
_MAX_OPEN_FILES = 1024
_MANY_OPEN_FILES = 1 << 16


class FastPath:
    """A view's files that the engine makes.

    Parameters
    ----------
    plan : Plan
    tables : mapping of str to memoryview
        The plan's tables by file name, as bytes.
    store : Store
    memory : int
        Bytes of caches and scratch together.
    threads : int
    ahead_bytes : int
        Of a file, for how many bytes planes are made ahead of a run.
    opened_ns : int
        When the store was mounted.

    Attributes
    ----------
    engine : native.Engine
    """

    def __init__(
        self,
        plan: Plan,
        tables: Mapping[str, memoryview],
        store: Store,
        memory: int,
        threads: int,
        ahead_bytes: int,
        opened_ns: int,
    ):
        self._folder = -1
        self._store = store
        self._arrays = fast_arrays(plan)
        kept = tables[plan.samples].cast("I") if plan.samples else None
        self._samples = [
            plan_sample_chunks(each.shape[1], each.chunks[1], kept) for each in self._arrays
        ]
        if isinstance(store, LocalStore):
            self._folder = os.open(store.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        max_block = max(_BLOCK, min(_MAX_BLOCK, memory // 64))
        # Of a framed file, an answer's stream is there too.
        framed = any(streamed.stream is not None for streamed in plan.streamed)
        scratch = 3 * max_block + (2 if framed else 1) * _MAX_ANSWER
        planes = _WIDE_PLANES if plan.wide else _PLANES
        # Of a call, which reads a chunk row of each array.
        chunks = sum(len(s.chunks) for s in self._samples)
        pinned = chunks * max_block // 8 * planes
        most = min(memory // _SCRATCH_PART // scratch, memory // _PINNED_PART // max(1, pinned))
        calls = max(1, min(threads, most))
        most_open, open_of_a_call = _most_open_files(), 0
        if self._folder >= 0:
            # Others are what is kept.
            open_of_a_call = chunks
            calls = max(1, min(calls, most_open // 2 // max(1, open_of_a_call)))
        room = memory - calls * scratch
        if store.far:
            room -= room // _UNDER_WAY_PART
        room = max(1 << 20, room)
        cache = native.Cache(room)
        self.engine = native.Engine(
            cache,
            self._folder,
            min(_MAX_OPEN_FILES, max(0, most_open - calls * open_of_a_call)),
            ahead_bytes,
        )
        for genotypes, samples in zip(self._arrays, self._samples, strict=True):
            self.engine.add_array(
                genotypes.chunks[0],
                genotypes.decoded_size,
                array("I", samples.chunks),
                self._folder >= 0,
                genotypes.prefix.encode(),
                genotypes.separator.encode(),
                genotypes.tail.encode(),
                opened_ns,
                max_block,
            )
        usable = self._watch(plan) and open_of_a_call <= most_open
        self._records = [Records(streamed, tables) for streamed in plan.streamed]
        for streamed, records in zip(plan.streamed, self._records, strict=True):
            self._add_file(streamed, records, tables, usable)
        self._fetcher = self._open_fetcher(plan, room) if store.far else None
        for _ in range(calls):
            self.engine.add_context(
                [
                    _rows(genotypes, samples, cache, number)
                    for number, (genotypes, samples) in enumerate(
                        zip(self._arrays, self._samples, strict=True)
                    )
                ]
            )

    def _open_fetcher(self, plan: Plan, room: int) -> Fetcher:
        paths = [each.path for each in self._arrays]
        files = [
            (records, [paths.index(name) for name in (GENOTYPES, PHASED) if name in each.fields])
            if is_fast(each, paths)
            else (records, [])
            for records, each in zip(self._records, plan.streamed, strict=True)
        ]
        return Fetcher(
            self.engine,
            cast(FarStore, self._store),
            self._arrays,
            self._samples,
            files,
            room,
            plan.watched,
            plan.signature,
        )

    @property
    def most_gifts(self) -> int:
        """How often the engine may be given what it wants for one request."""
        return _MAX_GIFTS if self._fetcher is None else _MAX_ROWS

    def close(self) -> None:
        """Fetch nothing ahead any more."""
        if self._fetcher is not None:
            self._fetcher.close()

    def __del__(self) -> None:
        if getattr(self, "_folder", -1) >= 0:
            os.close(self._folder)

    def record_at(self, file: int, offset: int) -> int:
        """The record that has a byte of a file; the first one for the header's."""
        records = self._records[file]
        return min(max(0, records.at(records.place(offset))), max(0, records.count - 1))

    def _add_file(
        self,
        streamed: StreamedFile,
        records: Records,
        tables: Mapping[str, memoryview],
        usable: bool,
    ) -> None:
        paths = [each.path for each in self._arrays]
        offsets = tables[streamed.offsets].cast("Q") if streamed.offsets else None
        fast = usable and is_fast(streamed, paths)
        encoder = open_encoder(streamed, tables) if fast else None
        self.engine.add_file(
            tables[streamed.header],
            streamed.size if streamed.stream is None else streamed.stream,
            streamed.records,
            streamed.record_size or 0,
            offsets,
            encoder,
            paths.index(GENOTYPES) if fast else -1,
            paths.index(PHASED) if fast and PHASED in streamed.fields else -1,
            streamed.stream is not None,
            records.variants,
            records.first,
        )

    def _watch(self, plan: Plan) -> bool:
        """Have the engine refuse once the store is not what it is; whether that was planned."""
        if isinstance(self._store, LocalStore):
            # By the store's name: one that was moved is not there any more.
            root = self._store.root
            self.engine.watch([os.fsencode(os.path.join(root, key)) for key in plan.watched])
        elif hasattr(self._store, "path"):
            self.engine.watch([os.fsencode(os.path.abspath(self._store.path))])
        if self._store.far:
            # That is found out as soon as something is fetched.
            return True
        return self._store.signature(plan.watched) == plan.signature

    def give(self, wanted: native.Wanted) -> bool:
        """Give the engine the chunks that it wants, if they can be had.

        Returns
        -------
        bool
            Whether it is to try again. If not, the bytes are made in another way, which
            says what is wrong if anything is.

        Raises
        ------
        BiofuseError
            If chunks of a store at some distance cannot be fetched: to try in another way
            would take as long again.
        """
        if wanted.array < 0:
            return False
        row = (wanted.array, wanted.chunk_row)
        try:
            if self._folder >= 0:
                return self._give_absent(*row)
            if not self._store.far:
                return self._give_parts(*row)
        except (BiofuseError, OSError, native.NativeError):
            return False
        assert self._fetcher is not None
        return wanted.is_request and self._fetcher.want(
            *row, wanted.file, self._records[wanted.file].place(wanted.offset + wanted.size)
        )

    def _missing(self, number: int, chunk_row: int) -> list[tuple[int, str]]:
        """Chunks of a row: their index among those that are read, and their key."""
        genotypes, samples = self._arrays[number], self._samples[number]
        return [(i, genotypes.key(chunk_row, c)) for i, c in enumerate(samples.chunks)]

    def _give_absent(self, number: int, chunk_row: int) -> bool:
        """Of a local store: those that are not there; others the engine opens."""
        genotypes, samples = self._arrays[number], self._samples[number]
        found = False
        for i, key in self._missing(number, chunk_row):
            # Which also tells that it is truly not there, and was not when it was planned.
            if self._store.get_many([Range(key, 0, 1)]) == [None]:
                genotypes.check_absent(chunk_row, samples.chunks[i])
                folder = _existing_folder(self._folder, key)
                self.engine.give_absent(
                    number, chunk_row, i, genotypes.fill, os.fsencode(folder or ".")
                )
                found = True
        return found

    def _give_parts(self, number: int, chunk_row: int) -> bool:
        """Members of a zip file, in place where they are not compressed."""
        genotypes = self._arrays[number]
        for i, key in self._missing(number, chunk_row):
            part = self._store.part(key)
            if part is not None:
                self.engine.give_part(number, chunk_row, i, part.fd, part.start, part.size)
                continue
            (piece,) = self._store.get_many([Range(key, 0, encoded(genotypes.decoded_size))])
            self._give_piece(number, chunk_row, i, piece)
        return True

    def _give_piece(self, number: int, chunk_row: int, chunk: int, piece: Piece | None) -> None:
        """A whole frame, or that there is none."""
        if piece is not None:
            self.engine.give_bytes(number, chunk_row, chunk, piece.data)
            return
        genotypes = self._arrays[number]
        genotypes.check_absent(chunk_row, self._samples[number].chunks[chunk])
        self.engine.give_absent(number, chunk_row, chunk, genotypes.fill)


def _rows(
    genotypes: GenotypeArray, samples: SampleChunks, cache: native.Cache, number: int
) -> native.Rows:
    return native.Rows(
        genotypes.chunks[0],
        genotypes.chunks[1],
        genotypes.ploidy,
        samples.sizes,
        samples.index,
        cache,
        number,
    )


def _existing_folder(root: int, key: str) -> str:
    """The folder that a chunk is not in, or the nearest one above that is there."""
    folder = os.path.dirname(key)
    while folder:
        with contextlib.suppress(OSError):
            os.stat(folder, dir_fd=root)
            break
        folder = os.path.dirname(folder)
    return folder


def _most_open_files() -> int:
    """Files of the store that may be open: a part of those that this process may open."""
    left = files_left()
    return _MANY_OPEN_FILES if left is None else min(_MANY_OPEN_FILES, left // 2)
