"""Every query of this service, a module for each noun. Nothing here commits."""
