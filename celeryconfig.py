"""Celery's configuration, and nothing else; the values that differ between places come from the settings.

Why these values: docs/operating.md, "Celery on Redis". Each broker option is proven by
tests/integration/test_broker_options.py.
"""

from workplatform.embedded import address as _address
from workplatform.settings import load as _load

_settings = _load().settings

broker_url = _address(_settings).replace("unix://", "redis+socket://", 1)
broker_transport_options = {
    "ack_emulation": False,  # the record's lease recovers a dead worker's jobs; acknowledgements cost 2-3x throughput
    "global_keyprefix": _settings.key_prefix,
    "health_check_interval": 3,  # a half-open connection is noticed in 5 s instead of 49
    "priority_steps": [0, 1, 2, 3, 4],
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "socket_timeout": 5,
}
broker_connection_retry = True
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

imports = ("workplatform.worker",)
accept_content = ["json"]
task_serializer = "json"
task_default_queue = "default"
task_default_priority = 2  # a message without a priority would count as 0, the first
task_acks_late = True  # with a prefetch of 1: no message is held beyond those running
task_ignore_result = True
task_send_sent_event = False
task_track_started = False

worker_consumer = "workplatform.celery_app:Consumer"
worker_pool = "threads"  # warm stop in 0.2 s; work that can hang or crash runs in child processes of our own
worker_prefetch_multiplier = 1
worker_disable_prefetch = True  # holds after a reconnect too
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_send_task_events = _settings.task_events  # Flower's; what they cost: docs/deploying.md
worker_cancel_long_running_tasks_on_connection_loss = False
