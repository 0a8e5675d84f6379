"""Proof that mounts give the right bytes or an error, whatever breaks. See README.md."""
