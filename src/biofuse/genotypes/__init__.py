"""Genotypes of a store as bit planes, one chunk row at a time."""
