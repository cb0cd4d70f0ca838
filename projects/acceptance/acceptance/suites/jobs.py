"""Job board: post jobs, search, apply with a résumé, follow the application.

The official requirements are jobs with categories, access by role, an efficient search with filters
by industry, place and type, JWT, and documentation. The rest is what they imply.
"""

from typing import Any

from acceptance import common, probes
from acceptance.api import Api, User
from acceptance.check import check
from acceptance.client import Answer
from acceptance.probes import ALLOWED, REFUSED

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
HTML = b"<html><script>alert(1)</script></html>"
BOUNDARY = "acceptance-1f0c2b7e"
ROUNDS = 8
"""Races between an employer and an applicant: one may be missed by luck."""


# -- What the checks make


def word(api: Api) -> str:
    """Return a word that no job had before this run."""
    return "zq" + api.user().username.removeprefix("acceptance-")


def category(api: Api) -> Any:
    """Make one category, and return what jobs call it."""
    made = api.body("category", name=f"Industry {word(api)}", slug=word(api))
    answer = api.user("admin").send("create_category", json=made)
    answer.expect(201, wanted="An administrator adds a category")
    return api.field("category", "reference", answer)


def employer_of(user: User) -> Any:
    """Return the employer that an account belongs to; nothing if accounts are employers."""
    if not user.api.has("account", "employer"):
        return ""
    answer = user.send("me").expect(wanted="An account can be read by its owner")
    return user.api.field("account", "employer", answer)


def post_job(user: User, **fields: Any) -> Answer:
    """Post a job."""
    api = user.api
    usual = {
        "title": "Baker",
        "description": "You bake bread at night.",
        "category": api.once(category),
        "place": "Tarnby",
        "type": api.value("full_time"),
        "salary_min": 30_000,
        "salary_max": 40_000,
    }
    known = {name: value for name, value in (usual | fields).items() if api.has("job", name)}
    whose = api.once(f"employer of {user.role}", lambda _: employer_of(user))
    return user.send("create_job", employer=whose, json=api.body("job", **known))


def new_job(api: Api, **fields: Any) -> Any:
    """Post a job as the employer, and return its id."""
    answer = post_job(api.user("employer"), **fields)
    answer.expect(201, wanted="An employer posts a job")
    return api.field("job", "id", answer)


def board(api: Api) -> dict[str, Any]:
    """Post jobs that differ in one thing each, and return their ids."""
    mine = word(api)
    text = f"You look after the {mine}."
    return {
        "plain": new_job(api, description=text),
        "place": new_job(api, description=text, place=f"Port {mine}"),
        "type": new_job(api, description=text, type=api.value("part_time")),
        "rich": new_job(api, description=text, salary_min=90_000, salary_max=99_000),
    }


def library(api: Api) -> list[Any]:
    """Post thirty jobs in the new category, and return their ids."""
    return [new_job(api, salary_max=40_000 + number * 10) for number in range(30)]


def upload(user: User, content: bytes = PDF, name: str = "cv.pdf") -> Answer:
    """Upload a file as a résumé. Its name and its type say PDF, whatever it is."""
    field = user.api.value("resume_file")
    disposition = f'form-data; name="{field}"; filename="{name}"'
    head = f"Content-Disposition: {disposition}\r\nContent-Type: application/pdf\r\n\r\n"
    body = f"--{BOUNDARY}\r\n{head}".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return user.send("upload_resume", content=body, headers={"content-type": kind})


def resume(user: User) -> Any:
    """Upload a résumé once for a user, and return its id."""

    def make(api: Api) -> Any:
        answer = upload(user).expect(201, wanted="An applicant uploads a PDF")
        return api.field("resume", "id", answer)

    return user.api.once(f"resume of {user.username}", make)


def apply(user: User, job: Any, **more: Any) -> Answer:
    """Apply for a job."""
    fields = {"job": job, "resume": resume(user), "cover_letter": "I would like to join you."}
    return user.send("apply", job=job, json=user.api.body("application", **fields) | more)


def new_application(api: Api, job: Any = None) -> Any:
    """Apply for a job, a new one by default, and return the application's id."""
    answer = apply(api.user("applicant"), job or new_job(api))
    answer.expect(201, wanted="An applicant applies for a job")
    return api.field("application", "id", answer)


