"""One call, as the session, the adapter and the poller drive it."""
