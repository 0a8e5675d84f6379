"""biofuse: a VCF Zarr store as the files that genetics programs read."""

__version__ = "0.2.0.dev0"
