"""What files of every format must show of a store: worked out from what zarr-python reads of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from support import bgen, reference
from support.bcf import Record, take_apart
from support.bgen_reference import check_stored, hard_calls
from zarr.storage import ZipStore

# Of a call of two alleles: `.pgen`'s two bits, by `.bed`'s.
_OF_BED = np.array([2, 3, 1, 0])
# Of a `.bcf`: that there is no second allele.
_NONE = 0x81


@dataclass(frozen=True)
class Site:
    """What is shown of a variant."""

    contig: str
    position: int
    id: str
    alleles: tuple[str, ...]

    @property
    def two(self) -> tuple[str, str]:
        """REF and ALT, of which the second may be missing."""
        return self.alleles[0], self.alleles[1] if len(self.alleles) > 1 else "."


@dataclass(frozen=True)
class Shown:
    """What a store holds: its sites, samples and calls."""

    sites: list[Site]
    samples: list[str]
    calls: np.ndarray

    @classmethod
    def of(cls, store: Path) -> "Shown":
        """As zarr-python reads it; raises whatever that raises."""
        opened = ZipStore(store, mode="r") if store.suffix == ".zip" else store
        group = zarr.open_group(opened, mode="r")
        contigs = group["contig_id"][...].tolist()
        numbers = group["variant_contig"][...].tolist()
        positions = group["variant_position"][...].tolist()
        alleles = [[a for a in row if a] for row in group["variant_allele"][...].tolist()]
        ids = ["."] * len(positions)
        if "variant_id" in group:
            ids = group["variant_id"][...].tolist()
        if min(numbers, default=0) < 0:
            raise ValueError("a contig's number is below 0")
        sites = [
            Site(contigs[number], position, name or ".", tuple(row))
            for number, position, name, row in zip(numbers, positions, ids, alleles, strict=True)
        ]
        samples = group["sample_id"][...].tolist()
        kept = [i for i, name in enumerate(samples) if name]
        calls = np.clip(group["call_genotype"][...], -2, 1)
        if calls.shape[:2] != (len(sites), len(samples)):
            raise ValueError("calls are of other sites or samples")
        return cls(sites, [samples[i] for i in kept], calls[:, kept])

    def check(self, files: Mapping[str, bytes], with_calls: bool = True) -> None:
        """Raise AssertionError if a file, by its suffix, shows something else.

        Calls may be others where they are not asked for. Indexes are not looked at.
        """
        for suffix, data in files.items():
            if suffix in ("bgen", "bcf"):
                getattr(self, f"_check_{suffix}")(data, with_calls)
            elif (suffix in ("bed", "pgen") and not with_calls) or suffix in ("bgi", "csi"):
                continue
            else:
                getattr(self, f"_check_{suffix}")(data)

    def _check_bed(self, data: bytes) -> None:
        assert data == reference.bed(self.calls), "other calls were read"

    def _check_bim(self, data: bytes) -> None:
        lines = [
            f"{each.contig}\t{each.id}\t0\t{each.position}\t{each.two[1]}\t{each.two[0]}\n"
            for each in self.sites
        ]
        assert data.decode() == "".join(lines), "the .bim has other sites"

    def _check_fam(self, data: bytes) -> None:
        lines = [f"{name}\t{name}\t0\t0\t0\t-9\n" for name in self.samples]
        assert data.decode() == "".join(lines), "the .fam has other samples"

    def _check_sample(self, data: bytes) -> None:
        lines = ["ID_1 ID_2 missing sex\n", "0 0 0 D\n"]
        lines += [f"{name} {name} 0 NA\n" for name in self.samples]
        assert data.decode() == "".join(lines), "the .sample has other samples"

    def _check_psam(self, data: bytes) -> None:
        lines = ["#FID\tIID\tSEX\n", *(f"{name}\t{name}\tNA\n" for name in self.samples)]
        assert data.decode() == "".join(lines), "the .psam has other samples"

    def _check_pvar(self, data: bytes) -> None:
        lines = [line for line in data.decode().splitlines() if not line.startswith("#")]
        found = [tuple(line.split("\t")[:5]) for line in lines]
        wanted = [(s.contig, str(s.position), s.id, *s.two) for s in self.sites]
        assert found == wanted, "the .pvar has other sites"

    def _check_pgen(self, data: bytes) -> None:
        width = -(-len(self.samples) // 4)
        assert data[:2] == b"\x6c\x1b"
        packed = np.frombuffer(data[12:], np.uint8).reshape(len(self.sites), width, 1)
        found = (packed >> np.uint8([0, 2, 4, 6]) & 3).reshape(len(self.sites), 4 * width)
        wanted = _OF_BED[reference.codes(self.calls)]
        assert (found[:, : len(self.samples)] == wanted).all(), "the .pgen has other calls"

    def _check_bgen(self, data: bytes, with_calls: bool) -> None:
        found = bgen.parse(data)
        assert found.samples == self.samples, "the .bgen has other samples"
        wanted = [
            hard_calls((".", s.id, s.contig, s.position, s.two), calls, False)
            for s, calls in zip(self.sites, self.calls, strict=True)
        ]
        assert [each.names for each in found.variants] == [each.names for each in wanted]
        if with_calls:
            check_stored(found.variants, wanted)

    def _check_bcf(self, data: bytes, with_calls: bool) -> None:
        text, records = take_apart(data)
        lines = text.splitlines()
        contigs = [
            line.split("ID=")[1].split(",")[0].rstrip(">")
            for line in lines
            if line.startswith("##contig=")
        ]
        assert lines[-1].split("\t")[9:] == self.samples, "the .bcf has other samples"
        assert [_site(each, contigs) for each in records] == self.sites, "the .bcf has other sites"
        if not with_calls:
            return
        calls = self.calls.astype(int)
        wanted = np.where(calls == -2, _NONE, (calls + 1) << 1)
        for record, row in zip(records, wanted, strict=True):
            # Behind the key and the type.
            assert record.calls[3:] == row.astype(np.uint8).tobytes(), "the .bcf has other calls"


def _site(record: Record, contigs: list[str]) -> Site:
    number, position = (
        int.from_bytes(record.site[at : at + 4], "little", signed=True) for at in (0, 4)
    )
    count = int.from_bytes(record.site[18:20], "little")
    at = 24
    texts = []
    for _ in range(1 + count):
        text, at = _text(record.site, at)
        texts.append(text)
    return Site(contigs[number], position + 1, texts[0] or ".", tuple(texts[1:]))


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A typed text of BCF, and where it ends."""
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    assert kind in (0, 7)
    if size == 15:
        width = 1 << (data[at] & 15) - 1
        size = int.from_bytes(data[at + 1 : at + 1 + width], "little")
        at += 1 + width
    return data[at : at + size].decode(), at + size
