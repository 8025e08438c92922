"""Request signatures: a leaf that both sides of the gateway use, the caller's proofs and ours to a cloud."""
