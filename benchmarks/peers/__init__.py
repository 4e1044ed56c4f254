"""The same small training step in this project and in others, for `benchmarks/speed.py`.

A module a peer, each with `VERSION`; `OVERHEAD`, the rough microseconds of a step beside its
arithmetic, from which follows how many are timed; `PARTS`, whether it can do less than an epoch;
`LAYERS = False`, if it has but one hidden layer; and `trainer`, which makes a function that trains
for as many steps as it is told.
"""
