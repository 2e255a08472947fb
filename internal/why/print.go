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

package why

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// states are the words for people: what keeps the Service from answering is to be
// seen from afar.
var states = map[diagnosis.State]string{diagnosis.Problem: "PROBLEM"}

// Print writes the answer for people: a line of what the Service is, one for each
// check with details under what is not well, what was not seen, and last the
// verdict. Wide has details of all checks, and remedies.
func (a *Answer) Print(out io.Writer, wide bool) error {
	var text strings.Builder
	fmt.Fprintln(&text, a.header())
	// tabwriter keeps errors until it is flushed, and a Builder has none.
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, step := range a.Steps {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", cmp.Or(states[step.State], string(step.State)), step.Check, step.Message)
		for _, detail := range a.details(step, wide) {
			_, _ = fmt.Fprintf(table, "\t\t  %s\n", detail)
		}
		if step.Remedy != "" && (wide || step.Check != a.Verdict.Check) {
			_, _ = fmt.Fprintf(table, "\t\t  -> %s\n", step.Remedy)
		}
	}
	for _, line := range a.Unseen {
		_, _ = fmt.Fprintf(table, "not seen\t%s\n", line)
	}
	_ = table.Flush()
	fmt.Fprintf(&text, "\n%s\n", a.Verdict.Sentence)
	_, err := io.WriteString(out, text.String())
	return err
}

// details are those of what is not well, without what its message says already.
func (a *Answer) details(step diagnosis.Step, wide bool) []string {
	switch {
	case wide:
		return step.Details
	case step.State == diagnosis.OK:
		return nil
	}
	return slices.DeleteFunc(slices.Clone(step.Details), func(detail string) bool {
		return strings.Contains(step.Message, detail) || slices.Contains(a.given, detail)
	})
}

// header is the Service in one line: its type, addresses and ports, and who asks.
func (a *Answer) header() string {
	words := []string{"Service " + a.Service.String()}
	if a.service != nil {
		spec := &a.service.Spec
		words = append(words, cmp.Or(string(spec.Type), string(corev1.ServiceTypeClusterIP)))
		words = append(words, addresses(a.service)...)
		if ports := ports(spec.Ports); ports != "" {
			words = append(words, ports)
		}
	}
	switch {
	case a.Client == nil:
	case a.Client.Pod != nil && a.Client.Pod.Namespace == "":
		words = append(words, "from node "+a.Client.Pod.Spec.NodeName)
	case a.Client.Pod != nil:
		from := fmt.Sprintf("from pod %s/%s", a.Client.Pod.Namespace, a.Client.Pod.Name)
		if node := a.Client.Pod.Spec.NodeName; node != "" {
			from += " on node " + node
		}
		words = append(words, from)
	default:
		words = append(words, "from "+a.Client.Address.String())
	}
	return diagnosis.Printable(strings.Join(words, "  "))
}

func addresses(service *corev1.Service) []string {
	spec := &service.Spec
	switch {
	case spec.Type == corev1.ServiceTypeExternalName:
		return []string{spec.ExternalName}
	case spec.ClusterIP == corev1.ClusterIPNone:
		return []string{"headless"}
	}
	all := slices.Clone(spec.ClusterIPs)
	if len(all) == 0 && spec.ClusterIP != "" {
		all = []string{spec.ClusterIP}
	}
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		all = append(all, cmp.Or(ingress.IP, ingress.Hostname))
	}
	if all = append(all, spec.ExternalIPs...); len(all) == 0 {
		return nil
	}
	return []string{strings.Join(all, ",")}
}

// maxPorts is how many a line has.
const maxPorts = 10

// ports are as kubectl writes them, with target ports that differ.
func ports(all []corev1.ServicePort) string {
	texts := make([]string, 0, min(len(all), maxPorts)+1)
	for i, port := range all {
		if i == maxPorts {
			texts = append(texts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		text := fmt.Sprint(port.Port)
		if port.NodePort != 0 {
			text = fmt.Sprintf("%d:%d", port.Port, port.NodePort)
		}
		text += "/" + string(cmp.Or(port.Protocol, corev1.ProtocolTCP))
		if target := port.TargetPort.String(); target != "0" && target != "" && target != fmt.Sprint(port.Port) {
			text += "->" + target
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}
