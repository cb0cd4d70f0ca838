"""What a run found: in the terminal, as JUnit XML, and as one HTML file that needs nothing else."""

import os
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from xml.etree import ElementTree as Xml

from acceptance.check import CRITERIA, Check
from acceptance.run import FAILED, PASSED, SKIPPED, Result, Score, Suite, score, scores

MARKS = {PASSED: "✓", FAILED: "✗", SKIPPED: "–"}
COLOURS = {PASSED: "32", FAILED: "31", SKIPPED: "33"}
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Report:
    """What is reported.

    Attributes:
        suite: That was run.
        url: On what.
        results: In order.
        requests: How many were sent in all.
    """

    suite: Suite
    url: str
    results: tuple[Result, ...]
    requests: int

    @property
    def total(self) -> Score:
        """All points."""
        return score(self.results)

    @property
    def seconds(self) -> float:
        """How long all checks took."""
        return sum(result.seconds for result in self.results)

    def count(self, state: str) -> int:
        """How many checks have a state."""
        return sum(result.state == state for result in self.results)

    @property
    def summary(self) -> str:
        """The counts in one line."""
        counts = ", ".join(f"{self.count(state)} {state}" for state in MARKS)
        return f"{counts}; {self.requests} requests in {self.seconds:.1f} s"


# -- The terminal


def say(text: str, *, error: bool = False) -> None:
    """Print a line. What the API sent cannot steer the terminal."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def safe(text: str) -> str:
    """Return a text without control characters."""
    return "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text)


def coloured(text: str, state: str) -> str:
    """Return a text in the state's colour, if the terminal shows colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m"


def kind(check: Check) -> str:
    """Return whether a check is official, as a word."""
    return "official" if check.official else "implied"


def listed(checks: Sequence[Check]) -> None:
    """Print the checks of a suite."""
    for check in checks:
        say(f"{check.name:<30} {CRITERIA[check.criterion]}, {kind(check)}. {check.title}.")


def begun(suite: Suite, url: str) -> None:
    """Print what is run on what."""
    say(f"{suite.title}, on {url}\n")


def line(result: Result) -> None:
    """Print a result as it comes."""
    mark = coloured(MARKS[result.state], result.state)
    say(f"{mark} {result.check.name:<30} {result.check.title} ({result.seconds:.1f} s)")
    if result.reason:
        say(indented(f"skipped: {result.reason}"))


def indented(text: str) -> str:
    """Return a text that stands under a result's line."""
    return textwrap.indent(safe(text), "    ")


def terminal(report: Report) -> None:
    """Print the failures, and the score."""
    for result in report.results:
        if failure := result.failure:
            say(f"\n{coloured('FAILED', FAILED)} {result.check.name} ({kind(result.check)})")
            for word in ("sent", "came", "wanted"):
                text = safe(getattr(failure, word))
                say(f"    {word + ':':<8}" + textwrap.indent(text, " " * 12).lstrip())
            say(f"    {'read:':<8}{result.check.help}")
    say("")
    for name, part in {**scores(report.results), "total": report.total}.items():
        full = "█" * (part.percent // 5)
        say(
            f"{CRITERIA.get(name, 'Total'):<14} {part.points:>3} of {part.possible:>3} points "
            f"{part.percent:>4} %  {full}"
        )
    say(f"\n{report.summary}")


# -- JUnit


def junit(report: Report) -> str:
    """Return the report as JUnit XML, which CI services show."""
    counts = {
        "tests": str(len(report.results)),
        "failures": str(report.count(FAILED)),
        "errors": "0",
        "skipped": str(report.count(SKIPPED)),
        "time": f"{report.seconds:.3f}",
    }
    root = Xml.Element("testsuites", {"name": "acceptance", **counts})
    suite = Xml.SubElement(root, "testsuite", {"name": report.suite.name, **counts})
    properties = Xml.SubElement(suite, "properties")
    for name, part in {**scores(report.results), "total": report.total}.items():
        value = {"name": f"score.{name}", "value": f"{part.points}/{part.possible}"}
        Xml.SubElement(properties, "property", value)
    for result in report.results:
        case = Xml.SubElement(
            suite,
            "testcase",
            {
                "classname": f"{report.suite.name}.{result.check.criterion}",
                "name": f"{result.check.name}: {result.check.title}",
                "time": f"{result.seconds:.3f}",
            },
        )
        if failure := result.failure:
            element = Xml.SubElement(case, "failure", {"message": plain(failure.wanted)})
            element.text = plain(f"{failure}\nread: {result.check.help}")
        elif result.state == SKIPPED:
            Xml.SubElement(case, "skipped", {"message": plain(result.reason)})
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "unicode") + "\n"


