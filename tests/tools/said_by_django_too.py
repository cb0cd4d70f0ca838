"""Make Django and its companions say more rows of data/messages/django.yml: wrong code, run here.

test_messages_python.py starts this in a process of its own, as it does said_by_django.py. The
snippets are source code, because most of it is code that no checker would let pass. It prints one
line of JSON: for each row's id, what was said.
"""

import io
import json
import logging
import sys
import types
import warnings
from contextlib import redirect_stderr, redirect_stdout

import django
from django.conf import settings

urls = types.ModuleType("urls")
urls.urlpatterns = []  # type: ignore[attr-defined]
sys.modules["urls"] = urls
sys.modules["empty_asgi"] = types.ModuleType("empty_asgi")
settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
        "nothing": {},
        "nameless": {"ENGINE": "django.db.backends.postgresql"},
    },
    DEBUG=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    ROOT_URLCONF="urls",
    SECRET_KEY="only-for-this-process-and-long-enough-for-hs256",
    STATIC_URL="/static/",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    USE_TZ=True,
)
django.setup()
logging.disable()

PRELUDE = """
import asyncio, datetime, io, json
from decimal import Decimal
import jwt
from django import forms
from django.contrib import admin
from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.management import call_command
from django.db import connection, connections, migrations, models
from django.db.models import Avg, Count, Exists, F, OuterRef, Sum
from django.http import HttpResponse, JsonResponse
from django.template import Template
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path, reverse
from django.utils import timezone
from django.views import generic
from rest_framework import serializers, views, viewsets, generics, routers
from rest_framework.decorators import api_view

class Label(models.Model):
    title = models.CharField(max_length=10)
    class Meta: app_label = "auth"

class House(models.Model):
    title = models.CharField(max_length=10)
    price = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    rooms = models.FloatField(null=True)
    since = models.DateField(null=True)
    moment = models.DateTimeField(null=True)
    made = models.DateTimeField(auto_now_add=True)
    data = models.JSONField(null=True)
    host = models.ForeignKey(User, models.RESTRICT, null=True)
    label = models.ForeignKey(Label, models.CASCADE, null=True)
    labels = models.ManyToManyField(Label, related_name="+")
    class Meta:
        app_label = "auth"
        unique_together = [("title", "label")]

class Base(models.Model):
    objects = models.Manager()
    class Meta:
        abstract = True
        app_label = "auth"

class Other(models.Model):
    rows = models.Manager()
    class Meta: app_label = "auth"

class HouseForm(forms.ModelForm):
    class Meta:
        model = House
        fields = ["title", "host"]

class HouseSerializer(serializers.ModelSerializer):
    class Meta:
        model = House
        fields = ["title", "price", "since", "moment", "host", "label", "data"]

class HouseView(generics.ListCreateAPIView):
    authentication_classes = []
    queryset = House.objects.order_by("id")
    serializer_class = HouseSerializer

requests = RequestFactory()

def first(errors):
    while not isinstance(errors, str):
        errors = next(iter(errors.values() if isinstance(errors, dict) else errors))
    return str(errors)

def invalid(field, value):
    class One(serializers.Serializer): pass
    One._declared_fields = {"one": field}
    one = One(data={"one": value})
    one.is_valid()
    return first(one.errors)

def checked(model=None, **options):
    from django.core import checks
    return "\\n".join(map(str, (model.check() if model else checks.run_checks())))
"""

