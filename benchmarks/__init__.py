"""What this package costs, measured next to what it is compared with, in one run."""
