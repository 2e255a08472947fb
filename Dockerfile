# The same image as `make image` assembles, for those who build with Docker.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN for program in manager node dns; do \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X switchyard.dev/switchyard/internal/version.Version=$VERSION" -o /out/switchyard-$program ./cmd/$program || exit 1; done

# Users and authorities only; the programs are static.
FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/ /
USER 65532:65532
