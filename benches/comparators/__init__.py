"""Modules for Synapse that this one is measured against."""
