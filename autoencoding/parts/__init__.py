"""What a model is made of: functions that add operations to a graph."""
