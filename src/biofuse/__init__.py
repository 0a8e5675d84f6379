"""biofuse: a VCF Zarr store as the files that genetics programs read."""

# The build puts the version in, which meson.build has.
__version__ = "@VERSION@"
