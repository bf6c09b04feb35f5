# Spark's driver and executors on Kubernetes (docs/streaming.md): the image of all services, started in the way of Spark's own images.
# Built from the root of a checkout, after infra/images/soundlake.Dockerfile as soundlake:0.1.0. Not built where it was written.
FROM apache/spark:4.2.0 AS spark

FROM soundlake:0.1.0
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends procps tini \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s "$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")" /opt/java \
    && ln -s "$(python -c 'import pyspark; print(*pyspark.__path__)')" /opt/spark
COPY --from=spark /opt/entrypoint.sh /opt/entrypoint.sh

USER soundlake
RUN python -c "from pathlib import Path; from soundlake.operations.servers.jars import SPARK_JARS, install_jars; install_jars(SPARK_JARS, Path('/jars/spark'))"
ENV SPARK_HOME=/opt/spark JAVA_HOME=/opt/java PYSPARK_PYTHON=/app/.venv/bin/python PYSPARK_DRIVER_PYTHON=/app/.venv/bin/python
WORKDIR /data
ENTRYPOINT ["/opt/entrypoint.sh"]
