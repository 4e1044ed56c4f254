"""The parts of a model: functions that add operations to a graph."""
