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

package serviceenv

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Kind is what is wrong. The names are stable.
type Kind string

// The kinds of findings.
const (
	// Collision is a variable to which several Services give different values.
	Collision Kind = "Collision"
	// HidesKubernetes is a Service that pods of its namespace get in the place of the
	// API server's.
	HidesKubernetes Kind = "HidesKubernetes"
	// NoShellName is a variable that begins with a digit, which no shell accepts.
	NoShellName Kind = "NoShellName"
	// TooLarge is an environment of which a program may not be started.
	TooLarge Kind = "TooLarge"
	// Overridden is a variable that a container sets itself.
	Overridden Kind = "Overridden"
	// NotYet is a Service that was made after a container had started.
	NotYet Kind = "NotYet"
)

// Finding is one thing to know.
type Finding struct {
	Kind Kind `json:"kind"`
	// Services are those concerned.
	Services []string `json:"services,omitempty"`
	// Message says what is wrong, Remedy what to do about it.
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// Wrong tells whether it is more than a hint.
func (f Finding) Wrong() bool { return f.Kind != Overridden && f.Kind != NotYet }

// largeEnvironment is half of what a program and its arguments may have in all
// with the usual stack limit of 8 MiB: a quarter of it (execve(2)).
const largeEnvironment = 1 << 20

// Check looks at the variables that one pod gets.
func Check(variables []Variable) []Finding {
	return slices.Concat(hidesKubernetes(variables), collisions(variables), noShellNames(variables), tooLarge(variables))
}

// hidesKubernetes looks at the two variables by which client libraries find the
// API server from within.
func hidesKubernetes(variables []Variable) []Finding {
	at := slices.IndexFunc(variables, func(v Variable) bool {
		return v.Service != Kubernetes && v.Service.Name == Kubernetes.Name && (v.Name == "KUBERNETES_SERVICE_HOST" || v.Name == "KUBERNETES_SERVICE_PORT")
	})
	if at < 0 {
		return nil
	}
	service := variables[at].Service.String()
	return []Finding{{
		Kind: HidesKubernetes, Services: []string{service},
		Message: fmt.Sprintf("Service %s hides %s: programs of new pods take it for the API server", service, Kubernetes),
		Remedy:  "rename the Service, or set enableServiceLinks: false in the pods' spec",
	}}
}

// collisions are told once for each pair of Services.
func collisions(variables []Variable) []Finding {
	type pair struct{ first, second types.NamespacedName }
	given := map[string]Variable{}
	names := map[pair][]string{}
	var pairs []pair
	for _, v := range variables {
		first, taken := given[v.Name]
		switch {
		case !taken:
			given[v.Name] = v
		case first.Value != v.Value:
			p := pair{first.Service, v.Service}
			if names[p] == nil {
				pairs = append(pairs, p)
			}
			names[p] = append(names[p], fmt.Sprintf("%s is %s of Service %s or %s of Service %s", v.Name, first.Value, first.Service.Name, v.Value, v.Service.Name))
		}
	}
	var findings []Finding
	for _, p := range pairs {
		f := Finding{
			Kind: Collision, Services: []string{p.first.String(), p.second.String()},
			Message: names[p][0] + ": which of them a pod gets is left to chance",
			Remedy:  "rename one of the Services, or set the variable in the pod's spec",
		}
		if n := len(names[p]) - 1; n > 0 {
			f.Message += fmt.Sprintf(", and %d more %s likewise", n, either(n, "variable", "variables"))
		}
		if p.first == p.second {
			f.Message = strings.Replace(f.Message, ": which of them a pod gets is left to chance", ": a pod gets the last of them", 1)
			f.Remedy = "rename one of the ports"
		}
		findings = append(findings, f)
	}
	return findings
}

func noShellNames(variables []Variable) []Finding {
	var services []string
	for _, v := range variables {
		if v.Name[0] >= '0' && v.Name[0] <= '9' {
			services = append(services, v.Service.String())
		}
	}
	slices.Sort(services)
	services = slices.Compact(services)
	if len(services) == 0 {
		return nil
	}
	return []Finding{{
		Kind: NoShellName, Services: services,
		Message: fmt.Sprintf("the variables of %s begin with a digit: programs see them, but no shell can read them", list(services)),
		Remedy:  "use the DNS name of the Service, or set variables of other names in the pod's spec",
	}}
}

func tooLarge(variables []Variable) []Finding {
	bytes := 0
	for _, v := range variables {
		bytes += len(v.Name) + len("=") + len(v.Value) + len("\x00") + 8 // and a pointer to it
	}
	if bytes < largeEnvironment {
		return nil
	}
	return []Finding{{
		Kind: TooLarge,
		Message: fmt.Sprintf("the variables take %d KiB, and a program can be started with 2048 KiB of arguments and environment in all "+
			"(a quarter of the usual stack limit): beyond it every exec fails with \"argument list too long\"", bytes>>10),
		Remedy: "set enableServiceLinks: false in the pods' spec, and use DNS names",
	}}
}

func either(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// list names a few.
func list(names []string) string {
	const few = 5
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}
