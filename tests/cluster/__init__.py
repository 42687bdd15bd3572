"""A whole deployment under faults: who logs in meanwhile, and what becomes of their logins.

`make test-cluster` runs all of it for docs/reliability.md; test_cluster.py a part.
"""
