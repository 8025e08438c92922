"""Who may do what: keys, and the values that they lead to. Imports neither the store nor a socket by itself."""
