"""What is kept: the database (SQLite or PostgreSQL) and private files.

The supervisor and the command line open the database, a data-plane worker never does.
"""
