"""The workflows hold, and the steps that need no GitHub are run as a runner runs them."""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

import nexus

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
FOLDER = ROOT / "snippets" / "github-actions"
NAMES = ("test", "release", "deploy")
WORKFLOWS = {name: yaml.safe_load((FOLDER / f"{name}.yml").read_text()) for name in NAMES}
JOBS = [(name, job) for name in NAMES for job in WORKFLOWS[name]["jobs"].values()]
STEPS = [
    pytest.param(step, id=f"{name}: {step.get('name', step.get('uses'))}")
    for name, job in JOBS
    for step in job.get("steps", [])
]
EVERY = pytest.mark.parametrize("name", NAMES)
Done = subprocess.CompletedProcess[str]


def call(*command: str | Path, **options: Any) -> Done:  # noqa: ANN401
    return subprocess.run(command, capture_output=True, text=True, timeout=180, **options)


# -- What they say


@EVERY
def test_the_head_says_what_it_answers_and_what_to_watch_out_for(name: str) -> None:
    head = (FOLDER / f"{name}.yml").read_text().partition("\nname:")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# Needs", head)
    assert "\n# Watch out:\n# * " in head


@EVERY
def test_it_is_a_workflow(name: str) -> None:
    schema = ("check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    done = call(BIN / schema[0], *schema[1:], FOLDER / f"{name}.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    """Where they will be, with each other beside them."""
    folder = tmp_path / ".github" / "workflows"
    shutil.copytree(FOLDER, folder)
    done = call(BIN / "zizmor", "--offline", "--pedantic", "--no-progress", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings to report" in done.stdout + done.stderr


@EVERY
def test_nothing_is_allowed_that_no_job_asks_for(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {}
    assert set(workflow["concurrency"]) == {"group", "cancel-in-progress"}
    for job in workflow["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 20


def test_only_actions_are_used_that_the_repository_uses_too() -> None:
    ours = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    used = {step["uses"] for _, job in JOBS for step in job.get("steps", []) if "uses" in step}
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert action in ours


def test_a_step_fails_if_any_command_of_a_pipeline_does() -> None:
    """GitHub adds pipefail only if the shell is named; see the chapter on CI and CD."""
    ours = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    for path in [*ours, *(FOLDER / f"{name}.yml" for name in NAMES)]:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["defaults"] == {"run": {"shell": "bash"}}, path
        for job in workflow["jobs"].values():
            assert "defaults" not in job, path
            assert not [step for step in job.get("steps", []) if "shell" in step], path


def test_the_database_is_waited_for() -> None:
    (job,) = WORKFLOWS["test"]["jobs"].values()
    assert "--health-cmd" in job["services"]["database"]["options"]


def test_somebody_has_to_agree_to_a_deployment() -> None:
    (job,) = WORKFLOWS["deploy"]["jobs"].values()
    assert job["environment"]["name"] == "production"
    assert WORKFLOWS["deploy"]["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize("step", [each for each in STEPS if "run" in each.values[0]])
def test_shellcheck_finds_nothing_and_nothing_is_pasted_into_a_script(step: dict[str, Any]) -> None:
    assert "${{" not in step["run"]
    done = call(BIN / "shellcheck", "--shell=bash", "-", input=step["run"])
    assert done.returncode == 0, done.stdout


def test_a_secret_is_only_in_the_environment_of_the_step_that_needs_it() -> None:
    for _, job in JOBS:
        assert "secrets." not in str(job.get("env"))
        for step in job.get("steps", []):
            others = {key: value for key, value in step.items() if key != "env"}
            assert not re.search(r"secrets\.|github\.token", str(others))


def test_the_page_lists_them() -> None:
    page = (FOLDER.parent / "README.md").read_text()
    for name in NAMES:
        assert f"(github-actions/{name}.yml)" in page


# -- What they do


class Runner:
    """Runs steps as GitHub's runner does: `shell: bash`, and files that hand values on."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder / "work"
        self.temp = folder / "temp"
        self.bin = folder / "bin"
        for path in (self.folder, self.temp, self.bin):
            path.mkdir()
        self.env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(folder)} | variables
        for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            self.env[name] = str(folder / name)
            (folder / name).touch()
        self.env["RUNNER_TEMP"] = str(self.temp)
        self.said = folder / "said"
        self.said.touch()

    def program(self, name: str, script: str = "") -> None:
        """A stand-in that notes how it was called."""
        path = self.bin / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {self.said}\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, workflow: str, step: str, **variables: str) -> Done:
        (job,) = (
            job
            for job in WORKFLOWS[workflow]["jobs"].values()
            if step in [each.get("name") for each in job.get("steps", [])]
        )
        (found,) = (each for each in job["steps"] if each.get("name") == step)
        written = {**job.get("env", {}), **found.get("env", {})}
        env = {name: value for name, value in written.items() if "${{" not in value} | self.env
        handed_on = Path(self.env["GITHUB_ENV"]).read_text().split()
        env |= dict(line.split("=", 1) for line in handed_on) | variables
        script = self.temp / "step.sh"
        script.write_text(found["run"])
        assert WORKFLOWS[workflow]["defaults"]["run"]["shell"] == "bash"
        bash = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
        return call(*bash, script, cwd=self.folder, env=env)

    @property
    def calls(self) -> list[str]:
        return self.said.read_text().splitlines()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Runner]:
    """A copy of the project to start from, with a PostgreSQL of its own."""
    with nexus.postgres(tcp=True) as server:
        # pip looks whether all is there that is asked for, and changes nothing in this environment.
        runner = Runner(tmp_path, DATABASE_URL=server.url, PIP_DRY_RUN="1")
        shutil.copytree(ROOT / "snippets" / "django-project", runner.folder, dirs_exist_ok=True)
        python = runner.bin / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        yield runner


def test_the_project_passes_its_workflow(project: Runner) -> None:
    (job,) = WORKFLOWS["test"]["jobs"].values()
    for step in job["steps"]:
        if "run" in step:
            done = project.run("test", step["name"])
            assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Ran \d\d tests", done.stderr)


def test_a_model_without_its_migration_does_not_pass(project: Runner) -> None:
    (project.folder / "mysite" / "listings" / "migrations" / "0001_initial.py").unlink()
    done = project.run("test", "Models and migrations agree")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Create model" in done.stdout


@pytest.fixture
def tagged(runner: Runner) -> Runner:
    """A repository whose main has a commit, and a branch beside it another one."""
    runner.env |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    for words in (
        "init --quiet --initial-branch=main",
        "commit --quiet --allow-empty --message=one",
        "update-ref refs/remotes/origin/main HEAD",
        "switch --quiet --create=beside",
        "commit --quiet --allow-empty --message=two",
    ):
        call("git", *words.split(), cwd=runner.folder, env=runner.env, check=True)
    return runner


@pytest.mark.parametrize(
    ("tag", "branch", "status"),
    [
        ("v1.4.0", "main", 0),
        ("v1.4", "main", 1),
        ("v1.4.0-x;y", "main", 1),
        ("v1.4.0", "beside", 1),
    ],
)
def test_only_a_version_of_a_commit_on_main_is_released(
    tagged: Runner, tag: str, branch: str, status: int
) -> None:
    named = call("git", "rev-parse", branch, cwd=tagged.folder, env=tagged.env, check=True)
    step = "The tag is a version, of a commit that main has"
    commit = {"GITHUB_REF_NAME": tag, "GITHUB_SHA": named.stdout.strip()}
    done = tagged.run("release", step, **commit)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout.startswith("::error::") is (status == 1)


def test_a_release_pushes_one_image_and_tells_its_digest(runner: Runner) -> None:
    runner.env |= {
        "GITHUB_REPOSITORY": "Acme/Site",
        "GITHUB_REF_NAME": "v1.4.0",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_ACTOR": "ada",
        "GH_TOKEN": "a-secret",
    }
    registry = runner.temp / "registry"
    runner.program("docker", REGISTRY.format(registry=registry))
    released = runner.temp / "released"
    runner.program("gh", GH.format(released=released))
    for step in RELEASE:
        done = runner.run("release", step)
        assert done.returncode == 0, done.stderr
    image = "ghcr.io/acme/site:1.4.0"
    revision = "--label org.opencontainers.image.revision=" + "0" * 40
    assert runner.calls == [
        "gh release view v1.4.0",
        f"docker build {revision} --tag {image} .",
        "docker login ghcr.io --username ada --password-stdin",
        f"docker manifest inspect {image}",
        f"docker push {image}",
        "docker image inspect --format {{index .RepoDigests 0}} " + image,
        "gh release create v1.4.0 --verify-tag --generate-notes",
    ]
    assert Path(runner.env["GITHUB_OUTPUT"]).read_text() == "image=i@d\n"

    # "Re-run all jobs", a month later: nothing is built, and nothing is pushed.
    before = runner.calls
    done = runner.run("release", RELEASE[0])
    assert done.returncode == 1
    assert "v1.4.0 is released already" in done.stdout
    # The same, if only the release was not made, or has been deleted: what people have stays.
    released.unlink()
    assert runner.run("release", RELEASE[0]).returncode == 0
    assert runner.run("release", "Build").returncode == 0
    done = runner.run("release", "Push")
    assert done.returncode == 1
    assert f"{image} exists already" in done.stdout
    assert f"docker push {image}" not in runner.calls[len(before) :]


def test_a_release_is_not_made_while_nobody_knows_whether_there_is_one(runner: Runner) -> None:
    runner.program("gh", "echo 'error connecting to api.github.com' >&2; exit 1")
    done = runner.run("release", RELEASE[0], GITHUB_REF_NAME="v1.4.0", GH_TOKEN="a-secret")
    assert done.returncode == 1
    assert "error connecting" in done.stdout


RELEASE = ("It was not released before", "Build", "Push", "Release")
REGISTRY = """
case $1 in
login) cat ;;
push) touch {registry} ;;
manifest) test -e {registry} ;;
image) echo i@d ;;
esac
"""
GH = """
if [ $2 = create ]; then
    touch {released}
elif ! [ -e {released} ]; then
    echo "release not found" >&2
    exit 1
fi
"""
OLD, NEW = (f"ghcr.io/acme/site@sha256:{letter * 64}" for letter in "ab")


@pytest.mark.parametrize(
    ("image", "status"),
    [
        (NEW, 0),
        ("ghcr.io/acme/site:1.4.0", 1),
        (f"{NEW}; rm -rf /", 1),
        (f"$(id)@sha256:{'a' * 64}", 1),
        (f"{NEW}\nx", 1),
        (f"ghcr.io/somebody-else/evil@sha256:{'a' * 64}", 1),
        (f"ghcr.io/acme/site-evil@sha256:{'a' * 64}", 1),
        (f"ghcr.io/acme/site/evil@sha256:{'a' * 64}", 1),
        (f"ghcr.io/acme/site@sha256:x@sha256:{'a' * 64}", 1),
    ],
)
def test_only_an_image_of_this_repository_with_its_digest_is_deployed(
    runner: Runner, image: str, status: int
) -> None:
    step = "It is an image of this repository, named by its digest"
    done = runner.run("deploy", step, IMAGE=image, GITHUB_REPOSITORY="Acme/Site")
    assert done.returncode == status
    assert done.stdout.startswith("::error::") is (status == 1)


SERVER = """
case "$*" in
"compose ps --quiet web") cat; echo c0ffee; exit ;;
inspect*) cat; if [ -e ../other ]; then echo other; else echo "$IMAGE"; fi; exit ;;
esac
echo "  with $IMAGE" >> {said}
cat
test ! -e ../broken
"""


@pytest.fixture
def server(runner: Runner) -> Runner:
    """A server that is this machine: `ssh` runs here what it is given, `docker` only notes it."""
    (runner.folder / "site").mkdir()
    runner.env |= {"TARGET": "deploy@server.example.com", "IMAGE": NEW}
    # As bash it reads a script while it runs it, as some systems' sh does; dash reads ahead.
    runner.program("ssh", 'shift 4; exec env -u IMAGE bash --posix "$@"')
    runner.program("docker", SERVER.format(said=runner.said))
    return runner


def test_the_key_is_for_nobody_else_and_ssh_understands_its_settings(runner: Runner) -> None:
    done = runner.run("deploy", "Get ready to log in", DEPLOY_KEY="key", DEPLOY_KNOWN_HOSTS="host")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (runner.temp / "key").read_text() == "key\n"
    assert (runner.temp / "key").stat().st_mode & 0o077 == 0
    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip("needs ssh: apt-get install openssh-client")
    said = call(ssh, "-F", runner.temp / "ssh_config", "-G", "deploy@server.example.com").stdout
    for line in ("batchmode yes", "identitiesonly yes", f"identityfile {runner.temp}/key"):
        assert line in said.splitlines()
    assert "stricthostkeychecking true" in said
    assert f"userknownhostsfile {runner.temp}/known_hosts" in said


def test_the_new_one_is_started_and_noted_when_it_answers(server: Runner) -> None:
    now = server.folder / "site" / "image.now"
    now.write_text(f"{OLD}\n")
    done = server.run("deploy", "Start the new one")
    assert done.returncode == 0, done.stderr
    assert server.calls == [
        f"ssh -F {server.temp}/ssh_config deploy@server.example.com sh -eu -s {NEW}",
        "docker compose pull --quiet",
        f"  with {NEW}",
        "docker compose up --detach --no-build --wait --wait-timeout 120",
        f"  with {NEW}",
        "docker compose ps --quiet web",
        "docker inspect --format {{.Config.Image}} c0ffee",
    ]
    assert f"web runs {NEW}\n" in done.stdout
    assert now.read_text() == f"{OLD}\n"
    done = server.run("deploy", "Note that it works")
    assert (done.returncode, now.read_text()) == (0, f"{NEW}\n"), done.stderr


def test_what_is_noted_comes_after_the_question() -> None:
    names = [step["name"] for step in WORKFLOWS["deploy"]["jobs"]["deploy"]["steps"]]
    asked = "It answers, and so does its database"
    assert names[-3:] == [asked, "Note that it works", "Put the old one back"]


@pytest.mark.parametrize(
    "fails", ["to be reached", "while it starts", "to be the one that runs", "when it is asked"]
)
def test_if_it_does_not_work_the_old_one_comes_back(server: Runner, fails: str) -> None:
    site = server.folder / "site"
    (site / "image.now").write_text(f"{OLD}\n")
    broken = server.folder / "broken"
    if fails == "while it starts":
        broken.touch()
    other = server.folder / "other"
    if fails == "to be the one that runs":
        other.touch()
    ssh = (server.bin / "ssh").read_text()
    if fails == "to be reached":
        server.program("ssh", "exit 255")
    done = server.run("deploy", "Start the new one")
    assert (done.returncode == 0) is (fails == "when it is asked")
    broken.unlink(missing_ok=True)
    (server.bin / "ssh").write_text(ssh)
    done = server.run("deploy", "Put the old one back")
    assert done.returncode == 0, done.stderr
    assert server.calls[-1] == f"  with {OLD}"
    assert (site / "image.now").read_text() == f"{OLD}\n"


class Site(BaseHTTPRequestHandler):
    """Answers 503 at first, and 200 from the second time on."""

    asked = 0

    def do_GET(self) -> None:
        Site.asked += 1
        ready = self.path == "/readyz" and Site.asked > 1
        self.send_response(200 if ready else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    Site.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")
@pytest.mark.parametrize(("page", "status"), [("", 0), ("/elsewhere", 22)])
def test_the_site_is_asked_until_it_answers(
    runner: Runner, site: str, page: str, status: int
) -> None:
    # The real curl, which waits between its questions; here it need not.
    curl = shutil.which("curl")
    runner.program("curl", f'exec {curl} "${{@//--retry-delay/--retry-max-time}}"')
    runner.env["NO_PROXY"] = "127.0.0.1"
    done = runner.run("deploy", "It answers, and so does its database", SITE_URL=site + page)
    assert done.returncode == status, done.stderr
