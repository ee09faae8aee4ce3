"""TLS 1.3 over a socket, scripted message by message: what each bad input gets (RFC 8446), and what good input does."""
