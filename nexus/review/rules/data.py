"""Models and queries: columns that lose money, checks without a constraint, queries in loops."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nexus.review.findings import ERROR, WARNING, Finding
from nexus.review.project import Project, called, constant, dotted, functions, keywords

MONEY = {"amount", "balance", "cost", "deposit", "fee", "money", "price", "salary", "total", "wage"}
TO_ONE = {"ForeignKey", "OneToOneField"}
MODELS = {"Model", "AbstractUser", "AbstractBaseUser"}
KNOWN = {
    "alias", "all", "annotate", "defer", "distinct", "exclude", "filter", "iterator", "none",
    "only", "order_by", "prefetch_related", "reverse", "select_for_update", "select_related",
    "using",
}  # fmt: skip
"""Methods that return a queryset; what another method loads is not known."""

THROUGH = {"enumerate", "list", "sorted", "tuple", "reversed"}
ATOMIC = {"atomic"}


@dataclass
class Model:
    """What a class of models.py says."""

    name: str
    bases: list[str]
    fields: dict[str, ast.Call] = field(default_factory=dict)
    unique: list[set[str]] = field(default_factory=list)
    ranges: bool = False
    """Whether it has an exclusion constraint."""


def look(project: Project) -> Iterator[Finding]:
    """Looks at the models, and at what the code does with them."""
    models = _models(project)
    related = _related(models)
    lockers = {
        function.name
        for tree in project.product.values()
        for function in functions(tree)
        if any(called(node) == "select_for_update" for node in ast.walk(function))
    }
    for file, tree in project.product.items():
        if "/migrations/" in f"/{file}":
            continue
        yield from _money(file, tree)
        for function in functions(tree):
            yield from _checks(file, function, models)
            yield from _lost_updates(file, function, lockers)
            yield from _early_tasks(file, function)
        for scope in [tree, *functions(tree)]:
            yield from _loops(file, scope, models, related)


def _models(project: Project) -> dict[str, Model]:
    """The models by name, with what they inherit; not those whose name is there twice."""
    found: dict[str, Model] = {}
    twice = set()
    for file, tree in project.product.items():
        if "/migrations/" in f"/{file}":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.bases:
                model = _model(node)
                if node.name in found:
                    twice.add(node.name)
                found[node.name] = model

    def is_model(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name in MODELS:
            return True
        if name in seen or name not in found:
            return False
        return any(is_model(base, seen | {name}) for base in found[name].bases)

    models = {name: model for name, model in found.items() if is_model(name)}
    for model in models.values():
        for base in _ancestors(model, models):
            model.fields = base.fields | model.fields
            model.unique = model.unique + base.unique
            model.ranges |= base.ranges
        if "AbstractUser" in model.bases:
            model.unique.append({"username"})
    return {name: model for name, model in models.items() if name not in twice}


def _ancestors(model: Model, models: Mapping[str, Model]) -> list[Model]:
    found: list[Model] = []
    waiting = list(model.bases)
    while waiting:
        base = models.get(waiting.pop())
        if base is not None and base is not model and base not in found:
            found.append(base)
            waiting += base.bases
    return found


def _strings(node: ast.AST | None) -> list[str]:
    """All texts in an expression."""
    return [
        inner.value
        for inner in ast.walk(node or ast.Constant(None))
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    ]


def _model(node: ast.ClassDef) -> Model:
    model = Model(node.name, [dotted(base).rpartition(".")[2] for base in node.bases])
    for item in node.body:
        target, value = _assignment(item)
        if target and isinstance(value, ast.Call):
            if called(value) == "CompositePrimaryKey":
                model.unique.append(set(_strings(value)))
            model.fields[target] = value
            options = keywords(value)
            if called(value) == "OneToOneField" or any(
                constant(options.get(each)) is True for each in ("unique", "primary_key")
            ):
                model.unique.append({target})
        elif isinstance(item, ast.ClassDef) and item.name == "Meta":
            _meta(model, item)
    return model


def _assignment(item: ast.stmt) -> tuple[str, ast.expr | None]:
    if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
        return item.targets[0].id, item.value
    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        return item.target.id, item.value
    return "", None


def _meta(model: Model, meta: ast.ClassDef) -> None:
    for item in meta.body:
        name, value = _assignment(item)
        if name == "constraints" and value is not None:
            for node in ast.walk(value):
                if called(node) == "UniqueConstraint" and isinstance(node, ast.Call):
                    fields = keywords(node).get("fields")
                    names = (
                        _strings(fields)
                        if fields
                        else [text for each in node.args for text in _strings(each)]
                    )
                    model.unique.append({each.partition("__")[0] for each in names})
                model.ranges |= called(node) == "ExclusionConstraint"
        elif name == "unique_together" and isinstance(value, ast.List | ast.Tuple | ast.Set):
            groups = [each for each in value.elts if not isinstance(each, ast.Constant)]
            for group in groups or [value]:
                model.unique.append(set(_strings(group)))


def _related(models: Mapping[str, Model]) -> dict[str, set[str]]:
    """The names under which other models' rows are reached from a model."""
    names: dict[str, set[str]] = {}
    users = {each.name for each in models.values() if {*each.bases} & {*MODELS} - {"Model"}}
    for model in models.values():
        for call in model.fields.values():
            if called(call) not in {*TO_ONE, "ManyToManyField"}:
                continue
            target = call.args[0] if call.args else keywords(call).get("to")
            other = str(constant(target) or dotted(target or ast.Constant(None)))
            name = constant(keywords(call).get("related_name")) or f"{model.name.lower()}_set"
            for each in users if "AUTH_USER_MODEL" in other else {other.rpartition(".")[2]}:
                names.setdefault(each, set()).add(str(name))
    return names


