"""The judges of the exercises, one module a chapter; an answer is judged by what it does."""
