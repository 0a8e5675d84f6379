"""What the kernels must give, worked out one allele at a time."""

import numpy as np

FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3


def is_wide(alleles: np.ndarray) -> bool:
    """Whether a row has an allele that two planes cannot show."""
    return any(allele not in (-2, -1, 0, 1) for allele in alleles.ravel().tolist())


def bed_code(call: list[int]) -> int:
    """PLINK 1's two bits for one call of one or two alleles; A1 is the alternative one.

    -1 is a missing allele; -2 is none at all, which in second place means a haploid call.
    """
    if len(call) == 2 and call[1] == -2:
        call = call[:1]
    if any(allele < 0 for allele in call):
        return 0b01
    alternatives = sum(call) * 2 // len(call)
    return {0: 0b11, 1: 0b10, 2: 0b00}[alternatives]


def bed_record(alleles: np.ndarray) -> bytes:
    """One `.bed` record from alleles of shape (samples, ploidy)."""
    record = bytearray(-(-len(alleles) // 4))
    for sample, call in enumerate(alleles.tolist()):
        record[sample // 4] |= bed_code(call) << 2 * (sample % 4)
    return bytes(record)


def pgen_record(alleles: np.ndarray) -> bytes:
    """One `.pgen` record of hard calls from alleles of shape (samples, ploidy)."""
    of_bed = {0b11: 0, 0b10: 1, 0b00: 2, 0b01: 3}
    record = bytearray(-(-len(alleles) // 4))
    for sample, call in enumerate(alleles.tolist()):
        record[sample // 4] |= of_bed[bed_code(call)] << 2 * (sample % 4)
    return bytes(record)


def fnv1a(data: bytes, state: int = FNV_OFFSET) -> int:
    """The 64-bit hash that the C harness prints."""
    for byte in data:
        state = (state ^ byte) * FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return state
