"""Makes requests that are right field by field right as a whole, which JSON Schema cannot ask for."""

import ast
from datetime import datetime, timezone
from functools import wraps
from threading import RLock

import schemathesis
from marshmallow import ValidationError
from schemathesis import GenerationMode

from flask_model_registry.schemas.categories import ABILITIES, FIELD_CATEGORIES
from flask_model_registry.schemas.fields import ApiKey, search_text
from flask_model_registry.schemas.filters import cursor
from flask_model_registry.schemas.limits import MAX_WORDS
from flask_model_registry.text import problem_of_script
from tests.hosts import CANARY
from tests.reliability.sizes import SEEDS

MODELS = {"/", "/register", "/{id}", "/by-id/{model_id}"}
THERE = {}
CLEARED = {}  # when the API key of a model was last cleared, by the path
BASE_URL = "https://api.example.com/v1"


def one_at_a_time(function):
    """Return a function that threads call one after the other."""
    lock = RLock()

    @wraps(function)
    def call(*args, **options):
        with lock:
            return function(*args, **options)

    return call


# Python 3.11 counts the depth of a tree for all threads together (gh-106905), and the workers, which
# are threads, have Hypothesis parse sources at once: SystemError, "recursion depth mismatch".
ast.parse = one_at_a_time(ast.parse)


@schemathesis.hook
def before_call(context, case, **kwargs):
    """Repair what is meant to be right; leave what is meant to be wrong."""
    for name, value in (case.path_parameters or {}).items():
        # Werkzeug routes no path with a line break: the host's own page would answer.
        case.path_parameters[name] = str(value).replace("\n", " ").replace("%0A", "%20")
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    is_linked = case.meta.phase.name.value == "stateful"
    if "id" in (case.path_parameters or {}) and not is_linked:
        number = int(case.path_parameters["id"])
        ids = sorted(THERE) or [*range(1, SEEDS + 1)]
        case.path_parameters["id"] = (
            number if number % 2 else ids[number % len(ids)]
        )  # not all unknown
    if case.headers and (is_linked or case.id[-1].islower()):  # nor are all conditions to fail
        for name in ("If-Match", "If-None-Match"):
            case.headers.pop(name, None)
    if isinstance(case.body, dict):
        if not case.path.endswith("/test"):  # which takes a category, and nothing that goes with it
            repair(case.body)
        if "model_id" in case.body and (
            is_linked or (case.method == "POST" and case.id[0].islower())
        ):
            case.body["model_id"] = f"m-{case.id}"  # not all are to be in conflict
        for each in (case.body, *(case.body.get("models") or ())):  # the pattern says less
            if "model_id" in each and problem_of_script(each["model_id"]):
                each["model_id"] = f"m-{case.id}"
        if is_pasted(case.body.get("api_key")):
            case.body["api_key"] = CANARY
        if "/providers/" in case.path:
            case.body["base_url"] = BASE_URL
        if {"model_id", "base_url"} & {*case.body} and case.method in {"PUT", "PATCH"}:
            case.body.setdefault("api_key", CANARY)  # the address may be another one
    if case.query and "model_id" in case.query and problem_of_script(case.query["model_id"]):
        case.query["model_id"] = "seed-30"
    if case.query and len(search_text(case.query.get("q", "")).split()) > MAX_WORDS:
        case.query["q"] = "seed"
    if case.query and "after" in case.query:
        sort = case.query.get("sort", "id")
        has_text = sort.removeprefix("-") in {
            "model_id",
            "model_provider",
        }  # and no time, or no value
        case.query["after"] = cursor(sort, 5, "seed-5" if has_text else None)


@schemathesis.hook
def after_call(context, case, response):
    """Remember which models there are, by id, and their names."""
    if case.method == "DELETE" and response.status_code == 204:
        CLEARED[case.formatted_path] = datetime.now(timezone.utc)
        if case.path in {"/{id}", "/by-id/{model_id}"}:
            for row_id in meant(case.path_parameters):
                THERE.pop(row_id, None)
    elif case.path in MODELS and response.status_code in {200, 201}:
        shown = response.json()
        if isinstance(shown, dict):
            THERE[shown["id"]] = shown["model_id"]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Accept what only looks like a resource that is missing, or is there though it was deleted."""
    if failure.code == "ST301":
        return not (case.path.endswith("/credential") and is_cleared_or_set_since(case, response))
    if failure.code == "ST302":  # the id was made up, or the other worker deleted it
        path = case.path_parameters or {}
        return bool(meant(path)) or not {"id", "model_id"} & {*path}
    return True


def is_cleared_or_set_since(case, response):
    """Return whether the API key is not set, or the other worker set it after the deletion."""
    state = response.json()
    if not state["is_set"]:
        return True
    changed = datetime.fromisoformat(state["updated_at"].replace("Z", "+00:00"))
    return changed > CLEARED.get(case.formatted_path, changed)


def is_pasted(api_key):
    """Return whether a text matches the pattern of API keys, but is refused as pasted by mistake."""
    try:
        ApiKey().deserialize(api_key)
    except ValidationError:
        return isinstance(api_key, str)
    return False


def meant(path):
    """Return the ids of the models that a path means."""
    ids = str(path.get("id")), path.get("model_id")
    return [row_id for row_id, name in [*THERE.items()] if str(row_id) == ids[0] or name == ids[1]]


def repair(body):
    if "model_provider" in body or "base_url" in body:  # not every provider has an address
        body["base_url"] = BASE_URL
    if {"category", "dimension", "temperature", "abilities"} & {*body}:
        category = body.setdefault("category", "llm")
        body["abilities"] = sorted(ABILITIES.get(category, ["chat"]))
        for field, categories in FIELD_CATEGORIES.items():
            if category not in categories:
                body[field] = None
    if body.get("dimension"):
        body["dimension"] = int(body["dimension"])  # 3.0 is an integer there, and none here
