"""Target of manifests of plans, and of whatever is opened and read because of what they say."""

import atexit
import contextlib
import copy
import dataclasses
import functools
import json
import operator
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from support import reference
from support.odd_metadata import check_said, paths, put
from support.stores import add_field, make_store, random_genotypes
from support.views import plan_view

from biofuse.encode.maker import Maker
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError
from biofuse.manifest import MANIFEST, PlanFolder, checksum_of, read_plan
from biofuse.stores import Location

from ..corpus.view import opened, read, show

GENOTYPES = random_genotypes(30, 7, seed=3)
FORMATS = tuple(word for name in ("plink", "bgen", "plink2", "bcf") for word in ("--format", name))
# Options of each plan that manifests are made from.
PLANS = (
    (*FORMATS, "-s", "S0004,S0002,S0001"),
    (*FORMATS, "--per-contig", "--multiallelic", "split"),
    ("--format", "bgen", "--format", "plink2", "--dosage", "DS", "--bgen-field", "DS"),
    ("--format", "bcf", "--bcf-fields", "all"),
)
# What stands for what is another one in each process: the store's place, and what it was.
PLACE, SIGNATURE = "STORE", "SIGNATURE"
# In place of a value; an ellipsis has it removed, and an index is another value of the manifest.
NEW = (..., None, True, 0, 1, -1, 2, 255, 2**31, 2**32, 2**63, 2**64, 1 << 70, 0.5, "", "x", "../x")
NEW = (*NEW, [], {}, [0], {"x": 1}, [-1, 5], [0, 0, 0], "call_genotype", "pack", "GT", "\ud800")
MOST = 1 << 20


@dataclasses.dataclass(frozen=True)
class Made:
    """A plan that is sound: where it is, its manifest and its streamed files."""

    folder: Path
    store: Path
    sound: dict
    signature: str
    expected: list[bytes]

    def with_manifest(self, value: dict) -> dict:
        """A manifest with this plan's store, and no other one."""
        value = copy.deepcopy(value)
        store = value.get("store")
        if isinstance(store, dict) and isinstance(store.get("path"), str):
            store["path"] = str(self.store)
            store.pop("plan", None)
        if value.get("signature") == SIGNATURE:
            value["signature"] = self.signature
        return value


