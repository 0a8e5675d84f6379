"""Options that several commands share."""

import math
from collections.abc import Callable
from typing import Any

import click

from biofuse import formats
from biofuse.address import parse_address
from biofuse.allocators import NAMES as ALLOCATORS
from biofuse.errors import BiofuseError
from biofuse.memory import MIN_BUDGET, format_size, parse_size
from biofuse.options import MULTIALLELIC_POLICIES

MAX_THREADS = 64


class Size(click.ParamType):
    """A number of bytes, such as 128MiB.

    Parameters
    ----------
    least : int
        The smallest that will do.
    """

    name = "size"

    def __init__(self, least: int = 0):
        self._least = least

    def convert(self, value, param, ctx):
        if isinstance(value, int):
            return value
        try:
            size = parse_size(value)
        except BiofuseError as error:
            self.fail(str(error), param, ctx)
        if size < self._least:
            self.fail(f"{value} is less than {format_size(self._least)}, the least", param, ctx)
        return size


class Seconds(click.FloatRange):
    """A time, of a tenth of a second at least."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=0.1)

    def convert(self, value, param, ctx):
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


class ListenAddress(click.ParamType):
    """A port, a host and port, or the path of a Unix socket."""

    name = "address"

    def convert(self, value, param, ctx):
        try:
            return str(parse_address(value))
        except BiofuseError as error:
            self.fail(str(error), param, ctx)


class GroupedOption(click.Option):
    """An option that `--help` lists under a heading."""

    def __init__(self, *args, heading: str = "Options", **kwargs):
        super().__init__(*args, **kwargs)
        self.heading = heading


class GroupedCommand(click.Command):
    """A command whose `--help` lists options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "heading", "Options"), []).append(record)
        for heading in sorted(sections, key=lambda h: h != "Options"):
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


def _group(heading: str, *rows: tuple[tuple[str, ...], dict[str, Any]]) -> Callable:
    def decorate(f):
        for names, settings in reversed(rows):
            f = click.option(*names, cls=GroupedOption, heading=heading, **settings)(f)
        return f

    return decorate


selection_options = _group(
    "Selection (as in bcftools view)",
    (("-r", "--regions"), {"help": "Regions to include, such as 20:1-5000,21."}),
    (("-R", "--regions-file"), {"help": "File of regions to include."}),
    (("-t", "--targets"), {"help": "Targets to include; with ^, to exclude."}),
    (("-T", "--targets-file"), {"help": "File of targets; with ^, to exclude."}),
    (("-s", "--samples"), {"help": "Samples to include, in this order; with ^, to exclude."}),
    (("-S", "--samples-file"), {"help": "File of samples; with ^, to exclude."}),
    (("--force-samples",), {"is_flag": True, "help": "Leave unknown samples out."}),
    (("-i", "--include"), {"help": "Keep sites for which this expression is true."}),
    (("-e", "--exclude"), {"help": "Leave out sites for which this expression is true."}),
    (("-v", "--types"), {"help": "Keep these types of variant: snps,indels,mnps,other."}),
    (("-V", "--exclude-types"), {"help": "Leave out these types of variant."}),
    (("-m", "--min-alleles"), {"type": int, "help": "Keep sites with at least N alleles."}),
    (("-M", "--max-alleles"), {"type": int, "help": "Keep sites with at most N alleles."}),
)

variant_options = _group(
    "Options",
    (
        ("--multiallelic",),
        {
            "type": click.Choice(MULTIALLELIC_POLICIES),
            "default": "error",
            "show_default": True,
            "help": "What to do with sites of more than two alleles.",
        },
    ),
    (
        ("--variant-id-template",),
        {
            "metavar": "TEMPLATE",
            "help": "Fill in missing IDs, in plink2's syntax, such as '@:#:$r:$a'.",
        },
    ),
)

name_options = _group(
    "Options",
    (("--basename",), {"help": "Name of the files, without suffix [default: the store's]."}),
)

format_choice = _group(
    "Options",
    (
        ("--format", "format_names"),
        {
            "multiple": True,
            "type": click.Choice(formats.NAMES),
            "help": "Format to show; repeatable.  [default: all that can show the store]",
        },
    ),
)

plink_options = _group(
    "PLINK 1",
    (("--no-bim",), {"is_flag": True, "help": "Leave out the .bim file."}),
    (("--no-fam",), {"is_flag": True, "help": "Leave out the .fam file."}),
)

