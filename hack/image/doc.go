/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

// Command image assembles Switchyard's container image without a Docker daemon:
// one image for all programs, for each architecture, from static binaries and
// an otherwise empty root. The same sources give the same digest. It writes an
// OCI archive, which `docker load`, `podman load`, `ctr images import` and `kind
// load image-archive` take, with a software bill of materials beside it for each
// architecture, or pushes to a registry.
package main
