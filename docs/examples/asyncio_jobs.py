"""Jobs in an event loop: a thread sends, and none is held while a job waits."""

import asyncio


async def result_of(poller):
    """What ``poller.result()`` gives, for who awaits it."""
    while not await asyncio.to_thread(poller.poll):
        await asyncio.sleep(poller.wait_seconds)
    return poller.result()
