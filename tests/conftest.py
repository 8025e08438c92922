"""What every test shares: how property tests run, and a PostgreSQL for those that ask for one."""

import signal

from hypothesis import settings

from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

# A deadline measures the machine, not the code; pytest's own time limit ends what hangs.
settings.register_profile("freehold", deadline=None)
settings.register_profile("freehold-ci", parent=settings.get_profile("ci"), deadline=None)
settings.load_profile("freehold-ci" if settings.get_current_profile_name() == "ci" else "freehold")

# A shell that starts us in the background has its jobs ignore SIGINT, and what a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
