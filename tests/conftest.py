"""What every test shares: nothing but the rules of the house."""
