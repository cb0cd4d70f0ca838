"""promtool and amtool read the files, and an Alertmanager sends what it should."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import nexus
from nexus import needs
from nexus.services.ports import free_port
from nexus.services.process import wait_for

pytestmark = pytest.mark.long(30)

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "snippets" / "prometheus"
FILES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}
STAYS = ROOT / "projects" / "stays" / "prometheus"
RULES, TEST, CONFIG = "slo.rules.yml", "slo.test.yml", "alertmanager.yml"
with_prometheus = pytest.mark.skipif(
    needs.missing("# needs: prometheus") is not None,
    reason="needs promtool: apt-get install prometheus",
)
with_alertmanager = pytest.mark.skipif(
    not (shutil.which("amtool") and shutil.which("prometheus-alertmanager")),
    reason="needs amtool: apt-get install prometheus-alertmanager",
)


@pytest.mark.parametrize("name", FILES)
def test_the_head_says_what_it_answers_and_what_to_watch_out_for(name: str) -> None:
    head = re.split(r"\n(?=[a-z])", FILES[name])[0]
    assert re.match(
        r"# [A-Z].*\?\n#\n# (Prometheus|promtool|Alertmanager)\b.*\d\.\d+ or newer", head
    )
    assert "\n# Watch out:\n# * " in head
    assert f"(prometheus/{name})" in (ROOT / "snippets" / "README.md").read_text()


def test_the_objective_is_the_same_everywhere() -> None:
    alerts = [
        rule
        for group in yaml.safe_load(FILES[RULES])["groups"]
        for rule in group["rules"]
        if rule.get("alert", "").startswith("ErrorBudget")
    ]
    assert len(alerts) == 3
    for alert in alerts:
        compared = re.findall(r"ratio_rate\w+ > (?:[\d.]+ \* )?([\d.]+)", alert["expr"])
        assert compared == ["0.001", "0.001"]
    assert round(14.4 * 60 / (30 * 24 * 60), 4) == 0.02
    assert round(6 * 6 / (30 * 24), 4) == 0.05


@with_prometheus
def test_promtool_finds_nothing_wrong() -> None:
    for words in (("check", "rules", RULES), ("test", "rules", TEST)):
        done = nexus.promtool(*words, folder=FOLDER)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [FOLDER / TEST, STAYS / "alerts.test.yml"], ids=str)
def test_groups_are_run_in_a_fixed_order(path: Path) -> None:
    # An alert sees another value if its group runs before the group that records the value.
    given = yaml.safe_load(path.read_text())
    names = [
        group["name"]
        for rules in given["rule_files"]
        for group in yaml.safe_load((path.parent / rules).read_text())["groups"]
    ]
    assert names == given.get("group_eval_order", names[:1])


def passes(folder: Path, rules: str, only: str) -> bool:
    """Whether promtool finds nothing in the one test whose name has this text."""
    given = yaml.safe_load(FILES[TEST])
    (one,) = (test for test in given["tests"] if only in test["name"])
    (folder / RULES).write_text(rules)
    (folder / TEST).write_text(json.dumps(given | {"tests": [one]}))
    return nexus.promtool("test", "rules", TEST, folder=folder).returncode == 0


LITTLE = "(increase(http_requests_total[1h])) > 100"


@with_prometheus
@pytest.mark.parametrize(
    ("old", "new", "only"),
    [
        # Without one window, it pages for a blip, or does not end.
        ("job:slo_errors:ratio_rate1h > 14.4", "job:slo_errors:ratio_rate5m > 14.4", "A blip"),
        ("and job:slo_errors:ratio_rate5m > 14.4 * 0.001", "", "A third"),
        # Another burn rate, status or traffic
        ("> 14.4 * 0.001", "> 1.44 * 0.001", "A blip"),
        ("ratio_rate6h > 6 *", "ratio_rate6h > 60 *", "One in a hundred"),
        ("ratio_rate3d > 0.001", "ratio_rate3d > 0.003", "Two in a thousand"),
        ('status=~"5.."', 'status="500"', "One in a hundred"),
        (LITTLE, LITTLE.removesuffix("00"), "at night"),
        ("or 0 * sum by (job) (rate(http_requests_total[5m]))", "", "Nothing has failed"),
        ('or absent(up{job="site"})', "", "not scraped at all"),
        ("for: 2m", "for: 20m", "not scraped at all"),
        ("vector(1)", "vector(1) > 1", "not scraped at all"),
        ("http_requests_total{", "http_request_total{", "A third"),
    ],
)
def test_a_broken_rule_is_noticed(tmp_path: Path, old: str, new: str, only: str) -> None:
    assert old in FILES[RULES]
    assert not passes(tmp_path, FILES[RULES].replace(old, new), only)


@with_prometheus
def test_what_the_heads_warn_of(tmp_path: Path) -> None:
    misspelt = FILES[RULES].replace("http_requests_total", "http_request_total")
    (tmp_path / RULES).write_text(misspelt)
    assert nexus.promtool("check", "rules", RULES, folder=tmp_path).returncode == 0
    silent = (
        "rule_files: [slo.rules.yml]\ntests: [{interval: 1m, input_series: [], alert_rule_test: "
        "[{eval_time: 5m, alertname: NoSuchAlert}]}]"
    )
    (tmp_path / TEST).write_text(silent)
    assert nexus.promtool("test", "rules", TEST, folder=tmp_path).returncode == 0


def amtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *words], capture_output=True, text=True, timeout=60)


@with_alertmanager
def test_amtool_finds_nothing_wrong_and_finds_what_is(tmp_path: Path) -> None:
    assert amtool("check-config", str(FOLDER / CONFIG)).returncode == 0
    for old, new, said in (
        ("receiver: pager", "receiver: page", 'undefined receiver "page"'),
        ("equal: [job]", "equals: [job]", "field equals not found"),
        ('[severity="page"]', "[severity is page]", "bad matcher format"),
    ):
        assert old in FILES[CONFIG]
        (tmp_path / CONFIG).write_text(FILES[CONFIG].replace(old, new))
        done = amtool("check-config", str(tmp_path / CONFIG))
        assert done.returncode != 0
        assert said in done.stdout + done.stderr


@with_alertmanager
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page", "alertname=ErrorBudgetBurns"], "pager"),
        (["severity=ticket", "alertname=ErrorBudgetBurnsSlowly"], "tickets"),
        (["severity=none", "alertname=Watchdog"], "heartbeat"),
        (["severity=pages", "alertname=Misspelt"], "tickets"),
    ],
)
def test_each_alert_has_its_receiver(labels: list[str], receiver: str) -> None:
    config = f"--config.file={FOLDER / CONFIG}"
    done = amtool("config", "routes", "test", config, f"--verify.receivers={receiver}", *labels)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def pager() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A server, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def alertmanager(
    tmp_path: Path, pager: tuple[int, list[dict[str, Any]]]
) -> Iterator[Callable[..., httpx.Response]]:
    """Asks an Alertmanager that has the file, with a pager that is here."""
    text = FILES[CONFIG].replace("https://pager.example.com", f"http://127.0.0.1:{pager[0]}")
    text = text.replace("https://heartbeat.example.com", f"http://127.0.0.1:{pager[0]}")
    (tmp_path / CONFIG).write_text(text.replace("group_wait: 10s", "group_wait: 1s"))
    port = free_port()
    process = subprocess.Popen(
        [
            *("prometheus-alertmanager", f"--config.file={tmp_path / CONFIG}"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="),
            f"--storage.path={tmp_path / 'data'}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    def ask(method: str, path: str, **options: object) -> httpx.Response:
        url = f"http://127.0.0.1:{port}{path}"
        return httpx.request(method, url, trust_env=False, timeout=30, **options)  # type: ignore[arg-type]

    def is_ready() -> bool:
        try:
            return ask("GET", "/-/ready").status_code == 200
        except httpx.TransportError:
            return process.poll() is not None

    try:
        wait_for(is_ready, 60, "the Alertmanager")
        assert process.poll() is None, process.communicate()[1]
        yield ask
    finally:
        process.terminate()
        process.communicate(timeout=60)


@with_alertmanager
def test_an_outage_is_one_page_and_no_ticket(
    alertmanager: Callable[..., httpx.Response], pager: tuple[int, list[dict[str, Any]]]
) -> None:
    def alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
        return {"labels": {"alertname": name, "severity": severity} | labels}

    slow = alert("ErrorBudgetBurnsSlowly", "ticket", job="site", slo="errors")
    fast = alert("ErrorBudgetBurnsFast", "page", job="site", slo="errors")
    other = alert("ErrorBudgetBurnsFast", "page", job="shop", slo="errors")
    silent = alert("SiteIsSilent", "page", job="site")

    def states() -> dict[tuple[str, str], str]:
        return {
            (one["labels"]["alertname"], one["labels"]["job"]): one["status"]["state"]
            for one in alertmanager("GET", "/api/v2/alerts").json()
        }

    def send(*alerts: dict[str, Any], states_are: set[str]) -> None:
        """Sends alerts, and waits until the Alertmanager has decided on each."""
        assert alertmanager("POST", "/api/v2/alerts", json=[*alerts]).status_code == 200
        wait_for(lambda: set(states().values()) == states_are, 60, f"the states {states_are}")

    send(slow, states_are={"active"})
    send(fast, other, states_are={"active", "suppressed"})
    assert states()["ErrorBudgetBurnsSlowly", "site"] == "suppressed"
    assert states()["ErrorBudgetBurnsFast", "site"] == "active"
    send(silent, states_are={"active", "suppressed"})
    wait_for(
        lambda: states()["ErrorBudgetBurnsFast", "site"] == "suppressed", 60, "the second to go"
    )
    assert states()["SiteIsSilent", "site"] == "active"
    assert states()["ErrorBudgetBurnsFast", "shop"] == "active"  # another job's
    wait_for(lambda: "SiteIsSilent" in str(pager[1]), 60, "the page")
    assert {told["receiver"] for told in pager[1]} == {"pager"}
