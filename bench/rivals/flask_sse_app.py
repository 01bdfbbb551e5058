"""flask-sse as it is, for `gunicorn -k gevent`: one Redis connection a client."""

import os

from flask import Flask
from flask_sse import sse

app = Flask(__name__)
app.config["REDIS_URL"] = os.environ["BENCH_REDIS"]
app.register_blueprint(sse, url_prefix="/api/events")
