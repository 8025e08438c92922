"""TLS contexts for upstreams: whom to trust and how to identify ourselves."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import TlsError

# Where systems keep their authorities when the Python build was configured for another place.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, Alpine
)


def client_context(endpoint: Endpoint) -> ssl.SSLContext:
    """A verifying context for this endpoint.

    Raises:
        TlsError: a file it names can not be read or is not PEM.
    """
    if endpoint.ca_file is None and endpoint.client_cert is None:
        return system_context()
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_file)
    except (OSError, ssl.SSLError):
        raise _unusable(endpoint, f"ca_file {endpoint.ca_file}") from None
    if endpoint.ca_file is None:
        _trust_system(context, ssl.get_default_verify_paths())
    context.set_alpn_protocols(["http/1.1"])
    if endpoint.client_cert is not None:
        try:
            # An encrypted key would otherwise ask for its password on the terminal.
            context.load_cert_chain(endpoint.client_cert, endpoint.client_key, password="")
        except (OSError, ssl.SSLError):
            raise _unusable(endpoint, f"client_cert {endpoint.client_cert} with its client_key") from None
    return context


def system_context() -> ssl.SSLContext:
    """The one context for all who trust the system's authorities and say nothing of themselves.

    To make one takes 50 ms and most of a megabyte, and callers choose the hosts that media come from.
    """
    return _trusting(ssl.get_default_verify_paths())


@cache
def _trusting(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    context = ssl.create_default_context()
    _trust_system(context, paths)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trust_system(context: ssl.SSLContext, paths: ssl.DefaultVerifyPaths) -> None:
    if paths.cafile or paths.capath:
        return
    for bundle in _SYSTEM_BUNDLES:
        if Path(bundle).exists():
            context.load_verify_locations(bundle)
            return


def _unusable(endpoint: Endpoint, what: str) -> TlsError:
    return TlsError(
        f"{what} for {endpoint.name} can not be used; it must be a readable PEM file (a key without a password)",
        phase="tls",
        host=endpoint.name,
    )
