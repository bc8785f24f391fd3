"""Content-addressed shards of text embeds and latents."""
