"""What the files must be, worked out from arrays in the plainest way."""

from pathlib import Path

import numpy as np
import zarr

MAGIC = b"\x6c\x1b\x01"


def codes(genotypes: np.ndarray) -> np.ndarray:
    """PLINK 1's two bits of every call: (variants, samples)."""
    first = genotypes[:, :, 0].astype(int)
    if genotypes.shape[2] == 1:
        second = first
    else:
        second = genotypes[:, :, 1].astype(int)
        second = np.where(second == -2, first, second)
    missing = (first < 0) | (second < 0)
    return np.where(missing, 1, np.array([3, 2, 0])[np.where(missing, 0, first + second)])


def bed(genotypes: np.ndarray) -> bytes:
    """The whole `.bed`."""
    num_variants, num_samples = genotypes.shape[:2]
    padded = np.zeros((num_variants, -(-num_samples // 4) * 4), dtype=np.uint8)
    padded[:, :num_samples] = codes(genotypes)
    quads = padded.reshape(num_variants, -1, 4)
    packed = quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    return MAGIC + packed.astype(np.uint8).tobytes()


def genotypes_of(store: Path) -> np.ndarray:
    """A store's genotypes, as zarr-python reads them."""
    return zarr.open_group(store, mode="r")["call_genotype"][...]
