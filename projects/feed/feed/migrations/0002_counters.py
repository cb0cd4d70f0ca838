"""Triggers that keep the counters.

Each runs once for a statement and adds up what that statement changed. So a cascade that deletes
ten thousand likes updates the post once, and two transactions that like the same post wait for each
other at its row only. Whoever reads a counter sees that of a committed state.
"""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION feed_keep_count() RETURNS trigger LANGUAGE plpgsql AS $$
-- Arguments: the table that is counted in, its counter, and the column here that refers to it.
BEGIN
  EXECUTE format(
    'UPDATE %1$I AS counted SET %2$I = counted.%2$I %4$s changes.n
       FROM (SELECT %3$I AS key, count(*) AS n FROM changed
             WHERE %3$I IS NOT NULL GROUP BY 1) AS changes
      WHERE counted.id = changes.key',
    TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], CASE TG_OP WHEN 'INSERT' THEN '+' ELSE '-' END);
  RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER {counter}_{event} AFTER {event} ON {table}
  REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION feed_keep_count('{counted}', '{counter}', '{column}')
"""
COUNTERS = [
    ("feed_like", "feed_post", "likes_count", "post_id"),
    ("feed_comment", "feed_post", "comments_count", "post_id"),
    ("feed_post", "feed_post", "shares_count", "original_id"),
    ("feed_follow", "feed_user", "followers_count", "followed_id"),
]


def triggers() -> list[migrations.RunSQL]:
    return [
        migrations.RunSQL(
            TRIGGER.format(
                table=table, counted=counted, counter=counter, column=column, event=event, rows=rows
            ),
            f"DROP TRIGGER {counter}_{event} ON {table}",
        )
        for table, counted, counter, column in COUNTERS
        for event, rows in (("INSERT", "NEW"), ("DELETE", "OLD"))
    ]


class Migration(migrations.Migration):
    dependencies = [("feed", "0001_tables")]
    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION feed_keep_count()"), *triggers()]
