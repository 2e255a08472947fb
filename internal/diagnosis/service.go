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

package diagnosis

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// service is about the Service itself, and what was probably meant if it is not
// there.
func (e *examination) service() Step {
	switch why, unseen := e.unseen(Services); {
	case e.Service == nil && unseen:
		return Step{State: Unknown, Reason: NotSeen, Message: fmt.Sprintf("Service %s could not be read: %s", e.Name, why)}
	case e.Service == nil:
		return e.notFound()
	case e.Service.DeletionTimestamp != nil:
		return e.deleting()
	}
	if proxy, other := e.leftToOther(); other {
		return Step{State: Warning, Reason: LeftToOtherProxy,
			Message: fmt.Sprintf("its label %s leaves it to %q, so what programs the other Services does nothing for it", proxyLabel, proxy),
			Remedy:  fmt.Sprintf("remove the label, or see whether %q runs", proxy)}
	}
	return Step{State: OK, Message: fmt.Sprintf("Service %s exists, of type %s", e.Name, typeOf(e.Service))}
}

// proxyLabel names a proxy that a Service is left to; every other one ignores it.
const proxyLabel = "service.kubernetes.io/service-proxy-name"

func (e *examination) notFound() Step {
	step := Step{State: Problem, Reason: NotFound, Message: fmt.Sprintf("there is no Service %s in namespace %s", e.Name.Name, e.Name.Namespace)}
	elsewhere, alike := likelyMeant(e.Services, e.Name)
	var meant []string
	if len(alike) > 0 {
		meant = append(meant, "the namespace has "+enumerate(alike, maxNames))
	}
	if len(elsewhere) > 0 {
		meant = append(meant, "one of that name is in "+either(len(elsewhere), "namespace ", "namespaces ")+enumerate(elsewhere, maxNames))
	}
	if e.NoNamespace {
		step.Message = fmt.Sprintf("there is no namespace %s, and so no Service %s in it", e.Name.Namespace, e.Name.Name)
	}
	if len(meant) == 0 {
		meant = append(meant, "see `kubectl get services -A`")
	}
	step.Remedy = strings.Join(meant, ", and ")
	return step
}

// deleting is a Service that goes; it answers until its finalizers are gone.
func (e *examination) deleting() Step {
	step := Step{State: Warning, Reason: Deleting, Message: "it is being deleted"}
	if finalizers := e.Service.Finalizers; len(finalizers) > 0 {
		step.Message += " and waits for " + enumerate(finalizers, maxNames)
		step.Remedy = "see whether what removes " + either(len(finalizers), "this finalizer", "these finalizers") + " runs"
	}
	return step
}

// likelyMeant are the namespaces that have a Service of that name, and Services
// of the same namespace whose names are nearly the same.
func likelyMeant(services []types.NamespacedName, name types.NamespacedName) (elsewhere, alike []string) {
	for _, service := range services {
		switch {
		case service == name:
		case service.Name == name.Name:
			elsewhere = append(elsewhere, service.Namespace)
		case service.Namespace == name.Namespace && similar(service.Name, name.Name):
			alike = append(alike, service.Name)
		}
	}
	return elsewhere, alike
}

// typeOf is the Service's type, which is ClusterIP unless it says another.
func typeOf(service *corev1.Service) corev1.ServiceType {
	if service.Spec.Type == "" {
		return corev1.ServiceTypeClusterIP
	}
	return service.Spec.Type
}
