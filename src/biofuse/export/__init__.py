"""Write a view's files to disk or to an object store.

`local.export_to_folder` and `objects.export_to_place` are the ways; `compress` is what a
mount cannot do.
"""
