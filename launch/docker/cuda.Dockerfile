# Vantage on CUDA GPUs, with vLLM. Build from the root of the repository:
#
#   docker build -f launch/docker/cuda.Dockerfile -t vantage:cuda .
#   docker run --rm --gpus all --ipc host -v "$PWD/runs:/data/runs" vantage:cuda run qwen3-vl-4b
#
# torch and vLLM bring CUDA's libraries; the compilers are for kernels that triton and flashinfer build at run time.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04

# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3-dev python3-venv gcc g++ \
    && rm -rf /var/lib/apt/lists/*
COPY . /opt/vantage
WORKDIR /opt/vantage
ENV VANTAGE_VENV=/opt/venv VANTAGE_DEVICE=cuda
RUN launch/env.sh --vllm && rm -rf /root/.cache
RUN useradd --create-home --uid 10001 vantage && mkdir -p /data/runs && chown -R vantage /data

ENV PATH=/opt/venv/bin:$PATH
USER 10001
WORKDIR /data
ENTRYPOINT ["vantage"]
CMD ["run", "qwen3-vl-4b"]
