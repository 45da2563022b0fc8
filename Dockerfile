# The service in a container: `docker build -t portgrad .`; docs/howto/deploy.md tells how it runs.
ARG PYTHON=docker.io/library/python:3.12-slim-bookworm

# Dependencies alone, so that a change of the code leaves their layer as it is.
FROM ${PYTHON} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/portgrad
ENV PATH=/opt/portgrad/bin:$PATH
WORKDIR /src
COPY pyproject.toml ./
RUN python -c "import tomllib; \
needs = tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']; \
print(*(need for need in needs if not need.startswith('portgrad-client')), sep='\n')" \
    > requirements.txt \
    && pip install -r requirements.txt

FROM dependencies AS code
COPY README.md ./
COPY service ./service
COPY clients/python ./clients/python
RUN pip install --no-deps --prefix /opt/code . ./clients/python

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Portgrad" \
      org.opencontainers.image.description="The gradient of any ONNX net, over HTTP." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=dependencies /opt/portgrad /opt/portgrad
COPY --from=code /opt/code /opt/portgrad
# Libraries that look for a home find one that can be written.
ENV HOME=/tmp \
    PATH=/opt/portgrad/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORTGRAD_DATA=/data \
    PORTGRAD_PORT=8000
# The working directory stays empty: onnxruntime looks there for files that a net names.
RUN groupadd --system --gid 10001 portgrad \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin portgrad \
    && install --directory --owner portgrad --group portgrad /data \
    && install --directory /opt/empty
WORKDIR /opt/empty
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORTGRAD_PORT']), timeout=4); probe.request('GET', '/readyz'); sys.exit(probe.getresponse().status != 200)"]
CMD ["portgrad", "serve", "--host", "0.0.0.0"]
