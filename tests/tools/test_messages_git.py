"""What the rows on Git say, git says: each message is provoked in a fresh repository."""

import os
import subprocess
from pathlib import Path

import pytest

from tools import messages

ROWS = {row.id: row for group in messages.load() for row in group.rows}
PATIENCE = 60
ALONE = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Amina",
    "GIT_AUTHOR_EMAIL": "amina@example.org",
    "GIT_COMMITTER_NAME": "Amina",
    "GIT_COMMITTER_EMAIL": "amina@example.org",
    "LC_ALL": "C",
}
# A server's repository with one commit, and two people's copies of it; you are in `mine`.
START = """
git init --quiet --bare --initial-branch=main origin.git
git clone --quiet origin.git mine 2>&1
cd mine
git checkout --quiet -B main
echo one > a.txt
git add .
git commit --quiet -m one
git push --quiet -u origin main
cd ..
git clone --quiet origin.git theirs
cd mine
"""
# They push a change of the same line, and you have a commit of your own.
APART = """
(cd ../theirs; echo theirs > a.txt; git commit --quiet -am theirs; git push --quiet)
echo mine > a.txt
git commit --quiet -am mine
"""
BRANCH = "git switch --quiet -c side; echo side > a.txt; git commit --quiet -am side; "

PROVOKED = {
    "git-src-refspec": "git push origin master",
    "git-non-fast-forward": APART + "git fetch --quiet; git push",
    "git-stale-info": APART + "git push --force-with-lease",
    "git-remote-exists": "git remote add origin ../origin.git",
    "git-not-appear": "git pull upstream main",
    "git-no-upstream": "git switch --quiet -c side; git push",
    "git-no-push-destination": "git init --quiet ../other; cd ../other; git push",
    "git-no-tracking": "git switch --quiet -c side; git pull",
    "git-detached-head": "git checkout HEAD~0",
    "git-not-on-a-branch": "git checkout --quiet HEAD~0; git push",
    "git-pathspec": "git checkout side",
    "git-divergent": APART + "git pull",
    "git-not-fast-forward": APART + "git pull --ff-only",
    "git-untracked-overwritten": "(cd ../theirs; echo b > b.txt; git add .; "
    "git commit --quiet -m b; git push --quiet); echo mine > b.txt; git pull",
    "git-pull-unstaged": "echo more >> a.txt; git pull --rebase",
    "git-not-concluded-merge": APART + "git pull --no-rebase; git add a.txt; git pull",
    "git-unmerged-files": APART + "git pull --no-rebase; git commit -m x",
    "git-rebase-directory": APART + "git pull --rebase; git rebase main~1",
    "git-could-not-apply": APART + "git pull --rebase",
    "git-merge-conflict": APART + "git pull --no-rebase",
    "git-conflict-modify-delete": "(cd ../theirs; git rm --quiet a.txt; git commit --quiet -m no; "
    "git push --quiet); echo mine > a.txt; git commit --quiet -am mine; git pull --no-rebase",
    "git-nothing-to-commit": "git commit -m nothing",
    "git-no-changes-added": "echo more >> a.txt; git commit -m more",
    "git-who-you-are": "unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME "
    "GIT_COMMITTER_EMAIL; git config user.useConfigOnly true; git commit --allow-empty -m x",
    "git-ambiguous-argument": "git log v1",
    "git-bad-revision": "git revert nobody",
    "git-bad-object": "git show 0123456789012345678901234567890123456789",
    "git-branch-exists": "git switch -c main",
    "git-not-fully-merged": BRANCH + "git switch --quiet main; git branch -d side",
    "git-object-empty": "file=$(git rev-parse HEAD | sed 's|^..|.git/objects/&/|'); "
    "chmod +w $file; : > $file; git status",
    "git-push-rejected": APART + "git push",
    "git-local-changes": "(cd ../theirs; echo theirs > a.txt; git commit --quiet -am theirs; "
    "git push --quiet); echo mine > a.txt; git pull",
    "git-unrelated-histories": "git checkout --quiet --orphan other; git commit --quiet -m x; "
    "git merge main",
    # Where the temporary folder is a file system of its own, git stops there, in other words.
    "git-not-a-repository": "cd ..; GIT_DISCOVERY_ACROSS_FILESYSTEM=1 git status",
    "git-resolve-host": "git fetch https://nobody.invalid/a.git",
    "git-submodule-no-url": "git init --quiet inner; git -C inner commit --quiet --allow-empty "
    "-m x; git add inner 2>/dev/null; git submodule status",
    "git-embedded-repository": "git init --quiet inner; git -C inner commit --quiet "
    "--allow-empty -m x; git add inner",
    "git-no-commit-checked-out": "git init --quiet inner; git add inner",
    "git-transport-file": "git submodule add ../origin.git inner",
    "git-destination-exists": "cd ..; git clone origin.git mine",
    "git-remote-ref": "git pull origin master",
    "git-remote-branch-not-found": "cd ..; git clone --branch v9 origin.git new",
    "git-cannot-lock-ref": "git branch a; git branch a/b",
    "git-hook-ignored": "echo '#!/bin/sh' > .git/hooks/pre-commit; chmod -x .git/hooks/pre-commit; "
    "git commit --allow-empty -m x",
    "git-hook-exec": "printf '#!/bin/nobody\\n' > .git/hooks/pre-commit; "
    "chmod +x .git/hooks/pre-commit; git commit --allow-empty -m x",
    "git-gpg-failed": "git config gpg.program false; git commit -S --allow-empty -m x",
    "git-editor-problem": "GIT_EDITOR=false git commit --allow-empty",
    "git-empty-message": "git commit --allow-empty",
    "git-not-a-command": "git pu",
    "git-paths-ignored": "echo '*.log' > .gitignore; touch a.log; git add a.log",
    "git-merge-no-m": BRANCH + "git switch --quiet main; git merge --quiet --no-ff -m m side; "
    "git revert HEAD",
    "git-cherry-pick-empty": BRANCH + "git switch --quiet main; git merge --quiet side; "
    "git cherry-pick side",
    "git-patch-failed": BRANCH + "git diff main > p; echo x > a.txt; git apply p",
    "git-stash-kept": "echo a > a.txt; git stash --quiet; echo b > a.txt; "
    "git commit --quiet -am b; git stash pop",
    "git-checked-out-branch": "git commit --quiet --allow-empty -m x; git push ../theirs main",
    "git-clobber-tag": "git tag v1; git push --quiet origin v1; git commit --quiet --allow-empty "
    "-m x; git tag -f v1 >/dev/null; git push --quiet -f origin v1; cd ../theirs; git tag v1; "
    "git fetch --tags",
    "git-tag-exists": "git tag v1; git tag v1",
    "git-no-names": "git describe",
    "git-pre-receive": "printf '#!/bin/sh\\nexit 1\\n' > ../origin.git/hooks/pre-receive; "
    "chmod +x ../origin.git/hooks/pre-receive; git commit --quiet --allow-empty -m x; git push",
    "git-index-lock": "touch .git/index.lock; git add a.txt",
    "git-leftover-conflict-marker": "echo '<<<<<<< HEAD' > a.txt; git diff --check",
}


@pytest.mark.parametrize("name", PROVOKED)
def test_git_says_what_the_row_says(tmp_path: Path, name: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", START + PROVOKED[name]],
        cwd=tmp_path,
        env=os.environ | ALONE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    wanted = messages.pattern(ROWS[name].message)
    assert wanted.search(ended.stdout.replace("hint: ", "")) or wanted.search(ended.stdout), (
        ended.stdout
    )


def test_what_is_provoked_is_said_to_be() -> None:
    assert {name for name in PROVOKED if ROWS[name].shown != "ci"} == set()
