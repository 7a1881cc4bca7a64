"""`python -m training benchmark`: checkpoints on data folders, or the paper's comparison, from training to table."""