# Each says it by an exception.
FAIL: dict[str, str] = {
    "dj-database-engine-missing": "connections['nothing'].cursor()",
    "dj-database-name-missing": "connections['nameless'].get_connection_params()",
    "dj-wsgi-application-import": (
        "from django.core.servers.basehttp import get_internal_wsgi_application as get\n"
        "with override_settings(WSGI_APPLICATION='nobody.wsgi.application'): get()"
    ),
    "dj-static-root": "call_command('collectstatic', interactive=False)",
    "dj-setting-list-tuple": (
        "import types, sys\nfrom django.conf import Settings\n"
        "sys.modules['wrong'] = wrong = types.ModuleType('wrong')\n"
        "wrong.ALLOWED_HOSTS = 'shop.example'\nSettings('wrong')"
    ),
    "dj-cache-backend": (
        "from django.core.cache import caches\n"
        "with override_settings(CACHES={'default': {'BACKEND': 'nobody.Cache'}}): caches['default']"
    ),
    "dj-module-not-define": (
        "from django.utils.module_loading import import_string\nimport_string('json.Nobody')"
    ),
    "dj-not-module-path": (
        "from django.utils.module_loading import import_string\nimport_string('nobody')"
    ),
    "dj-connection-does-not-exist": "User.objects.using('other').count()",
    "dj-storage-config": ("from django.core.files.storage import storages\nstorages['other']"),
    "dj-on-delete": "models.ForeignKey(User)",
    "dj-ugettext": "from django.utils.translation import ugettext_lazy",
    "dj-force-text": "from django.utils.encoding import force_text",
    "dj-conf-urls-url": "from django.conf.urls import url",
    "dj-core-urlresolvers": "import django.core.urlresolvers",
    "dj-meta-invalid-attribute": (
        "class A(models.Model):\n    class Meta:\n        app_label = 'auth'\n"
        "        index_together = []"
    ),
    "dj-timezone-utc": "from django.utils.timezone import utc",
    "dj-is-ajax": "requests.get('/').is_ajax()",
    "dj-request-no-session": "requests.get('/').session",
    "dj-middleware-get-response": (
        "from django.middleware.common import CommonMiddleware\nCommonMiddleware()"
    ),
    "dj-pass-as-view": "path('', generic.TemplateView())",
    "dj-function-as-view": "def f(request): ...\nf.as_view()",
    "dj-detail-view-pk": "generic.DetailView.as_view(model=User)(requests.get('/'), id=1)",
    "dj-missing-queryset": "generic.DetailView.as_view()(requests.get('/'), pk=1)",
    "dj-no-url-redirect": (
        "class V(generic.CreateView):\n    model = Label\n    fields = ['title']\n"
        "V.as_view()(requests.post('/', {'title': 'a'}))"
    ),
    "dj-form-fields-prohibited": ("class A(forms.ModelForm):\n    class Meta: model = User\n"),
    "dj-unawaited-response": (
        "async def f(request): return HttpResponse()\n"
        "urls.urlpatterns.append(path('later/', lambda request: f(request)))\n"
        "Client().get('/later/')"
    ),
    "dj-reverse-no-arguments": (
        "urls.urlpatterns.append(path('<int:pk>/', HttpResponse, name='house'))\n"
        "from django.urls import clear_url_caches\nclear_url_caches()\nreverse('house')"
    ),
    "dj-reverse-with-arguments": "reverse('house', args=[''])",
    "dj-reverse-with-keyword": "reverse('house', kwargs={'id': 1})",
    "dj-app-name-missing": "include('urls', namespace='shop')",
    "dj-could-not-parse-remainder": "Template('{{ a[0] }}')",
    "dj-unclosed-tag": "Template('{% if a %}')",
    "dj-endblock-expected": "Template('{% for a in b %}{% endif %}')",
    "dj-tag-library": "Template('{% load nobody %}')",
    "dj-invalid-filter": "Template('{{ a|nobody }}')",
    "dj-block-twice": "Template('{% block a %}{% endblock %}{% block a %}{% endblock %}')",
    "dj-extends-first": "Template('a {% load static %}{% extends \"a.html\" %}')",
    "dj-no-migration-matching": "call_command('migrate', 'auth', '0999')",
    "dj-irreversible": (
        "from django.db.migrations.state import ProjectState\n"
        "class M(migrations.Migration): operations = [migrations.RunPython(print)]\n"
        "with connection.schema_editor(atomic=False) as editor:\n"
        "    M('m', 'auth').unapply(ProjectState(), editor)"
    ),
    "dj-circular-dependency": (
        "from django.db.migrations.graph import MigrationGraph\ngraph = MigrationGraph()\n"
        "for n in 'ab': graph.add_node((n, '1'), None)\n"
        "graph.add_dependency('', ('a', '1'), ('b', '1'))\n"
        "graph.add_dependency('', ('b', '1'), ('a', '1'))\ngraph.ensure_not_cyclic()"
    ),
    "dj-field-does-not-exist": "User._meta.get_field('city')",
    "dj-app-no-model": ("from django.apps import apps\napps.get_model('auth', 'Nobody')"),
    "dj-cannot-serialize": (
        "from django.db.migrations.writer import MigrationWriter\n"
        "MigrationWriter.serialize(object())"
    ),
    "dj-could-not-find-function": (
        "from django.db.migrations.writer import MigrationWriter\ndef outer():\n"
        "    def f(): ...\n    return f\nMigrationWriter.serialize(outer())"
    ),
    "dj-serialize-lambda": (
        "from django.db.migrations.writer import MigrationWriter\n"
        "MigrationWriter.serialize(lambda: 1)"
    ),
    "dj-alter-m2m": (
        "new = models.ForeignKey(Label, models.CASCADE)\nnew.set_attributes_from_name('labels')\n"
        "new.model = House\n"
        "with connection.schema_editor() as editor:\n"
        "    editor.alter_field(House, House._meta.get_field('labels'), new)"
    ),
    "dj-unknown-fields": (
        "class A(forms.ModelForm):\n    class Meta:\n        model = User\n"
        "        fields = ['city']"
    ),
    "dj-non-editable-field": (
        "class A(forms.ModelForm):\n    class Meta:\n        model = House\n"
        "        fields = ['made']"
    ),
    "dj-unexpected-keyword-model": "House(city='a')",
    "dj-use-queryset-for": "House.objects.filter(host__in=Group.objects.all())",
    "dj-cannot-query-instance": "House.objects.filter(host=Label.objects.create())",
    "dj-direct-assignment": "House(labels=[])",
    "dj-needs-value-m2m": "House().labels.all()",
    "dj-needs-primary-key": "User().house_set.all()",
    "dj-queryset-no-attribute": "User.objects.all().email",
    "dj-invalid-lookup": "User.objects.filter(email__nobody='a')",
    "dj-output-field": (
        "from django.db.models.functions import Coalesce\n"
        "str(House.objects.annotate(a=Coalesce('price', 'rooms')).query)"
    ),
    "dj-invalid-date-format": "House(since='31.12.2026').save()",
    "dj-decimal-number": "House(price='1,50').save()",
    "dj-expected-number-anonymous": "User.objects.filter(id=AnonymousUser())",
    "dj-anonymous-no-attribute": "AnonymousUser().email",
    "dj-abstract-manager": "Base.objects",
    "dj-no-objects": "Other.objects",
    "dj-f-insert": "House.objects.create(rooms=F('rooms') + 1)",
    "dj-combine-base-models": "User.objects.all() | Group.objects.all()",
    "dj-distinct-on-backend": "list(User.objects.distinct('email'))",
    "dj-contains-backend": "list(House.objects.filter(data__contains={}))",
    "dj-outer-query": "User.objects.filter(id=OuterRef('id')).count()",
    "dj-cannot-compute-aggregate": (
        "House.objects.annotate(n=Count('labels')).annotate(m=Avg('n'))"
    ),
    "dj-update-no-rows": "Label(pk=99).save(update_fields=['title'])",
    "dj-restricted": (
        "user = User.objects.create(username='r')\nHouse.objects.create(title='r', host=user)\n"
        "user.delete()"
    ),
    "dj-earliest-latest": "User.objects.latest()",
    "dj-exact-slicing": "list(House.objects.filter(host=User.objects.all()))",
    "dj-unhashable-model": "{House()}",
    "dj-make-aware": "timezone.make_aware(timezone.now())",
    "dj-localtime-naive": "timezone.localtime(datetime.datetime(2026, 1, 1))",
    "dj-aware-backend": (
        "now = timezone.now()\n"
        "with override_settings(USE_TZ=False): House.objects.create(title='t', moment=now)"
    ),
    "dj-thread-same": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "old = connections['default']\n"
        "with ThreadPoolExecutor() as pool: pool.submit(old.close).result()"
    ),
    "dj-no-cleaned-data": "HouseForm({}).cleaned_data",
    "dj-not-created-validate": "HouseForm({}).save()",
    "dj-instance-keyword": "forms.Form(instance=1)",
    "dj-json-safe": "JsonResponse([])",
    "django-files-key-error": "requests.post('/').POST['title']",
    "dj-context-dict": (
        "from django.template import engines\nengines['django'].from_string('').render([])"
    ),
    "dj-session-key-cache": (
        "from django.contrib.sessions.backends.cache import SessionStore\n"
        "dummy = {'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'}}\n"
        "class Full(SessionStore):\n    def save(self, must_create=False):\n"
        "        from django.contrib.sessions.backends.base import CreateError\n"
        "        raise CreateError\n"
        "Full().create()"
    ),
    "dj-username-must-be-set": "User.objects.create_user('')",
    "dj-multiple-backends": (
        "two = ['django.contrib.auth.backends.ModelBackend'] * 2\n"
        "request = requests.get('/')\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "request.session = SessionStore()\n"
        "with override_settings(AUTHENTICATION_BACKENDS=two): login(request, User(pk=1))"
    ),
    "dj-unknown-hashing": ("from django.contrib.auth.hashers import get_hasher\nget_hasher('md4')"),
    "dj-superuser-noinput": "call_command('createsuperuser', interactive=False)",
    "dj-email-tls-ssl": (
        "from django.core.mail.backends.smtp import EmailBackend\n"
        "EmailBackend(use_tls=True, use_ssl=True)"
    ),
    "dj-to-list": "from django.core.mail import EmailMessage\nEmailMessage(to='a@example.org')",
    "dj-manifest-file-not-found": (
        "from django.contrib.staticfiles.storage import ManifestStaticFilesStorage\n"
        "ManifestStaticFilesStorage(location='/nowhere').hashed_name('a.css')"
    ),
    "dj-joined-path": (
        "from django.core.files.storage import FileSystemStorage\n"
        "FileSystemStorage('/srv').path('/etc/passwd')"
    ),
    "dj-no-absolute-paths": ("from django.core.files.storage import Storage\nStorage().path('a')"),
    "dj-atomic-requests-async": (
        "from django.core.handlers.base import BaseHandler\nfrom unittest import mock\n"
        "async def f(request): ...\n"
        "with mock.patch.dict(connections.settings['default'], ATOMIC_REQUESTS=True):\n"
        "    BaseHandler().make_view_atomic(f)"
    ),
    "dj-already-registered": "admin.site.register(User)",
    "dj-str-non-string": "class A:\n    def __str__(self): return None\nstr(A())",
    "dj-translation-infrastructure": (
        "from unittest import mock\nfrom django.apps import apps\n"
        "from django.utils.translation import trans_real\n"
        "with mock.patch.object(apps, 'get_app_configs', side_effect="
        "__import__('django').core.exceptions.AppRegistryNotReady):\n"
        "    trans_real.DjangoTranslation('de')"
    ),
    "dj-name-conflicts": "call_command('startapp', 'json')",
    "dj-no-fixture": "call_command('loaddata', 'nobody')",
    "dj-deserialization": (
        "import tempfile, pathlib\nwith tempfile.TemporaryDirectory() as folder:\n"
        "    file = pathlib.Path(folder, 'a.json')\n    file.write_text('[nothing]')\n"
        "    call_command('loaddata', str(file))"
    ),
    "dj-asgi-application-import": (
        "from channels.routing import get_default_application\n"
        "with override_settings(ASGI_APPLICATION='nobody.asgi.application'):\n"
        "    get_default_application()"
    ),
    "dj-asgi-application-find": (
        "from channels.routing import get_default_application\n"
        "with override_settings(ASGI_APPLICATION='empty_asgi.application'):\n"
        "    get_default_application()"
    ),
    "dj-no-handler": (
        "from channels.consumer import AsyncConsumer\n"
        "asyncio.run(AsyncConsumer().dispatch({'type': 'chat.message'}))"
    ),
    "dj-session-in-scope": ("from channels.auth import get_user\nasyncio.run(get_user({}))"),
    "dj-group-name": (
        "from channels.layers import InMemoryChannelLayer\n"
        "asyncio.run(InMemoryChannelLayer().group_add('a room', 'b'))"
    ),
    # Django REST framework
    "dj-drf-model-permissions": (
        "from rest_framework.permissions import DjangoModelPermissions\n"
        "class V(views.APIView):\n    permission_classes = [DjangoModelPermissions]\n"
        "    authentication_classes = []\n"
        "    def get(self, request): ...\n"
        "request = requests.get('/')\n"
        "from rest_framework.test import force_authenticate\n"
        "force_authenticate(request, User(pk=1))\nV.as_view()(request)"
    ),
    "dj-drf-request-in-context": (
        "class S(serializers.HyperlinkedModelSerializer):\n    class Meta:\n"
        "        model = User\n        fields = ['url']\nS(User(pk=1)).data"
    ),
    "dj-drf-field-name-not-valid": (
        "class S(serializers.ModelSerializer):\n    class Meta:\n"
        "        model = User\n        fields = ['city']\nS().fields"
    ),
    "dj-drf-without-fields": (
        "class S(serializers.ModelSerializer):\n    class Meta: model = User\nS().fields"
    ),
    "dj-drf-relational-queryset": "serializers.PrimaryKeyRelatedField()",
    "dj-drf-redundant-source": (
        "class S(serializers.Serializer): a = serializers.CharField(source='a')\nS().fields"
    ),
    "dj-drf-actions-argument": "viewsets.ViewSet.as_view()",
    "dj-drf-basename-registered": (
        "class A(viewsets.ModelViewSet): queryset = User.objects.all()\n"
        "router = routers.SimpleRouter()\nrouter.register('a', A)\nrouter.register('b', A)"
    ),
    "dj-drf-create-implemented": "serializers.Serializer().create({})",
    "dj-drf-save-invalid": ("s = HouseSerializer(data={})\ns.is_valid()\ns.save()"),
    "dj-drf-save-after-data": (
        "s = HouseSerializer(data={'title': 'x', 'label': None})\ns.is_valid()\ns.data\ns.save()"
    ),
    "dj-drf-request-instance": (
        "from rest_framework.request import Request\n"
        "HouseView.as_view()(Request(requests.get('/')))"
    ),
    "dj-drf-no-throttle-rate": (
        "from rest_framework.throttling import UserRateThrottle\n"
        "class A(UserRateThrottle): scope = 'nobody'\nA()"
    ),
    "dj-content-not-rendered": ("from rest_framework.response import Response\nResponse().content"),
    "dj-drf-has-no-queryset-list": (
        "class V(HouseView):\n    def get(self, request): return list(self.queryset)\n"
        "V.as_view()(requests.get('/'))"
    ),
    "dj-filter-non-model": (
        "import django_filters\nclass A(django_filters.FilterSet):\n    class Meta:\n"
        "        model = User\n        fields = ['city']"
    ),
    "dj-filter-meta-model": (
        "import django_filters\nclass A(django_filters.FilterSet):\n    class Meta: model = User\n"
        "A()"
    ),
    "dj-jwt-no-blacklist": (
        "from rest_framework_simplejwt.tokens import RefreshToken\nRefreshToken().blacklist()"
    ),
    "dj-strawberry-return-annotation": (
        "import strawberry\n@strawberry.type\nclass Q:\n    @strawberry.field\n"
        "    def a(self): ...\nstrawberry.Schema(Q)"
    ),
    "dj-strawberry-argument-annotation": (
        "import strawberry\n@strawberry.type\nclass Q:\n    @strawberry.field\n"
        "    def a(self, b) -> int: ...\nstrawberry.Schema(Q)"
    ),
    "dj-strawberry-duplicated-type": (
        "import strawberry\n@strawberry.type(name='A')\nclass A: b: int\n"
        "@strawberry.type(name='A')\nclass C: b: int\n"
        "@strawberry.type\nclass Q:\n    a: A\n    c: C\nstrawberry.Schema(Q)"
    ),
}

