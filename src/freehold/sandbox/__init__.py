"""Emulated clouds on loopback: what a newcomer runs first, what the demo and drills use.

`clouds` lists them, `scripted` is the model that they all serve, `cloud` serves one, `faults` breaks one, `control`
is the port that breaks them from outside, `fleet` starts them together. Only the command line imports this package.

It is no test oracle: it is built from the same codecs as the gateway.
"""
