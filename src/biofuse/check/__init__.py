"""Whether a store is whole: every chunk of every array, read once."""
