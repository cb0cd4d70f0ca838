"""The kit of judges: verdicts, limits, sandboxes, programs, and what a reader has solved."""

from nexus.judging.check import check
from nexus.judging.judgement import judge_answer
from nexus.judging.registry import judge
from nexus.judging.verdict import NotYet, Verdict, first_line

__all__ = ["NotYet", "Verdict", "check", "first_line", "judge", "judge_answer"]
