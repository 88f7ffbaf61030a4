# The image that `make image` builds without a container runtime, for those who have one:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.1.0 --tag ghcr.io/volcano-sh/kthena-certgen:v0.1.0 .
#
# hack/image tests that both have the same content.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=devel
WORKDIR /source
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off \
    go build -trimpath -buildvcs=false -tags nethttpomithttp2 -ldflags "-s -w -X main.version=$VERSION" -o /image/kthena-certgen ./cmd/kthena-certgen && \
    install -D -m 644 hack/image/passwd /image/etc/passwd

FROM scratch
ARG VERSION=devel REVISION=
LABEL org.opencontainers.image.title="kthena-certgen" \
      org.opencontainers.image.description="Certificates for Kthena's admission webhooks and router" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Volcano Authors" \
      org.opencontainers.image.url="https://github.com/volcano-sh/kthena-certgen" \
      org.opencontainers.image.source="https://github.com/volcano-sh/kthena-certgen"
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/kthena-certgen"]
