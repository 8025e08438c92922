"""What every test shares: how property tests run, and a PostgreSQL for those that ask for one."""

from hypothesis import settings

from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

# A deadline measures the machine, not the code; pytest's own time limit ends what hangs.
settings.register_profile("freehold", deadline=None)
settings.register_profile("freehold-ci", parent=settings.get_profile("ci"), deadline=None)
settings.load_profile("freehold-ci" if settings.get_current_profile_name() == "ci" else "freehold")
