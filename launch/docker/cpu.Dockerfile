# Vantage on a CPU. Build from the root of the repository:
#
#   docker build -f launch/docker/cpu.Dockerfile -t vantage:cpu .
#   docker run --rm -v "$PWD/runs:/data/runs" vantage:cpu run demo
FROM python:3.11-slim-bookworm

COPY . /opt/vantage
WORKDIR /opt/vantage
ENV VANTAGE_VENV=/opt/venv VANTAGE_DEVICE=cpu
RUN launch/env.sh && rm -rf /root/.cache
RUN useradd --create-home --uid 10001 vantage && mkdir -p /data/runs && chown -R vantage /data

ENV PATH=/opt/venv/bin:$PATH
USER 10001
WORKDIR /data
ENTRYPOINT ["vantage"]
CMD ["run", "demo"]
