"""Tests are coroutines; each has its own event loop, its own pump with blank flash, and a limited time."""

import asyncio
import inspect

import paths  # noqa: F401
import pytest

# Far above what any test needs: it ends what hangs. One that waits for the pump's own time says how long with `time_limit`.
TIME_LIMIT_S = 90


def pytest_configure(config):
    config.addinivalue_line("markers", "time_limit(seconds): this test may take longer than others")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    wanted = inspect.signature(function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    longer = pyfuncitem.get_closest_marker("time_limit")
    seconds = longer.args[0] if longer else TIME_LIMIT_S

    async def limited():
        async with asyncio.timeout(seconds):
            await function(**arguments)

    asyncio.run(limited())
    return True


@pytest.fixture
def rig(tmp_path):
    """A pump, a phone and the air: `async with rig:`."""
    # Here, so that what needs no pump needs no Bluetooth host either.
    from phone import Rig

    return Rig(tmp_path)
