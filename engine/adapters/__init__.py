"""The LoRA family: attach, save, load, merge, export."""
