"""One package per wire language; `codec.py` is the contract they share."""
