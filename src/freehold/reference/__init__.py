"""The reference pages that the program writes about itself: `python -m freehold.reference`."""
