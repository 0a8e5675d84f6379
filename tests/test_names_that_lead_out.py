"""Names of arrays and of chunks that lead out of a store: nothing beside it is looked at."""

import json

import numpy as np
import pytest
from support.places import consolidated
from support.stores import add_field, copy_store, make_store, random_genotypes
from support.views import plan_view

from biofuse.errors import BiofuseError

GENOTYPES = random_genotypes(30, 12)
# Of arrays of another store, which is beside this one, as the metadata have them.
LEADING_OUT = (
    *("../y.vcz/call_DP", "call_DP/../../y.vcz/call_DP", "call_../../y.vcz/call_DP"),
    *("variant_/../../y.vcz/call_DP", "/y.vcz/call_DP", "..", "."),
)


def with_depths(folder):
    store = make_store(folder / "y.vcz", GENOTYPES, chunks=(20, 9))
    depths = np.arange(30 * 12, dtype=np.int32).reshape(30, 12)
    return add_field(store, "call_DP", depths, chunks=(20, 9))


def test_arrays_that_the_metadata_of_a_server_name(placer, biofuse, tmp_path):
    """What tells of them all: a server of HTTP lists nothing."""
    other = with_depths(tmp_path)
    described = {
        name: json.loads((other / "call_DP" / name).read_text()) for name in (".zarray", ".zattrs")
    }
    store = consolidated(make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9)))
    plain = copy_store(store, tmp_path / "plain.vcz")
    metadata = json.loads((store / ".zmetadata").read_text())
    for array in LEADING_OUT:
        for name, value in described.items():
            metadata["metadata"][f"{array}/{name}"] = value
    (store / ".zmetadata").write_text(json.dumps(metadata))
    there = placer.put("http", store)
    options = ("--format", "plink", "--format", "bcf")
    with there.mount(biofuse, *options) as mount, biofuse.mount(plain, *options) as expected:
        names = sorted(path.name for path in mount.dir.iterdir())
        assert len(names) == 5
        for name in names:
            wanted = expected.dir / name.replace("x.", "plain.", 1)
            assert (mount.dir / name).read_bytes() == wanted.read_bytes(), name
    biofuse("info", there.url)
    biofuse("check", there.url, code=1)
    biofuse("run", there.url, "-i", "POS > 0", "--", "true")
    paths = there.proxy.traffic.paths()
    assert len(paths) > 5
    assert [path for path in paths if ".." in path or not path.startswith(there.path(""))] == []


SEPARATORS = ["/../../y.vcz/call_genotype/", "../", "/./", "//", "\0"]


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("encoding", ["v2-gzip", "v3-zstd"])
def test_separators_that_lead_out(encoding, separator, tmp_path):
    store = make_store(tmp_path / "x.vcz", GENOTYPES, chunks=(20, 9), encoding=encoding)
    path = store / "call_genotype" / (".zarray" if encoding == "v2-gzip" else "zarr.json")
    metadata = json.loads(path.read_text())
    if encoding == "v2-gzip":
        metadata["dimension_separator"] = separator
    else:
        metadata["chunk_key_encoding"]["configuration"]["separator"] = separator
    path.write_text(json.dumps(metadata))
    with pytest.raises(BiofuseError, match=rf"^call_genotype/{path.name} is damaged.*separator"):
        plan_view(store, tmp_path / "plan")
