"""The judges of "Challenges with shipping": right answers of several kinds, and wrong ones."""

import re

import pytest

from nexus.exercises import challenges_shipping as judged
from tests.exercises import tables

pytestmark = pytest.mark.long(120)

GIVEN = judged.GIVEN_1["settings"]
COLLECT = "python manage.py collectstatic --no-input"
NOISE = '["whitenoise.middleware.WhiteNoiseMiddleware",'
WHITE = GIVEN.replace("MIDDLEWARE = [", f"MIDDLEWARE = {NOISE}")
ROOT = '\nSTATIC_ROOT = "collected"\n'
MANIFEST = """
STORAGES = {"staticfiles":
    {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
"""
NO_STATIC = WHITE.replace(
    '"django.contrib.staticfiles"', '"whitenoise.runserver_nostatic", "django.contrib.staticfiles"'
)
"""It changes `runserver` only, which no release starts."""
SOURCES = WHITE.replace('STATICFILES_DIRS = ["static"]', 'STATIC_ROOT = "static"')


def styles(settings: str, build: str = COLLECT) -> dict[str, str]:
    return {"settings": settings, "build": build}


COMPOSE = """
services:
  web:
    image: shop
    command: gunicorn --bind 0.0.0.0:8000 shop
    environment:
      DATABASE_URL: postgresql://shop:secret@database:5432/shop
    ports: ["8080:8000"]
  database:
    image: postgres:18
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: secret}
"""
GUNICORN_PORT = """
services:
  web:
    command: [gunicorn, shop]
    environment:
      - PORT=80
      - DATABASE_URL=postgres://shop:secret@${DB_HOST:-db.internal}/shop
    ports:
      - {target: 80, published: 8080}
    networks: [inner, default]
  database:
    ports: ["127.0.0.1:5432:5432"]
    networks: {inner: {aliases: [db.internal]}}
"""

BY_NAME = """
on: push
defaults:
  run: {shell: bash}
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v7
      - run: python -m pytest tests | tee report.txt
      - run: ./upload report.txt
        env:
          TOKEN: ${{ secrets.TOKEN }}
"""
TWO_JOBS = """
on: push
jobs:
  test:
    steps:
      - run: python -m pytest tests > report.txt; status=$?; cat report.txt; exit $status
        shell: bash {0}
      - uses: actions/upload-artifact@v4
        with: {name: report, path: report.txt}
  upload:
    needs: test
    env: {TOKEN: "${{ secrets.TOKEN }}"}
    steps:
      - uses: actions/download-artifact@v4
        with: {name: report}
      - run: ./upload report.txt
"""
SET_X = BY_NAME.replace("- run: ./upload report.txt", "- run: set -x; ./upload report.txt # $TOKEN")

UNTRACK = """
sed -i.old '/^<<<<<<< /d; /^=======$/d; /^>>>>>>> /d' fees.py && rm fees.py.old
git rm --quiet --cached .env
echo .env >> .gitignore
"""
NEW = 'echo "PAYMENT_KEY=$(new-key)" > .env\n'
COMMIT = 'git add --all; git commit --quiet --message "Mend"; git push --quiet\n'
MEND = UNTRACK + NEW + COMMIT
REWRITE = """
cp .env ../kept
git filter-branch --index-filter 'git rm -q --cached --ignore-unmatch .env' -- --all >/dev/null 2>&1
git update-ref -d refs/original/refs/heads/main
python - <<'END'
from pathlib import Path
file = Path("fees.py")
lines = file.read_text().splitlines(keepends=True)
file.write_text("".join(line for line in lines if line[:7] not in {"<" * 7, "=" * 7, ">" * 7}))
END
echo .env >> .gitignore
git commit --quiet --all --message "Mend the merge"
sed "s/=.*/=$(new-key)/" ../kept > .env
git push --quiet --force
"""

