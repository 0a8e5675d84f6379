"""Targets in Python, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from . import plans, spoken, stored, texts


@dataclass(frozen=True)
class Target:
    """What is called with bytes, and raises if it finds something; and what it starts from."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


TARGETS = {
    "metadata": Target(stored.metadata, stored.metadata_seeds),
    "zip": Target(stored.zip_file, stored.zip_seeds),
    "manifest": Target(plans.manifest, plans.manifest_seeds),
    "wire": Target(spoken.wire, spoken.wire_seeds),
    "router": Target(spoken.router, spoken.router_seeds),
    "worker": Target(spoken.worker, spoken.worker_seeds),
    "sample-table": Target(texts.sample_table, texts.sample_table_seeds),
    "genetic-map": Target(texts.genetic_map, texts.genetic_map_seeds),
    "regions": Target(texts.regions, texts.region_seeds),
    "expression": Target(texts.expression, texts.expression_seeds),
    "selection-files": Target(texts.selection_files, texts.selection_file_seeds),
}
