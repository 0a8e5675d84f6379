"""The plan as it lies on disk: a directory of immutable files and a manifest.

This is all that the three programs share. plan writes it, serve and encode read
it. The manifest is JSON; tables are little-endian integers, to be mapped.
"""

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from biofuse.errors import BiofuseError
from biofuse.manifest_check import check_plan
from biofuse.trust import UntrustedError, open_file, open_folder, read_file

MANIFEST = "plan.json"
# What of the store a plan that is kept depends on; without it, it is not used again.
DEPENDENCIES = "store.json"
# Small files of a plan of many filesets, one after another.
PACK = "pack"
# Changes whenever a plan made by one version cannot be served by another.
PLAN_FORMAT = 16


@dataclass(frozen=True)
class StaticFile:
    """A sidecar: a file of the plan, shown under a name.

    Attributes
    ----------
    name : str
        As the mount shows it.
    path : str
        Name of the plan's file.
    size : int
        In bytes.
    format : str
        Name of the format whose fileset it belongs to.
    """

    name: str
    path: str
    size: int
    format: str


@dataclass(frozen=True)
class StreamedFile:
    """A file that is encoded on demand: a header, then one record a variant.

    Attributes
    ----------
    name : str
        As the mount shows it.
    format : str
        Name of the format module that encodes its records.
    header : str
        File of the plan with the header's bytes.
    header_size, size : int
        In bytes.
    records : int
    max_record : int
        Bytes of the largest record.
    record_size : int or None
        Bytes a record where all have one size.
    offsets : str or None
        Else, file of the plan with records + 1 uint64: where in the streamed file each
        record begins, and the file's size.
    heads : str or None
        File of the plan with what records begin with, one after another.
    fields : list of str
        The store's fields that records are made from.
    params : dict
        What the format's encoder is made with.
    stream : int or None
        Bytes of header and records together, where these are a stream that the file has in
        blocks of `biofuse.bgzf`; offsets are those in the stream.
    variants : str or None
        File of uint32 that several files may share: the store's index of each record, ascending,
        from entry `first` on; None if records are the store's variants from `first` on.
    alts : str or None
        File of uint16 that goes with it, two of each record: the ALT that it shows, from 1, or 0
        for a site that is shown as it is, and how many alleles the site has; None if all are
        shown as they are.
    first : int
    others_missing : bool
        Whether records of one ALT show others as missing; else as REF.
    """

    name: str
    format: str
    header: str
    header_size: int
    size: int
    records: int
    max_record: int
    record_size: int | None = None
    offsets: str | None = None
    heads: str | None = None
    fields: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    stream: int | None = None
    variants: str | None = None
    alts: str | None = None
    first: int = 0
    others_missing: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything that serving a view needs.

    A file of the plan is one of its directory, or a part of one that has many: see `packed`.

    Attributes
    ----------
    stem : str
    store : dict
        The public part of a `stores.Location`.
    fields : dict of str to dict
        The fields that records are made from, each a `genotypes.GenotypeArray`.
    num_samples, num_variants : int
        Of the view; of a site that is split, one variant.
    modified_ns : int
        Time stamp of the files shown: that of the store where it has one, so that it is
        the same in every mount.
    as_of_ns : int or None
        Nanoseconds since 1970: what was changed in the store later is not read. None for the
        time of the mount.
    static, streamed : list
        The fileset.
    samples : str or None
        File of uint32: the store's index of each sample of the view; None if the view has
        all of them in order.
    pins : str or None
        File of `stores.pins.Pins`: the versions of a store's objects at some distance.
    decoded_chunk : int
        Bytes that are in memory while the largest chunk that is decoded whole, as the slow
        path does, is decoded; 0 if none is.
    wide : bool
        Whether the store has room for alleles beyond the first ALT.
    watched : list of str
        Keys of the store whose change makes the plan invalid and reads fail.
    signature : str or None
        `stores.Store.signature` of these keys when the plan was made.
    warnings : list of str
        To be said at mount time.
    notices : dict of str to list of str
        By format, what is to be said to those who asked for it.
    left_out : dict of str to str
        Formats that cannot show the store, and why.
    lasting : bool
        Whether the plan may be kept: nothing that it was to hold could not be read.
    packed : dict of str to (int, int)
        Files of the plan that are in the file `PACK`: where they begin there, and their bytes.
    contigs : dict of str to str
        If there is a fileset for each contig, their names and their files' without suffix, in the
        order of the sites.
    """

    stem: str
    store: dict[str, Any]
    fields: dict[str, dict[str, Any]]
    num_samples: int
    num_variants: int
    modified_ns: int
    static: list[StaticFile]
    streamed: list[StreamedFile]
    as_of_ns: int | None = None
    samples: str | None = None
    pins: str | None = None
    decoded_chunk: int = 0
    wide: bool = False
    watched: list[str] = field(default_factory=list)
    signature: str | None = None
    warnings: list[str] = field(default_factory=list)
    notices: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    lasting: bool = True
    packed: dict[str, tuple[int, int]] = field(default_factory=dict)
    contigs: dict[str, str] = field(default_factory=dict)

    def check_has(self, formats: Iterable[str]) -> None:
        """Raise `BiofuseError` if one of these formats is left out."""
        for name in formats:
            if name in self.left_out:
                raise BiofuseError(self.left_out[name])

    def write(self, directory: str) -> None:
        """Write the manifest into the plan's directory; its files are its owner's from then on."""
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(directory)}
        value = {"sizes": sizes, **vars(self)}
        for name in ("static", "streamed"):
            value[name] = [vars(file) for file in value[name]]
        with open(os.path.join(directory, MANIFEST), "w") as f:
            f.write(json.dumps({"format": PLAN_FORMAT, "checksum": checksum_of(value), **value}))
        for name in (*sizes, MANIFEST):
            # Whatever the umask: a plan that others may write to is not used.
            os.chmod(os.path.join(directory, name), 0o600)

    def table_names(self) -> list[str]:
        """Files that the encoder needs."""
        names = [self.samples, self.pins]
        for streamed in self.streamed:
            names.append(streamed.header)
            names += [streamed.offsets, streamed.heads, streamed.variants, streamed.alts]
        return [name for name in dict.fromkeys(names) if name is not None]

    def file_names(self) -> list[str]:
        """Every file of the plan that is read once it is made."""
        names = [file.path for file in self.static] + [file.header for file in self.streamed]
        return list(dict.fromkeys([*names, *self.table_names()]))

    def on_disk(self, names: Iterable[str]) -> list[str]:
        """The files of the plan's directory that these are, or are in."""
        return list(dict.fromkeys(PACK if name in self.packed else name for name in names))

    def shown_names(self) -> list[str]:
        """Names of the files that a mount shows."""
        return [*(file.name for file in self.static), *(file.name for file in self.streamed)]


