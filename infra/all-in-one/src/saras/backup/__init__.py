"""Backups of a running platform, and the way back.

A backup is a folder: one dump a service, all of the same moment, the home's secrets, and a manifest with what must be
found again. Restoring goes into an empty server, checks everything against the manifest, and leaves the platform
halted until a person has compared it with the broker.
"""

from saras.backup.dumping import back_up
from saras.backup.manifest import BackupFailed, Manifest
from saras.backup.restoring import restore

__all__ = ["BackupFailed", "Manifest", "back_up", "restore"]
