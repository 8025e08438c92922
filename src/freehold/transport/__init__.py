"""The only sockets to upstreams: a pooled HTTP/1.1 client and the framings of streams."""
