# docker build -t leadcontact . && docker run --rm -v leads:/data -e LEADCONTACT_API_KEY leadcontact status
FROM python:3.13-slim
RUN useradd --create-home --uid 10001 leadcontact && mkdir /data && chown leadcontact /data
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
ARG EXTRAS=speed,alerts
RUN pip install --no-cache-dir ".[$EXTRAS]" && rm -rf /src/*
USER leadcontact
WORKDIR /data
ENV LEADCONTACT_STATE=/data/state.db
ENTRYPOINT ["leadcontact"]
