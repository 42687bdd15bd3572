"""Provisioning of many users from a file: read, check, run, and keep what is left to do."""
