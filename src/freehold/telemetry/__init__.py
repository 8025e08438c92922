"""What the process counts about itself."""
