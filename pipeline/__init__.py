"""Bulk enrichment of lead lists through the LeadContact API."""

__version__ = "0.1.0"
