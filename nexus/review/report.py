"""A review as text for the terminal, and as one HTML file without anything from outside."""

import textwrap
from html import escape

from nexus.review.findings import ERROR, NOTE, WARNING, Review

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1e293b; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
  border-bottom: 1px solid #cbd5e1 }
td:first-child { overflow-wrap: anywhere; min-width: 9rem }
code { background: #f1f5f9 }
@media (prefers-color-scheme: dark) {
  body { color: #e2e8f0; background: #0f172a } code { background: #1e293b }
  th, td { border-color: #475569 }
}
"""


def text(review: Review, *, notes: bool = False) -> str:
    """The review for a terminal.

    Args:
        review: what was found.
        notes: whether to tell the notes, too; they are counted anyway.
    """
    lines = [review.verdict]
    for finding in review.findings:
        if finding.severity is NOTE and not notes:
            continue
        lines += ["", f"{finding.severity}: {finding.where} [{finding.rule}]"]
        lines += textwrap.wrap(finding.says, 92, initial_indent="  ", subsequent_indent="  ")
        lines.append(f"  Chapter: {finding.help.title} ({finding.help.notebook})")
    lines += ["", f"Looked: {', '.join(review.looked)}"]
    lines += [f"Skipped: {each.what} ({each.why})" for each in review.skipped]
    if review.count(NOTE) and not notes:
        lines.append("Notes are shown with --notes.")
    return "\n".join(lines)


def html(review: Review) -> str:
    """The review as a page."""
    parts = []
    for severity, title in ((ERROR, "Errors"), (WARNING, "Warnings"), (NOTE, "Notes")):
        rows = [
            f"<tr><td><code>{escape(each.where)}</code></td>"
            f"<td>{escape(each.says)} <small>[{escape(each.rule)}]</small></td>"
            f"<td>{escape(each.help.title)}<br><small>{escape(each.help.notebook)}</small></td></tr>"
            for each in review.findings
            if each.severity is severity
        ]
        if rows:
            head = "<tr><th>Where</th><th>What</th><th>Chapter that helps</th></tr>"
            parts.append(
                f"<h2>{title}: {len(rows)}</h2>\n<table>\n<thead>{head}</thead>\n<tbody>\n"
                + "\n".join(rows)
                + "\n</tbody>\n</table>"
            )
    skipped = "".join(
        f"<li>{escape(each.what)}: {escape(each.why)}</li>" for each in review.skipped
    )
    name = escape(review.name)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Review of {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>Review of {name}</h1>\n<p>{escape(review.verdict)}</p>\n"
        + ("\n".join(parts) or "<p>Nothing was found.</p>")
        + f"\n<h2>Looked</h2>\n<p>{escape(', '.join(review.looked))}</p>"
        + (f"\n<h2>Skipped</h2>\n<ul>{skipped}</ul>" if skipped else "")
        + "\n</main>\n</body>\n</html>\n"
    )
