"""Settings: what is in force if nobody sets anything must be the safe thing."""

import ast
from collections.abc import Iterator
from pathlib import Path

from nexus.review.findings import ERROR, NOTE, WARNING, Finding, Severity
from nexus.review.project import Project, called, constant, keywords

LOCAL = {"local.py", "dev.py", "development.py", "test.py", "tests.py", "testing.py", "debug.py"}
"""Settings for a machine of one's own."""

TRUE = {True, "True", "true", "1", "yes", "on"}
SECRETS = {"SECRET_KEY", "JWT_SIGNING_KEY", "SIGNING_KEY"}
NEEDED = {
    "django.middleware.security.SecurityMiddleware": "HSTS and the redirect to HTTPS do not work",
    "django.middleware.csrf.CsrfViewMiddleware": "forms of other sites can act for your users",
}


def look(project: Project) -> Iterator[Finding]:
    """Looks at each module of settings."""
    for file, tree in project.product.items():
        if _is_settings(file, tree):
            yield from _module(file, tree)


def _is_settings(file: str, tree: ast.Module) -> bool:
    path = Path(file)
    if path.name in LOCAL:
        return False
    if path.name == "settings.py" or "settings" in path.parts[:-1]:
        return True
    return "INSTALLED_APPS" in {name for name, _ in _assigned(tree)}


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value
        elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
            yield node.target.id, node.value


def _default(node: ast.expr) -> object:
    """What a setting is if the environment says nothing: its value, or the default of a call."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Compare):  # os.environ.get("DEBUG", "True") == "True"
        return _default(node.left)
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return _default(node.values[-1])
    if isinstance(node, ast.List | ast.Tuple):
        return [_default(each) for each in node.elts]
    if isinstance(node, ast.Call):
        if called(node) in {"split", "strip", "lower"} and isinstance(node.func, ast.Attribute):
            return _default(node.func.value)
        if called(node) in {"bool", "int", "str", "list"} and len(node.args) == 1:
            inner = node.args[0]
            if not isinstance(node.func, ast.Attribute) and isinstance(inner, ast.Call):
                return _default(inner)
        given = keywords(node).get("default")
        if given is None and len(node.args) > 1:
            given = node.args[1]
        return _default(given) if given is not None else None
    return None


def _module(file: str, tree: ast.Module) -> Iterator[Finding]:
    def found(severity: Severity, rule: str, at: ast.expr, says: str, chapter: str) -> Finding:
        return Finding(severity, rule, file, at.lineno, says, chapter)

    values = dict(_assigned(tree))
    for name, value in values.items():
        default = _default(value)
        if name == "DEBUG" and default in TRUE:
            yield found(
                ERROR, "settings-debug", value,
                "DEBUG is on unless somebody switches it off, and then every error page shows "
                "settings and code. Let the default be False.", "django-project",
            )  # fmt: skip
        if name in SECRETS and isinstance(default, str) and default:
            yield found(
                ERROR, "settings-secret", value,
                f"{name} is in the code, so everybody who can read the code can sign sessions. "
                "Read it from the environment, without a default.", "django-project",
            )  # fmt: skip
        if name == "ALLOWED_HOSTS" and (
            default == "*" or (isinstance(default, list) and "*" in default)
        ):
            yield found(
                ERROR, "settings-hosts", value,
                "ALLOWED_HOSTS accepts every Host header, which links in e-mails are made of. "
                "Name the hosts.", "middleware-and-signals",
            )  # fmt: skip
        if name in {"CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL"} and default in TRUE:
            both = _default(values.get("CORS_ALLOW_CREDENTIALS", ast.Constant(None))) in TRUE
            yield found(
                ERROR if both else WARNING, "settings-cors", value,
                "every site may read the answers of this API"
                + (", with the cookies of whoever looks at that site" if both else "")
                + ". Name the origins.", "rest-with-drf",
            )  # fmt: skip
        if name == "MIDDLEWARE" and isinstance(value, ast.List | ast.Tuple):
            entries = {constant(each) for each in value.elts}
            sessions = "django.contrib.sessions.middleware.SessionMiddleware" in entries
            for entry, harm in NEEDED.items():
                if "Csrf" in entry and not sessions:
                    continue  # without a cookie, another site has nothing to act with
                if all(isinstance(each, str) for each in entries) and entry not in entries:
                    yield found(
                        WARNING, "settings-middleware", value,
                        f"MIDDLEWARE has no {entry.rpartition('.')[2]}: {harm}.",
                        "middleware-and-signals",
                    )  # fmt: skip
        if name == "DATABASES":
            yield from _databases(file, value)
    if "INSTALLED_APPS" in values:
        for name in ("SESSION_COOKIE_SECURE", "SECURE_HSTS_SECONDS"):
            apps = {str(constant(each)) for each in ast.walk(values["INSTALLED_APPS"])}
            if name not in values and (name[:3] != "SES" or "django.contrib.sessions" in apps):
                yield Finding(
                    NOTE, "settings-https", file, 0,
                    f"{name} is not set. Run `manage.py check --deploy`, or this review with "
                    "--run, for the whole list.", "auth",
                )  # fmt: skip


def _databases(file: str, value: ast.expr) -> Iterator[Finding]:
    for node in ast.walk(value):
        if not isinstance(node, ast.Dict):
            continue
        for key, entry in zip(node.keys, node.values, strict=True):
            if key is not None and constant(key) == "PASSWORD" and _default(entry):
                yield Finding(
                    ERROR, "settings-password", file, entry.lineno,
                    "the database's password is in the code. Read it from the environment.",
                    "django-project",
                )  # fmt: skip
