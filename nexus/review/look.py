"""The review itself: tools first, then our own rules, then the worst on top."""

import os
import sys
from collections.abc import Collection

from nexus.review import tools
from nexus.review.findings import ERROR, Finding, Review, Skipped
from nexus.review.project import Project
from nexus.review.rules import ALL


def look(
    path: str | os.PathLike[str],
    *,
    run: bool = False,
    ignore: Collection[str] = (),
    only: Collection[str] = tuple(tools.PACKAGES),
) -> Review:
    """Looks at a Django project.

    Args:
        path: the folder that holds manage.py.
        run: whether code of the project may be run: `manage.py check --deploy` and the migration
            linter, with your environment.
        ignore: names of rules whose findings are left out.
        only: which tools look; our own rules always do.

    Returns:
        What was found.

    Raises:
        NotAProjectError: if there is no such folder, or no Django project in it.
    """
    project = Project(path)
    review = Review(project.name)
    tools.look(project, review, only)
    for rules in ALL:
        review.findings += rules(project)
    for file, error in project.unparsed.items():
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        says = f"{python} cannot read this file: {error.msg}."
        review.findings.append(Finding(ERROR, "syntax", file, error.lineno or 0, says, "ci-cd"))
    review.looked.append("our own rules")
    if run:
        tools.run_project(project, review)
    else:
        review.skipped.append(
            Skipped("manage.py check --deploy, migration linter", "they run the project: add --run")
        )
    for rule in sorted(set(ignore)):
        left_out = sum(each.rule == rule for each in review.findings)
        review.skipped.append(Skipped(rule, f"you asked for that; {left_out} left out"))
    review.findings = [each for each in review.findings if each.rule not in ignore]
    review.sort()
    return review
