"""The road: one request from door to door."""
