"""The parts a model is made of: pure functions that add operations to a graph."""
