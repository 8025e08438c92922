"""The database: SQLite or PostgreSQL, opened by the supervisor and the command line, never by a data-plane worker."""
