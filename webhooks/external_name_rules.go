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

package webhooks

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxAliases is how many names one may lead to in a row. Resolvers give up at
// about as many (RFC 1034 3.6.2 wants chains to be short).
const maxAliases = 8

// checkExternalName is X15. A name that leads to itself is never resolved;
// localhost leads each client to its own pod.
func checkExternalName(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	if change.New.Spec.Type != corev1.ServiceTypeExternalName {
		return nil, nil
	}
	target := dnsName(change.New)
	renamed := change.Old == nil || change.Old.Spec.Type != corev1.ServiceTypeExternalName || dnsName(change.Old) != target
	if !renamed {
		return nil, nil
	}
	finding := Finding{Path: field.NewPath("spec", "externalName"), Value: change.New.Spec.ExternalName}
	if local(target) {
		finding.Detail = "this name leads each client to itself; use the name of the host that is meant, or a Service with a selector"
		return []Finding{finding}, nil
	}
	inCluster, ok := serviceOfName(target, world.ClusterDomain())
	if !ok {
		return nil, nil
	}
	detail, err := followAliases(ctx, world, change.New, inCluster)
	switch {
	case err != nil:
		return nil, err
	case detail != "":
		finding.Detail = detail
	case len(change.New.Spec.Ports) > 0:
		finding.WarnOnly = true
		finding.Detail = "clients of this name reach a Service at that Service's own ports; those of spec.ports are not translated, so leave them out"
	default:
		return nil, nil
	}
	return []Finding{finding}, nil
}

// dnsName is spec.externalName as DNS compares it.
func dnsName(svc *corev1.Service) string {
	return strings.TrimSuffix(strings.ToLower(svc.Spec.ExternalName), ".")
}

// local tells whether a name means the host that asks (RFC 6761 6.3), written as
// an address too, which the API server accepts.
func local(name string) bool {
	if addr, ok := parseAddr(name); ok {
		return addr.IsLoopback() || addr.IsUnspecified()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || name == "localhost.localdomain"
}

// serviceOfName reads NAME.NAMESPACE.svc.DOMAIN, also with a pod's hostname
// before it.
func serviceOfName(name, domain string) (types.NamespacedName, bool) {
	rest, ok := strings.CutSuffix(name, ".svc."+domain)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) < 2 {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: parts[len(parts)-1], Name: parts[len(parts)-2]}, true
}

// followAliases goes from name to name. It says what is wrong, or nothing.
func followAliases(ctx context.Context, world World, start *corev1.Service, at types.NamespacedName) (string, error) {
	last := start
	for range maxAliases {
		if at == (types.NamespacedName{Namespace: start.Namespace, Name: start.Name}) {
			return cycle(ctx, world, start, last), nil
		}
		svc, err := world.ServiceByName(ctx, at)
		if err != nil || svc == nil || svc.Spec.Type != corev1.ServiceTypeExternalName {
			return "", err
		}
		next, ok := serviceOfName(dnsName(svc), world.ClusterDomain())
		if !ok {
			return "", nil
		}
		last, at = svc, next
	}
	return fmt.Sprintf("this name leads through more than %d ExternalName Services, which resolvers do not follow; use the last one's name", maxAliases), nil
}

func cycle(ctx context.Context, world World, start, last *corev1.Service) string {
	if last == start {
		return "this name leads to the Service itself, so it is never resolved; use the name of the host that is meant"
	}
	return fmt.Sprintf("%s leads back to this Service, so neither is ever resolved; change one of them", world.NameOf(ctx, last))
}
