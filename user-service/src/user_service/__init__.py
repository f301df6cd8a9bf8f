"""People: registration, login, tokens and keys, KYC, roles, sessions."""
