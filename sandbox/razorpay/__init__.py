"""An imitation of Razorpay: payments, subscriptions, hosted pages and webhooks, on a clock that can be moved."""
