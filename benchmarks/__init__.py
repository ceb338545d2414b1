"""The benchmarks: OneAI beside the bare upstream and beside a bare relay, in one run, on one machine.

Run ``python -m benchmarks --help``; docs/benchmarks.md says what the figures mean.
"""
