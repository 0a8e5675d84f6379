"""Simulate a tree sequence; run with the benchmark environment's Python."""

import argparse

import msprime


def main() -> None:
    """Simulate diploid samples with binary mutations, and save the trees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    trees = msprime.sim_ancestry(
        args.samples,
        sequence_length=args.length,
        recombination_rate=1e-8,
        population_size=10_000,
        random_seed=args.seed,
    )
    trees = msprime.sim_mutations(
        trees,
        rate=1e-8,
        random_seed=args.seed,
        model=msprime.BinaryMutationModel(),
        discrete_genome=True,
    )
    trees.dump(args.output)


if __name__ == "__main__":
    main()
