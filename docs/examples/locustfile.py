"""Users who post work and wait for its result as the server asks."""

from locust import HttpUser, constant, task
from locust.clients import HttpSession

from polling_adapter import PollingAdapter, PollingMixin, PollingPolicy

POLICY = PollingPolicy(total_timeout=60)


class PollingHttpSession(PollingMixin, HttpSession):
    policy = POLICY


class PollingUser(HttpUser):
    """By a session: tasks may have policies, begin jobs, and resume them."""

    wait_time = constant(1)

    def __init__(self, environment):
        super().__init__(environment)
        told = environment.events.request
        self.client = PollingHttpSession(self.host, told, self)

    @task
    def work(self):
        self.client.post("/start_work?duration=1", name="by a session")


class MountedUser(HttpUser):
    """By an adapter, for clients that stay as they are."""

    wait_time = constant(1)

    def on_start(self):
        self.client.mount(self.host, PollingAdapter(policy=POLICY))

    @task
    def work(self):
        self.client.post("/start_work?duration=1", name="by an adapter")
