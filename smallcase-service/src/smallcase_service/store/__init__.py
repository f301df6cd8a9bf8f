"""Every query of this service; nothing here commits."""
