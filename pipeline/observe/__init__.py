"""What people and machines see of a run: log lines, a progress bar, the closing summary."""
