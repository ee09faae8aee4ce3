"""The conformance table: our own raw TLS client, and what every bad message must get for an answer."""
