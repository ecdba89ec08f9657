"""Programs that measure what the documentation states, such as ``python -m benchmarks.accuracy.alignment``.

``accuracy`` is measured against exact truth, ``speed`` is what things cost in seconds and memory, ``training`` is what
parts of the model are worth, ``peers`` are the tools and networks of others that we are compared with.
"""
