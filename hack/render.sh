#!/usr/bin/env bash
# Prints a kustomization of config/ with the given image in the place of the one
# that it names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
image=$1 kustomization=$2
# What is let through means nothing to sed.
if [[ ! $image =~ ^[][a-zA-Z0-9._/:-]+(@[a-z0-9]+:[0-9a-f]+)?$ ]]; then
	echo "hack/render.sh: \"$image\" is no name of an image; write it as registry.example.com/switchyard:v1" >&2
	exit 1
fi
go tool kustomize build "$kustomization" | sed "s#image: switchyard:latest\$#image: $image#"
