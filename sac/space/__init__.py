"""A Hugging Face Space of one's own: how the app gets there, and how what is made there outlives a restart."""
