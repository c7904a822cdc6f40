"""Decisions without I/O: what a header means, how far a call has come, what a token holds."""
