"""The cheap source of batches and the small config that goes with it."""

import pytest

from tests.training.sheet import SHEET_CONFIG, SheetSource


@pytest.fixture(scope="session")
def sheet_source():
    return SheetSource


@pytest.fixture(scope="session")
def sheet_config():
    return SHEET_CONFIG