def plain(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return NOT_XML.sub("�", text)


# -- HTML

STYLE = """
:root { color-scheme: light dark; --page: #fff; --card: #f6f7f9; --ink: #1b1f24; --faint: #59636e;
  --line: #d1d9e0; --passed: #116329; --failed: #b3261e; --skipped: #7d4e00; --bar: #1f6feb; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --card: #161b22; --ink: #e6edf3;
  --faint: #9ba7b4; --line: #30363d; --passed: #57d364; --failed: #ff8a80; --skipped: #e3b341;
  --bar: #58a6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; }
.faint { color: var(--faint); }
.scores { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr));
  margin: 1rem 0; padding: 0; list-style: none; }
.scores li, details, .check { background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
.scores li { padding: .6rem .8rem; }
.scores b { display: block; font-size: 1.5rem; line-height: 1.3; }
.bar { display: block; height: .4rem; border-radius: .2rem; background: var(--line); }
.bar i { display: block; height: 100%; border-radius: .2rem; background: var(--bar); }
details, .check { margin: .5rem 0; }
summary, .check { padding: .55rem .8rem; }
summary { cursor: pointer; }
summary:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
.passed { color: var(--passed); } .failed { color: var(--failed); }
.skipped { color: var(--skipped); }
.state { font-weight: 700; }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
dl { margin: 0; padding: 0 .8rem .8rem; }
dt { font-weight: 700; margin-top: .6rem; }
dd { margin: 0; }
details details { margin: 0 .8rem .8rem; }
pre { margin: .2rem 0 0; padding: .6rem; white-space: pre-wrap; background: var(--page);
  border: 1px solid var(--line); border-radius: .4rem; }
"""


def html(report: Report) -> str:
    """Return the report as one page: no script, and nothing from elsewhere."""
    total = report.total
    parts = {"Total": total} | {CRITERIA[k]: v for k, v in scores(report.results).items()}
    tiles = "\n".join(
        f"<li>{name}<b>{part.percent} %</b>"
        f'<span class="bar"><i style="width:{part.percent}%"></i></span>'
        f'<span class="faint">{part.points} of {part.possible} points</span></li>'
        for name, part in parts.items()
    )
    sections = []
    for name, title in CRITERIA.items():
        if own := [result for result in report.results if result.check.criterion == name]:
            sections.append(f"<h2>{title}</h2>\n" + "\n".join(map(entry, own)))
    title = escape(f"{report.suite.title}: {total.percent} %")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(report.suite.title)}</h1>
<p>Tested from outside, on <code>{escape(report.url)}</code></p>
<p class="faint">{escape(report.summary)}</p>
<ul class="scores" aria-label="Scores">
{tiles}
</ul>
<p class="faint">An official requirement has 3 points, and one that it implies has 1. An official
requirement that could not be looked at has none of its points.</p>
{chr(10).join(sections)}
</main>
</body>
</html>
"""


def entry(result: Result) -> str:
    """Return a check's part of the page."""
    check = result.check
    head = (
        f'<span class="state {result.state}">{MARKS[result.state]} {result.state}</span> '
        f"{escape(check.title)} "
        f'<span class="faint">(<code>{check.name}</code>, {kind(check)}, '
        f"{result.seconds:.1f} s)</span>"
    )
    if failure := result.failure:
        words = {"Sent": failure.sent, "Came": failure.came, "Wanted": failure.wanted}
        rows = "".join(
            f"<dt>{word}</dt><dd><pre>{escape(plain(text))}</pre></dd>"
            for word, text in words.items()
        )
        rows += f"<dt>Chapter that helps</dt><dd>{escape(check.help)}</dd>"
        trail = "\n\n".join(f"{a.sent}\n→ {a.came}" for a in result.last)
        if trail:
            trail = (
                "<details><summary>The last exchanges</summary>"
                f"<pre>{escape(plain(trail))}</pre></details>"
            )
        return f"<details open><summary>{head}</summary><dl>{rows}</dl>{trail}</details>"
    reason = f'<p class="faint">{escape(result.reason)}</p>' if result.reason else ""
    return f'<div class="check">{head}{reason}</div>'
