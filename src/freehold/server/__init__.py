"""The HTTP front and what stands behind it: connections, limits, paths, workers."""
