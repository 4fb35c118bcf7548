ARG REGISTRY=quay.io
ARG OWNER=jupyter
ARG BASE_CONTAINER=$REGISTRY/$OWNER/scipy-notebook
FROM $BASE_CONTAINER

LABEL maintainer="Example Project <notebooks@example.org>"

# Fix: https://example.org/lint/wiki/DL4006
# Fix: https://example.org/lint/wiki/SC3014
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# Install with `mamba`, keep the image small
RUN mamba install --yes \
    'jupyterlab-git' \
    'nbdime>=4' && \
    mamba clean --all -f -y && \
    fix-permissions "${CONDA_DIR}" && \
    fix-permissions "/home/${NB_USER}"
USER ${NB_UID}
