"""Tests are coroutines; each has its own event loop, its own pump with blank flash, and a limited time."""

import asyncio
import inspect

import pytest

from phone import Rig

# Far above what any test needs: it ends what hangs.
TIME_LIMIT_S = 90


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    wanted = inspect.signature(function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}

    async def limited():
        async with asyncio.timeout(TIME_LIMIT_S):
            await function(**arguments)

    asyncio.run(limited())
    return True


@pytest.fixture
def rig(tmp_path):
    """A pump, a phone and the air: `async with rig:`."""
    return Rig(tmp_path)