bgen_options = _group(
    "BGEN",
    (
        ("--unphased",),
        {"is_flag": True, "help": "Show no variant as phased: REGENIE and SAIGE want it."},
    ),
    (
        ("--haploid-as-diploid",),
        {"is_flag": True, "help": "Show haploid calls as homozygous diploid ones."},
    ),
    (
        ("--bgen-field",),
        {
            "type": click.Choice(["GT", "GP", "DS"]),
            "default": "GT",
            "show_default": True,
            "help": "What probabilities are made from: calls, probabilities or dosages.",
        },
    ),
    (
        ("--bits",),
        {
            "type": click.Choice(["8", "16"]),
            "default": "8",
            "show_default": True,
            "help": "Bits a probability.",
        },
    ),
    (("--no-bgi",), {"is_flag": True, "help": "Leave out the .bgen.bgi index."}),
    (("--no-sample-file",), {"is_flag": True, "help": "Leave out the .sample file."}),
    (("--no-header-samples",), {"is_flag": True, "help": "Leave sample IDs out of the .bgen."}),
)

store_options = _group(
    "Store",
    (
        ("--backend-storage",),
        {
            "type": click.Choice(["fsspec", "obstore", "icechunk"]),
            "help": "How to reach a store that is not a local directory or zip file.",
        },
    ),
    (
        ("--storage-option", "storage_options"),
        {
            "multiple": True,
            "metavar": "KEY=VALUE",
            "help": "Option of that backend; VALUE may be JSON. Repeatable.",
        },
    ),
)

serving_options = _group(
    "Serving",
    (
        ("--memory",),
        {
            "type": Size(least=MIN_BUDGET),
            "metavar": "SIZE",
            "help": "Memory for window, caches and scratch together.  [default: 128MiB; in a "
            "job or container at most a quarter of its limit]",
        },
    ),
    (
        ("--allocator",),
        {
            "type": click.Choice(ALLOCATORS),
            "default": "system",
            "show_default": True,
            "help": "Library for memory allocation in the encoder process.",
        },
    ),
    (
        ("--trim/--no-trim",),
        {
            "default": True,
            "show_default": True,
            "help": "Give freed memory of the encoder process back when it has nothing to do.",
        },
    ),
    (
        ("--threads",),
        {
            "type": click.IntRange(1, MAX_THREADS),
            "help": "Threads that encode.  [default: cores, up to 4; 8 for a store that is not "
            "local]",
        },
    ),
    (
        ("--readahead-workers",),
        {
            "type": click.IntRange(0),
            "help": "As in biofuse 0.1.0; for a local store at most as many as cores.",
        },
    ),
    (
        ("--readahead-buffer-size",),
        {"type": Size(), "metavar": "SIZE", "help": "At most this much is read ahead of a run."},
    ),
    (
        ("--idle-timeout",),
        {
            "type": Seconds(),
            "default": 10.0,
            "show_default": True,
            "metavar": "SECONDS",
            "help": "Give memory back after this long without a read.",
        },
    ),
    (
        ("--timeout",),
        {
            "type": Seconds(),
            "metavar": "SECONDS",
            "help": "A read that the store does not answer for this long fails, and so does the "
            "mount while it is made.  [default: 30; 120 for a store that is not local]",
        },
    ),
    (
        ("--read-ahead-kb",),
        {
            "type": click.IntRange(0, 65536),
            "default": 1024,
            "show_default": True,
            "metavar": "KIB",
            "help": "The kernel's read-ahead on the mount, set where allowed; 0: leave it.",
        },
    ),
    (
        ("--metrics",),
        {
            "type": ListenAddress(),
            "metavar": "PORT|SOCKET",
            "help": "Answer Prometheus at this port of 127.0.0.1 (HOST:PORT: of another address; "
            "0: any, which status tells) or at a Unix socket.",
        },
    ),
    (("--allow-other",), {"is_flag": True, "help": "Let other users read the mount."}),
    (
        ("--cache-dir",),
        {"type": click.Path(file_okay=False), "help": "Where plans are kept between mounts."},
    ),
    (("--no-cache",), {"is_flag": True, "help": "Neither use nor keep a plan."}),
)

log_options = _group(
    "Logging",
    (
        ("--log-level",),
        {
            "type": click.Choice(["warning", "info", "debug"], case_sensitive=False),
            "default": "warning",
            "show_default": True,
            "help": "What is logged.",
        },
    ),
    (
        ("--log-file",),
        {"type": click.Path(dir_okay=False), "help": "Append the log to this file."},
    ),
    (
        ("--access-log",),
        {"type": click.Path(dir_okay=False), "help": "Append a line of JSON a read to this file."},
    ),
)
