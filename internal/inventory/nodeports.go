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

package inventory

import (
	"context"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// NodePorts is the range of ports that the API server gives out.
type NodePorts struct {
	Span allocator.PortSpan
	From Source
}

// Source is where a range is known from.
type Source string

// The sources of a range.
const (
	// FromFlag is what the user said.
	FromFlag Source = "flag"
	// FromServer is what the API server said.
	FromServer Source = "server"
	// Assumed is the API server's default.
	Assumed Source = "assumed"
)

// serverRange is how the API server names its range when it refuses a port.
var serverRange = regexp.MustCompile(`The range of valid ports is (\d+-\d+)`)

// AskNodePorts has the API server name its range: there is no object that does,
// but a Service that asks for port 1 is refused with it. It is asked as a dry
// run, which makes no object, and first in the namespace of the manager, where
// our own webhooks have no say. Without an answer the default is assumed.
func AskNodePorts(ctx context.Context, c client.Client, system string) NodePorts {
	for _, namespace := range []string{system, metav1.NamespaceDefault} {
		question := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "node-port-range-"},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 1, NodePort: 1}}},
		}
		err := c.Create(ctx, question, client.DryRunAll)
		if apierrors.ReasonForError(err) == metav1.StatusReasonUnknown && err != nil {
			break // it was not the API server that answered
		}
		if !apierrors.IsInvalid(err) {
			continue
		}
		if answer := serverRange.FindStringSubmatch(err.Error()); answer != nil {
			if span, err := allocator.ParsePortSpan(answer[1]); err == nil {
				return NodePorts{Span: span, From: FromServer}
			}
		}
	}
	return NodePorts{Span: allocator.DefaultNodePorts, From: Assumed}
}
