"""What Freehold costs, as ratios to a plain proxy measured in the same run."""
