"""`biofuse demo`."""

import click

from biofuse.cli.params import Name


@click.command("demo", epilog="Example: biofuse demo demo.vcz && biofuse mount demo.vcz mnt")
@click.argument("store", metavar="DIR", type=Name("dir"))
@click.option("--samples", "num_samples", default=300, show_default=True, help="Samples.")
@click.option("--variants", "num_variants", default=12000, show_default=True, help="Variants.")
@click.option("--seed", default=42, show_default=True, help="Seed of the simulation.")
def command(store, num_samples, num_variants, seed):
    """Make a small store of simulated genotypes at DIR."""
    from biofuse.demo import make_demo_store

    make_demo_store(store, num_samples=num_samples, num_variants=num_variants, seed=seed)
    click.echo(f"made {store}: {num_samples:,} samples, {num_variants:,} variants")