@functools.cache
def made() -> list[Made]:
    """The plans that manifests are made from."""
    home = Path(tempfile.mkdtemp(prefix="biofuse-fuzz-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    store = make_store(home / "x.vcz", GENOTYPES, chunks=(20, 5))
    numbers = np.arange(GENOTYPES[..., 0].size).reshape(GENOTYPES.shape[:2])
    add_field(store, "call_DS", (numbers % 5 / 4).astype(np.float32))
    add_field(store, "call_AD", np.stack([numbers, numbers + 1], axis=2).astype(np.int16))
    found = []
    for number, options in enumerate(PLANS):
        folder = home / str(number)
        plan = plan_view(store, folder, *options)
        folder.chmod(0o700)
        value = json.loads((folder / MANIFEST).read_bytes())
        signature = value["signature"]
        value["store"]["path"], value["signature"], value["modified_ns"] = PLACE, SIGNATURE, 5
        each = Made(folder, store, value, signature, [])
        for number, streamed in enumerate(plan.streamed):
            with opened(plan, MappedTables.of_plan(plan, str(folder))) as maker:
                each.expected.append(read(maker, number, 0, streamed.size))
        found.append(each)
    assert found[0].expected[0] == reference.bed(GENOTYPES[:, [4, 2, 1]])
    return found


def _with_checksum(value: object) -> bytes:
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if name != "checksum"}
        rest = {name: each for name, each in value.items() if name != "format"}
        value["checksum"] = checksum_of(rest)
    return json.dumps(value).encode()


def _edited(sound: dict, words: bytes) -> dict:
    """A manifest of which some values are others: three bytes for each."""
    value = sound
    for at in range(0, min(len(words), 12) - 2, 3):
        where = [path for path in paths(value) if path[0] != "checksum"]
        path = where[(words[at] << 8 | words[at + 1]) % len(where)]
        number = words[at + 2]
        other = functools.reduce(operator.getitem, where[number % len(where)], value)
        value = put(value, path, NEW[number] if number < len(NEW) else other)
    return value


def manifest(data: bytes) -> None:
    """The first byte chooses what the others are: a manifest, or edits of one.

    A manifest without the right checksum is what was written, or refused. With one, which the
    other forms have, whatever is read of the plan is bytes or refused with one line.
    """
    if not data:
        return
    plan = made()[data[0] // 4 % len(PLANS)]
    kind = data[0] % 4
    if kind == 0:
        _take_as_written(data[1:])
        return
    if kind == 1:
        try:
            value = json.loads(data[1:])
        except (ValueError, RecursionError):
            return
    else:
        value = _edited(plan.sound, data[1:])
    if isinstance(value, dict):
        value = plan.with_manifest(value)
    try:
        text = _with_checksum(value)
    except RecursionError:
        return
    _use(plan, text, text == _with_checksum(plan.with_manifest(plan.sound)))


def _take_as_written(text: bytes) -> None:
    with contextlib.suppress(BiofuseError):
        read_plan(text)
        raise AssertionError("a manifest that was changed is taken")


def _use(made: Made, text: bytes, is_sound: bool) -> None:
    """Open and read what a manifest tells of."""
    (made.folder / MANIFEST).write_bytes(text)
    try:
        with PlanFolder(str(made.folder)) as folder:
            folder.check()
            plan = folder.plan
            if not Location.planned(plan.store).is_local:
                return
            show(folder)
            found = _stream(folder)
    except BiofuseError as error:
        check_said(str(error))
        assert not is_sound, error
        return
    except OSError as error:
        # Of a file that the manifest tells of and that is not there, as `PlanFolder.open` has it.
        assert not is_sound, error
        return
    assert not is_sound or found == made.expected


def _stream(folder: PlanFolder) -> list[bytes | None]:
    """What a worker does: streamed files, or None for those that cannot be read."""
    plan = folder.plan
    tables = MappedTables(plan)
    for name in plan.on_disk(plan.table_names()):
        fd = folder.open(name)
        try:
            tables.add(name, fd)
        finally:
            os.close(fd)
    with opened(plan, tables, threads=1) as maker:
        found = []
        for number, streamed in enumerate(plan.streamed):
            size = min(streamed.size, MOST)
            found.append(_try_to_read(maker, number, 0, size))
            if streamed.size:
                _try_to_read(maker, number, streamed.size - 1, 1)
                _try_to_read(maker, number, streamed.size // 2, 1)
        return found


def _try_to_read(maker: Maker, number: int, offset: int, size: int) -> bytes | None:
    try:
        return read(maker, number, offset, size)
    except BiofuseError as error:
        check_said(str(error))
        return None


def edits(changes: dict[str, object], number: int = 0) -> bytes:
    """An input that has other values in a plan's manifest, which come one after another."""
    value, made_of = made()[number].sound, bytes([4 * number + 2])
    for name, new in changes.items():
        where = [path for path in paths(value) if path[0] != "checksum"]
        at = ["/".join(map(str, path)) for path in where].index(name)
        made_of += bytes([at >> 8, at & 255, NEW.index(new)])
        value = put(value, where[at], new)
    return made_of


def manifest_seeds() -> list[bytes]:
    seeds = []
    for number, each in enumerate(made()):
        text = json.dumps(each.sound).encode()
        seeds += [bytes([4 * number + kind]) + text for kind in (0, 1)]
        seeds += [bytes([4 * number + 2, *other]) for other in ((), (0, 9, 3), (1, 40, 5))]
    slow = {"fields/call_genotype/slow_reason": "x"}
    for name in ("codec/id", "dtype", "order"):
        seeds.append(edits(slow | {f"fields/call_genotype/plain/{name}": []}))
    # Records of rows that the array does not have.
    seeds.append(edits(slow | {"streamed/0/first": 1}))
    seeds.append(edits({"fields/call_DS/slow_reason": "x", "streamed/0/first": 2}, number=3))
    return seeds
