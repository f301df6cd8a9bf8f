"""Every query of this service; nothing here commits. Callers bring the session, whose scope decides whose rows show."""
