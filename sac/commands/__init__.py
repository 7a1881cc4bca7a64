"""The commands of `python -m sac`: a module each, with `add(commands)` for its flags and `run(parsed)`, its exit status."""
