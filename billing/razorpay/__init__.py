"""Razorpay on the wire: what is sent, what comes back, what is signed. Knows the kit, and no table."""