def change(user: User, application: Any, status: str) -> Answer:
    """Change an application's status."""
    to = user.api.body("change", status=user.api.value(status))
    return user.send("change", application=application, json=to)


def key(api: Api, row: Any) -> Any:
    """Return a job's id."""
    return api.field("job", "id", row)


# -- What it does


@check(
    "post-jobs",
    "An employer posts a job in a category, and anybody can read it",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def post_jobs(api: Api) -> None:
    """Post, read, compare."""
    job = new_job(api, title="Night baker")
    answer = api.stranger.send("job", job=job).expect(200, wanted="Anybody can read a job")
    right = api.field("job", "title", answer) == "Night baker"
    answer.want(right, "The job has the title that was sent")


@check(
    "filters",
    "The search filters by industry, place and type",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def filters(api: Api) -> None:
    """Filter, and look at what came and at what is missing."""
    jobs = api.once(board)
    industry, mine = api.once(category), word(api)
    for name, value, expected in (
        ("category", industry, list(jobs.values())),
        ("place", f"Port {mine}", [jobs["place"]]),
        ("type", api.value("part_time"), [jobs["type"]]),
    ):
        params = {"category": industry} | {name: value}
        pages = list(api.pages(api.stranger, "search", params=params))
        rows = [row for page in pages for row in api.items(page)]
        probes.filtered(
            pages[0],
            rows,
            lambda row, name=name, value=value: api.field("job", name, row) == value,
            f"The search by {name} has all jobs that fit, and no other",
            key=lambda row: key(api, row),
            expected=expected,
        )


@check(
    "text-search",
    "The search finds words of a job's text",
    criterion="functionality",
    official=True,
    chapter="indexes-and-plans",
)
def text_search(api: Api) -> None:
    """Look for a word that only these jobs have."""
    jobs = api.once(board)
    pages = list(api.pages(api.stranger, "search", params={"search": word(api)}))
    rows = [row for page in pages for row in api.items(page)]
    ids = set(jobs.values())
    probes.filtered(
        pages[0],
        rows,
        lambda row: key(api, row) in ids,
        "The search has the jobs with the word, and no other",
        key=lambda row: key(api, row),
        expected=list(ids),
    )


@check(
    "salary",
    "The search filters by salary",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def salary(api: Api) -> None:
    """Ask for more than most jobs pay."""
    jobs = api.once(board)
    params = {"search": word(api), "salary_from": 95_000}
    answer = api.stranger.send("search", params=params)
    probes.filtered(
        answer,
        api.items(answer),
        lambda row: key(api, row) == jobs["rich"],
        "A job whose salary reaches the sum is found, and no other",
        key=lambda row: key(api, row),
        expected=[jobs["rich"]],
    )


@check("sort", "The search is sorted by salary", criterion="functionality", chapter="rest-with-drf")
def sort(api: Api) -> None:
    """Sort down."""
    api.once(library)
    params = {"category": api.once(category), "best_paid": ""}
    answer = api.stranger.send("search", params=params)
    values = [api.field("job", "salary_max", row) for row in api.items(answer)]
    probes.sorted_by(answer, values, falling=True)


@check(
    "stable-pages",
    "A walk through the pages gives each job once, while jobs are added",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def stable_pages(api: Api) -> None:
    """Walk and write."""
    ids = api.once(library)
    probes.stable_walk(
        api,
        api.stranger,
        "search",
        params={"category": api.once(category)},
        key=lambda row: key(api, row),
        write=lambda: new_job(api),
        size=10,
        expected=ids,
    )


@check(
    "apply-once",
    "A person applies once for a job, also when ten requests arrive at once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def apply_once(api: Api) -> None:
    """Race ten applications of one person, and count afterwards."""
    user, job = api.user("applicant"), new_job(api)
    resume(user)
    answers = probes.race(api, [lambda: apply(user, job)] * 10)
    probes.exactly(answers, 1, "A person applies once for a job")


@check(
    "follow",
    "Both sides follow an application until somebody is hired",
    criterion="functionality",
    chapter="rest-with-drf",
)
def follow(api: Api) -> None:
    """Go all the way."""
    one = new_application(api)
    employer, applicant = api.user("employer"), api.user("applicant")
    for status in ("in_review", "interview", "offered"):
        change(employer, one, status).expect(wanted="An employer moves an application on")
    change(applicant, one, "hired").expect(wanted="An applicant accepts an offer")
    answer = applicant.send("application", application=one).expect(200)
    status = api.field("application", "status", answer)
    answer.want(status == api.value("hired"), "The application says that the person is hired")


@check(
    "legal-steps",
    "An application takes legal steps only, and an end is an end",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def legal_steps(api: Api) -> None:
    """Jump over steps, and go on after the end."""
    one, employer = new_application(api), api.user("employer")
    change(employer, one, "offered").want_refused("Nobody gets an offer without an interview")
    change(employer, one, "rejected").expect(wanted="An employer rejects an application")
    change(employer, one, "in_review").want_refused("A rejected application stays rejected")
    gone = change(api.user("applicant"), one, "withdrawn")
    gone.want_refused("A rejected application cannot be withdrawn")


@check(
    "one-ending",
    "If an employer rejects while the applicant withdraws, exactly one of them succeeds",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def one_ending(api: Api) -> None:
    """Race them, several times."""
    employer, applicant = api.user("employer"), api.user("applicant")
    for _ in range(ROUNDS):
        one = new_application(api)
        calls = [
            lambda one=one: change(employer, one, "rejected"),
            lambda one=one: change(applicant, one, "withdrawn"),
        ]
        probes.exactly(probes.race(api, calls), 1, "An application has one ending")


@check(
    "no-query-per-row",
    "A list's time hardly grows with its rows",
    criterion="performance",
    official=True,
    chapter="orm-and-n-plus-one",
)
def growth(api: Api) -> None:
    """Compare one job with thirty."""
    api.once(library)
    size = api.names.data["lists"]["size"]
    industry = api.once(category)

    def get(rows: int) -> Answer:
        return api.stranger.send("search", params={size: rows, "category": industry})

    probes.growth(lambda: get(1), lambda: get(30), rows=(1, len(api.items(get(30)))))


# -- Who may do what


@check(
    "roles",
    "Administrators manage categories, employers their own jobs, and applicants apply",
    criterion="security",
    official=True,
    chapter="auth",
)
def roles(api: Api) -> None:
    """Send each request as each role."""
    users = {
        "admin": api.user("admin"),
        "employer": api.user("employer"),
        "other employer": api.user("other_employer"),
        "applicant": api.user("applicant"),
        "nobody": api.stranger,
    }
    job, whose = new_job(api), employer_of(api.user("employer"))
    industry = api.body("category", name="X")
    probes.matrix(
        {
            "create_category": lambda user: user.send("create_category", json=industry),
            "create_job": lambda user: user.send("create_job", employer=whose, json={}),
            "update_job": lambda user: user.send(
                "update_job", job=job, json=api.body("job", title="Changed")
            ),
            "apply": lambda user: user.send("apply", job=job, json={}),
        },
        users,
        {
            "create_category": dict.fromkeys(users, REFUSED) | {"admin": ALLOWED},
            "create_job": {
                **{"employer": ALLOWED, "other employer": REFUSED},
                **{"applicant": REFUSED, "nobody": REFUSED},
            },
            "update_job": {
                **{"employer": ALLOWED, "other employer": REFUSED},
                **{"applicant": REFUSED, "nobody": REFUSED},
            },
            "apply": {"applicant": ALLOWED, "employer": REFUSED, "nobody": REFUSED},
        },
    )


@check(
    "own-applications",
    "An application is seen by its applicant and by the job's employer only",
    criterion="security",
    chapter="auth",
)
def own_applications(api: Api) -> None:
    """Read it as each, and look at the lists."""
    one = new_application(api)
    for role in ("applicant", "employer"):
        api.user(role).send("application", application=one).expect(200)
    for user in (api.user("other_employer"), api.user(), api.stranger):
        answer = user.send("application", application=one)
        answer.want_refused("Nobody else reads an application")
    rows = api.all(api.user("other_employer"), "applications")
    listed = api.user("other_employer").send("applications")
    ids = [api.field("application", "id", row) for row in rows]
    listed.want(one not in ids, "An employer's list has applications for its own jobs only")


@check(
    "resume-private",
    "A résumé is read by its owner and by the job's employer only",
    criterion="security",
    chapter="files-and-uploads",
)
def resume_private(api: Api) -> None:
    """Download it as each."""
    one = new_application(api)
    for role in ("applicant", "employer"):
        answer = api.user(role).send("download", application=one)
        answer.expect(200, wanted="The applicant and the employer download the résumé")
        answer.want("%PDF-1.4" in answer.text, "The file is the one that was uploaded")
    for user in (api.user("other_employer"), api.user(), api.stranger):
        user.send("download", application=one).want_refused("Nobody else gets a résumé")


@check(
    "resume-attachment",
    "A browser saves a résumé, and does not guess at its type",
    criterion="security",
    chapter="files-and-uploads",
)
def resume_attachment(api: Api) -> None:
    """Read the headers."""
    answer = api.user("employer").send("download", application=new_application(api)).expect(200)
    disposition = answer.headers.get("content-disposition", "")
    answer.want(disposition.startswith("attachment"), "Content-Disposition is attachment")
    options = answer.headers.get("x-content-type-options", "")
    answer.want(options.lower() == "nosniff", "X-Content-Type-Options is nosniff")


@check(
    "resume-is-pdf",
    "A file is taken for a PDF by its content, and has a limit",
    criterion="security",
    chapter="files-and-uploads",
)
def resume_is_pdf(api: Api) -> None:
    """Upload a page that calls itself a PDF, and 20 MB."""
    user = api.user("applicant")
    upload(user, HTML).want_refused("A page that is called cv.pdf is refused")
    upload(user, PDF + b" " * 20_000_000 + PDF).want_refused("A file of 20 MB is refused")


# -- Tokens


common.tokens(__name__, "me")


# -- Attacks and errors


@check(
    "sql-injection",
    "A text with SQL in it is only a text",
    criterion="security",
    chapter="django-project",
)
def sql_injection(api: Api) -> None:
    """Put SQL into the search and the place."""
    api.once(board)
    for name in ("search", "place"):
        probes.injection(
            lambda text, name=name: api.stranger.send("search", params={name: text}),
            lambda answer: len(api.items(answer)),
        )


@check(
    "mass-assignment",
    "Role and status are not the client's to set",
    criterion="security",
    chapter="rest-with-drf",
)
def mass_assignment(api: Api) -> None:
    """Register as an administrator, and apply as hired."""
    register = api.names.data["auth"]["register"]

    def sign_up(more: dict[str, Any]) -> Answer:
        name = f"forged-{word(api)}"
        places = {
            "username": name,
            "email": f"{name}@example.com",
            "password": "a-Long-Passphrase-7",
        }
        body = {key: text.format(**places) for key, text in register["body"].items()}
        return api.stranger.send(register["path"], json=body | more)

    forged = api.body("account", role=api.value("admin"))
    probes.mass_assignment(sign_up, lambda answer: answer.json, forged)
    user = api.user("applicant")
    probes.mass_assignment(
        lambda more: apply(user, new_job(api), **more),
        lambda answer: (
            user.send("application", application=api.field("application", "id", answer)).json
        ),
        api.body("application", status=api.value("hired")),
    )


@check(
    "errors",
    "Errors are JSON of one form, and show nothing of the program",
    criterion="functionality",
    chapter="rest-with-drf",
)
def errors(api: Api) -> None:
    """Make an error of each kind."""
    user = api.user("applicant")
    kind = {"content-type": "application/json"}
    probes.error_form(
        [
            api.stranger.send("job", job=987_654_321),
            user.send("apply", job=1, json={}),
            user.send("apply", job=1, content="{", headers=kind),
            api.stranger.send("me"),
            user.send("create_category", json={}),
        ]
    )


common.documentation(
    __name__,
    *("search", "job", "create_job", "update_job", "create_category", "apply", "change"),
    *("applications", "application", "upload_resume", "download"),
)