POD = """
containers:
  - name: web
    image: shop:1.4
    env:
      - {name: ALLOWED_HOSTS, value: shop.example.org}
    ports:
      - {containerPort: 8000}
    readinessProbe:
      httpGet: {path: /readyz, port: 8000, httpHeaders: [{name: Host, value: shop.example.org}]}
    livenessProbe:
      httpGet: {path: /healthz, port: 8000, httpHeaders: [{name: Host, value: shop.example.org}]}
"""
READY_ONLY = POD[: POD.index("    livenessProbe")]
BY_IP = """
containers:
  - name: web
    env:
      - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
      - {name: ALLOWED_HOSTS, value: "shop.example.org,$(POD_IP)"}
    ports: [{name: http, containerPort: 8000}]
    readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 5}
    livenessProbe: {httpGet: {path: /healthz, port: http}}
"""
HEADERS = ", httpHeaders: [{name: Host, value: shop.example.org}]"


def name(number: int) -> str:
    return f"challenges-shipping.{number}"


RIGHT = [
    (name(1), styles(WHITE + ROOT + MANIFEST)),
    (name(1), styles(WHITE + ROOT)),
    (name(1), styles(WHITE + "\nWHITENOISE_USE_FINDERS = True\n", "true")),
    (name(1), styles(NO_STATIC + ROOT)),
    (name(2), COMPOSE),
    (name(2), GUNICORN_PORT),
    (name(2), COMPOSE.replace("--bind", "--bind 127.0.0.1:9000 --bind")),
    (name(3), BY_NAME),
    (name(3), TWO_JOBS),
    (name(3), SET_X),
    (name(4), MEND),
    (name(4), REWRITE),
    (name(4), MEND.replace("$(new-key)", "'$(new-key)'")),
    (name(5), POD),
    (name(5), BY_IP),
    # Kubernetes asks for "low-cost HTTP endpoint", and this application's / asks nobody either.
    (name(5), POD.replace("/healthz", "/")),
    (name(5), BY_IP.replace("path: /healthz, ", "")),
]

