"""What this service refuses, with stable codes."""

from saras_common.errors import CallerError


class WebhookRefused(CallerError):
    code, status, title = "webhook_refused", 422, "We do not send webhooks there"


class TooManyWebhooks(CallerError):
    code, status, title = "too_many_webhooks", 409, "You have as many webhooks as one may have"


class TooManyAlerts(CallerError):
    code, status, title = "too_many_alerts", 409, "You have as many waiting alerts as one may have"
