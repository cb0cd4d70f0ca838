"""JupyterLab as a reader opens it first: pictures shown, no question asked, no chapter modified.

One server for all, on the project's own folder, with Jupyter's folders those of a new user.
"""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from playwright.sync_api import Browser, Page, ViewportSize

from tests.book.conftest import PATIENCE
from tools import chapters, lab

ROOT = chapters.ROOT
SECONDS = PATIENCE / 1000
DESKTOP = ViewportSize(width=1280, height=900)
NOTEBOOKS = chapters.in_book()

pytestmark = pytest.mark.xdist_group("lab")  # one JupyterLab for all

# In the page: open a notebook, and wait until its kernel has said what JupyterLab writes into it.
OPEN = """async path => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute('docmanager:open', {path});
  await panel.context.ready;
  await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session.kernel;
  await kernel.info;
  await kernel.spec;
  await new Promise(resolve => setTimeout(resolve));
  window.panel = panel;
}"""
# What has not come to an end by then fails, and says which step it was.
IN_TIME = """([step, argument]) => Promise.race([
  eval(step)(argument),
  new Promise((_, fail) => setTimeout(() => fail(new Error('no end: ' + step)), PATIENCE)),
])""".replace("PATIENCE", str(PATIENCE))
# Show one cell after the other, as scrolling does, and count the pictures that are drawn in each.
PICTURES = """async expected => {
  const shown = {};
  for (const [number, count] of Object.entries(expected)) {
    await panel.content.scrollToItem(Number(number));
    const cell = panel.content.widgets[number];
    await cell.ready;
    const drawn = () => [...cell.node.querySelectorAll('.jp-OutputArea-output img')]
      .filter(image => image.complete && image.naturalWidth > 0).length;
    const deadline = performance.now() + 10_000;
    while (drawn() < count && performance.now() < deadline)
      await new Promise(requestAnimationFrame);
    shown[number] = drawn();
  }
  return shown;
}"""
STATE = "({dirty: panel.context.model.dirty, metadata: panel.content.model.sharedModel.metadata})"
CLOSE = "async () => { await panel.sessionContext.shutdown(); panel.dispose(); }"


def address(runtime: Path) -> str | None:
    """Return where a server listens, once it has written that down whole."""
    for file in runtime.glob("jpserver-*.json"):
        with suppress(ValueError):
            return json.loads(file.read_text())["url"]
    return None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A JupyterLab for someone who has never used one."""
    scratch = Path(tempfile.mkdtemp(prefix="lab-"))
    log = scratch / "log"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch)
        variables = chapters.environment(scratch) | {"HOME": str(scratch)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_DATA_DIR", variables["JUPYTER_DATA_DIR"])
            lab.prepare()
            lab.sign(NOTEBOOKS)  # those that are being written, too
        token = secrets.token_hex()
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--allow-root"]
        options = [
            f"--IdentityProvider.token={token}",
            "--LabApp.expose_app_in_browser=True",
            # A port that was free when Jupyter chose it may be taken when the kernel wants it.
            "--KernelManager.transport=ipc",
            f"--LabApp.user_settings_dir={scratch / 'settings'}",
            f"--LabApp.workspaces_dir={scratch / 'workspaces'}",
        ]
        process = subprocess.Popen(
            command + options,
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stack.enter_context(log.open("wb")),
        )
        stack.callback(process.wait, SECONDS)
        stack.callback(process.terminate)
        runtime = Path(variables["JUPYTER_RUNTIME_DIR"])
        deadline = time.monotonic() + SECONDS
        while not (url := address(runtime)):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()}", pytrace=False)
            time.sleep(0.05)
        yield f"{url}lab?token={token}"


@pytest.fixture(scope="module")
def requested() -> list[str]:
    """What the page asks for."""
    return []


@pytest.fixture(scope="module")
def page(browser: Browser, server: str, requested: list[str]) -> Iterator[Page]:
    with browser.new_page(viewport=DESKTOP) as opened:
        opened.set_default_timeout(PATIENCE)
        opened.on("request", lambda request: requested.append(request.url))
        opened.goto(server)
        opened.wait_for_function("window.jupyterapp")
        yield opened


def pictures(notebook: NotebookNode) -> dict[str, int]:
    """Count the pictures of each cell that has some; cells are named as JavaScript names them."""
    return Counter(
        str(number)
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", ())
        if any(kind.startswith("image/") for kind in output.get("data", ()))
    )


def one_of_each_folder() -> list[object]:
    """The notebooks, of which those after the first of each folder run weekly.

    What they share can break in any of them. What is of one notebook alone changes with it, and
    `make test CHAPTER=…` opens that one too.
    """
    folders = set[Path]()
    found = list[object]()
    for path in NOTEBOOKS:
        weekly = [pytest.mark.weekly] if path.parent in folders else []
        found.append(pytest.param(path, marks=weekly))
        folders.add(path.parent)
    return found


@pytest.mark.parametrize("path", one_of_each_folder(), ids=lambda path: path.stem)
def test_a_chapter_opens_with_its_pictures_and_is_not_modified(page: Page, path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    page.evaluate(IN_TIME, [OPEN, path.relative_to(ROOT).as_posix()])
    try:
        shown = page.evaluate(IN_TIME, [PICTURES, pictures(stored)])
        state = page.evaluate(STATE)
    finally:
        page.evaluate(IN_TIME, [CLOSE, None])
    assert shown == pictures(stored)
    assert state["metadata"] == stored.metadata
    assert not state["dirty"]


def test_jupyterlab_asks_the_reader_nothing_and_nobody_else(
    page: Page, requested: list[str], server: str
) -> None:
    assert page.locator(".jp-Dialog").count() == 0
    assert page.locator(".Toastify__toast").all_inner_texts() == []
    ours = (server.partition("/lab")[0], "data:", "blob:")
    assert [url for url in requested if not url.startswith(ours)] == []
