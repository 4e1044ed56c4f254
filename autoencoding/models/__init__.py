"""The family: presets of parts, and what each can do beside the chapter's autoencoder."""
