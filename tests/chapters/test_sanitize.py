"""The rules of sanitize.cfg: well formed, each shown by examples, each needed."""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from tools import chapters

CONFIG = Path(__file__).resolve().parent.parent / "sanitize.cfg"


class Examples(NamedTuple):
    """What a rule does to outputs, and outputs it must not touch."""

    changed: dict[str, str]
    left_alone: tuple[str, ...]


# For each rule, by name.
EXAMPLES: dict[str, Examples] = {}


class Rule(NamedTuple):
    """One rule, as nbval applies it."""

    name: str
    regex: str
    replace: str

    def __call__(self, text: str) -> str:
        return re.sub(self.regex, self.replace, text)


def parse(text: str) -> list[Rule]:
    """Read a file of rules.

    Raises:
        ValueError: If a rule would be ignored, overrides another, has no name, or is boundless.
    """
    rules = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("replace:") and not lines[number - 1].startswith("regex: "):
            raise ValueError(f"line {number + 1}: `replace:` needs its `regex: ` just above")
        if not line.startswith("regex:"):
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if not (line.startswith("regex: ") and following.startswith("replace: ")):
            raise ValueError(f"line {number + 1}: `regex: ` needs its `replace: ` just below")
        name = re.match(r"# ([a-z0-9-]+): \S", lines[number - 1] if number else "")
        if not name:
            raise ValueError(f"line {number + 1}: name the rule just above: `# the-name: why`")
        rule = Rule(name[1], line.removeprefix("regex: "), following.removeprefix("replace: "))
        if re.search(rule.regex, "") or re.search(r"(?<!\\)\.[*+]", rule.regex):
            raise ValueError(f"line {number + 1}: {rule.name} can eat a whole line")
        if rule.regex in [other.regex for other in rules]:
            raise ValueError(f"line {number + 1}: {rule.name} repeats the regex of another rule")
        rules.append(rule)
    return rules


RULES = parse(CONFIG.read_text())


def stored_outputs() -> list[str]:
    texts = []
    for path in chapters.in_book():
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                texts.append(output.get("text", "") or output.get("evalue", ""))
                texts += [data for data in output.get("data", {}).values() if type(data) is str]
    return texts


def test_nbval_reads_the_same_rules() -> None:
    assert get_sanitize_patterns(CONFIG.read_text()) == [rule[1:] for rule in RULES]


def test_each_rule_has_examples_and_each_example_a_rule() -> None:
    assert set(EXAMPLES) == {rule.name for rule in RULES}


def test_each_rule_does_what_its_examples_show() -> None:
    for rule in RULES:
        examples = EXAMPLES[rule.name]
        assert examples.changed, rule
        assert examples.left_alone, rule
        assert {before: rule(before) for before in examples.changed} == examples.changed
        assert [rule(text) for text in examples.left_alone] == list(examples.left_alone)


def test_each_rule_is_needed() -> None:
    needless = [r.name for r in RULES if all(r(text) == text for text in stored_outputs())]
    assert needless == []


GOOD = "# port: the system chooses it\nregex: port=\\d+\\b\nreplace: port=PORT\n"


def test_a_good_rule_is_read() -> None:
    (rule,) = parse(GOOD)
    assert rule("port=5432 pid=7") == "port=PORT pid=7"
    assert get_sanitize_patterns(GOOD) == [rule[1:]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace("replace:", "\nreplace:"), "just below"),
        (GOOD.replace("regex: ", "regex:"), "just below"),
        ("# n: x\nreplace: port=PORT\n", "just above"),
        (GOOD.replace("# port: the", "# the"), "name the rule"),
        (GOOD.replace(r"port=\d+\b", "port.*"), "whole line"),
        (GOOD.replace(r"port=\d+\b", r"\d*"), "whole line"),
        (GOOD + GOOD.replace("port:", "again:"), "repeats"),
    ],
)
def test_a_bad_rule_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)
