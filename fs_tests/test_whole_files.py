"""Every file of every view, whole."""

import pytest
from support import reference
from support.oracles import plink2


def test_every_file_is_the_oracle_s(mount, oracle):
    names = sorted(path.name for path in oracle.iterdir())
    assert sorted(path.name for path in mount.dir.iterdir()) == names
    for name in names:
        if not name.endswith(".bgi"):
            assert (mount.dir / name).read_bytes() == (oracle / name).read_bytes(), name


READERS = {
    "plink": ("--bfile", "x"),
    "bgen": ("--bgen", "x.bgen", "ref-first", "--sample", "x.sample"),
    "plink2": ("--pfile", "x"),
    "bcf": ("--bcf", "x.bcf", "--double-id", "--vcf-half-call", "missing"),
}


@pytest.mark.parametrize("reader", READERS)
def test_the_oracle_is_right(reader, genotypes, oracle, tmp_path):
    """What plink2 makes of each view has the store's calls, by a reference of numpy's."""
    option, name, *more = READERS[reader]
    words = [oracle / word if word.startswith("x") else word for word in more]
    plink2(option, oracle / name, *words, "--make-bed", "--out", tmp_path / "made")
    assert (tmp_path / "made.bed").read_bytes() == reference.bed(genotypes)
