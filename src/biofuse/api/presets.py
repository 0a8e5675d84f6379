"""What `--for` sets: for each program the files that it reads, and the options that it needs.

What is said here of a program was found by running it, or in its source: docs/programs has more.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from biofuse import formats
from biofuse.errors import BiofuseError

# By format, options by their name.
_Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Refusal:
    """A value of an option with which a program cannot work.

    Attributes
    ----------
    format : str
        That the option is of.
    option : str
        The name that the format gives it.
    value : object
    why : str
    """

    format: str
    option: str
    value: object
    why: str


@dataclass(frozen=True)
class Preset:
    """What a program needs.

    Attributes
    ----------
    title : str
        The program's name as it is written.
    formats : tuple of str
        Those that are shown where none is named.
    reads : tuple of str
        All that it reads.
    variant_id_template : str or None
    options : dict of str to dict
        By format, its options.
    refuses : tuple of Refusal
    compressions : tuple of str
        Of a `.bgen`, those that it reads.
    commands : tuple of str
        Commands that fit, in which {bed} and so on stand for files.
    """

    title: str
    formats: tuple[str, ...]
    reads: tuple[str, ...]
    variant_id_template: str | None = None
    options: _Options = field(default_factory=dict)
    refuses: tuple[Refusal, ...] = ()
    compressions: tuple[str, ...] = ("zlib", "zstd")
    commands: tuple[str, ...] = ()


# IDs that are missing are filled in alike for all, so that lists of variants (plink2 --extract,
# regenie --extract, bolt --modelSnps) fit the files of any; none takes `.` for an ID there.
_IDS = "@:#:$r:$a"
# No variant is phased, and no call haploid.
_PLAIN_CALLS = {"phased": False, "haploid_as_diploid": True}
_BYTES = "reads probabilities of 8 bits only"

PRESETS = {
    "regenie": Preset(
        title="REGENIE",
        formats=("plink", "bgen", "plink2"),
        reads=("plink", "bgen", "plink2"),
        variant_id_template=_IDS,
        # It reads five columns of the .pvar.
        options={"bgen": _PLAIN_CALLS, "plink2": {"no_pvar_info": True}},
        refuses=(
            Refusal(
                "bgen",
                "phased",
                True,
                "reads unphased variants only, and looks at the first one alone",
            ),
        ),
        commands=(
            "regenie --step 1 --bed {stem} --phenoFile y.txt --bsize 1000 --out step1",
            "regenie --step 2 --bgen {bgen} --bgi {bgi} --sample {sample} --ref-first "
            "--phenoFile y.txt --pred step1_pred.list --bsize 400 --out step2",
            "regenie --step 2 --pgen {stem} "
            "--phenoFile y.txt --pred step1_pred.list --bsize 400 --out step2",
        ),
    ),
    "saige": Preset(
        title="SAIGE",
        formats=("plink", "bgen"),
        reads=("plink", "bgen", "plink2", "bcf"),
        variant_id_template=_IDS,
        options={
            "bgen": {**_PLAIN_CALLS, "bits": 8, "no_phenotypes": True},
            "plink2": {"no_pvar_info": True},
        },
        refuses=(
            Refusal("bgen", "phased", True, "reads unphased variants only"),
            Refusal("bgen", "bits", 16, _BYTES),
            Refusal("bgen", "no_header_samples", True, "reads the IDs of samples there"),
        ),
        compressions=("zlib",),
        commands=(
            "step1_fitNULLGLMM.R --plinkFile={stem} --phenoFile=y.txt --phenoCol=y "
            "--sampleIDColinphenoFile=IID --traitType=binary --outputPrefix=step1",
            "step2_SPAtests.R --bgenFile={bgen} --bgenFileIndex={bgi} --AlleleOrder=ref-first "
            "--chrom=20 --GMMATmodelFile=step1.rda "
            "--varianceRatioFile=step1.varianceRatio.txt --SAIGEOutputFile=step2.txt",
        ),
    ),
    "bolt": Preset(
        title="BOLT-LMM",
        formats=("plink", "bgen"),
        reads=("plink", "bgen"),
        variant_id_template=_IDS,
        options={"bgen": {**_PLAIN_CALLS, "bits": 8}},
        refuses=(Refusal("bgen", "bits", 16, _BYTES),),
        compressions=("zlib",),
        commands=(
            "bolt --lmm --bfile={stem} --bgenFile={bgen} --sampleFile={sample} "
            "--phenoFile=y.txt --phenoCol=y --LDscoresFile=LDSCORE.1000G_EUR.tab.gz "
            "--statsFile=bed.stats --statsFileBgenSnps=bgen.stats",
        ),
    ),
    "plink2": Preset(
        title="plink2",
        formats=("plink2",),
        reads=("plink", "bgen", "plink2", "bcf"),
        variant_id_template=_IDS,
        commands=("plink2 --pfile {stem} --freq --out freq",),
    ),
    "bcftools": Preset(
        title="bcftools",
        formats=("bcf",),
        reads=("bcf",),
        commands=("bcftools view -r chr20:1000000-2000000 {bcf}",),
    ),
}


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises
    ------
    BiofuseError
        If there is none.
    """
    if name not in PRESETS:
        raise BiofuseError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def check_preset(
    name: str, format_names: Sequence[str], used: Sequence[str], options: _Options
) -> None:
    """Raise `BiofuseError` if a program cannot work with what is given.

    Parameters
    ----------
    name : str
        The preset's.
    format_names : sequence of str
        Formats that are named.
    used : sequence of str
        Formats that files of are used.
    options : dict of str to dict
        By format, options that are given.
    """
    preset = find_preset(name)
    for each in preset.refuses:
        if options.get(each.format, {}).get(each.option) == each.value:
            flag = " ".join(option_words(each.format, each.option, each.value))
            raise BiofuseError(
                f"{flag} does not go with --for {name}: {preset.title} {each.why}; leave out "
                "the one or the other"
            )
    for format_name in [*format_names, *options, *used]:
        if format_name in preset.reads:
            continue
        suffix = formats.main_suffix(format_name)
        if format_name in format_names:
            what = f"--format {format_name}"
        elif format_name in options:
            what = " ".join(option_words(format_name, *next(iter(options[format_name].items()))))
        else:
            what = f"the {suffix}"
        reads = _and([formats.main_suffix(each) for each in preset.reads])
        raise BiofuseError(
            f"{what} does not go with --for {name}: {preset.title} reads {reads}, and no {suffix}; "
            "leave out the one or the other"
        )


