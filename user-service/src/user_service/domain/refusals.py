"""What this service refuses, by code."""

from saras_common.errors import Conflict, Forbidden, InvalidInput, TooManyRequests, Unauthenticated


class EmailTaken(Conflict):
    code, title = "email_taken", "This email address is registered already"


class InvalidCredentials(Unauthenticated):
    """Unknown user, wrong password, wrong code: one answer for all."""

    code, title = "invalid_credentials", "The email address, password or code is wrong"


class TotpRequired(Unauthenticated):
    code, title = "totp_required", "A code from the authenticator is needed"


class InvalidRefreshToken(Unauthenticated):
    code, title = "invalid_refresh_token", "The refresh token is not valid; sign in again"


class AccountDisabled(Forbidden):
    code, title = "account_disabled", "This account is disabled"


class LoginThrottled(TooManyRequests):
    code, title = "login_throttled", "Too many attempts; wait a little"


class WeakPassword(InvalidInput):
    code, title = "weak_password", "Choose another password"


class KycNotPending(Conflict):
    code, title = "kyc_not_pending", "There is no declaration waiting for a decision"


class TotpAlreadyOn(Conflict):
    code, title = "totp_already_on", "Two-step sign-in is on already"


class TotpNotEnrolled(Conflict):
    code, title = "totp_not_enrolled", "Two-step sign-in was not set up"


class InvalidCode(InvalidInput):
    code, title = "invalid_totp_code", "The code is wrong or was used before"


class OwnAccount(Conflict):
    code, title = "own_account", "An administrator cannot disable or demote itself"


class SandboxOnly(Forbidden):
    code, title = "sandbox_only", "Only in sandbox mode"
