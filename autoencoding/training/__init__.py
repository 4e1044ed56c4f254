"""What `Autoencoder.train` drives: the loop inside the graph, its rows and its state."""
