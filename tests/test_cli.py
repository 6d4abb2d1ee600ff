"""The commands of ``flask model-registry``."""

import subprocess
import sys

from click.testing import CliRunner

from flask_model_registry.cli import model_registry
from flask_model_registry.config import Settings


def keys_of(text):
    return Settings.from_config({"MODEL_REGISTRY_ENCRYPTION_KEYS": text.strip()}).encryption_keys


def test_a_generated_key_is_taken_by_the_setting():
    result = CliRunner().invoke(model_registry, ["generate-key"])

    assert result.exit_code == 0
    assert len(keys_of(result.output)) == 1


def test_a_generated_key_can_be_named():
    result = CliRunner().invoke(model_registry, ["generate-key", "--id", "2026-11"])

    assert keys_of(result.output)[0].id == "2026-11"


def test_a_name_that_the_setting_would_refuse_is_refused():
    result = CliRunner().invoke(model_registry, ["generate-key", "--id", "a b"])

    assert result.exit_code == 2
    assert "a b" not in result.output.splitlines()[-1]


def test_generated_keys_differ():
    results = {CliRunner().invoke(model_registry, ["generate-key"]).output for _ in range(20)}

    assert len(results) == 20


def test_a_key_can_be_made_before_there_is_an_app(tmp_path):
    command = [sys.executable, "-m", "flask", "model-registry", "generate-key"]

    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert len(keys_of(result.stdout)) == 1
