"""What makes Python and its packages say what rows of data/messages/python.yml say.

test_messages_python.py runs each. The values are source code, because most of it is code that no
checker would let pass.
"""

FAIL: dict[str, str] = {
    # Python
    "py-none-not-iterable": "for _ in None: pass",
    "py-not-iterable": "for _ in 5: pass",
    "py-not-subscriptable": "a = 5\na[0]",
    "py-concatenate-str": "'room ' + 5",
    "py-string-indices": "a = 'text'\na['title']",
    "py-list-indices": "a = [1]\na['title']",
    "py-list-index-range": "[][0]",
    "py-key-error": "{}['title']",
    "py-invalid-literal-int": "int('3.5')",
    "py-unbound-local": "def f():\n    print(total)\n    total = 1\nf()",
    "py-unexpected-indent": "a = 1\n  b = 2",
    "py-expected-indented-block": "if True:\na = 1",
    "py-unindent-mismatch": "if True:\n    a = 1\n  b = 2",
    "py-tab-error": "if True:\n        a = 1\n\tb = 2",
    "py-invalid-syntax": "pip install django",
    "py-never-closed": "a = (1,\nb = 2",
    "py-unterminated-string": "a = 'one",
    "py-perhaps-comma": "a = [1 2]",
    "py-print-parentheses": "print 'one'",
    "py-await-outside": "def f():\n    await g()",
    "py-unicodeescape": "a = 'C:\\Users'",
    "py-not-a-package": "import json.decoder.more",
    "py-module-no-attribute": "import json\njson.nothing",
    "py-str-no-attribute": "'a'.decode()",
    "py-dict-no-attribute": "{}.title",
    "py-list-no-attribute": "[].title",
    "py-coroutine-no-attribute": (
        "import asyncio\nc = asyncio.sleep(0)\ntry:\n    c.title\nfinally:\n    c.close()"
    ),
    "py-cannot-await-none": (
        "import asyncio\nasync def main():\n    await None\nasyncio.run(main())"
    ),
    "py-not-supported-between": "'1' < 2",
    "py-unsupported-operand": "None + 1",
    "py-bytes-like-required": "'a' in b'abc'",
    "py-must-be-encoded": "import hashlib\nhashlib.sha256('a')",
    "py-pathlike-none": "import os\nos.fspath(None)",
    "py-json-must-be-str": "import json\njson.loads({})",
    "py-unpack-none": "a, b = None",
    "py-int-argument-none": "int(None)",
    "py-item-assignment": "a = 'text'\na[0] = 'T'",
    "py-abstract-class": (
        "import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\nA()"
    ),
    "py-multiple-values": "def f(a): ...\nf(1, a=1)",
    "py-no-setter": "class A:\n    @property\n    def total(self): ...\nA().total = 1",
    "py-not-all-converted": "'%s' % (1, 2)",
    "py-format-none": "f'{None:.2f}'",
    "py-cannot-be-integer": "range(1.5)",
    "py-subtract-naive-aware": (
        "from datetime import UTC, datetime\ndatetime(2026, 1, 1) - datetime.now(UTC)"
    ),
    "py-datetime-to-date": (
        "from datetime import date, datetime\ndatetime(2026, 1, 1) < date(2026, 1, 1)"
    ),
    "py-strptime-not-match": (
        "from datetime import datetime\ndatetime.strptime('1.2.2026', '%Y-%m-%d')"
    ),
    "py-unconverted-data": (
        "from datetime import datetime\ndatetime.strptime('2026-01-01T10', '%Y-%m-%d')"
    ),
    "py-invalid-isoformat": "from datetime import date\ndate.fromisoformat('01/02/2026')",
    "py-datetime-datetime": "from datetime import datetime\ndatetime.timedelta",
    "py-int-digits": "int('1' * 5000)",
    "py-ascii-decode": "'é'.encode().decode('ascii')",
    "py-latin1-encode": "'—'.encode('latin-1')",
    "py-surrogates-not-allowed": "'\\ud83d'.encode()",
    "py-json-extra-data": "import json\njson.loads('{}{}')",
    "py-json-delimiter": "import json\njson.loads('[1 2]')",
    "py-json-unterminated": "import json\njson.loads('[\"a')",
    "py-json-control-character": "import json\njson.loads('\"a\\nb\"')",
    "py-json-escape": "import json\njson.loads('\"\\\\d\"')",
    "py-json-bom": "import json\njson.loads('\\ufeff{}')",
    "py-json-nan": ("from rest_framework.utils import json\njson.dumps(float('nan'))"),
    "py-json-keys": "import json\njson.dumps({(1, 2): 1})",
    "py-circular-reference": "import json\na = []\na.append(a)\njson.dumps(a)",
    "py-file-exists": "import os\nos.mkdir('/')",
    "py-is-a-directory": "open('/')",
    "py-called-process-error": (
        "import subprocess, sys\nsubprocess.check_call([sys.executable, '-c', 'exit(3)'])"
    ),
    "py-loop-already-running": (
        "import asyncio\nasync def main():\n"
        "    asyncio.get_running_loop().run_forever()\nasyncio.run(main())"
    ),
    "py-another-loop-running": (
        "import asyncio\nasync def main():\n    loop = asyncio.new_event_loop()\n"
        "    try:\n        loop.run_forever()\n    finally:\n        loop.close()\n"
        "asyncio.run(main())"
    ),
    "py-no-current-loop": (
        "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor() as pool:\n    pool.submit(asyncio.get_event_loop).result()"
    ),
    "py-reuse-awaited": (
        "import asyncio\nasync def main():\n    c = asyncio.sleep(0)\n    await c\n    await c\n"
        "asyncio.run(main())"
    ),
    "py-asyncio-cancelled": (
        "import asyncio\nasync def main():\n    task = asyncio.create_task(asyncio.sleep(9))\n"
        "    task.cancel()\n    await task\nasyncio.run(main())"
    ),
    "py-taskgroup-unhandled": (
        "import asyncio\nasync def fail(): 1 / 0\nasync def main():\n"
        "    async with asyncio.TaskGroup() as group:\n        group.create_task(fail())\n"
        "asyncio.run(main())"
    ),
    "py-cannot-pickle-object": "import pickle, threading\npickle.dumps(threading.Lock())",
    "py-mutable-default": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    b: list = []"
    ),
    "py-non-default-follows": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    a: int = 1\n    b: int"
    ),
    "py-enum-not-valid": "import enum\nclass State(enum.Enum):\n    A = 'a'\nState('b')",
    "py-division-by-zero": "1 / 0",
    "py-quantize-too-many": (
        "from decimal import Decimal\nDecimal(10 ** 30).quantize(Decimal('.01'))"
    ),
    "py-generator-stop-iteration": "def f():\n    yield next(iter([]))\nlist(f())",
    "py-set-changed": "a = {1, 2}\nfor b in a:\n    a.add(b + 9)",
    "py-list-remove": "[].remove(1)",
    "py-incorrect-padding": "import base64\nbase64.b64decode('abc')",
    "py-csv-bytes": "import csv, io\nlist(csv.reader(io.BytesIO(b'a,b')))",
    "py-bad-zip-file": "import io, zipfile\nzipfile.ZipFile(io.BytesIO(b'<html>'))",
    "py-pickle-ran-out": "import io, pickle\npickle.load(io.BytesIO())",
    "py-yaml-mapping-values": "import yaml\nyaml.safe_load('a: b: c')",
    "py-yaml-tab": "import yaml\nyaml.safe_load('a:\\n\\tb: 1')",
    "py-logging-configure-handler": (
        "import logging.config\nlogging.config.dictConfig({'version': 1, 'handlers': "
        "{'file': {'class': 'logging.FileHandler', 'filename': '/not/here/log'}}})"
    ),
    "py-sqlite-thread": (
        "import sqlite3\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "db = sqlite3.connect(':memory:')\nwith ThreadPoolExecutor() as pool:\n"
        "    pool.submit(db.execute, 'SELECT 1').result()"
    ),
    "py-sqlite-bindings": ("import sqlite3\nsqlite3.connect(':memory:').execute('SELECT ?', 'ab')"),
    "py-xml-not-well-formed": "from xml.etree import ElementTree\nElementTree.fromstring('<a>&<')",
    "py-fernet-key": "from cryptography.fernet import Fernet\nFernet(b'secret')",
    "py-fernet-invalid-token": (
        "from cryptography.fernet import Fernet\nFernet(Fernet.generate_key()).decrypt(b'x')"
    ),
    "py-control-characters-url": (
        "from urllib.request import urlopen\nurlopen('http://localhost/a b')"
    ),
    "py-argument-not-iterable": "1 in None",
    "py-sequence-item": "','.join([1])",
    "py-could-not-convert-float": "float('1,5')",
    "py-float-argument": "float(None)",
    "py-issubclass-class": "issubclass(1, int)",
    "py-has-no-len": "len(None)",
    "py-nonetype-not-callable": "a = None\na()",
    "py-takes-no-arguments-class": "class A: ...\nA(1)",
    "py-context-manager": "with 1: pass",
    "py-aiter": (
        "import asyncio\nasync def main():\n    async for _ in []: pass\nasyncio.run(main())"
    ),
    "py-return-outside": "return 1",
    "py-cannot-assign": "f() = 1",
    "py-positional-follows": "f(a=1, 2)",
    "py-invalid-character": "a = \u201cb\u201d",
    "py-non-printable": "a\u00a0= 1",
    "py-expected-colon": "if True\n    pass",
    "py-unmatched": "a = 1)",
    "py-pytz-localize": "from zoneinfo import ZoneInfo\nZoneInfo('UTC').localize",
    "py-io-closed-file": "import io\na = io.StringIO()\na.close()\na.read()",
    "py-not-readable": "import os\nopen(os.devnull, 'w').read()",
    "py-embedded-null": "open('a\\0')",
    # requests and httpx
    "py-missing-schema": "import requests\nrequests.get('shop.example')",
    "py-invalid-schema": "import requests\nrequests.get(' ftp://shop.example')",
    "py-tls-ca-bundle": "import requests\nrequests.get('https://localhost:1', verify='/not/here')",
    "py-connection-refused": (
        "import socket\nwith socket.socket() as free:\n    free.bind(('127.0.0.1', 0))\n"
        "    socket.create_connection(free.getsockname())"
    ),
    "py-httpx-all-attempts": (
        "import asyncio, httpx, socket\nasync def main():\n"
        "    with socket.socket() as free:\n        free.bind(('127.0.0.1', 0))\n"
        "        async with httpx.AsyncClient() as client:\n"
        "            await client.get(f'http://127.0.0.1:{free.getsockname()[1]}')\n"
        "asyncio.run(main())"
    ),
    "py-httpx-connect-error": (
        "import httpx, socket\nwith socket.socket() as free:\n    free.bind(('127.0.0.1', 0))\n"
        "    httpx.get(f'http://127.0.0.1:{free.getsockname()[1]}')"
    ),
    "py-httpx-status-error": (
        "import httpx\nrequest = httpx.Request('GET', 'https://shop.example')\n"
        "httpx.Response(404, request=request).raise_for_status()"
    ),
    "py-httpx-unsupported-protocol": "import httpx\nhttpx.get('shop.example')",
    "py-httpx-client-closed": (
        "import httpx\nwith httpx.Client() as client: ...\nclient.get('https://shop.example')"
    ),
    "py-httpx-proxies": "import httpx\nhttpx.Client(proxies={})",
    "py-httpx-app": "import httpx\nhttpx.AsyncClient(app=None)",
    "py-smtp-connect-first": "import smtplib\nsmtplib.SMTP().noop()",
    # boto3
    "py-boto-partial-credentials": (
        "import boto3\nboto3.client('s3', aws_access_key_id='a', region_name='eu-west-1')"
    ),
    "py-boto-no-region": (
        "import boto3\nboto3.Session(aws_access_key_id='a', aws_secret_access_key='b')"
        ".client('sqs')"
    ),
    "py-boto-invalid-bucket": (
        "import boto3\nboto3.client('s3', aws_access_key_id='a', aws_secret_access_key='b')"
        ".head_bucket(Bucket='https://shop')"
    ),
    "py-boto-param-validation": (
        "import boto3\nboto3.client('s3', aws_access_key_id='a', aws_secret_access_key='b')"
        ".head_object(Bucket='shop', Key=None)"
    ),
    "py-boto-profile": "import boto3\nboto3.Session(profile_name='nobody-has-this')",
    # Pillow
    "py-pillow-rgba-jpeg": (
        "import io\nfrom PIL import Image\nImage.new('RGBA', (1, 1)).save(io.BytesIO(), 'JPEG')"
    ),
    "py-pillow-cannot-open-resource": (
        "from PIL import ImageFont\nImageFont.truetype('/not/here.ttf')"
    ),
    "py-pillow-antialias": "from PIL import Image\nImage.ANTIALIAS",
    "py-pillow-textsize": (
        "from PIL import Image, ImageDraw\nImageDraw.Draw(Image.new('RGB', (1, 1))).textsize('a')"
    ),
    "py-pillow-unknown-extension": (
        "from PIL import Image\nImage.new('RGB', (1, 1)).save('/tmp/a.unknown')"
    ),
    # SQLAlchemy
    "py-sa-no-such-module": "import sqlalchemy\nsqlalchemy.create_engine('postgres://a@b/c')",
    "py-sa-could-not-parse": "import sqlalchemy\nsqlalchemy.create_engine('')",
    "py-sa-already-defined": (
        "from sqlalchemy import Column, Integer, MetaData, Table\nmeta = MetaData()\n"
        "for _ in range(2): Table('a', meta, Column('id', Integer, primary_key=True))"
    ),
    "py-sa-not-executable": (
        "import sqlalchemy\nsqlalchemy.create_engine('sqlite://').connect().execute('SELECT 1')"
    ),
    "py-sa-textual": "from sqlalchemy import select\nselect(1).where('a = 1')",
    "py-sa-engine-execute": "import sqlalchemy\nsqlalchemy.create_engine('sqlite://').execute",
    "py-sa-no-result": (
        "import sqlalchemy as sa\nwith sa.create_engine('sqlite://').connect() as db:\n"
        "    db.execute(sa.text('SELECT 1 WHERE 1 = 0')).one()"
    ),
    "py-sa-multiple-results": (
        "import sqlalchemy as sa\nwith sa.create_engine('sqlite://').connect() as db:\n"
        "    db.execute(sa.text('SELECT 1 UNION SELECT 2')).one()"
    ),
    "py-sa-no-rows": (
        "import sqlalchemy as sa\nwith sa.create_engine('sqlite://').connect() as db:\n"
        "    db.execute(sa.text('CREATE TABLE a (b int)')).all()"
    ),
    "py-sa-async-driver": (
        "from sqlalchemy.ext.asyncio import create_async_engine\ncreate_async_engine('sqlite://')"
    ),
    "py-sa-unmapped": (
        "import sqlalchemy as sa\nfrom sqlalchemy.orm import Session\n"
        "Session(sa.create_engine('sqlite://')).add([])"
    ),
    "py-sa-queuepool-limit": (
        "import sqlalchemy as sa\nfrom sqlalchemy.pool import QueuePool\n"
        "engine = sa.create_engine('sqlite://', poolclass=QueuePool, pool_size=1, "
        "max_overflow=0, pool_timeout=0.1)\nwith engine.connect(): engine.connect()"
    ),
    "py-sa-no-foreign-keys": (
        "import sqlalchemy as sa\nfrom sqlalchemy import orm\n"
        "Base = orm.declarative_base()\n"
        "class A(Base):\n    __tablename__ = 'a'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    bs = orm.relationship('B')\n"
        "class B(Base):\n    __tablename__ = 'b'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "Base.registry.configure()"
    ),
    "py-sa-ambiguous-foreign-keys": (
        "import sqlalchemy as sa\nfrom sqlalchemy import orm\n"
        "Base = orm.declarative_base()\n"
        "class A(Base):\n    __tablename__ = 'a'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    bs = orm.relationship('B')\n"
        "class B(Base):\n    __tablename__ = 'b'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    one = sa.Column(sa.ForeignKey('a.id'))\n    two = sa.Column(sa.ForeignKey('a.id'))\n"
        "Base.registry.configure()"
    ),
    "py-sa-failed-to-locate": (
        "import sqlalchemy as sa\nfrom sqlalchemy import orm\n"
        "Base = orm.declarative_base()\n"
        "class A(Base):\n    __tablename__ = 'a'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    bs = orm.relationship('Nowhere')\n"
        "Base.registry.configure()"
    ),
    "py-sa-detached": (
        "import sqlalchemy as sa\nfrom sqlalchemy import orm\n"
        "Base = orm.declarative_base()\n"
        "class A(Base):\n    __tablename__ = 'a'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    bs = orm.relationship('B')\n"
        "class B(Base):\n    __tablename__ = 'b'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    one = sa.Column(sa.ForeignKey('a.id'))\n"
        "engine = sa.create_engine('sqlite://')\nBase.metadata.create_all(engine)\n"
        "with orm.Session(engine, expire_on_commit=False) as session:\n"
        "    a = A()\n    session.add(a)\n    session.commit()\n"
        "with orm.Session(engine) as session:\n    a = session.get(A, 1)\n"
        "a.bs"
    ),
    "py-sa-pending-rollback": (
        "import sqlalchemy as sa\nfrom sqlalchemy import orm\n"
        "Base = orm.declarative_base()\n"
        "class A(Base):\n    __tablename__ = 'a'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "engine = sa.create_engine('sqlite://')\nBase.metadata.create_all(engine)\n"
        "with orm.Session(engine) as session:\n"
        "    session.add(A(id=1))\n    session.commit()\n    session.expunge_all()\n"
        "    session.add(A(id=1))\n"
        "    try:\n        session.flush()\n    except sa.exc.IntegrityError: pass\n"
        "    session.execute(sa.text('SELECT 1'))"
    ),
    # SQLite
    "py-sqlite-no-such-column": "import sqlite3\nsqlite3.connect(':memory:').execute('SELECT a')",
    "py-sqlite-near": "import sqlite3\nsqlite3.connect(':memory:').execute('SELECT ORDER')",
    "py-sqlite-unable-to-open": "import sqlite3\nsqlite3.connect('/not/here/a.db')",
    "py-sqlite-not-null": (
        "import sqlite3\nsqlite3.connect(':memory:').executescript("
        "'CREATE TABLE a (b int NOT NULL); INSERT INTO a VALUES (NULL)')"
    ),
    "py-sqlite-unique": (
        "import sqlite3\nsqlite3.connect(':memory:').executescript("
        "'CREATE TABLE a (b int UNIQUE); INSERT INTO a VALUES (1), (1)')"
    ),
    "py-sqlite-foreign-key": (
        "import sqlite3\nsqlite3.connect(':memory:').executescript("
        "'PRAGMA foreign_keys = on; CREATE TABLE a (b int PRIMARY KEY);"
        "CREATE TABLE c (d int REFERENCES a); INSERT INTO c VALUES (1)')"
    ),
    "py-sqlite-table-exists": (
        "import sqlite3\nsqlite3.connect(':memory:').executescript("
        '\'CREATE TABLE "a" (b int); CREATE TABLE "a" (b int)\')'
    ),
    "py-sqlite-too-many-variables": (
        "import sqlite3\nn = 300_000\n"
        "sqlite3.connect(':memory:').execute('SELECT 1 IN (' + ','.join('?' * n) + ')', [1] * n)"
    ),
    # psycopg
    "py-psycopg-cannot-adapt": (
        "import psycopg\nfrom psycopg.adapt import Transformer, PyFormat\n"
        "Transformer().get_dumper({}, PyFormat.AUTO)"
    ),
    "py-psycopg-placeholders": (
        "from psycopg._queries import PostgresQuery\nfrom psycopg.adapt import Transformer\n"
        "PostgresQuery(Transformer()).convert('SELECT %s, %s', ['a'])"
    ),
    "py-psycopg-percent": (
        "from psycopg._queries import PostgresQuery\nfrom psycopg.adapt import Transformer\n"
        "PostgresQuery(Transformer()).convert(\"SELECT '%a', %s\", ['a'])"
    ),
    "py-no-such-kernel": (
        "from jupyter_client.kernelspec import KernelSpecManager\n"
        "KernelSpecManager().get_kernel_spec('nobody-has-this')"
    ),
    # Pydantic and PyJWT
    "py-pydantic-field-required": (
        "import pydantic\nclass A(pydantic.BaseModel):\n    b: int\nA()"
    ),
    "py-pydantic-base-settings": "from pydantic import BaseSettings",
    "py-pydantic-schema": ("import pydantic\nclass B: ...\nclass A(pydantic.BaseModel):\n    b: B"),
    "py-pydantic-extra": (
        "import pydantic\nclass A(pydantic.BaseModel, extra='forbid'): ...\nA(b=1)"
    ),
    "py-pydantic-from-attributes": (
        "import pydantic\nclass A(pydantic.BaseModel): ...\nA.model_validate(object())"
    ),
    "py-jwt-algorithms": ("import jwt\njwt.decode(jwt.encode({}, 'a' * 32), 'a' * 32)"),
    "py-jwt-subject": (
        "import base64, jwt\nfrom unittest import mock\n"
        "with mock.patch('jwt.PyJWT._validate_sub', create=True): "
        "token = jwt.PyJWS().encode(b'{\"sub\": 1}', 'a' * 32)\n"
        "jwt.decode(token, 'a' * 32, algorithms=['HS256'])"
    ),
    "py-jwt-string-key": "import jwt\njwt.encode({}, None)",
    "py-jwt-asymmetric-secret": (
        "import jwt\nfrom cryptography.hazmat.primitives import serialization as s\n"
        "from cryptography.hazmat.primitives.asymmetric import ec\n"
        "key = ec.generate_private_key(ec.SECP256R1()).public_key()\n"
        "jwt.encode({}, key.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))"
    ),
    "py-boto-no-credentials": (
        "import boto3, os\nfrom unittest import mock\n"
        "nothing = {'AWS_EC2_METADATA_DISABLED': 'true', 'HOME': '/not/here'}\n"
        "with mock.patch.dict(os.environ, nothing, clear=True):\n"
        "    boto3.Session(region_name='eu-west-1').client('s3').list_buckets()"
    ),
    "py-boto-endpoint": (
        "import boto3, botocore.config\n"
        "boto3.client('s3', aws_access_key_id='a', aws_secret_access_key='b', "
        "endpoint_url='http://127.0.0.1:1', region_name='eu-west-1', "
        "config=botocore.config.Config(retries={'total_max_attempts': 1})).list_buckets()"
    ),
    "py-broken-process-pool": (
        "import os\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(1) as pool:\n    pool.submit(os._exit, 1).result()"
    ),
    "py-eof-reading-line": (
        "import os, subprocess, sys\ndone = subprocess.run([sys.executable, '-c', 'input()'], "
        "stdin=subprocess.DEVNULL, capture_output=True, text=True)\n"
        "raise SystemExit(done.stderr)"
    ),
    "py-expected-called-once": (
        "from unittest import mock\nmock.Mock(name='send').assert_called_once()"
    ),
    "py-expected-call-not-found": (
        "from unittest import mock\na = mock.Mock()\na(1)\na.assert_called_with(x=1)"
    ),
    "py-jwt-key-length": (
        "import jwt, warnings\nwith warnings.catch_warnings():\n"
        "    warnings.simplefilter('error')\n    jwt.encode({}, 'short')"
    ),
    "py-not-json-notebook": "import nbformat\nnbformat.reads('', as_version=4)",
    "py-relative-beyond": (
        "exec('from .. import a', {'__name__': 'shop', '__package__': 'shop', '__path__': []})"
    ),
}