def with_preset(
    name: str, shown: Sequence[str], options: _Options
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Options of formats with those of a preset.

    Parameters
    ----------
    name : str
        The preset's.
    shown : sequence of str
        Formats that are shown.
    options : dict of str to dict
        By format, options that are given, which stand.

    Returns
    -------
    options : dict of str to dict
        Those that differ from the formats' defaults.
    set : list of str
        What the preset has set, as it would be typed.
    """
    found = {each: dict(given) for each, given in options.items()}
    words = []
    for format_name, wanted in find_preset(name).options.items():
        if format_name not in shown:
            continue
        fields = formats.get_format(format_name).Options.__dataclass_fields__
        for option, value in wanted.items():
            if option in found.get(format_name, {}):
                continue
            if fields[option].metadata["text"]:
                words += option_words(format_name, option, value)
            if value != fields[option].default:
                found.setdefault(format_name, {})[option] = value
    return found, words


def preset_line(name: str, shown: Sequence[str], words: Sequence[str]) -> str:
    """What a preset has set, for who gave it.

    Parameters
    ----------
    name : str
        The preset's.
    shown : sequence of str
        Formats that it has chosen; none if they were named.
    words : sequence of str
        Options that it has set.
    """
    parts = []
    if shown:
        parts.append(f"shows {_and([formats.main_suffix(each) for each in shown])}")
    if words:
        parts.append(f"sets {shlex.join(words)}")
    return f"--for {name} {' and '.join(parts) or 'sets nothing: all was given'}"


def option_words(format_name: str, option: str, value: object) -> list[str]:
    """An option of a format as it is typed."""
    metadata = formats.get_format(format_name).Options.__dataclass_fields__[option].metadata
    off = metadata["off"]
    flag = "--" + (off if off and value is False else option).replace("_", "-")
    return [flag, str(value)] if metadata["choices"] or metadata["fields"] else [flag]


def example_commands(stem: str | None = None) -> list[tuple[str, tuple[str, ...]]]:
    """The commands that fit each preset.

    Parameters
    ----------
    stem : str, optional
        The files' path without suffix; names in braces stay where it is None.

    Returns
    -------
    list of (str, tuple of str)
        A preset's name, and its commands.
    """
    names = {"stem": stem}
    if stem is not None:
        for format_name in formats.NAMES:
            for file in formats.get_format(format_name).FILES:
                names[file.name] = stem + file.suffix
    return [
        (
            name,
            tuple(
                command if stem is None else command.format_map(names)
                for command in preset.commands
            ),
        )
        for name, preset in PRESETS.items()
    ]


def _and(words: Sequence[str]) -> str:
    """Words as a sentence has them."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
