"""Sign-in with Google, imitated: consent page, token exchange, certificates, user information."""
