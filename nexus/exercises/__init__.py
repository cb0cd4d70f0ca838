"""Exercises: an answer is judged by what it does, never by how it is written."""

from nexus.exercises.judging import NotYet, Verdict, check, judge, judge_answer
from nexus.exercises.progress import progress

__all__ = ["NotYet", "Verdict", "check", "judge", "judge_answer", "progress"]
