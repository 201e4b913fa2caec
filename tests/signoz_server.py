"""A strict stand-in of the API by which SigNoz is provisioned: a real HTTP server on loopback, which can lose answers.

What it accepts, adds and answers is what SigNoz v0.138 does: bodies are checked against the schemas of its OpenAPI
where they are there, and by our strict types; documents come back with ids, times and everything that was left unsaid.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import re
import secrets
import socket
import struct
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jsonschema

from attune_monitoring.errors import ConfigError
from attune_monitoring.signoz import read_dashboard, read_rule
from attune_monitoring.signoz.channel import read_channel

__all__ = ["EMAIL", "PASSWORD", "SCHEMAS", "SigNoz", "serve"]

EMAIL = "ada@lovelace.org"
PASSWORD = "Turing-Tape-1936!"
SCHEMAS = Path(os.environ.get("SIGNOZ_SCHEMAS", Path(__file__).parents[2] / "shared" / "signoz"))
_TIME = "2026-08-20T12:00:00Z"
_MAX_PAGE = 200


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Request(NamedTuple):
    method: str
    path: str


class SigNoz:
    """One server: what it has, what it was asked, and what it does wrong.

    Args:
        login: whether one has to sign in; without it whoever asks is the administrator.
        age: `old` knows no dashboards of today, `older` no API of today at all, `other` is something else.
    """

    def __init__(self, *, login: bool = False, age: Literal["", "old", "older", "other"] = "") -> None:
        self.login = login
        self.age = age
        self.url = ""
        self.unready = 0
        """Looks at its health that it answers with 503."""
        self.faults: dict[int, Literal["before", "after"]] = {}
        """Number of a request, from 1 → whether its connection is cut before or after it is carried out."""
        self.dead_from: int | None = None
        """Number of the request from which on no connection is answered."""
        self.requests: list[Request] = []
        self.org = str(uuid.uuid4())
        self.tokens: set[str] = set()
        self.channels: dict[str, dict[str, Any]] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.rules: dict[str, dict[str, Any]] = {}
        self.roles = {str(uuid.uuid4()): f"signoz-{name}" for name in ("admin", "editor", "viewer")}
        self.accounts: dict[str, dict[str, Any]] = {}
        self.account_roles: set[tuple[str, str]] = set()
        self.keys: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    @property
    def writes(self) -> list[Request]:
        """Requests that change something; signing in is none."""
        return [one for one in self.requests if one.method != "GET" and "/sessions/" not in one.path]

    def state(self) -> dict[str, Any]:
        """Return what it has, by names, without what differs from run to run."""
        return {
            "channels": sorted(json.dumps(json.loads(one["data"]), sort_keys=True) for one in self.channels.values()),
            "dashboards": sorted(json.dumps(_bare(one), sort_keys=True) for one in self.dashboards.values()),
            "rules": sorted(json.dumps(_bare(one), sort_keys=True) for one in self.rules.values()),
            "accounts": sorted(one["name"] for one in self.accounts.values()),
            "roles": sorted(self.roles[role] for _, role in self.account_roles),
            "keys": sorted(one["name"] for one in self.keys.values()),
        }

    def dashboard(self, name: str) -> dict[str, Any]:
        """Return the only dashboard of a name, to be edited as a user would."""
        [found] = [one for one in self.dashboards.values() if one["name"] == name]
        return found

    def add_key(self, role: str = "signoz-admin") -> str:
        """Return a key that somebody made by hand."""
        account, text = str(uuid.uuid4()), secrets.token_urlsafe(32)
        self.accounts[account] = {"id": account, "name": "by-hand", "status": "active"}
        self.account_roles.add((account, next(id_ for id_, name in self.roles.items() if name == role)))
        self.keys[str(uuid.uuid4())] = {"name": "by-hand", "key": text, "account": account}
        return text

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any] | None:
        """Carry out a request; None: the connection is cut."""
        parts = urlsplit(target)
        with self._lock:
            if parts.path == "/api/v2/healthz":
                return self._health()
            self.requests.append(Request(method, parts.path))
            number = len(self.requests)
            fault = self.faults.get(number)
            if fault == "before" or (self.dead_from is not None and number >= self.dead_from):
                return None
            try:
                answered = self._carried_out(method, parts.path, parse_qs(parts.query), headers, body)
            except RefusedError as refused:
                answered = refused.status, _error(refused.code, str(refused))
            return None if fault == "after" else answered

    def _health(self) -> tuple[int, Any]:
        if self.age == "other":
            return 200, "<!doctype html><title>Grafana</title>"
        if self.age == "older":
            return 404, _error("not_found", "404 page not found")
        if self.unready:
            self.unready -= 1
            return 503, _error("unavailable", "starting")
        return 200, {"status": "success", "data": {"healthy": True}}

    def _carried_out(
        self, method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        for (verb, pattern), handle in _ROUTES.items():
            match = re.fullmatch(pattern, path)
            if verb != method or match is None:
                continue
            if "/sessions/" not in path:
                self._check_identity(path, headers)
            if self.age == "old" and path.startswith("/api/v2/dashboards"):
                raise RefusedError(501, "unsupported", "not implemented")
            if body and headers.get("Content-Type") != "application/json":
                raise RefusedError(400, "invalid_input", "not JSON")
            status, data = handle(self, match.groups(), query, json.loads(body) if body else None, headers)
            return status, None if status == 204 else {"status": "success", "data": data}
        if path.startswith("/api/v1/dashboards"):
            raise RefusedError(501, "unsupported", "use /api/v2/dashboards")
        raise RefusedError(404, "not_found", f"{method} {path}")

    def _check_identity(self, path: str, headers: Mapping[str, str]) -> None:
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        if not self.login or bearer in self.tokens:
            return
        admin = next(id_ for id_, name in self.roles.items() if name == "signoz-admin")
        account = self._account_of(headers.get("SIGNOZ-API-KEY", ""))
        if account is None:
            raise RefusedError(401, "unauthenticated", f"unauthenticated: {headers.get('SIGNOZ-API-KEY', 'no key')}")
        if (account, admin) not in self.account_roles and path != "/api/v1/service_accounts/me":
            raise RefusedError(403, "forbidden", "only admins may do that")

    def _account_of(self, key: str) -> str | None:
        return next((one["account"] for one in self.keys.values() if one["key"] == key), None)

    # --- who one is

    def context(self, _: Any, query: Mapping[str, list[str]], *__: Any) -> tuple[int, Any]:
        known = query["email"] == [EMAIL]
        _require(bool(query["ref"]), "ref is required")
        return 200, {"exists": known, "orgs": [{"id": self.org, "name": "local"}] if known else []}

    def sign_in(self, _: Any, __: Any, body: Any, *___: Any) -> tuple[int, Any]:
        _require(isinstance(body, dict) and body.keys() == {"email", "password", "orgId"}, "email, password, orgId")
        if (body["email"], body["password"], body["orgId"]) != (EMAIL, PASSWORD, self.org):
            # Worse than the real one: it repeats what it was told.
            raise RefusedError(401, "unauthenticated", f"invalid credentials {body['email']} {body['password']}")
        token = secrets.token_urlsafe(32)
        self.tokens.add(token)
        return 200, {"accessToken": token, "refreshToken": secrets.token_urlsafe(32)}

    # --- channels

    def list_channels(self, *_: Any) -> tuple[int, Any]:
        return 200, copy.deepcopy([*self.channels.values()])

    def add_channel(self, _: Any, __: Any, body: Any, *___: Any) -> tuple[int, Any]:
        kept = _channel(body)
        if kept["name"] in [one["name"] for one in self.channels.values()]:
            raise RefusedError(
                400, "invalid_input", "the receiver name has to be unique, please choose a different name"
            )
        kept["id"] = str(uuid.uuid4())
        self.channels[kept["id"]] = kept
        return 201, kept

    def put_channel(self, found: Any, _: Any, body: Any, *__: Any) -> tuple[int, Any]:
        kept = _channel(body)
        before = _of(self.channels, found[0])
        _require(kept["name"] == before["name"], "cannot update channel name")
        before.update(kept)
        return 204, None

    # --- dashboards

    def list_dashboards(self, _: Any, query: Mapping[str, list[str]], *__: Any) -> tuple[int, Any]:
        limit = min(int(query.get("limit", ["20"])[0]), _MAX_PAGE)
        offset = int(query.get("offset", ["0"])[0])
        everything = [*self.dashboards.values()]
        if query.get("order", ["desc"]) == ["desc"]:
            everything.reverse()
        page = [
            {**{key: value for key, value in one.items() if key != "spec"}, "spec": {"display": one["spec"]["display"]}}
            for one in everything[offset : offset + limit]
        ]
        return 200, copy.deepcopy(
            {"dashboards": page, "total": len(everything), "tags": [], "reservedKeywords": ["name", "locked"]}
        )

    def get_dashboard(self, found: Any, *_: Any) -> tuple[int, Any]:
        return 200, copy.deepcopy(_of(self.dashboards, found[0]))

    def add_dashboard(self, _: Any, __: Any, body: Any, *___: Any) -> tuple[int, Any]:
        kept = {**_dashboard(body), **_stamps(), "orgId": self.org, "locked": False, "source": "user"}
        self.dashboards[kept["id"]] = kept
        return 201, kept

    def put_dashboard(self, found: Any, _: Any, body: Any, *__: Any) -> tuple[int, Any]:
        before = _of(self.dashboards, found[0])
        kept = _dashboard(body)
        _require(not before["locked"], "cannot update a locked dashboard, please unlock the dashboard to update")
        _require(kept["name"] == before["name"], "name is immutable")
        before.update(kept)
        return 200, before

    # --- rules

    def list_rules(self, *_: Any) -> tuple[int, Any]:
        return 200, copy.deepcopy([*self.rules.values()])

    def add_rule(self, _: Any, __: Any, body: Any, *___: Any) -> tuple[int, Any]:
        kept = {**self._rule(body), **_stamps(), "state": "inactive"}
        self.rules[kept["id"]] = kept
        return 201, kept

    def put_rule(self, found: Any, _: Any, body: Any, *__: Any) -> tuple[int, Any]:
        before = _of(self.rules, found[0])
        kept = self._rule(body)
        stamps = {key: before[key] for key in (*_stamps(), "state")}
        before.clear()
        before.update({**kept, **stamps})
        return 204, None

    def _rule(self, body: Any) -> dict[str, Any]:
        _check_schema("rule-v2alpha1", body)
        _ours(read_rule, json.dumps(body))
        kept: dict[str, Any] = copy.deepcopy(body)
        names = {one["name"] for one in self.channels.values()}
        kept.setdefault("disabled", False)
        kept["notificationSettings"].setdefault("usePolicy", False)
        for limit in kept["condition"]["thresholds"]["spec"]:
            _require(set(limit.get("channels") or ()) <= names, "the following channels do not exist")
            limit.update({"targetUnit": "", "recoveryTarget": None, "channels": None} | limit)
        for one in kept["condition"]["compositeQuery"]["queries"]:
            one["spec"] = {"disabled": False, "legend": ""} | one["spec"]
        return kept

    # --- service accounts

    def list_accounts(self, *_: Any) -> tuple[int, Any]:
        return 200, copy.deepcopy([*self.accounts.values()])

    def add_account(self, _: Any, __: Any, body: Any, *___: Any) -> tuple[int, Any]:
        _require(isinstance(body, dict) and body.keys() == {"name"}, "name")
        _require(bool(re.fullmatch("[a-z][a-z0-9-]{0,49}", body["name"])), "name must start with a lowercase letter")
        if body["name"] in [one["name"] for one in self.accounts.values()]:
            raise RefusedError(409, "already_exists", "a service account of this name exists")
        account = str(uuid.uuid4())
        self.accounts[account] = {"id": account, "name": body["name"], "status": "active", "orgId": self.org}
        return 201, {"id": account}

    def me(self, _: Any, __: Any, ___: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        account = self._account_of(headers.get("SIGNOZ-API-KEY", ""))
        if account is None:
            raise RefusedError(401, "unauthenticated", "no service account")
        return 200, self.accounts[account]

    def list_roles(self, *_: Any) -> tuple[int, Any]:
        return 200, [{"id": id_, "name": name, "type": "managed"} for id_, name in self.roles.items()]

    def roles_of(self, found: Any, *_: Any) -> tuple[int, Any]:
        _of(self.accounts, found[0])
        return 200, [{"id": role, "name": self.roles[role]} for one, role in self.account_roles if one == found[0]]

    def give_role(self, _: Any, __: Any, body: Any, *___: Any) -> tuple[int, Any]:
        _require(isinstance(body, dict) and body.keys() == {"serviceAccountId", "roleId"}, "serviceAccountId, roleId")
        given = (body["serviceAccountId"], body["roleId"])
        _of(self.accounts, given[0])
        _of(self.roles, given[1])
        if given in self.account_roles:
            raise RefusedError(409, "already_exists", "the service account has this role")
        self.account_roles.add(given)
        return 201, {"id": str(uuid.uuid4())}

    def list_keys(self, found: Any, *_: Any) -> tuple[int, Any]:
        kept = {id_: one for id_, one in self.keys.items() if one["account"] == found[0]}
        return 200, [{"id": id_, "name": one["name"], "expiresAt": 0} for id_, one in kept.items()]

    def add_key_of(self, found: Any, _: Any, body: Any, *__: Any) -> tuple[int, Any]:
        _of(self.accounts, found[0])
        _require(isinstance(body, dict) and body.keys() == {"name", "expiresAt"}, "name, expiresAt")
        if body["name"] in [one["name"] for one in self.keys.values() if one["account"] == found[0]]:
            raise RefusedError(409, "api_key_already_exists", "a key of this name exists")
        id_, text = str(uuid.uuid4()), secrets.token_urlsafe(32)
        self.keys[id_] = {"name": body["name"], "key": text, "account": found[0]}
        return 201, {"id": id_, "key": text}

    def remove_key(self, found: Any, *_: Any) -> tuple[int, Any]:
        _of(self.keys, found[1])
        del self.keys[found[1]]
        return 204, None


_ROUTES: dict[tuple[str, str], Callable[..., tuple[int, Any]]] = {
    ("GET", "/api/v2/sessions/context"): SigNoz.context,
    ("POST", "/api/v2/sessions/email_password"): SigNoz.sign_in,
    ("GET", "/api/v1/channels"): SigNoz.list_channels,
    ("POST", "/api/v1/channels"): SigNoz.add_channel,
    ("PUT", "/api/v1/channels/([^/]+)"): SigNoz.put_channel,
    ("GET", "/api/v2/dashboards"): SigNoz.list_dashboards,
    ("GET", "/api/v2/dashboards/([^/]+)"): SigNoz.get_dashboard,
    ("POST", "/api/v2/dashboards"): SigNoz.add_dashboard,
    ("PUT", "/api/v2/dashboards/([^/]+)"): SigNoz.put_dashboard,
    ("GET", "/api/v2/rules"): SigNoz.list_rules,
    ("POST", "/api/v2/rules"): SigNoz.add_rule,
    ("PUT", "/api/v2/rules/([^/]+)"): SigNoz.put_rule,
    ("GET", "/api/v1/service_accounts/me"): SigNoz.me,
    ("GET", "/api/v1/service_accounts"): SigNoz.list_accounts,
    ("POST", "/api/v1/service_accounts"): SigNoz.add_account,
    ("GET", "/api/v1/roles"): SigNoz.list_roles,
    ("GET", "/api/v1/service_accounts/([^/]+)/roles"): SigNoz.roles_of,
    ("POST", "/api/v1/service_account_roles"): SigNoz.give_role,
    ("GET", "/api/v1/service_accounts/([^/]+)/keys"): SigNoz.list_keys,
    ("POST", "/api/v1/service_accounts/([^/]+)/keys"): SigNoz.add_key_of,
    ("DELETE", "/api/v1/service_accounts/([^/]+)/keys/([^/]+)"): SigNoz.remove_key,
}


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise RefusedError(400, "invalid_input", message)


def _of(kept: Mapping[str, Any], id_: str) -> Any:
    if id_ not in kept:
        raise RefusedError(404, "not_found", f"there is nothing with the id {id_}")
    return kept[id_]


def _stamps() -> dict[str, str]:
    who = {"createdBy": EMAIL, "updatedBy": EMAIL}
    return {"id": str(uuid.uuid4()), "createdAt": _TIME, "updatedAt": _TIME, **who}


def _bare(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("id", "orgId")}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"status": "error", "error": {"type": code, "code": code, "message": message}}


@functools.cache
def _validator(name: str) -> jsonschema.Draft202012Validator | None:
    file = SCHEMAS / f"{name}.schema.json"
    if not file.is_file():
        return None
    schema = json.loads(file.read_text("utf-8"))
    # A URL is a struct in Go, which its OpenAPI takes for an object; on the wire it is a text.
    for one in ("ConfigSecretURL", "ConfigURL", "ConfigURLType2"):
        if one in schema["components"]["schemas"]:
            schema["components"]["schemas"][one] = {"type": "string"}
    return jsonschema.Draft202012Validator(schema)


def _check_schema(name: str, body: Any) -> None:
    validator = _validator(name)
    faults = [] if validator is None else [f"{one.json_path}: {one.message}" for one in validator.iter_errors(body)]
    _require(not faults, "; ".join(faults)[:2000])


def _ours(read: Callable[[str], Any], text: str) -> None:
    try:
        read(text)
    except ConfigError as error:
        raise RefusedError(400, "invalid_input", str(error)) from error


_HTTP = {"tls_config": {"insecure_skip_verify": False}, "follow_redirects": True, "enable_http2": True}
_ADDED: Mapping[str, Mapping[str, Any]] = {
    "webhook": {"url_file": "", "max_alerts": 0, "timeout": 0},
    "slack": {"color": '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}', "short_fields": False},
    "discord": {"title": '{{ template "discord.default.title" . }}', "webhook_url_file": ""},
    "email": {"html": '{{ template "email.default.html" . }}', "threading": {}},
}


def _channel(body: Any) -> dict[str, Any]:
    _check_schema("channel", body)
    _ours(read_channel, json.dumps(body))
    receiver = copy.deepcopy(body)
    [kind] = [key.removesuffix("_configs") for key in receiver if key.endswith("_configs")]
    for config in receiver[f"{kind}_configs"]:
        if kind != "email":
            config["http_config"] = _HTTP | config.get("http_config", {})
        config.update({**_ADDED[kind], **config})
    return {"name": receiver["name"], "type": kind, "data": json.dumps(receiver), "createdAt": _TIME}


def _dashboard(body: Any) -> dict[str, Any]:
    _check_schema("dashboard-v6", body)
    _ours(read_dashboard, json.dumps(body))
    kept: dict[str, Any] = {"image": ""} | copy.deepcopy(body)
    kept["tags"].reverse()
    spec = kept["spec"]
    spec.update({"duration": "", "refreshInterval": ""} | spec)
    spec["display"].setdefault("description", "")
    for variable in spec["variables"]:
        usual = {"customAllValue": "", "capturingRegexp": "", "sort": "none", "allowMultiple": False}
        variable["spec"] = usual | variable["spec"]
    for panel in spec["panels"].values():
        panel["spec"]["display"].setdefault("description", "")
        _fill_looks(panel["spec"]["plugin"])
        _fill_queries(panel["spec"]["queries"])
    return kept


def _fill_looks(plugin: dict[str, Any]) -> None:
    kind, spec = plugin["kind"], plugin["spec"]
    if kind in ("signoz/ListPanel", "signoz/HistogramPanel"):
        return
    spec["visualization"] = {"timePreference": "global_time", "fillSpans": False} | spec.get("visualization", {})
    spec["formatting"] = {"unit": "", "decimalPrecision": "2"} | spec.get("formatting", {})
    spec.setdefault("thresholds", None)
    if kind in ("signoz/TimeSeriesPanel", "signoz/BarChartPanel"):
        spec["axes"] = {"softMin": None, "softMax": None, "isLogScale": False} | spec.get("axes", {})
        spec["legend"] = {"position": "bottom", "mode": "list", "customColors": None} | spec.get("legend", {})
    if kind == "signoz/TimeSeriesPanel":
        gaps = {"fillOnlyBelow": False, "fillLessThan": ""}
        looks = {"lineInterpolation": "spline", "showPoints": False, "lineStyle": "solid", "fillMode": "none"}
        spec["chartAppearance"] = {**looks, "spanGaps": gaps} | spec.get("chartAppearance", {})


def _fill_queries(value: Any) -> None:
    """Add to queries, wherever they stand, what the server adds, and name types of fields as it does."""
    if isinstance(value, list):
        for item in value:
            _fill_queries(item)
    elif isinstance(value, dict):
        for item in value.values():
            _fill_queries(item)
        if "signal" in value and "name" in value:
            value.update({"source": "", "disabled": False, "legend": ""} | value)
        if "metricName" in value:
            value.update({"temporality": "", "timeAggregation": "", "spaceAggregation": ""} | value)
        if isinstance(value.get("key"), dict) or "fieldContext" in value:
            field = value.get("key", value)
            field.update({"signal": "", "fieldContext": "", "fieldDataType": ""} | field)
            if field["fieldDataType"] in ("float64", "int"):
                field["fieldDataType"] = "number"


@contextmanager
def serve(server: SigNoz) -> Iterator[SigNoz]:
    """Open the server; its `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answered = server.answer(self.command, self.path, self.headers, body)
            if answered is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            status, said = answered
            data = b"" if said is None else said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def finish(self) -> None:
            if not self.wfile.closed:
                try:
                    super().finish()
                except OSError:
                    return

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that went away."""

    listening = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_port}"
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
