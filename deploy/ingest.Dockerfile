# The service that decodes and describes. Build from the repository root:
#     docker build --file deploy/ingest.Dockerfile --tag copydetect-ingest:0.1.0 .
# PyTorch's wheels contain the CUDA libraries; the host needs a driver and the NVIDIA container toolkit.
# Without a GPU the same image runs on the CPU.

FROM python:3.11.13-slim-bookworm AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/copydetect
WORKDIR /build
# Only the dependencies first: their layer of some gigabytes stays cached until they change.
COPY pyproject.toml constraints.txt deploy/requirements.py ./
RUN python requirements.py ingest pyproject.toml > requirements.txt \
    && /opt/copydetect/bin/pip install --only-binary :all: --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE NOTICE ./
COPY services services
COPY tca_model tca_model
RUN /opt/copydetect/bin/pip install --no-deps .

FROM python:3.11.13-slim-bookworm
# As process 1, Python would ignore SIGTERM until the service installs its handler, and reap no orphaned decoders.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin copydetect
COPY --from=builder /opt/copydetect /opt/copydetect
# HOME: the root file system is read-only at run time, and libraries expect a writable home folder.
ENV PATH=/opt/copydetect/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464
ENTRYPOINT ["/usr/bin/tini", "--", "copydetect"]
CMD ["ingest"]
