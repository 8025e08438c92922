"""Strategies against fixed choices: a real trace's shape, real price changes, outages as often as status pages show."""
