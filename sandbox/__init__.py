"""Imitations of the outside world (OpenRouter, Google sign-in, Razorpay, a mail server), over real sockets.

Nothing of the product is imported here and the product imports nothing of this: what the two share is only
the network, so the product runs the same code against the sandbox as against the real services.
"""
