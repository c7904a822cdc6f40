"""The commands of ``test_shell2http.py``."""

from __future__ import annotations

from flask import Flask
from flask_executor import Executor
from flask_shell2http import Shell2HTTP

app = Flask(__name__)
commands = Shell2HTTP(app=app, executor=Executor(app), base_url_prefix="/commands/")
commands.register_command(endpoint="sleep", command_name="sleep")
