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

package runner

import (
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
)

// kind is what a container is run as.
type kind uint8

const (
	kindEcho  kind = iota // the echo server
	kindLocal             // a program of this machine, for RunLocal
	kindImage             // a program in the root of an image that the node has
)

// kindOf looks at the annotation first: it was there before images were.
func kindOf(pod *corev1.Pod, container *corev1.Container, images image.Set) (kind, image.Image) {
	if pod.Annotations[RunLocal] == "true" {
		return kindLocal, image.Image{}
	}
	if found, ok := images.Find(container.Image); ok {
		return kindImage, found
	}
	return kindEcho, image.Image{}
}

// imageID is what the container's status says of its image.
func (c *container) imageID() string {
	switch c.kind {
	case kindLocal:
		return "switchyard.dev/run-local"
	case kindImage:
		return c.image.Digest()
	}
	return "switchyard.dev/echo"
}
