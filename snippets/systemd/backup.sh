#!/bin/sh
# How is a PostgreSQL database dumped so that no file is half, and old files go?
#
# pg_dump and pg_restore, as new as the server. mysite-backup.service starts it. Variables:
# STATE_DIRECTORY (where the files are; systemd sets it), KEEP_DAYS, and PGHOST, PGDATABASE, PGUSER
# and PGPASSWORD, which PostgreSQL's programs read by themselves.
#
# Watch out:
# * A password in a command's arguments can be read by every user of the machine. Variables cannot.
# * A dump has one database, without roles. `pg_dumpall --globals-only` writes those.
# * A dump of a large database takes hours to restore. Then use a base backup and WAL.
set -eu
umask 077
cd "$STATE_DIRECTORY"
name="$PGDATABASE-$(date -u +%Y-%m-%dT%H%M%SZ).dump"
trap 'rm -f "$name.part"' EXIT

pg_dump --no-password --format=custom --file="$name.part"
pg_restore --list "$name.part" >/dev/null # it is whole
mv "$name.part" "$name"                   # a file with this name is never half
# Only after a good dump: if dumps fail, the old ones stay.
find . -name '*.dump' -mtime "+${KEEP_DAYS:-14}" -delete
echo "$name: $(wc -c <"$name") bytes"