# Each is an expression whose value has it.
SAY: dict[str, str] = {
    "dj-staticfiles-dir-missing": (
        "[override_settings(STATICFILES_DIRS=['/not/here']).enable(), checked()][1]"
    ),
    "dj-relation-not-installed": (
        "checked(type('M1', (models.Model,), {'__module__': 'x', 'Meta': type('Meta', (), "
        "{'app_label': 'auth'}), 'a': models.ForeignKey('shop.Nobody', models.CASCADE)}))"
    ),
    "dj-null-boolean": (
        "checked(type('M5', (models.Model,), {'__module__': 'x', 'Meta': type('Meta', (), "
        "{'app_label': 'auth'}), 'a': models.NullBooleanField()}))"
    ),
    "dj-set-null": (
        "checked(type('M3', (models.Model,), {'__module__': 'x', 'Meta': type('Meta', (), "
        "{'app_label': 'auth'}), 'a': models.ForeignKey(User, models.SET_NULL)}))"
    ),
    "dj-ordering-nonexistent": (
        "checked(type('M4', (models.Model,), {'__module__': 'x', 'Meta': type('Meta', (), "
        "{'app_label': 'auth', 'ordering': ['city']})}))"
    ),
    "dj-list-display": (
        "'\\n'.join(map(str, type('A', (admin.ModelAdmin,), {'list_display': ['city']})"
        "(User, admin.site).check()))"
    ),
    "dj-admin-no-foreign-key": (
        "'\\n'.join(map(str, type('A', (admin.ModelAdmin,), {'inlines': "
        "[type('I', (admin.TabularInline,), {'model': Group})]})(User, admin.site).check()))"
    ),
    "dj-csrf-scheme": (
        "[override_settings(CSRF_TRUSTED_ORIGINS=['shop.example']).enable(), checked()][1]"
    ),
    "dj-select-valid-choice": ("first(HouseForm({'title': 'a', 'host': 'nobody'}).errors['host'])"),
    "dj-management-form": ("str(forms.formset_factory(forms.Form)({}).non_form_errors())"),
    "dj-drf-unable-log-in": (
        "json.dumps(__import__('rest_framework.authtoken.views', fromlist=['a'])"
        ".obtain_auth_token(requests.post('/', {'username': 'a', 'password': 'b'})).data)"
        ".replace(': ', ':')"
    ),
    "dj-drf-token-header": (
        "__import__('rest_framework.authentication', fromlist=['a']) and str(type('V', "
        "(HouseView,), {'authentication_classes': [__import__('rest_framework.authentication', "
        "fromlist=['a']).TokenAuthentication]}).as_view()"
        "(requests.get('/', HTTP_AUTHORIZATION='Token')).data['detail'])"
    ),
    "dj-drf-username-password": (
        "json.dumps(type('V', (HouseView,), {'authentication_classes': "
        "[__import__('rest_framework.authentication', fromlist=['a']).BasicAuthentication]})"
        ".as_view()(requests.get('/', HTTP_AUTHORIZATION='Basic YTpi')).data).replace(': ', ':')"
    ),
    "dj-drf-may-not-be-null": "invalid(serializers.CharField(), None)",
    "dj-drf-may-not-be-blank": "invalid(serializers.CharField(), '')",
    "dj-drf-not-a-valid-choice": "invalid(serializers.ChoiceField(['a']), 'b')",
    "dj-drf-list-of-items": "invalid(serializers.ListField(), 'a')",
    "dj-drf-dictionary-of-items": "invalid(serializers.DictField(), 'a')",
    "dj-drf-expected-pk": (
        "invalid(serializers.PrimaryKeyRelatedField(queryset=User.objects), {})"
    ),
    "dj-drf-datetime-format": "invalid(serializers.DateTimeField(), 'a')",
    "dj-drf-date-format": "invalid(serializers.DateField(), 'a')",
    "dj-drf-valid-number": "invalid(serializers.FloatField(), 'a')",
    "dj-drf-decimal-places": "invalid(serializers.DecimalField(5, 2), '0.123')",
    "dj-drf-no-file": (
        "__import__('rest_framework.serializers', fromlist=['a']).FileField.default_error_messages"
        "['required']"
    ),
    "dj-drf-file-empty": (
        "invalid(serializers.FileField(), __import__('django.core.files.uploadedfile', "
        "fromlist=['a']).SimpleUploadedFile('a', b''))"
    ),
    "dj-drf-slug-does-not-exist": (
        "invalid(serializers.SlugRelatedField('username', queryset=User.objects), 'nobody')"
    ),
    "dj-drf-no-url-match": (
        "invalid(serializers.HyperlinkedRelatedField('user-detail', queryset=User.objects), '/a/')"
    ),
    "dj-drf-accept-header": (
        "json.dumps(HouseView.as_view()(requests.get('/', HTTP_ACCEPT='text/event-stream')).data)"
        ".replace(': ', ':')"
    ),
    "dj-drf-multipart-boundary": (
        "str(HouseView.as_view()(requests.post('/', b'a', content_type='multipart/form-data'))"
        ".data['detail'])"
    ),
    "dj-graphql-operation-not-supported": "asked('mutation { a }')",
    "dj-graphql-unknown-type": "asked('query ($a: Nobody) { house(number: 1) }')",
    "dj-graphql-unknown-fragment": "asked('{ ...Nobody }')",
    "dj-graphql-argument-required": "asked('{ house }')",
    "dj-graphql-string-value": "asked('{ named(name: 1) }')",
    "dj-graphql-int-value": "asked('{ house(number: \"1\") }')",
    "dj-graphql-enum-value": "asked('{ state(of: SAD) }')",
    "dj-graphql-variable-undefined": "asked('query q { house(number: $a) }')",
    "dj-graphql-variable-never-used": "asked('query q($a: Int) { __typename }')",
    "dj-graphql-anonymous": "asked('{ __typename } query b { __typename }')",
    "dj-graphql-no-subfields": "asked('{ house(number: 1) { a } }')",
    "dj-graphql-fields-conflict": "asked('{ house(number: 1) house(number: 2) }')",
    "dj-jwt-wrong-type": "refused('refresh')",
    "dj-jwt-user-not-found": "refused('access', user_id='99')",
    "dj-jwt-no-identification": "refused('access')",
    "dj-jwt-user-inactive": (
        "refused('access', user_id=str(User.objects.create(username='i', is_active=False).pk))"
    ),
}
MORE = """
import enum, strawberry
@strawberry.enum
class State(enum.Enum): GOOD = 1
@strawberry.type
class Query:
    @strawberry.field
    def house(self, number: int) -> int: return number
    @strawberry.field
    def named(self, name: str) -> str: return name
    @strawberry.field
    def state(self, of: State) -> int: return 1
schema = strawberry.Schema(Query)
def asked(text):
    return "\\n".join(error.message for error in schema.execute_sync(text).errors or ())

from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
def refused(kind, **claims):
    token = {"access": AccessToken, "refresh": RefreshToken}[kind]()
    for name, value in claims.items(): token[name] = value
    class V(HouseView): authentication_classes = [JWTAuthentication]
    data = V.as_view()(requests.get("/", HTTP_AUTHORIZATION=f"Bearer {token}")).data
    return json.dumps(data).replace('": ', '":').replace(', "', ',"')
"""


def full(error: BaseException) -> str:
    """An exception as a traceback's last line has it."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}: {error}"


def main() -> None:
    """Run each snippet, and print what was said."""
    warnings.simplefilter("ignore")
    sys.modules["shop.models"] = module = types.ModuleType("shop.models")
    space = vars(module)
    space["urls"] = urls
    said = {}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        exec(PRELUDE, space)
        space["call_command"]("migrate", verbosity=0)
        with space["connection"].schema_editor() as editor:
            for name in ("Label", "House"):
                editor.create_model(space[name])
        exec(MORE, space)
        for name, code in SAY.items():
            said[name] = str(eval(code, space))
        for name, code in FAIL.items():
            try:
                exec(code, space)
            except (Exception, SystemExit) as error:
                said[name] = full(error)
            else:
                said[name] = "nothing is said"
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
