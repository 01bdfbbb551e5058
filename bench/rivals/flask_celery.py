"""The usual way: a Flask route that calls apply_async, for `gunicorn -k gthread`."""

import os

from celery import Celery
from flask import Flask, jsonify, request

celery = Celery("rival", broker=os.environ["BENCH_BROKER"])
app = Flask(__name__)


@celery.task
def work(payload: dict[str, object]) -> None:
    """Do nothing; no worker runs here."""


@app.post("/api/jobs")
def submit() -> object:
    """Queue a job."""
    document = request.get_json()
    queued = work.apply_async((document["payload"],), ignore_result=True)
    return jsonify({"jobId": queued.id, "status": "queued"}), 202
