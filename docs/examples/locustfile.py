"""Users who post work and wait for its result as the server asks."""

from locust import HttpUser, constant, task
from locust.clients import HttpSession

from polling_adapter import PollingAdapter, PollingMixin, PollingPolicy


class PollingHttpSession(PollingMixin, HttpSession):
    policy = PollingPolicy(total_timeout=60)


class PollingUser(HttpUser):
    """By a session, whose calls may have policies of their own."""

    wait_time = constant(1)

    def __init__(self, environment):
        super().__init__(environment)
        event = environment.events.request
        self.client = PollingHttpSession(self.host, event, self)

    @task
    def work(self):
        self.client.post("/start_work?duration=1", name="by a session")


class MountedUser(HttpUser):
    """By an adapter, for clients that stay as they are."""

    wait_time = constant(1)

    def on_start(self):
        policy = PollingPolicy(total_timeout=60)
        self.client.mount(self.host, PollingAdapter(policy=policy))

    @task
    def work(self):
        self.client.post("/start_work?duration=1", name="by an adapter")
