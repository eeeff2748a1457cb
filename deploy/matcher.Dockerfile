# The services that match and alert, and the `topics` command. Build from the repository root:
#     docker build --file deploy/matcher.Dockerfile --tag copydetect-matcher:0.1.0 .
# No PyTorch and no FFmpeg: see deploy/requirements.py.

FROM python:3.11.13-slim-bookworm AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/copydetect
WORKDIR /build
COPY pyproject.toml constraints.txt deploy/requirements.py ./
RUN python requirements.py matcher pyproject.toml > requirements.txt \
    && /opt/copydetect/bin/pip install --only-binary :all: --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE NOTICE ./
COPY services services
COPY tca_model tca_model
RUN /opt/copydetect/bin/pip install --no-deps .

FROM python:3.11.13-slim-bookworm
# As process 1, Python would ignore SIGTERM until the service installs its handler.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin copydetect
COPY --from=builder /opt/copydetect /opt/copydetect
ENV PATH=/opt/copydetect/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
ENTRYPOINT ["/usr/bin/tini", "--", "copydetect"]
CMD ["matcher"]
