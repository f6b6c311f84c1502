"""Which engine does a step."""

from __future__ import annotations

import pytest

from lib_copier.engines.choose import ENGINE_VARIABLE, choose_engine
from lib_copier.engines.sd_scripts.checkout import CHECKOUT_VARIABLE, PYTHON_VARIABLE, Checkout


@pytest.fixture
def installed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(checkout.folder))
    monkeypatch.setenv(PYTHON_VARIABLE, str(checkout.python))


def test_what_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, "sd-scripts")
    assert choose_engine("embedded") == "embedded"
    monkeypatch.delenv(ENGINE_VARIABLE)
    assert choose_engine("sd-scripts") == "sd-scripts"


@pytest.mark.usefixtures("installed")
def test_auto_takes_sd_scripts_only_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    assert choose_engine("auto") == "embedded"
    monkeypatch.setenv(ENGINE_VARIABLE, "sd-scripts")
    assert choose_engine("auto") == "sd-scripts"


@pytest.mark.usefixtures("installed")
def test_auto_takes_sd_scripts_only_where_it_is_ready(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, "sd-scripts")
    (checkout.folder / "networks" / "merge_lora.py").unlink()
    assert choose_engine("auto") == "embedded"
