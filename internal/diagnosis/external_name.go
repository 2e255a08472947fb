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
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// DefaultZone is the domain of nearly all clusters. A target in another one than
// Facts.Zone is taken for a name outside, of which nothing is known here.
const DefaultZone = "cluster.local"

// servicesZone is what the names of Services end in.
func (f *Facts) servicesZone() string {
	return ".svc." + cmp.Or(f.Zone, DefaultZone)
}

// externalNameTarget is about the name that an ExternalName stands for. DNS
// answers with a CNAME, and whoever asks resolves that as it is: no search path
// is tried on it.
func (e *examination) externalNameTarget() Step {
	target := e.Service.Spec.ExternalName
	name := strings.TrimSuffix(strings.ToLower(target), ".")
	step := Step{State: OK, Message: "it stands for the name " + target}
	if len(e.Service.Spec.Ports) > 0 {
		step.Details = append(step.Details, "its ports do nothing: clients connect to the ports that they choose")
	}
	if len(e.Service.Spec.Selector) > 0 {
		step.Details = append(step.Details, "spec.selector is ignored, since an ExternalName has no endpoints")
	}
	if invalid := e.invalidTarget(target, name); invalid.State != "" {
		return invalid
	}
	step.Provided = target + " resolves, which nobody was asked"
	if inside, ok := strings.CutSuffix(name, e.servicesZone()); ok {
		e.insideTarget(&step, inside)
	}
	return step
}

// invalidTarget is about targets that no DNS server can resolve.
func (e *examination) invalidTarget(target, name string) Step {
	step := Step{State: Problem, Reason: InvalidExternalName}
	_, notAddress := netip.ParseAddr(strings.Trim(name, "[]"))
	service, isService := strings.CutSuffix(name, ".svc")
	switch {
	case name == "":
		step.Message, step.Remedy = "spec.externalName is empty", "set it to the name that the Service stands for"
	case notAddress == nil:
		step.Message = fmt.Sprintf("spec.externalName is the IP address %s, which DNS takes for a name", target)
		step.Remedy = "use a Service without a selector, and an EndpointSlice with that address"
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		step.Message = fmt.Sprintf("spec.externalName %q is not just a name", bounded(target, maxQuote))
		step.Remedy = "leave out whatever is no DNS name, such as a scheme, a port or a path"
	case name == "localhost":
		step.Message = "spec.externalName is localhost, which is the client itself"
		step.Remedy = "set it to the name of what the Service stands for"
	case isService && strings.Contains(service, "."):
		step.Message = fmt.Sprintf("spec.externalName %s is no complete name, and no search path is tried on it", target)
		step.Remedy = "write " + service + e.servicesZone()
	case !strings.Contains(name, "."):
		step.State = Warning
		step.Message = fmt.Sprintf("spec.externalName %s is a single word, and no search path is tried on it", target)
		step.Remedy = "write the complete name"
	default:
		return Step{}
	}
	return step
}

// insideTarget is about a target that is a Service of this cluster.
func (e *examination) insideTarget(step *Step, inside string) {
	parts := strings.Split(inside, ".")
	if len(parts) < 2 {
		return
	}
	// Of a headless Service the pods have names, too, in front of it.
	target := types.NamespacedName{Name: parts[len(parts)-2], Namespace: parts[len(parts)-1]}
	if target == e.Name {
		*step = Step{State: Problem, Reason: InvalidExternalName, Message: "spec.externalName is the name of this Service itself",
			Remedy: "set it to the name of what the Service stands for"}
		return
	}
	why, unseen := e.unseen(Services)
	var alike []string
	for _, service := range e.Services {
		if service == target {
			step.Message += fmt.Sprintf(", which is Service %s", target)
			step.Provided = fmt.Sprintf("Service %s does: see switchyard why %s", target, target)
			return
		}
		if service.Namespace == target.Namespace && similar(service.Name, target.Name) {
			alike = append(alike, service.Name)
		}
	}
	if unseen {
		*step = unknown(Services, why)
		return
	}
	*step = Step{State: Problem, Reason: ExternalNameNotFound, Message: fmt.Sprintf("spec.externalName is the name of Service %s, which does not exist", target),
		Remedy: "correct spec.externalName, or create that Service"}
	switch len(alike) {
	case 0:
	case 1:
		step.Remedy = fmt.Sprintf("change spec.externalName to %s.%s%s", alike[0], target.Namespace, e.servicesZone())
	default:
		step.Remedy = fmt.Sprintf("change spec.externalName: namespace %s has %s", target.Namespace, enumerate(alike, maxNames))
	}
}
