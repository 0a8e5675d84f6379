"""The worker: requests in, bytes in a slot out. It has no state but caches."""