NOT_YET = [
    (name(1), None, "give a dictionary"),
    (name(1), judged.GIVEN_1, "shop.css: status 404"),
    (name(1), {"settings": WHITE}, "two texts"),
    (name(1), styles(GIVEN.replace("False", "True"), "true"), "DEBUG is on"),
    (name(1), styles(GIVEN + ROOT), "shop.css: status 404"),
    (name(1), styles(WHITE), "STATIC_ROOT"),
    (name(1), styles(WHITE + ROOT, "true"), "shop.css: status 404"),
    (name(1), styles(WHITE + ROOT + MANIFEST, "true"), "Missing staticfiles manifest entry"),
    (name(1), styles(WHITE + ROOT, f"{COLLECT} || true; rm -r collected/shop.css"), "status 404"),
    (name(1), styles(WHITE + '\nSTATIC_ROOT = "static"\n'), "STATICFILES_DIRS"),
    (name(1), styles(SOURCES, "true"), "calendar.css: status 404"),
    (name(1), styles(WHITE + ROOT, f"test -d collected || {COLLECT}"), "the second release"),
    (name(1), styles(WHITE.replace("whitenoise.", "white_noise.") + ROOT), "No module named"),
    (name(1), styles(WHITE + ROOT, "python manage.py collect"), "the build ended with status 1"),
    (name(1), styles(WHITE + ROOT, "cp -r static collected"), "calendar.css: status 404"),
    (name(1), styles(WHITE + ROOT, "python manage.py collectstatic"),
     "EOFError: EOF when reading a line"),
    (name(1), styles(GIVEN.replace(', "cal', ', "whitenoise.runserver_nostatic", "cal') + ROOT),
     "shop.css: status 404"),
    (name(1), styles(NO_STATIC + ROOT, "true"), "shop.css: status 404"),
    (name(2), "", "give the text of compose.yaml"),
    (name(2), judged.GIVEN_2, "In web, localhost is web itself"),
    (name(2), "services: [web]", "services must be a mapping"),
    (name(2), "services: {web: {}}", "database is missing"),
    (name(2), COMPOSE.replace("@database", "@127.0.0.1"), "In web, 127.0.0.1 is web itself"),
    (name(2), COMPOSE.replace("@database", "@db"), 'could not translate host name "db"'),
    (name(2), COMPOSE.replace("@database", "@host.docker.internal"), "Docker on Linux"),
    (name(2), COMPOSE.replace("@database", "@172.18.0.2"), "use a name"),
    (name(2), COMPOSE.replace("database:5432", "database:5433") + '    ports: ["5433:5432"]\n',
     "the published port does not count"),
    (name(2), COMPOSE.replace("0.0.0.0", "127.0.0.1"), "the loopback of its container"),
    (name(2), COMPOSE.replace(" --bind 0.0.0.0:8000", ""), "the loopback of its container"),
    (name(2), COMPOSE.replace("8080:8000", "8080:80"), "8080 leads to 80 in web"),
    (name(2), COMPOSE.replace('ports: ["8080:8000"]', 'expose: ["8080"]'), "does not publish it"),
    (name(2), COMPOSE + '    ports: ["5432:5432"]\n', "every address of the machine"),
    (name(2), COMPOSE.replace("image: shop\n", "image: shop\n    network_mode: host\n"),
     "gives up its own network"),
    (name(2), COMPOSE + "    networks: [inner]\n", "could not translate host name"),
    (name(2), COMPOSE.replace("gunicorn --bind", "sleep"), "does not start gunicorn"),
    (name(2), COMPOSE.replace("gunicorn --bind 0.", "python -m gunicorn --bind 127."),
     "the loopback of its container"),
    (name(2), COMPOSE.replace("gunicorn --bind 0.0.0.0:8000 shop", "sh -c 'yes | cat'"),
     "does not start gunicorn"),
    (name(2), "x: &x [1]\ny: [" + "*x, " * 30 + "]", "names its anchors"),
    (name(2), COMPOSE.replace('"8080:8000"', '"127.0.0.1:8080:8000"'), "nobody outside can come"),
    (name(2), COMPOSE.replace("8080:8000", "8000:8080"), "does not publish it"),
    (name(2), COMPOSE.replace("@database", "@web"), "In web, web is web itself"),
    (name(3), None, "give the text of the workflow"),
    (name(3), judged.GIVEN_3, "a test fails, and the workflow is green"),
    (name(3), "on: push", "there are no jobs"),
    (name(3), BY_NAME.replace("{shell: bash}", "{shell: sh}"), "a test fails, and the workflow is"),
    (name(3), BY_NAME.replace("pytest tests", "pytest tests || true"), "a test fails, and the"),
    (name(3), BY_NAME.replace("- run: python", "- continue-on-error: true\n        run: python"),
     "a test fails, and the workflow is green"),
    (name(3), BY_NAME.replace("pytest tests | tee report.txt",
                              "pytest tests | tee report.txt || test $? = 5"),
     "no test is collected, and the workflow is green"),
    (name(3), BY_NAME.replace("- run: ./upload", "- if: failure()\n        run: ./upload"),
     "as if all were well"),
    (name(3), BY_NAME.replace("- run: ./upload", "- if: false\n        run: ./upload"),
     "./upload was not run"),
    (name(3), BY_NAME.replace("- run: ./upload report.txt",
                              "- run: ./upload report.txt\n        if: always()"),
     "as if all were well"),
    (name(3), BY_NAME.replace("    steps:", "    env: {TOKEN: '${{ secrets.TOKEN }}'}\n    steps:"),
     "the log shows the token"),
    (name(3), BY_NAME.replace("./upload report.txt", "echo $TOKEN | rev; ./upload report.txt"),
     "the log shows the token"),
    (name(3), BY_NAME.replace("./upload report.txt",
                              'echo "${TOKEN:0:8}…"; ./upload report.txt'), "the log shows the"),
    (name(3), BY_NAME.replace("TOKEN: $", "KEY: $"), "./upload got no TOKEN"),
    (name(3), BY_NAME.replace("      - run: ./upload report.txt\n", "      - run: 'true'\n"),
     "./upload was not run"),
    (name(3), BY_NAME.replace(" | tee report.txt", "; touch report.txt"), "does not hold"),
    (name(3), BY_NAME.replace("secrets.TOKEN", "github.token"), "does not know"),
    (name(3), BY_NAME.replace("- run: ./upload", "- if: ${{ false }}\n        run: ./upload"),
     "./upload was not run"),
    (name(3), BY_NAME.replace("./upload report.txt", "echo ${TOKEN:0:4}; ./upload report.txt"),
     "the log shows the token"),
    (name(3), re.sub(r"      - uses.*\n.*\n", "", TWO_JOBS), "there is no report.txt on"),
    (name(4), "# nothing", "give the lines"),
    (name(4), judged.GIVEN_4, "still has the line '<<<<<<< HEAD'"),
    (name(4), MEND.replace("; git push --quiet", ""), "still has the line"),
    (name(4), MEND.replace("/^=======$/d; ", ""), "still has the line '======='"),
    (name(4), MEND.replace("sed -i.old", "git checkout -q HEAD^1 -- fees.py; sed -i.old"),
     "FEES has cleaning, linen"),
    (name(4), MEND.replace("git rm --quiet --cached .env\n", ""), "does not untrack"),
    (name(4), MEND.replace("--cached .env", ".env").replace(NEW, ""), "gone from the folder"),
    (name(4), MEND.replace(NEW, ""), "the old key still opens"),
    (name(4), REWRITE.replace('sed "s/=.*/=$(new-key)/" ../kept > .env', "cp ../kept .env"),
     "the old key still opens"),
    (name(4), MEND.replace("$(new-key)", "sk_live_mine"), "the old key still opens"),
    (name(4), MEND.replace("echo .env >> .gitignore\n", ""), ".env is still in the newest commit"),
    (name(4), UNTRACK.replace("echo .env >> .gitignore", "") + NEW +
     "git commit -q -a -m Mend; git push -q", "takes .env in again"),
    (name(4), UNTRACK + NEW + "new-key > key.txt\n" + COMMIT, "the new key is in a commit"),
    (name(4), MEND.replace("git add", "git rm -q --cached README.md; rm README.md; git add"),
     "README.md is gone"),
    (name(4), MEND.replace("> .env", ">> .env"), ".env still has the old key"),
    (name(4), MEND.replace(NEW, "new-key > .env\n"), ".env should have PAYMENT_KEY="),
    (name(4), "git revert --no-edit -m 1 HEAD; git push --quiet", "FEES has cleaning, linen"),
    (name(4), "yes > endless", "the script ended with status"),
    (name(4), "git pull --no-such-option", "the script ended with status"),
    (name(5), None, "give the YAML"),
    (name(5), judged.GIVEN_5, "connect: connection refused"),
    (name(5), "containers: [", "is not YAML"),
    (name(5), judged.GIVEN_5.replace("port: 80}", "port: 8000}"), "statuscode: 400"),
    (name(5), POD.replace("/readyz", "/ready"), "statuscode: 404"),
    (name(5), POD.replace(HEADERS, ""), "Readiness probe failed: HTTP probe failed"),
    (name(5), POD.replace(HEADERS, ", host: shop.example.org"), "belongs under httpHeaders"),
    (name(5), POD.replace("value: shop.example.org}\n    ports", 'value: "*"}\n    ports'),
     "open to all"),
    (name(5), POD.replace("/readyz", "/healthz"), "the Pod is ready"),
    (name(5), POD.replace("/readyz", "/"), "the Pod is ready"),
    (name(5), POD.replace("/healthz", "/readyz"), "which repairs no database"),
    (name(5), f"{READY_ONLY}    livenessProbe: {{tcpSocket: {{port: 8000}}}}", "nobody restarts"),
    (name(5), POD.replace(HEADERS, "").replace("value: s", "value: '10.244.0.7,s", 1)
     .replace("e.org}", "e.org'}", 1), "the address of this Pod"),
    (name(5), BY_IP.replace("shop.example.org,", ""), "shop.example.org is refused now"),
    (name(5), POD.replace("name: Host", "name: X-Forwarded-Host"), "statuscode: 400"),
    (name(5), READY_ONLY, "there is no livenessProbe"),
    (name(5), POD.replace("port: 8000", "port: http"), "or the name of one under ports"),
    (name(5), POD.replace("port: 8000", "port: 8000, scheme: HTTPS"), "HTTPS client"),
    (name(5), POD.replace("httpGet", "exec"), "httpGet and tcpSocket only"),
]  # fmt: skip


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET, often=4)
