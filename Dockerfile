# Three images of one binary: `--target cpu`, `openvino` or `cuda`. scripts/image/build.sh
# (`make image`) builds them with docker, podman or buildah; docs/image.md tells how to run them.
# Nothing runs in a final stage: the runtime base may have no shell.

# The base that compiles: Debian 12 with Rust, a C compiler and python3.
ARG BUILDER_BASE=docker.io/library/rust:1.95-bookworm
# The base that runs: glibc, libgcc and libstdc++ of the same Debian; debian:bookworm-slim does too.
ARG RUNTIME_BASE=gcr.io/distroless/cc-debian12
# demo: fraud-detector and digits are inside; none: no model is.
ARG MODELS=demo

FROM ${RUNTIME_BASE} AS base
# ONNX Runtime's wheels carry a telemetry client: off.
ENV ORT_DISABLE_TELEMETRY=1

FROM ${BUILDER_BASE} AS tools
ENV DEBIAN_FRONTEND=noninteractive CARGO_HOME=/usr/local/cargo
# hadolint ignore=DL3008 # the base pins Debian's release; its mirrors keep no older version to pin
RUN if ! test -e /usr/share/i18n/locales/en_US || ! python3 -c 'import ensurepip, venv'; then \
        apt-get update \
        && apt-get install -y --no-install-recommends locales python3-venv \
        && rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /src

# The user, and the locale that ONNX Runtime's StringNormalizer asks for by name. Sorting is that of
# C.UTF-8: nothing here sorts text, and en_US's own table is six times as large as all else.
FROM tools AS system
COPY scripts/image/settle.sh /usr/local/bin/
COPY --from=base /etc/passwd /etc/group /out/etc/
RUN echo 'appuser:x:10001:10001:ml-inference-api:/nonexistent:/usr/sbin/nologin' >>/out/etc/passwd \
    && echo 'appuser:x:10001:' >>/out/etc/group \
    && mkdir -p /out/usr/lib/locale \
    && localedef --no-archive -i en_US -f UTF-8 /out/usr/lib/locale/en_US.utf8 \
    && cp /usr/lib/locale/C.utf8/LC_COLLATE /out/usr/lib/locale/en_US.utf8/LC_COLLATE \
    && settle.sh /out

