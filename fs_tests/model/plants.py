"""Defects that a face does not have, to see that they are found."""

import errno
import time
from collections.abc import Callable
from typing import Any

from fs_tests.model.faces import Burst, Face, Got, Handle

# Which of the reads at a place meets it, and for how long one that is late waits.
_AT, LATE = 5, 9.0
# Longer than anybody waits.
_FOR_EVER = 3600.0


def _short(got: Got) -> Got:
    return got._replace(data=got.data[:-1])


def _late(got: Got) -> Got:
    time.sleep(LATE)
    return got


def _other_error(_: Got) -> Got:
    return Got(b"", errno.EPERM, "planted")


def _hang(got: Got) -> Got:
    time.sleep(_FOR_EVER)
    return got


PLANTS: dict[str, Callable[[Got], Got]] = {
    "short": _short,
    "late": _late,
    "errno": _other_error,
    "hang": _hang,
}


class _PlantedHandle:
    """A handle, one of whose reads is not as it should be."""

    def __init__(self, handle: Handle, spoil: Callable[[Got], Got]):
        self._handle = handle
        self._spoil = spoil
        self._reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def pread(self, size: int, offset: int) -> Got:
        got = self._handle.pread(size, offset)
        self._reads += bool(got.data)
        if self._reads == _AT:
            self._reads += 1
            return self._spoil(got)
        return got

    def burst(self, size: int, offsets: list[int], expected: Any) -> Burst:
        return self._handle.burst(size, offsets, expected)


class _PlantedFace:
    """A face whose handles have a defect."""

    def __init__(self, face: Face, spoil: Callable[[Got], Got]):
        self._face = face
        self._spoil = spoil

    def open(self, name: str, direct: bool) -> Any:
        return _PlantedHandle(self._face.open(name, direct), self._spoil)

    def listdir(self) -> dict[str, int]:
        return self._face.listdir()


def planted(face: Face, plant: str | None) -> Face:
    """A face, with one of `PLANTS` or another word, which leaves it as it is."""
    spoil = PLANTS.get(plant or "")
    return face if spoil is None else _PlantedFace(face, spoil)
