"""Options that several commands share, in tables: an option is declared here and nowhere else.

Those of a table come to a command as one argument: see `settings` for the dataclasses. The
options of formats are made from what the formats declare.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from biofuse import formats
from biofuse.allocators import NAMES as ALLOCATORS
from biofuse.api import settings
from biofuse.api.presets import PRESETS
from biofuse.cli.completion import names_of
from biofuse.cli.params import ListenAddress, Name, Part, Row, Seconds, Size, options
from biofuse.cli.source import TypedStore
from biofuse.options import CONTIG_NAMES, MISSING_CHUNKS_POLICIES, MULTIALLELIC_POLICIES
from biofuse.selection_files import read_selection

_SELECTION = Part("selection", read_selection)
_VIEW = Part("view", settings.view_choices)
_FORMATS = Part("format_options", settings.format_options)
_SOURCE = Part("source", TypedStore)
_SERVING = Part("serving", settings.ServingOptions)
_CACHE = Part("cache", settings.CacheOptions)
_LOG = Part("log", settings.LogOptions)

_CONTIGS = names_of("contig_id")
_SAMPLES = names_of("sample_id")

selection_options = options(
    _SELECTION,
    "Selection (as in bcftools view)",
    (
        ("-r", "--regions"),
        {"shell_complete": _CONTIGS, "help": "Regions to include, such as 20:1-5000,21."},
    ),
    (
        ("-R", "--regions-file"),
        {
            "type": Name(),
            "help": "File of regions: tab-delimited, BED or VCF; - is standard input.",
        },
    ),
    (
        ("-t", "--targets"),
        {"shell_complete": _CONTIGS, "help": "Targets to include; with ^, to exclude."},
    ),
    (
        ("-T", "--targets-file"),
        {"type": Name(), "help": "File of targets, as for -R; with ^, to exclude."},
    ),
    (
        ("-s", "--samples"),
        {
            "shell_complete": _SAMPLES,
            "help": "Samples to include, in this order; with ^, to exclude.",
        },
    ),
    (
        ("-S", "--samples-file"),
        {
            "type": Name(),
            "help": "File of samples, one a line or FID IID; with ^, to exclude; - is standard "
            "input.",
        },
    ),
    (("--force-samples",), {"is_flag": True, "help": "Leave unknown samples out."}),
    (
        ("-i", "--include"),
        {"help": "Keep sites for which this expression is true, such as 'MAF>0.01 && QUAL>20'."},
    ),
    (("-e", "--exclude"), {"help": "Leave out sites for which this expression is true."}),
    (("-f", "--apply-filters"), {"help": "Keep sites with one of these filters: PASS,."}),
    (("-v", "--types"), {"help": "Keep these types of variant: snps,indels,mnps,bnd,other."}),
    (("-V", "--exclude-types"), {"help": "Leave out these types of variant."}),
    (("-m", "--min-alleles"), {"type": int, "help": "Keep sites with at least N alleles."}),
    (("-M", "--max-alleles"), {"type": int, "help": "Keep sites with at most N alleles."}),
    (
        ("-c", "--min-ac"),
        {
            "metavar": "N[:TYPE]",
            "help": "Keep sites with at least N alternative alleles in the samples; TYPE counts "
            "others: nref, alt1, minor, major, nonmajor, such as 3:minor.",
        },
    ),
    (("-C", "--max-ac"), {"metavar": "N[:TYPE]", "help": "Keep sites with at most N."}),
    (
        ("-q", "--min-af"),
        {"metavar": "F[:TYPE]", "help": "The same with frequencies, such as 0.01:minor."},
    ),
    (("-Q", "--max-af"), {"metavar": "F[:TYPE]", "help": "Keep sites of at most F."}),
    (("-k", "--known"), {"is_flag": True, "help": "Keep sites that have an ID."}),
    (("-n", "--novel"), {"is_flag": True, "help": "Keep sites that have none."}),
    (("-u", "--uncalled"), {"is_flag": True, "help": "Keep sites where no allele is called."}),
    (("-U", "--exclude-uncalled"), {"is_flag": True, "help": "Leave those out."}),
    (
        ("-x", "--private"),
        {"is_flag": True, "help": "Keep sites that only the samples have alternative alleles at."},
    ),
    (("-X", "--exclude-private"), {"is_flag": True, "help": "Leave those out."}),
    (
        ("-g", "--genotype"),
        {"metavar": "[^]hom|het|miss", "help": "Keep sites with such a call; with ^, the others."},
    ),
)

variant_options = options(
    _VIEW,
    "Options",
    (
        ("--multiallelic",),
        {
            "type": click.Choice(MULTIALLELIC_POLICIES),
            "default": "error",
            "show_default": True,
            "help": "Sites of more than two alleles, in files that hold two: leave them out, or "
            "show each ALT as a site, with others as REF (bcftools norm -m -any) or as missing.",
        },
    ),
    (
        ("--variant-id-template",),
        {
            "metavar": "TEMPLATE",
            "help": "Fill in missing IDs, in plink2's syntax, such as '@:#:$r:$a'; . leaves them, "
            "with --for too.",
        },
    ),
)

table_options = options(
    _VIEW,
    "Samples and genetic positions",
    (
        ("--samples-table",),
        {
            "type": Name(),
            "metavar": "FILE",
            "help": "Sexes, parents, families and phenotypes for .fam, .psam and .sample: a table "
            "with a header (IID, SEX, ...), a .fam, .psam or .sample; - is standard input.",
        },
    ),
    (
        ("--pheno-name",),
        {
            "metavar": "NAME",
            "help": "Show this phenotype of that table: as the sixth column of the .fam, as one of "
            ".psam and .sample. NAME,NAME: those have all, the .fam the first.  [default: none; "
            "that of a .fam]",
        },
    ),
)

map_option = options(
    _VIEW,
    "Samples and genetic positions",
    (
        ("--genetic-map",),
        {
            "type": Name(),
            "metavar": "FILE",
            "help": "Genetic map for centimorgans in .bim and .pvar, as PLINK 1.9, Eagle or "
            "SHAPEIT take it, may be gzipped; @ in FILE stands for the chromosome.",
        },
    ),
)

missing_chunks_option = options(
    _VIEW,
    "Store",
    (
        ("--missing-chunks",),
        {
            "type": click.Choice(MISSING_CHUNKS_POLICIES),
            "default": "error",
            "show_default": True,
            "help": "Where chunks are not stored and Zarr's fill value makes no sense (a position "
            "of 0, an empty REF), or nobody can tell before (calls on a web server): fail, or show "
            "it.",
        },
    ),
)

name_options = options(
    _VIEW,
    "Options",
    (("--basename",), {"help": "Name of the files, without suffix [default: the store's]."}),
)

fileset_options = options(
    _VIEW,
    "Options",
    (
        ("--per-contig",),
        {"is_flag": True, "help": "Files for each contig: STEM_CONTIG.bed and so on."},
    ),
    (
        ("--name-template",),
        {
            "metavar": "TEMPLATE",
            "help": "Their names without suffix, such as '{stem}_chr{contig}'; with --per-contig.",
        },
    ),
)


def _one_program(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> str | None:
    """The program that files are for, which may be named but once."""
    if len(set(names)) > 1:
        given = " and ".join(f"--for {name}" for name in dict.fromkeys(names))
        raise click.UsageError(f"{given}: files are for one program only", ctx)
    return names[0] if names else None


format_choice = options(
    _VIEW,
    "Options",
    (
        ("--for", "preset"),
        {
            "multiple": True,
            "callback": _one_program,
            "type": click.Choice(list(PRESETS)),
            "help": "Show what this program reads, as it needs it, and say what that sets; other "
            "options stand where they are given. Commands that fit are at the end.",
        },
    ),
    (
        ("--format", "format_names"),
        {
            "multiple": True,
            "type": click.Choice(formats.NAMES),
            "help": "Format to show; repeatable.  [default: what --for says; else plink and bgen]",
        },
    ),
)

store_options = options(
    _SOURCE,
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

plan_option = options(
    _SOURCE,
    "Store",
    (
        ("--plan",),
        {
            "type": Name(),
            "metavar": "FILE",
            "help": "What 'biofuse plan' has made of STORE: nothing but calls is read of it.",
        },
    ),
)

_MEMORY: Row = (
    ("--memory",),
    {
        "type": Size(least=settings.SIZES["memory"]),
        "metavar": "SIZE",
        "help": "Memory for caches and scratch together.  [default: 128MiB; in a "
        "job or container at most a quarter of its limit]",
    },
)
_THREADS: Row = (
    ("--threads",),
    {
        "type": click.IntRange(*settings.RANGES["threads"]),
        "help": "Threads that encode.  [default: cores, up to 4; 8 for a store that is not local]",
    },
)
_TIMEOUT: Row = (
    ("--timeout",),
    {
        "type": Seconds(),
        "metavar": "SECONDS",
        "help": "A read that the store does not answer for this long fails, and so does the "
        "mount while it is made.  [default: 30; 120 for a store that is not local]",
    },
)

serving_options = options(
    _SERVING,
    "Serving",
    _MEMORY,
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
    _THREADS,
    (
        ("--readahead-workers",),
        {
            "type": click.IntRange(*settings.RANGES["readahead_workers"]),
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
    _TIMEOUT,
    (
        ("--read-ahead-kb",),
        {
            "type": click.IntRange(*settings.RANGES["read_ahead_kb"]),
            "default": 1024,
            "show_default": True,
            "metavar": "KIB",
            "help": "The kernel's read-ahead on the mount, set where allowed; 0: leave it.",
        },
    ),
    (
        ("--direct-io",),
        {
            "multiple": True,
            "metavar": "PROGRAM",
            "help": "How the name of a program begins whose reads go past the kernel's page cache, "
            "such as plink2, or all: faster where much is read at once and only once. Repeatable.",
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
        ("--auto-unmount",),
        {
            "is_flag": True,
            "help": "Unmount even where the serving process is killed with SIGKILL; a process "
            "stays for that.",
        },
    ),
)

making_options = options(_SERVING, "Making", _MEMORY, _THREADS, _TIMEOUT)

cache_options = options(
    _CACHE,
    "Serving",
    (
        ("--cache-dir",),
        {"type": Name("dir"), "help": "Where plans are kept between mounts."},
    ),
    (("--no-cache",), {"is_flag": True, "help": "Neither use nor keep a plan."}),
    (
        ("--chunk-cache",),
        {
            "type": Name("dir"),
            "metavar": "DIR",
            "help": "Keep chunks of a store that is not local here, for all mounts of this "
            "machine.",
        },
    ),
    (
        ("--chunk-cache-size",),
        {
            "type": Size(),
            "metavar": "SIZE",
            "help": "As much of them; those unused for longest go.  [default: 10GiB]",
        },
    ),
)

log_options = options(
    _LOG,
    "Logging",
    (
        ("--log-level",),
        {
            "type": click.Choice(settings.LOG_LEVELS, case_sensitive=False),
            "default": "warning",
            "show_default": True,
            "help": "What is logged.",
        },
    ),
    (
        ("--log-file",),
        {"type": Name(), "help": "Append the log to this file."},
    ),
    (
        ("--access-log",),
        {"type": Name(), "help": "Append a line of JSON a read to this file."},
    ),
)


def contig_options(default: str | None = None) -> Callable[[Any], Any]:
    """The option for names of contigs: plink2's, where neither it nor a default is given."""
    return options(
        _VIEW,
        "Options",
        (
            ("--contig-names",),
            {
                "type": click.Choice(CONTIG_NAMES),
                "default": default,
                "show_default": True,
                "help": "Name contigs as plink2 does (chr20 is 20, chrM is MT), or as the store."
                + ("" if default else "  [default: plink2]"),
            },
        ),
    )


