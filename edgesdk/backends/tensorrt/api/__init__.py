"""The part of TensorRT that edgesdk uses, as protocols named like TensorRT's own classes.

TensorRT has no type stubs, and its names change from version to version. So nothing here calls
it untyped: mypy refuses what a protocol does not name, and a test compares every name in these
modules with the lists of the real versions. One module for each set of versions:

    always      8.5 to 11
    until_ten   8.5 to 10: precision flags, calibrators, ranges beside the graph
    from_ten    10 and 11: strong typing, progress, stripped weights

A function that needs one of the last two asks for the version, then casts.
"""
