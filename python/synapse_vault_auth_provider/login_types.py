"""The types of logins that the module decides."""

LOGIN_TYPE = "io.t2bot.vault"
PASSWORD_LOGIN_TYPE = "m.login.password"  # noqa: S105 (the name of a type)

TOKEN_HASH_FIELDS = {LOGIN_TYPE: "token_hash", PASSWORD_LOGIN_TYPE: "password"}
"""Where a login of each type has the token hash."""
