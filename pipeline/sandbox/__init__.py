"""A local LeadContact server with quotas, credits, latency and faults on request."""

from pipeline.sandbox.hubspot import HubSpotPortal
from pipeline.sandbox.journal import LogEntry
from pipeline.sandbox.options import Fault, SandboxOptions
from pipeline.sandbox.server import Sandbox, serve
from pipeline.sandbox.world import Company, Number, Person, Verdict, World

__all__ = [
    "Company",
    "Fault",
    "HubSpotPortal",
    "LogEntry",
    "Number",
    "Person",
    "Sandbox",
    "SandboxOptions",
    "Verdict",
    "World",
    "serve",
]