def format_options(name: str, **defaults: Any) -> Callable[[Any], Any]:
    """The options that a format declares.

    Parameters
    ----------
    name : str
        The format's.
    **defaults
        Of options whose default is another in this command.
    """
    module = formats.get_format(name)
    rows = [
        _format_row(name, field, defaults.get(field.name, field.default))
        for field in dataclasses.fields(module.Options)
        if field.metadata["text"]
    ]
    return options(_FORMATS, module.TITLE, *rows)


def all_format_options(f: Any) -> Any:
    """The options of all formats."""
    for name in reversed(formats.NAMES):
        f = format_options(name)(f)
    return f


def _format_row(name: str, field: dataclasses.Field[Any], default: Any) -> Row:
    """A row for an option of a format."""
    flag = "--" + field.name.replace("_", "-")
    row: dict[str, Any] = {"help": field.metadata["text"], "default": default}
    choices = field.metadata["choices"]
    if choices:
        row |= {"type": click.Choice([str(choice) for choice in choices]), "show_default": True}
        row["default"] = str(default)
    elif field.metadata["off"]:
        off = field.metadata["off"]
        flag += f"/--{off}"
        row["help"] += f"  [default: {flag[2:].partition('/')[0] if default else off}]"
    elif field.metadata["fields"]:
        row |= {"metavar": "NAMES", "show_default": True}
    else:
        row["is_flag"] = True
    return (flag, settings.option_key(name, field.name)), row
