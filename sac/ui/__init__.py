"""The page: one file per tab, and the canvas."""