# The models and the configuration of the default command. (A stage chosen by `FROM content-${MODELS}`
# would say it shorter, and old buildahs do not find it.)
FROM tools AS content
ARG MODELS
COPY scripts/image/settle.sh /usr/local/bin/
COPY deploy/image /src/deploy
COPY models/fraud-detector /src/models/fraud-detector
COPY models/digits /src/models/digits
RUN mkdir -p /out/models /out/etc/ml-inference-api \
    && case "${MODELS}" in \
        demo) cp -r models/fraud-detector models/digits /out/models/ && rm -r /out/models/*/testdata \
            && cp deploy/config.toml /out/etc/ml-inference-api/config.toml ;; \
        none) cp deploy/config-without-models.toml /out/etc/ml-inference-api/config.toml ;; \
        *) echo "MODELS is ${MODELS}: expected demo or none" >&2; exit 1 ;; \
    esac \
    && settle.sh /out

# The binary. The dependencies are a layer of their own, which stays until Cargo.lock changes.
# rust-toolchain.toml stays outside: the base's toolchain compiles, and Cargo.toml says the oldest.
FROM tools AS build
ARG PROFILE=dist
COPY Cargo.toml Cargo.lock build.rs ./
# Benches are not built here, and cargo wants the file of every target that it reads of.
RUN sed -i '/^\[\[bench\]\]$/,/^$/d' Cargo.toml \
    && mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
    && cargo build --locked --profile "${PROFILE}"
COPY src src
ARG REVISION=unknown
# What was compiled from the empty files is older than the sources only once these are touched.
RUN find src -name '*.rs' -exec touch {} + \
    && INFERENCE_BUILD_REVISION="${REVISION}" cargo build --locked --profile "${PROFILE}" \
    && install -D "target/${PROFILE}/ml-inference-api" /out/usr/local/bin/ml-inference-api
COPY scripts/image/settle.sh /usr/local/bin/
COPY LICENSE /out/usr/share/licenses/ml-inference-api/LICENSE
RUN settle.sh /out

# ONNX Runtime's library, pinned by scripts/tools/versions.env; the server looks for it in ../lib.
FROM tools AS fetch
COPY scripts/image/settle.sh /usr/local/bin/
COPY scripts/lib scripts/lib
COPY scripts/tools/onnxruntime.sh scripts/tools/versions.env scripts/tools/

FROM fetch AS runtime-cpu
RUN scripts/tools/onnxruntime.sh cpu /out/usr/local/lib \
    && rm /out/usr/local/lib/.onnxruntime \
    && settle.sh /out

# What every image has, whatever its library.
FROM base AS common
USER 10001:10001
EXPOSE 8080 8081 8082
# The shared network of a pod or of --network=host aside, only the container itself reaches 8082.
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/ml-inference-api", "health"]
ENTRYPOINT ["/usr/local/bin/ml-inference-api"]
CMD ["serve", "--config", "/etc/ml-inference-api/config.toml"]
ARG SOURCE=
LABEL org.opencontainers.image.title="ml-inference-api" \
      org.opencontainers.image.description="Serve ONNX models over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=system --chown=0:0 /out/ /

FROM common AS cpu
COPY --from=runtime-cpu --chown=0:0 /out/ /
COPY --from=content --chown=0:0 /out/ /
COPY --from=build --chown=0:0 /out/ /
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.revision="${REVISION}" org.opencontainers.image.created="${CREATED}"

# OpenVINO's CPU device. Its provider needs zlib, which distroless does not have.
FROM fetch AS runtime-openvino
RUN scripts/tools/onnxruntime.sh openvino /out/usr/local/lib \
    && rm /out/usr/local/lib/.onnxruntime \
    && cp -L /usr/lib/*-linux-gnu/libz.so.1 /out/usr/local/lib/ \
    && install -D -m 0644 /usr/share/doc/zlib1g/copyright /out/usr/share/licenses/zlib/copyright \
    && settle.sh /out

FROM common AS openvino
COPY --from=runtime-openvino --chown=0:0 /out/ /
COPY --from=content --chown=0:0 /out/ /
COPY --from=build --chown=0:0 /out/ /
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.revision="${REVISION}" org.opencontainers.image.created="${CREATED}"

# CUDA: NVIDIA's libraries, then the provider. TensorRT's provider stays out with TensorRT itself.
FROM fetch AS nvidia
COPY scripts/tools/cuda.sh scripts/tools/
RUN scripts/tools/cuda.sh /out/usr/local/lib \
    && rm -rf /root/.cache/ml-inference-api \
    && mkdir -p /out/usr/share/licenses/nvidia /out/usr/share/licenses/zlib \
    && mv /out/usr/local/lib/*.LICENSE /out/usr/share/licenses/nvidia/ \
    && cp -L /usr/lib/*-linux-gnu/libz.so.1 /out/usr/local/lib/ \
    && cp /usr/share/doc/zlib1g/copyright /out/usr/share/licenses/zlib/ \
    && settle.sh /out

FROM fetch AS runtime-cuda
RUN scripts/tools/onnxruntime.sh cuda /out/usr/local/lib \
    && rm /out/usr/local/lib/.onnxruntime /out/usr/local/lib/libonnxruntime_providers_tensorrt.so \
    && settle.sh /out

FROM common AS cuda
# The provider names NVIDIA's libraries, but no place to look for them. The driver's own comes from the host,
# by NVIDIA's container runtime, which reads the other two variables.
ENV LD_LIBRARY_PATH=/usr/local/lib NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=nvidia --chown=0:0 /out/ /
COPY --from=runtime-cuda --chown=0:0 /out/ /
COPY --from=content --chown=0:0 /out/ /
COPY --from=build --chown=0:0 /out/ /
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.revision="${REVISION}" org.opencontainers.image.created="${CREATED}"
