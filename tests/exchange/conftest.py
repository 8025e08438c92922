"""What the tests of the road share."""

from __future__ import annotations

import pytest


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Application Default Credentials that are always there."""
    import google.auth

    class Given:
        token = "T"
        expiry = None

        def refresh(self, request: object) -> None:
            del request

    monkeypatch.setattr(google.auth, "default", lambda **_: (Given(), None))
