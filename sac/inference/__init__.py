"""From a picture to its nuclei: tiles, embedding, prompts, masks, instances."""
