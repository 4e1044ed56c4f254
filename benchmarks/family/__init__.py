"""The family beside the same nets in Keras, trained in turn in one process; a script a model."""
