"""How large the views of a store are, and what their users should know."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from biofuse import formats
from biofuse.errors import BiofuseError
from biofuse.formats.base import Layout, Subject
from biofuse.genotypes.array import GenotypeArray
from biofuse.options import ViewOptions
from biofuse.plan.fields import call_shapes, describe_field
from biofuse.plan.findings import CallFindings
from biofuse.plan.selection import Resolved, read_field
from biofuse.plan.variants import VariantPass
from biofuse.stores import Location, open_store
from biofuse.stores.location import store_stem


def view_sizes(
    location: Location, group, genotypes: GenotypeArray, missing_chunks: str = "error"
) -> dict[str, dict[str, Any]]:
    """The streamed file of every format, with default options but for `missing_chunks`.

    Returns
    -------
    dict
        By format: "file", its name; "size", in bytes; "exact", whether that is known, and
        not taken from a part of the variants, or with sites of more than two alleles that
        are perhaps left out; "reason", why there is no such view, or None.
    """
    names = [name for name in read_field(group, "sample_id").tolist() if name]
    shapes = call_shapes(group)
    views: dict[str, dict[str, Any]] = {}
    biallelic = group["variant_allele"].shape[1] <= 2
    for name in formats.BY_DEFAULT:
        module = formats.get_format(name)
        try:
            layout = module.layout(Subject(names, genotypes.ploidy, shapes), module.Options())
            for field in layout.fields:
                describe_field(group, field)
            heads, exact = _head_bytes(location, group, layout, missing_chunks)
        except BiofuseError as error:
            views[name] = {"file": None, "size": None, "exact": True, "reason": str(error)}
            continue
        views[name] = {
            "file": store_stem(location.path) + formats.main_suffix(name),
            "size": len(layout.header(genotypes.shape[0]))
            + genotypes.shape[0] * layout.record_size
            + heads,
            "exact": exact and biallelic,
            "reason": None,
        }
    return views


def view_notices(location: Location, group, names: Sequence[str]) -> list[str]:
    """What is said of the whole store in these formats, with default options."""
    sample_id = read_field(group, "sample_id")
    kept = np.flatnonzero(np.asarray(sample_id != ""))
    samples = None if len(kept) == len(sample_id) else kept.tolist()
    findings = CallFindings(location, group, samples=samples)
    said = []
    for name in names:
        module = formats.get_format(name)
        said += module.notices(module.Options(), findings)
    return [*said, *(f"calls cannot be shown: {error}" for error in findings.errors)]


def _head_bytes(location: Location, group, layout: Layout, missing_chunks: str) -> tuple[int, bool]:
    """Bytes of all records' heads; and whether that is exact."""
    if layout.heads is None:
        return 0, True
    variant_pass = VariantPass(
        group,
        open_store(location),
        Resolved(None, None),
        ViewOptions({}, "", [], multiallelic="drop", missing_chunks=missing_chunks),
        lambda done, total: None,
    )
    count = group["variant_position"].shape[0]
    batch = next(variant_pass.batches(), None)
    if batch is None or not len(batch.whole):
        return 0, count == 0
    size = len(layout.heads(batch.whole.variants)[0])
    looked_at = len(batch.whole)
    return size * count // looked_at, looked_at == count
