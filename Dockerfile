# The agent alone, for `docker compose --profile agent up`; agent/README.md says how.
ARG PYTHON=python:3.13-slim
FROM ${PYTHON}
WORKDIR /app
COPY requirements.txt ./
# The first section of the pinned packages is the agent's.
RUN sed -n '/^# The agent$/,/^$/p' requirements.txt > agent.txt && pip install --no-cache-dir -r agent.txt
COPY agent agent
USER 10001:10001
ENV AGENT_BIND=0.0.0.0:9080 AGENT_DRAIN_TIMEOUT=30 PYTHONUNBUFFERED=1
EXPOSE 9080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ['AGENT_BIND'].rpartition(':')[2]}/health\", timeout=2)"]
# Not through a shell: SIGTERM has to reach the agent.
CMD ["python", "-m", "agent"]
