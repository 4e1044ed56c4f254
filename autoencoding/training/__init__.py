"""Training: the run that `Autoencoder.train` drives, its loop inside the graph, its state."""
