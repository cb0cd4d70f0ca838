"""The environment of a machine of one's own: every variable of .env.example, with a value."""


def variables(*, database: str, valkey: str, provider: str) -> dict[str, str]:
    """Return what the processes of the project need to know.

    Args:
        database: PostgreSQL's URL.
        valkey: Valkey's URL, without the number of a database.
        provider: The payment provider's URL.
    """
    return {
        "DJANGO_SETTINGS_MODULE": "stays.settings",
        "SECRET_KEY": "for-this-machine-only-" + "0123456789" * 4,
        "JWT_SIGNING_KEY": "for-this-machine-only-" + "9876543210" * 4,
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "PLAIN_HTTP": "true",
        "DATABASE_URL": database,
        "CACHE_URL": f"{valkey}/0",
        "BROKER_URL": f"{valkey}/1",
        "EMAIL_URL": "consolemail://",
        "DEFAULT_FROM_EMAIL": "Stays <stays@example.com>",
        "PAYMENT_PROVIDER_URL": provider,
        "PAYMENT_PROVIDER_KEY": "key-of-this-machine",
        "PAYMENT_WEBHOOK_SECRET": "secret-of-this-machine",
        "METRICS_TOKEN": "token-of-this-machine",
    }