def checksum_of(value: dict[str, Any]) -> int:
    """Of all that a manifest says: a number that was changed would be a lie about the files."""
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def read_plan(text: str | bytes) -> Plan:
    """The plan whose manifest this is.

    Raises
    ------
    BiofuseError
        If it was written in another format, is not what was written, or says what is of no plan,
        as paths where names are to be.
    """
    return _read(text)[0]


def _read(text: str | bytes) -> tuple[Plan, dict[str, int]]:
    """The plan, and how large its directory's files were when it was written."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged("its manifest is no JSON") from error
    if not isinstance(value, dict) or value.pop("format", None) != PLAN_FORMAT:
        raise _damaged("it is of another format")
    if value.pop("checksum", None) != checksum_of(value):
        raise _damaged("its manifest is not as it was written")
    try:
        sizes = value.pop("sizes")
        value["packed"] = {name: tuple(place) for name, place in value["packed"].items()}
        value["static"] = [StaticFile(**f) for f in value["static"]]
        value["streamed"] = [StreamedFile(**f) for f in value["streamed"]]
        plan = Plan(**value)
    except (AttributeError, KeyError, TypeError) as error:
        raise _damaged("its manifest has other fields than those of a plan") from error
    try:
        check_plan(plan, sizes)
    except ValueError as error:
        raise _damaged(str(error)) from error
    return plan, sizes


def _damaged(why: str) -> BiofuseError:
    return BiofuseError(f"the plan is damaged, which --no-cache makes anew: {why}")


class PlanFolder:
    """A plan's directory, open, of which everything is what this user or root has made.

    Use as a context manager.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    fd : int
        The directory.
    plan : Plan

    Raises
    ------
    UntrustedError
        If another user can have made or changed it.
    OSError, BiofuseError
        If there is no manifest that can be read.
    """

    def __init__(self, path: str):
        self.fd = open_folder(path)
        try:
            self.plan, self._sizes = _read(read_file(MANIFEST, self.fd))
        except BaseException:
            os.close(self.fd)
            raise

    def __enter__(self) -> "PlanFolder":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def open(self, name: str) -> int:
        """A descriptor of a file of the plan, which has the size in which it was written.

        Raises
        ------
        UntrustedError, OSError
            If it is not what the plan has written.
        """
        fd = open_file(name, self.fd)
        if name != MANIFEST and os.fstat(fd).st_size != self._sizes.get(name):
            os.close(fd)
            raise UntrustedError(f"{name} of the plan is not of the size in which it was written")
        return fd

    def check(self) -> None:
        """Raise as `open` does if any file is not what the plan has written."""
        for name in {*self._sizes, *self.plan.on_disk(self.plan.file_names())}:
            os.close(self.open(name))