TESTS = """
import asyncio
import pytest
from django.contrib.auth.models import User

class TestHelper:
    def __init__(self): ...

@pytest.fixture
def one(): ...

@pytest.fixture(scope="module")
def wide(one): ...

def test_asks(nobody): ...
def test_calls(): one()
def test_wide(wide): ...
@pytest.mark.nobody
def test_mark(): ...
async def test_async(): ...
def test_database(): User.objects.count()
"""
SETTINGS = """
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""
TYPES = """
import nobody
number: int = "1"
def f(a: int) -> None: ...
f("1")
def g(a): ...
def h(a: str | None) -> int: return a.count("b")
"a".nothing
"""
LINES = "import sys\nimport os\nb = 1;c = nobody\nd = '" + "a" * 100 + "'\n"

PROJECT = "[project]\nname = 'a'\nversion = '1'\nrequires-python = '>=3.11'\n"

# Rows, files of a folder, and a command of this environment that is run there.
RUN: list[tuple[tuple[str, ...], dict[str, str], str]] = [
    (
        (
            "py-fixture-not-found",
            "py-fixture-called-directly",
            "py-scope-mismatch",
            "py-unknown-mark",
            "py-async-not-supported",
            "py-cannot-collect-init",
            "py-database-access-not-allowed",
        ),
        {
            "test_a.py": TESTS,
            "settings_a.py": SETTINGS,
            "conftest.py": "",
            "pytest.ini": "[pytest]",
        },
        "pytest -p no:cacheprovider -p pytest_django.plugin --ds=settings_a",
    ),
    (
        ("py-import-error-test-module",),
        {"test_a.py": "import nobody_has_this", "pytest.ini": "[pytest]"},
        "pytest -p no:cacheprovider",
    ),
    (("py-unrecognized-arguments",), {"pytest.ini": "[pytest]"}, "pytest --nobody"),
    (("py-no-tests-collected",), {"pytest.ini": "[pytest]"}, "pytest -p no:cacheprovider"),
    (
        (
            "py-mypy-import-not-found",
            "py-mypy-incompatible-assignment",
            "py-mypy-arg-type",
            "py-mypy-no-untyped-def",
            "py-mypy-union-attr",
            "py-mypy-attr-defined",
        ),
        {"a.py": TYPES},
        "mypy --strict --config-file= --cache-dir=.mypy a.py",
    ),
    (
        ("py-mypy-twice",),
        {"a/b.py": "", "c.py": "import a.b"},
        "mypy --config-file= --cache-dir=.mypy c.py a/b.py",
    ),
    (
        ("py-ruff-e501", "py-ruff-f401", "py-ruff-f821", "py-ruff-i001"),
        {"a.py": LINES},
        "ruff check --isolated --no-cache --select E,F,I --output-format concise a.py",
    ),
    (("py-ruff-unformatted",), {"a.py": LINES}, "ruff format --isolated --no-cache --check a.py"),
    (("py-pip-requirements-open",), {}, "pip install -r requirements.txt"),
    (("py-directory-not-installable",), {}, "pip install ."),
    (
        ("py-pytest-django-no-project",),
        {"pytest.ini": "[pytest]"},
        "pytest -p no:cacheprovider -p pytest_django.plugin --ds=nobody_has_this",
    ),
    (
        ("py-mypy-plugin-import",),
        {"a.py": "", "mypy.ini": "[mypy]\nplugins = nobody_has_this"},
        "mypy --cache-dir=.mypy a.py",
    ),
    (
        ("py-uv-required-version",),
        {"pyproject.toml": PROJECT + "[tool.uv]\nrequired-version = '>=99'\n"},
        "uv lock --offline",
    ),
    (("py-uv-frozen-no-lock",), {"pyproject.toml": PROJECT}, "uv sync --offline --frozen"),
    (
        ("py-uv-no-interpreter",),
        {"pyproject.toml": PROJECT},
        "uv run --offline --python 3.99 nobody_has_this",
    ),
    (
        ("py-uv-not-valid-environment",),
        {"pyproject.toml": PROJECT, ".venv/nothing": ""},
        "uv sync --offline",
    ),
    (("py-uv-no-pyproject",), {}, "uv lock --offline"),
    (("py-uv-failed-to-spawn",), {}, "uv run --offline --no-project nobody_has_this"),
    (("py-uv-no-venv",), {}, "uv pip install --offline nobody"),
    (
        ("py-uv-no-solution",),
        {
            "pyproject.toml": "[project]\nname = 'a'\nversion = '1'\nrequires-python = '>=3.11'\n"
            "dependencies = ['nobody-has-this-package']\n"
        },
        "uv lock --offline --no-index",
    ),
]
