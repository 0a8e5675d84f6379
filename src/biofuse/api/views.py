"""What options of a view come to together: with a plan in a file, with a preset, by themselves."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from biofuse import formats
from biofuse.api.presets import check_preset, find_preset, option_words, preset_line, with_preset
from biofuse.api.settings import NO_TEMPLATE, FormatOptions, ViewChoices
from biofuse.errors import BiofuseError
from biofuse.manifest_check import check_types
from biofuse.options import SPLITTING, Selection, ViewOptions
from biofuse.selection_files import STANDARD_INPUT, STANDARD_INPUT_NAME
from biofuse.stores.location import Location, open_saved, store_stem

if TYPE_CHECKING:
    from biofuse.stores.saved import SavedPlan

# Bytes of a file's name, of which the longest suffix takes some.
_MAX_NAME = 255
# Names of files for each contig.
_BY_CONTIG = "{stem}_{contig}"

# How contigs are named if nothing else is asked for.
_PLINK_NAMES = "plink2"

# Files that show what is known of samples, and genetic positions.
_SHOW_SAMPLES = (".fam", ".psam", ".sample")
_SHOW_CM = (".bim", ".pvar")


def with_saved(
    location: Location, view: ViewChoices, selection: Selection, options: FormatOptions
) -> tuple[ViewChoices, Selection, FormatOptions]:
    """What is asked for, and where that is nothing what the plan in a file was made with.

    Raises
    ------
    BiofuseError
        If something is selected, of a plan of a selection.
    """
    if location.plan is None or view.saved is not None:
        return view, selection, options
    saved = _options_of(open_saved(location).saved)
    if selection.is_everything:
        selection = saved.selection
    elif not saved.selection.is_everything:
        raise BiofuseError(
            f"the plan {location.plan} is of a selection, and no other can be made of it: make one "
            "of the whole store with 'biofuse plan'"
        )
    names = [
        *("multiallelic", "variant_id_template", "contig_names", "missing_chunks"),
        *("samples_table", "genetic_map"),
        # Which are of one table, not of another.
        *(("pheno_names",) if view.samples_table is None else ()),
        *(() if view.is_per_contig else ("name_template",)),
    ]
    default = ViewChoices()
    unset = [name for name in names if getattr(view, name) == getattr(default, name)]
    found = {name: getattr(saved, name) for name in unset}
    found = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
    if found.get("contig_names") == _PLINK_NAMES:
        # Nobody has asked for it now.
        del found["contig_names"]
    view = dataclasses.replace(view, saved=saved, **found)
    merged: FormatOptions = {
        name: {**saved.format_options.get(name, {}), **options.get(name, {})}
        for name in formats.NAMES
        if not view.format_names or name in view.format_names or name in options
    }
    return view, selection, {name: given for name, given in merged.items() if given}


def _options_of(plan: "SavedPlan") -> ViewOptions:
    """What a plan in a file was made with."""
    try:
        found = ViewOptions.from_json(json.dumps(plan.about["options"]))
        check_types(found)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise BiofuseError(
            f"the plan {plan.name} is damaged: options in its manifest are none of a view"
        ) from error
    return found


def default_formats(view: ViewChoices) -> Sequence[str]:
    """Formats that are shown where none is named: a preset's, a saved plan's, or the usual."""
    if view.preset is not None:
        return find_preset(view.preset).formats
    return formats.BY_DEFAULT if view.saved is None else view.saved.formats


def view_options(
    location: Location,
    view: ViewChoices,
    selection: Selection,
    options: FormatOptions,
    used: Sequence[str] = (),
) -> ViewOptions:
    """The view that a command is asked for.

    Parameters
    ----------
    location : Location
    view : ViewChoices
    selection : Selection
    options : dict of str to dict
        By format.
    used : sequence of str
        Formats that the command is known to use files of.

    Raises
    ------
    BiofuseError
        If options contradict each other, or what the program needs that they are for.
    """
    view, selection, options = with_saved(location, view, selection, options)
    chosen, required = _formats(view, used, options)
    if view.preset is not None:
        # What a plan was made with, but is not shown, is no matter.
        options = {name: given for name, given in options.items() if name in chosen}
        check_preset(view.preset, view.format_names, used, options)
    stem = view.basename or store_stem(location.path)
    _check_stem(stem, chosen)
    template = None
    if view.is_per_contig:
        template = view.name_template or _BY_CONTIG
        _check_template(template)
    view, options, notes = _with_preset(view, chosen, options)
    _check_input(view, selection)
    _check_use(view, chosen, options)
    return ViewOptions(
        store=location.public(),
        stem=stem,
        formats=chosen,
        required=required,
        selection=selection,
        multiallelic=view.multiallelic,
        variant_id_template=view.variant_id_template,
        contig_names=view.contig_names or _PLINK_NAMES,
        missing_chunks=view.missing_chunks,
        name_template=template,
        samples_table=view.samples_table,
        pheno_names=list(view.pheno_names),
        genetic_map=list(view.genetic_map),
        format_options=options,
        secrets=location.secrets,
        notes=notes,
    )


def _formats(
    view: ViewChoices, used: Sequence[str], options: FormatOptions
) -> tuple[list[str], list[str]]:
    """Formats to show, and those of them that must be there.

    Those are the ones that are named, or that are used, or that an option is for. Where none
    is named, those by default are shown too.

    Raises
    ------
    BiofuseError
        If an option is for a format that is not to be shown.
    """
    names = view.format_names
    if names:
        chosen = list(dict.fromkeys(names))
        for format_name, given in options.items():
            if format_name not in chosen:
                flag = option_words(format_name, *next(iter(given.items())))[0]
                raise BiofuseError(
                    f"{flag} is for --format {format_name}, which is not among the formats to "
                    "show: add the one or leave out the other"
                )
        return chosen, chosen
    saved = view.saved
    before = saved.format_options if saved is not None else {}
    asked = {*used, *(name for name in options if options[name] != before.get(name))}
    if saved is not None and view.preset is None:
        asked |= set(saved.required)
    default = default_formats(view)
    shown = [name for name in formats.NAMES if name in asked or name in default]
    return shown, [name for name in shown if name in asked]


def _with_preset(
    view: ViewChoices, chosen: Sequence[str], options: FormatOptions
) -> tuple[ViewChoices, FormatOptions, tuple[str, ...]]:
    """What is asked for, where it leaves something open as a preset has it; and what that set."""
    template = view.variant_id_template
    notes: tuple[str, ...] = ()
    if view.preset is not None:
        options, words = with_preset(view.preset, chosen, options)
        wanted = find_preset(view.preset).variant_id_template
        if template is None and wanted is not None:
            template = wanted
            words += ["--variant-id-template", wanted]
        shown = () if view.format_names else chosen
        notes = (preset_line(view.preset, shown, words),)
    if template == NO_TEMPLATE:
        template = None
    return dataclasses.replace(view, variant_id_template=template), options, notes


def _check_input(view: ViewChoices, selection: Selection) -> None:
    """Raise `BiofuseError` if more than one file is standard input."""
    files: list[Any] = [
        *(view.samples_table, *view.genetic_map),
        *(selection.samples_file, selection.regions_file, selection.targets_file),
    ]
    flags = ["--samples-table", *["--genetic-map"] * len(view.genetic_map), "-S", "-R", "-T"]
    taken = [
        flag
        for flag, file in zip(flags, files, strict=True)
        if file is not None and file.name in (STANDARD_INPUT_NAME, *STANDARD_INPUT)
    ]
    if len(taken) > 1:
        raise BiofuseError(
            f"{' - and '.join(taken)} -: one option only can be given standard input"
        )


def _check_use(view: ViewChoices, chosen: Sequence[str], options: FormatOptions) -> None:
    """Raise `BiofuseError` if nothing that is shown has what an option is for."""
    shown = [
        file.suffix
        for name in chosen
        for file in formats.get_format(name).FILES
        if file.unless is None or not options.get(name, {}).get(file.unless)
    ]
    if view.pheno_names and view.samples_table is None:
        raise BiofuseError("--pheno-name is for --samples-table, the table that has it")
    of_phenotypes: tuple[str, ...] = _SHOW_SAMPLES
    if options.get("bgen", {}).get("no_phenotypes"):
        of_phenotypes = tuple(suffix for suffix in _SHOW_SAMPLES if suffix != ".sample")
    uses = [
        ("--samples-table", view.samples_table is not None, _SHOW_SAMPLES),
        ("--pheno-name", bool(view.pheno_names), of_phenotypes),
        ("--genetic-map", bool(view.genetic_map), _SHOW_CM),
        (f"--contig-names {_PLINK_NAMES}", _is_idle_name(view), _of_two_alleles()),
        (f"--multiallelic {view.multiallelic}", view.multiallelic in SPLITTING, _of_two_alleles()),
    ]
    for flag, is_given, suffixes in uses:
        if is_given and not set(shown) & set(suffixes):
            raise BiofuseError(
                f"{flag} is for {', '.join(suffixes[:-1])} and {suffixes[-1]}, none of which is "
                "to be shown: leave it out, or add a format that has one"
            )


def _is_idle_name(view: ViewChoices) -> bool:
    """Whether plink2's names of contigs are asked for, and neither IDs nor files have them."""
    wanted = view.contig_names == _PLINK_NAMES
    return wanted and not view.is_per_contig and view.variant_id_template is None