def _money(file: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        target, value = _assignment(node)
        if value is not None and called(value) == "FloatField" and MONEY & set(target.split("_")):
            yield Finding(
                ERROR, "money-as-float", file, node.lineno,
                f"{target} is a FloatField, and a float cannot hold 0.10. Sums can be wrong by a "
                "cent. Use DecimalField, or whole cents.", "testing",
            )  # fmt: skip


def _chain(node: ast.expr) -> tuple[str, list[ast.Call]] | None:
    """The model and the calls of `Model.objects.a(…).b(…)`; None if it is something else."""
    calls: list[ast.Call] = []
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        calls.append(node)
        node = node.func.value
    if (
        isinstance(node, ast.Attribute)
        and node.attr in {"objects", "_default_manager"}
        and calls
        and (name := dotted(node.value).rpartition(".")[2])
    ):
        return name, calls[::-1]
    return None


def _lookups(calls: list[ast.Call]) -> set[str]:
    """The fields by which a chain of calls looks, as their own names."""
    names = {
        key.partition("__")[0]
        for call in calls
        for key in keywords(call)
        if key not in {"defaults", "create_defaults"}
    }
    return {name.removesuffix("_id") for name in names} | names


def _is_unique(model: Model, lookups: set[str]) -> bool:
    if model.ranges or not lookups or lookups & {"pk", "id"}:
        return True
    return any(group and group <= lookups for group in model.unique)


def _checks(
    file: str, function: ast.FunctionDef | ast.AsyncFunctionDef, models: Mapping[str, Model]
) -> Iterator[Finding]:
    """Checks that need a unique constraint, because two requests can make them at once."""
    inside = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    chains = [(node, found) for node in inside if (found := _chain(node))]
    made = {name for _, (name, calls) in chains if called(calls[-1]) in {"create", "bulk_create"}}
    made |= {called(node) for node in inside if isinstance(node.func, ast.Name)}
    locked = any(called(node) == "select_for_update" for node in inside)
    for node, (name, calls) in chains:
        model, last = models.get(name), called(calls[-1])
        if model is None or _is_unique(model, _lookups(calls)):
            continue
        columns = " and ".join(
            sorted(name for name in _lookups(calls) if name in model.fields) or ["these columns"]
        )
        if last in {"get_or_create", "update_or_create", "aget_or_create", "aupdate_or_create"}:
            yield Finding(
                WARNING, "missing-unique", file, node.lineno,
                f"{last} makes two rows if two requests call it at once, because no constraint of "
                f"{name} makes {columns} unique. Add a UniqueConstraint.", "transactions-and-locks",
            )  # fmt: skip
        elif last in {"exists", "aexists"} and name in made and not locked:
            yield Finding(
                WARNING, "missing-unique", file, node.lineno,
                f"between exists() and the new {name}, another request can make the same row. Add "
                f"a UniqueConstraint on {columns}, and catch IntegrityError.",
                "transactions-and-locks",
            )  # fmt: skip


def _lost_updates(
    file: str, function: ast.FunctionDef | ast.AsyncFunctionDef, lockers: set[str]
) -> Iterator[Finding]:
    """`x.seats -= 1; x.save()`: two requests read the same number."""
    nodes = list(ast.walk(function))
    if any(called(node) == "select_for_update" or called(node) in lockers for node in nodes):
        return
    saved = {
        dotted(node.func.value)
        for node in nodes
        if isinstance(node, ast.Call)
        and called(node) in {"save", "asave"}
        and isinstance(node.func, ast.Attribute)
    } - {""}
    for node in nodes:
        if (
            isinstance(node, ast.AugAssign)
            and isinstance(node.target, ast.Attribute)
            and dotted(node.target.value) in saved
            and isinstance(node.op, ast.Add | ast.Sub)
            and not any(called(each) == "F" for each in ast.walk(node.value))
        ):
            yield Finding(
                WARNING, "lost-update", file, node.lineno,
                f"two requests read the same {node.target.attr}, and one change is lost. Update "
                "with F(), or lock the row with select_for_update().", "transactions-and-locks",
            )  # fmt: skip


def _early_tasks(file: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    """A task that is sent before the commit: the worker may look before the row is there."""
    for node in ast.walk(function):
        if isinstance(node, ast.With) and any(
            dotted(item.context_expr.func if isinstance(item.context_expr, ast.Call)
                   else item.context_expr).rpartition(".")[2] in ATOMIC
            for item in node.items
        ):  # fmt: skip
            for inner in ast.walk(node):
                if isinstance(inner, ast.Lambda):
                    break
                if isinstance(inner, ast.Call) and called(inner) in {"delay", "apply_async"}:
                    yield Finding(
                        WARNING, "task-before-commit", file, inner.lineno,
                        "the task is sent before the transaction commits, so the worker may not "
                        "find the row. Use delay_on_commit.", "background-jobs",
                    )  # fmt: skip


def _loops(
    file: str, scope: ast.AST, models: Mapping[str, Model], related: Mapping[str, set[str]]
) -> Iterator[Finding]:
    """Loops over a queryset that follow a relation which the queryset has not loaded."""
    own = list(_own(scope))
    assigned = {
        name: value
        for node in own
        if isinstance(node, ast.stmt)
        for name, value in [_assignment(node)]
        if name and value is not None
    }
    for node in own:
        if isinstance(node, ast.For | ast.AsyncFor):
            yield from _loop(file, node.target, node.iter, node.body, assigned, models, related)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            parts: list[ast.AST] = (
                [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            )
            for each in node.generators:
                inside = [*parts, *each.ifs]
                yield from _loop(file, each.target, each.iter, inside, assigned, models, related)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """What is in a scope, and not in a function inside of it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _loop(
    file: str,
    target: ast.expr,
    iterated: ast.expr,
    body: list[ast.AST] | list[ast.stmt],
    assigned: Mapping[str, ast.expr],
    models: Mapping[str, Model],
    related: Mapping[str, set[str]],
) -> Iterator[Finding]:
    while True:
        if called(iterated) in THROUGH and isinstance(iterated, ast.Call) and iterated.args:
            if called(iterated) == "enumerate" and isinstance(target, ast.Tuple):
                target = target.elts[-1]
            iterated = iterated.args[0]
        elif isinstance(iterated, ast.Subscript):
            iterated = iterated.value
        elif isinstance(iterated, ast.Name) and iterated.id in assigned:
            iterated, assigned = assigned[iterated.id], {}
        else:
            break
    chain = _chain(iterated)
    if chain is None or chain[0] not in models or not isinstance(target, ast.Name):
        return
    name, calls = chain
    if not {called(call) for call in calls} <= KNOWN:
        return
    joins = [call for call in calls if called(call) in {"select_related", "prefetch_related"}]
    if any(called(call) == "select_related" and not call.args for call in joins):
        return
    loaded = {
        text.partition("__")[0]
        for call in joins
        for argument in call.args
        for text in _strings(argument)
    }
    to_one = {each for each, call in models[name].fields.items() if called(call) in TO_ONE}
    to_many = related.get(name, set()) | {
        each for each, call in models[name].fields.items() if called(call) == "ManyToManyField"
    }
    reported: set[str] = set()
    for part in body:
        for node in ast.walk(part):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and dotted(node.value) == target.id
                and node.attr in (to_one | to_many) - loaded - reported
            ):
                reported.add(node.attr)
                load = "select_related" if node.attr in to_one else "prefetch_related"
                yield Finding(
                    WARNING, "query-in-loop", file, node.lineno,
                    f"the loop follows {target.id}.{node.attr}, which is one more query for each "
                    f'{name}. Add {load}("{node.attr}") to the queryset.', "orm-and-n-plus-one",
                )  # fmt: skip
