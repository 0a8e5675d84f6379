"""Python's face: filesets, file objects, mounts for a while."""
