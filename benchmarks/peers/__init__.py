"""The same step, and the same calls, in this project and in others, a module a peer.

For `benchmarks/speed.py`, each has `VERSION`; `OVERHEAD`, the rough microseconds of a step beside
its arithmetic, from which follows how many are timed; `PARTS`, whether it can do less than an
epoch; `LAYERS = False`, if it has but one hidden layer; `VARIATIONAL = True`, if it can draw codes;
and `trainer`, which makes a function that trains for as many steps as it is told. For
`benchmarks/inference.py`, it has `VERSION`, and `asker`, which makes a function of rows.
"""
