"""Broken plans: those that are kept between mounts, and those that were saved for others.

A kept plan of which anything but the contents of its files is another is made anew; what the
files have, which no checksum guards, as none guards a real file, gives no crash, and neither does
a manifest that lies with the right checksum. A saved one is refused with one line, or gives the
right bytes.
"""

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from support.odd_metadata import DOCUMENTS, ODD, paths, put
from support.stores import make_store, random_genotypes
from support.views import parse, plan_view

from biofuse.errors import BiofuseError
from biofuse.manifest import DEPENDENCIES, MANIFEST, PlanFolder, checksum_of
from biofuse.plan.cache import PlanCache
from biofuse.plan.save import save_plan
from biofuse.stores import saved

from .case import Case, check_refused, flipped
from .shown import Shown
from .stores import OTHERS, view_of
from .view import ALL_FORMATS, View, show, try_to_read

GENOTYPES = random_genotypes(60, 23, seed=3)
KEY = "a" * 32
# In place of a value, beside what is odd in any metadata.
MORE = (1, -1, "../x", "/etc/passwd", True)
# Cases of each kind of plan, and those of manifests that lie with the right checksum.
MOST, LIES = 400, 150


class Bench:
    """A kept plan, and what is damaged of it for a while."""

    def __init__(self, folder: Path):
        self.store = make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 9))
        self.cache = PlanCache(str(folder / "cache"))
        made = Path(self.cache.new())
        made.rmdir()
        plan_view(self.store, made, *ALL_FORMATS, "-s", "S0004,S0002,S0011")
        self.kept = Path(self.cache.keep(str(made), KEY))
        self.aside = folder / "aside"
        shutil.copytree(self.kept, self.aside)
        self.sound = {path.name: path.read_bytes() for path in self.aside.iterdir()}
        assert self.find() is not None

    def find(self):
        """The manifest of the plan, if it is used."""
        found = self.cache.find(KEY)
        if found is None:
            return None
        with PlanFolder(found) as folder:
            return folder.plan

    @contextlib.contextmanager
    def damaged(self, damage: Callable[[Path], object]) -> Iterator[None]:
        sound = self.find()
        damage(self.kept)
        try:
            yield
        finally:
            if self.kept.is_dir() and not self.kept.is_symlink():
                shutil.rmtree(self.kept)
            elif os.path.lexists(self.kept):
                self.kept.unlink()
            shutil.copytree(self.aside, self.kept)
            assert self.find() == sound

    def is_made_anew(self, damage: Callable[[Path], object], _: Path) -> None:
        sound = self.find()
        with self.damaged(damage):
            found = self.find()
            assert found is None or found == sound, "a damaged plan is used"

    def is_read(self, damage: Callable[[Path], object], _: Path) -> None:
        """Whatever tables have and the manifest says: bytes, or an error."""
        with self.damaged(damage):
            found = self.find()
            if found is None:
                return
            try:
                with PlanFolder(str(self.kept)) as folder:
                    show(folder)
                with View(found, self.kept).opened() as maker:
                    for number, streamed in enumerate(found.streamed):
                        try_to_read(maker, number, 0, streamed.size, stale=True)
                        if streamed.size:
                            try_to_read(maker, number, streamed.size // 2, 1, stale=True)
            except BiofuseError as error:
                check_refused(error)


def write(name: str, data: bytes, folder: Path) -> None:
    """Write a file of a plan as its owner does."""
    (folder / name).write_bytes(data)
    (folder / name).chmod(0o600)


def changes_of_json(sound: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    value = json.loads(sound)
    for path in paths(value):
        for new in (*ODD, *MORE):
            yield _said(path, new), json.dumps(put(value, path, new)).encode()
    yield from DOCUMENTS.items()
    for number in range(100):
        yield f"flipped {number}", flipped(sound, rng)
    for size in sorted({0, 1, len(sound) - 1, *rng.integers(0, len(sound), 30).tolist()}):
        yield f"cut to {size}", sound[:size]
    # One digit of a number is another.
    digits = [at for at in range(len(sound)) if sound[at : at + 1].isdigit()]
    for number, at in enumerate(rng.choice(digits, 60).tolist()):
        digit = str((int(sound[at : at + 1]) + 1 + int(rng.integers(9))) % 10).encode()
        yield f"digit {number} at {at}", sound[:at] + digit + sound[at + 1 :]


def lies_of_json(sound: bytes, with_checksum: Callable[[dict], dict]) -> Iterator:
    """Changes of a value, and the checksum that a manifest which says so has."""
    value = json.loads(sound)
    for path in paths(value):
        for new in (*ODD, *MORE):
            if path != ("checksum",):
                changed = with_checksum(put(value, path, new))
                yield _said(path, new), json.dumps(changed).encode()


def _said(path: tuple, new: object) -> str:
    shown = "left out" if new is ... else json.dumps(new)
    return f"{'/'.join(map(str, path))} is {shown}"


def _with_checksum(value: dict) -> dict:
    """A kept plan's manifest."""
    rest = {name: each for name, each in value.items() if name not in ("format", "checksum")}
    return value | {"checksum": checksum_of(rest)}


def _saved_with_checksum(value: dict) -> dict:
    return saved.with_checksum({name: value[name] for name in value if name != "checksum"})


def _replace(name: str, make: Callable[[Path], object], folder: Path) -> None:
    (folder / name).unlink()
    make(folder / name)


def kept(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """Plans in the cache."""
    bench = Bench(folder)
    anew: list[tuple[str, Callable]] = []
    for name in (MANIFEST, DEPENDENCIES):
        for what, data in changes_of_json(bench.sound[name], rng):
            anew.append((f"{name}: {what}", partial(write, name, data)))
    for name, data in bench.sound.items():
        for what, make in OTHERS.items():
            anew.append((f"{name}: {what} in its place", partial(_replace, name, make)))
        for size in {0, 1, len(data) // 2, len(data) - 1} - {len(data), -1}:
            anew.append((f"{name}: has {size} bytes", partial(write, name, data[:size])))
        anew.append((f"{name}: is longer", partial(write, name, data + b"\0")))
        anew.append((f"{name}: for all", lambda f, name=name: (f / name).chmod(0o666)))
    cases = [
        Case(f"kept: {what}", "made anew", partial(bench.is_made_anew, damage))
        for what, damage in _some(anew, MOST, rng)
    ]
    lies = list(lies_of_json(bench.sound[MANIFEST], _with_checksum))
    cases += [
        Case(
            f"kept: {MANIFEST}, with its checksum: {what}",
            "made anew, or bytes or an error, no crash",
            partial(bench.is_read, partial(write, MANIFEST, data)),
        )
        for what, data in _some(lies, LIES, rng)
    ]
    for name, data in bench.sound.items():
        if name in (MANIFEST, DEPENDENCIES) or not data:
            continue
        odd = {f"flipped {n}": flipped(data, rng) for n in range(8)}
        odd |= {"zeros": bytes(len(data)), "ones": b"\xff" * len(data), "backwards": data[::-1]}
        cases += [
            Case(
                f"kept: {name}: {what}",
                "bytes or an error, no crash",
                partial(bench.is_read, partial(write, name, changed)),
            )
            for what, changed in odd.items()
        ]
    return cases


def _some(made: list, most: int, rng: np.random.Generator) -> list:
    """At most so many of what there is, in order."""
    chosen = rng.choice(len(made), min(len(made), most), replace=False).tolist()
    return [made[number] for number in sorted(chosen)]


def check_saved(store: Path, members: dict[str, bytes], shown: Shown, folder: Path) -> None:
    """Hold what is made with a saved plan of these members against what the store holds."""
    view = _view_of(store, members, folder, "x.plan", *(key.split("/")[0] for key in members))
    if view is not None:
        shown.check(view.files)


def _check_lie(
    store: Path, members: dict[str, bytes], shown: Shown, of_view: bool, folder: Path
) -> None:
    """A manifest that says something else: what it is that is shown may be another, if that."""
    view = _view_of(store, members, folder, "")
    if view is not None and not of_view:
        shown.check(view.files)


def _view_of(store: Path, members: dict[str, bytes], folder: Path, *names: str) -> View | None:
    path = folder / "x.plan"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (folder / "view").mkdir()
    return view_of(store, folder / "view", *names, options=("--plan", str(path)))


def saves(folder: Path, rng: np.random.Generator) -> Sequence[Case]:
    """Files that `biofuse plan` writes: other manifests, and members that are gone or broken."""
    store = make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 9))
    path = folder / "x.plan"
    save_plan(parse(store, formats=("plink",)), str(path), lambda done, total: None)
    with zipfile.ZipFile(path) as archive:
        sound = {name: archive.read(name) for name in archive.namelist()}
    made: list[tuple[str, dict[str, bytes]]] = []
    for what, data in changes_of_json(sound[saved.MANIFEST], rng):
        made.append((f"{saved.MANIFEST}: {what}", sound | {saved.MANIFEST: data}))
    for name, data in sound.items():
        if name == saved.MANIFEST:
            continue
        made.append((f"{name}: gone", {n: d for n, d in sound.items() if n != name}))
        for what, changed in (
            ("empty", b""),
            ("cut", data[: len(data) // 2]),
            ("flipped", flipped(data, rng) if data else b"x"),
            ("text", b"<html>404</html>" * 9),
        ):
            made.append((f"{name}: {what}", sound | {name: changed}))
    shown = Shown.of(store)
    cases = [
        Case(
            f"saved: {what}",
            "one line, or the right bytes",
            partial(check_saved, store, members, shown),
        )
        for what, members in _some(made, MOST // 2, rng)
    ]
    for what, data in _some(
        list(lies_of_json(sound[saved.MANIFEST], _saved_with_checksum)), LIES, rng
    ):
        of_view = what.startswith("options/")
        cases.append(
            Case(
                f"saved: {saved.MANIFEST}, with its checksum: {what}",
                "one line, or a view" if of_view else "one line, or the right bytes",
                partial(_check_lie, store, sound | {saved.MANIFEST: data}, shown, of_view),
            )
        )
    return cases
