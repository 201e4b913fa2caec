# Our image: for provision, alerts and demo in docker-compose.yml.
ARG PYTHON_VERSION=3.13.9

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
# A folder of the context, or a release such as attune-monitoring==0.1.0.
ARG ATTUNE_PACKAGE=.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/attune
WORKDIR /source
COPY deploy/requirements.txt deploy/requirements.txt
RUN /opt/attune/bin/pip install --only-binary :all: --requirement deploy/requirements.txt
COPY . .
RUN /opt/attune/bin/pip install --no-deps "${ATTUNE_PACKAGE}"

FROM python:${PYTHON_VERSION}-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp attune \
    && install --directory --owner attune --mode 0700 /var/lib/attune
COPY --from=build /opt/attune /opt/attune
ENV PATH=/opt/attune/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/attune
ENTRYPOINT ["empathy"]
CMD ["--help"]
