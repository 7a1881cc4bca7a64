"""Segment Any Cell: SAM with LoRA in its attention, automatic prompts and a trained mask decoder."""

__version__ = "0.1.0"
