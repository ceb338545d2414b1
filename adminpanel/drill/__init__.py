"""The accounting drill: workers killed at named points on a scratch database, and what the ledger then says."""
