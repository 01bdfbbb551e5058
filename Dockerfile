# syntax=docker/dockerfile:1
# One image, many roles: `docker run IMAGE worker hls`, `... api`, `... scheduler`, `... flower`; alone it is all of
# them (`up`). `--build-arg BROWSER=0` leaves out Chromium, which only downloads behind a page's challenge need.
#
# Runs as user 10001 and with a read-only root: only /data (DATA_DIR), /media (what jobs read and write) and /tmp are
# written. Mount a volume on the first two and a tmpfs on the third.

ARG PYTHON=3.11
ARG BROWSER=1

FROM python:${PYTHON}-slim-bookworm AS build
RUN python -m venv /opt/workplatform
WORKDIR /src
COPY pyproject.toml README.md LICENSE celeryconfig.py ./
COPY api api
COPY workers workers
COPY workplatform workplatform
RUN /opt/workplatform/bin/pip install --no-cache-dir ".[flower]"
ARG BROWSER
RUN if [ "$BROWSER" = 1 ]; then /opt/workplatform/bin/workplatform browser install; fi

FROM python:${PYTHON}-slim-bookworm
ARG BROWSER
# git and ssh are for deploys
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client \
    && if [ "$BROWSER" = 1 ]; then apt-get install --yes --no-install-recommends chromium fonts-liberation; fi \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 workplatform \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin workplatform \
    && install --directory --owner=10001 --group=10001 /data /media
COPY --from=build /opt/workplatform /opt/workplatform
ENV PATH=/opt/workplatform/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    ALLOWED_ROOTS=/media \
    ALIVE_DIR=/tmp/alive \
    LOG_FORMAT=json
# not /media: a file .env there, which a job may write, would be read as settings
WORKDIR /opt/workplatform
USER 10001:10001
STOPSIGNAL SIGTERM
# The role's own sign of life, not a question to Celery: that costs seconds of CPU and calls a busy worker dead.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --start-interval=3s --retries=2 \
    CMD ["python", "-m", "workplatform.alive"]
ENTRYPOINT ["workplatform"]
CMD ["up"]