def _of_two_alleles() -> tuple[str, ...]:
    """Suffixes of the files that show sites of two alleles."""
    names = [name for name in formats.NAMES if not formats.get_format(name).MULTIALLELIC]
    return tuple(formats.main_suffix(name) for name in names)


def _check_template(template: str) -> None:
    """Raise `BiofuseError` if files of contigs cannot be named so."""
    rest = template.replace("{stem}", "").replace("{contig}", "")
    if "{contig}" not in template or any(c in rest for c in "/{}\0"):
        raise BiofuseError(
            f"--name-template {template!r} is no name of files for each contig: it needs "
            f"{{contig}}, and may have {{stem}}, as in {_BY_CONTIG!r}"
        )


def _check_stem(stem: str, chosen: Sequence[str]) -> None:
    """Raise `BiofuseError` if files cannot be named so."""
    if "/" in stem or "\0" in stem or stem in (".", ".."):
        raise BiofuseError(f"--basename {stem!r} is not a file name")
    suffixes = [file.suffix for name in chosen for file in formats.get_format(name).FILES]
    size = len(os.fsencode(stem))
    longest = max(map(len, suffixes))
    if size + longest > _MAX_NAME:
        raise BiofuseError(
            f"the files' name {stem[:20]}... is of {size} bytes, and {_MAX_NAME - longest} is the "
            "most: choose a shorter one (--basename, or the OUT of an export)"
        )
