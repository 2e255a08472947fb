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
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
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
	// FromServer is what the API server was started with.
	FromServer Source = "server"
	// FromManager is what switchyard-manager was started with.
	FromManager Source = "manager"
	// Assumed is the API server's default.
	Assumed Source = "assumed"
)

const rangeFlag = "service-node-port-range"

// flagzFormats are asked for in this order. The last is for people, and what it
// has between a flag and its value is drawn at random each time.
const flagzFormats = "application/json;g=config.k8s.io;v=v1beta1;as=Flagz, application/json;g=config.k8s.io;v=v1alpha1;as=Flagz, text/plain"

// Flagz reads the page on which the API server tells its flags (KEP-4828). Who may
// read it is said by the role system:monitoring.
func Flagz(config *rest.Config) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		clients, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return clients.RESTClient().Get().AbsPath("/flagz").SetHeader("Accept", flagzFormats).DoRaw(ctx)
	}
}

// told is the flag in each of the formats, and in the arguments of the manager.
var told = regexp.MustCompile(rangeFlag + `["\s=:]+(\d+[-+]\d+)`)

// LearnNodePorts finds the range: no object of the API has it. It is on the page
// that flagz reads, or else a flag of the manager in the namespace system, which
// was given the same. Where neither can be read, the default is assumed.
func LearnNodePorts(ctx context.Context, flagz func(context.Context) ([]byte, error), reader client.Reader, system string) NodePorts {
	if page, err := flagz(ctx); err == nil {
		if span, ok := spanIn(string(page)); ok {
			return NodePorts{Span: span, From: FromServer}
		}
	}
	var managers appsv1.DeploymentList
	err := reader.List(ctx, &managers, client.InNamespace(system), client.MatchingLabels{"control-plane": "controller-manager"})
	if err == nil && len(managers.Items) > 0 {
		if span, ok := spanOf(&managers.Items[0]); ok {
			return NodePorts{Span: span, From: FromManager}
		}
	}
	return NodePorts{Span: allocator.DefaultNodePorts, From: Assumed}
}

func spanIn(text string) (allocator.PortSpan, bool) {
	found := told.FindStringSubmatch(text)
	if found == nil {
		return allocator.PortSpan{}, false
	}
	span, err := allocator.ParsePortSpan(found[1])
	return span, err == nil
}

// spanOf is what the manager was told, or goes by when it was told nothing.
func spanOf(manager *appsv1.Deployment) (allocator.PortSpan, bool) {
	var words []string
	for i := range manager.Spec.Template.Spec.Containers {
		words = append(words, manager.Spec.Template.Spec.Containers[i].Args...)
	}
	text := strings.Join(words, " ")
	if !strings.Contains(text, rangeFlag) {
		return allocator.DefaultNodePorts, true
	}
	return spanIn(text)
}
