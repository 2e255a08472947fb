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

// Package image reads container images from OCI archives, as `make image`
// writes them, into directories that the node runner runs programs in.
//
// An archive is a tar file of an OCI image layout (image-spec v1.1); `docker
// save` writes such ones, too. Nothing in it is trusted: each blob is compared
// with its digest, no path leaves its directory, sizes are bounded, and what is
// no file, directory or link is refused. There is no pulling from a registry.
package image
