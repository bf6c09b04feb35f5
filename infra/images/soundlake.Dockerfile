# Everything of Soundlake in one image; compose.yaml starts a service of it for each program. Built from the root of a checkout.
FROM python:3.11.13-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 soundlake \
    && install -d -o soundlake /data /jars

WORKDIR /app
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY src src
COPY dbt dbt
COPY infra infra
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv sync --frozen --no-dev --all-extras --no-extra java --no-extra servers --no-extra redis-server --no-cache \
    && chown -R soundlake /app/dbt

USER soundlake
ENV PATH=/app/.venv/bin:$PATH SOUNDLAKE_HOME=/data SOUNDLAKE_DOWNLOADS=/jars PYTHONUNBUFFERED=1
ENTRYPOINT ["soundlake"]
