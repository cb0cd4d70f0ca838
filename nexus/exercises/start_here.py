"""The judge of the first notebook: one small query, so that a reader meets a judge."""

from nexus.judging import NotYet, judge
from nexus.judging.sandbox import Connection, database

SHOWN = ["Ada", "Grace"]


def build(connection: Connection) -> None:
    """Makes the table as the notebook shows it."""
    connection.execute("""
        CREATE TABLE stay (guest text NOT NULL, place text NOT NULL, nights int NOT NULL);
        INSERT INTO stay VALUES
            ('Ada', 'Lighthouse', 3), ('Grace', 'Barn', 1), ('Ada', 'Attic', 2),
            ('Alan', 'Barn', 7), ('Grace', 'Cabin', 2);
    """)


@judge(
    "start-here.1",
    takes=str,
    called="one SELECT in quotes",
    hint="write a SELECT, in quotes, that returns the names of the guests with two stays or more",
)
def returning_guests(answer: str) -> str:
    """The query finds those who came again, among the rows shown and among others."""
    with database("start_here", build) as box:

        def names() -> list[str]:
            box.run("DROP TABLE IF EXISTS answer")
            box.run(f"CREATE TABLE answer AS {answer}")
            return sorted(str(row[0]) for row in box.admin.execute("SELECT * FROM answer"))

        found = names()
        if found == sorted([*SHOWN, *SHOWN]):
            raise NotYet("each name should come once: group the rows, or use DISTINCT")
        if found != SHOWN:
            raise NotYet(f"it returns {', '.join(found) or 'nothing'}; two guests came again")
        box.admin.execute("INSERT INTO stay VALUES ('Alan', 'Attic', 1), ('Edgar', 'Barn', 9)")
        if names() != ["Ada", "Alan", "Grace"]:
            raise NotYet("with two more rows in the table its names are wrong: let it count stays")
    return "it finds every guest who came again, also among rows that you did not see"
