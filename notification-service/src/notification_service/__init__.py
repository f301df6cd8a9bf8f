"""What happened, told once: inbox, email, SMS, push, webhooks; preferences, templates, deliveries."""
