# OneAI: one image for the web processes, the worker and the migrations.
# Packages come from hash-locked files only; the image holds no secret and no build tool.

FROM node:24-bookworm-slim AS front-end
WORKDIR /app/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
COPY templates ../templates
COPY content/templates* ../content/templates
RUN npm run build

FROM python:3.13-slim-bookworm AS packages
WORKDIR /app
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
COPY requirements/uv.lock requirements/run.lock requirements/
RUN python -m venv /uv \
    && /uv/bin/pip install --no-cache-dir --require-hashes -r requirements/uv.lock \
    && python -m venv --without-pip .venv \
    && /uv/bin/uv pip install --no-cache --python .venv/bin/python --require-hashes --compile-bytecode -r requirements/run.lock

FROM python:3.13-slim-bookworm
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEBUG=0 PORT=8000
RUN groupadd --system --gid 10001 oneai && useradd --system --uid 10001 --gid oneai --no-create-home oneai
COPY --from=packages /app/.venv .venv
COPY manage.py pyproject.toml ./
COPY tools/__init__.py tools/serve.py tools/web_supervisor.py tools/web_worker.py tools/healthcheck.py tools/
COPY accounts accounts
COPY adminpanel adminpanel
COPY billing billing
COPY chat chat
COPY content content
COPY docs docs
COPY oneai oneai
COPY quotas quotas
COPY templates templates
COPY --from=front-end /app/frontend/dist frontend/dist
# Collected with development's settings, which need no secret; what they generate is not kept.
RUN DEBUG=1 ONEAI_ENV_FILE=none python manage.py collectstatic --noinput -v 0 && rm -f data/secret-key
RUN install -d -o 10001 -g 10001 -m 700 /files
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "tools/healthcheck.py"]
CMD ["python", "tools/serve.py"]
