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
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/internal/diagnosis"
)

var update = flag.Bool("update", false, "write the files of testdata anew")

// answers are printed as they are; what an examination says is tested elsewhere.
func answers() map[string]*Answer {
	service := web()[0].(*corev1.Service)
	service.Spec.Type = corev1.ServiceTypeNodePort
	service.Spec.Ports[0].NodePort, service.Spec.Ports[0].TargetPort = 30080, intstr.FromString("http")
	service.Spec.ClusterIPs = append(service.Spec.ClusterIPs, "fd00::10")
	step := func(check diagnosis.Check, state diagnosis.State, message, remedy string, details ...string) diagnosis.Step {
		return diagnosis.Step{Check: check, State: state, Message: message, Remedy: remedy, Details: details}
	}
	exists := step(diagnosis.CheckService, diagnosis.OK, "Service shop/web exists, of type NodePort", "")
	addresses := step(diagnosis.CheckAddresses, diagnosis.OK, "it has ClusterIP 10.0.0.10", "", "10.0.0.10 is of ServiceCIDR kubernetes (10.0.0.0/16)")
	external := service.DeepCopy()
	external.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.org"}
	return map[string]*Answer{
		"problem": {service: service, given: []string{"192.0.2.1 is of AddressPool edge"}, Report: &diagnosis.Report{Service: diagnosis.Name(key("shop", "web")),
			Steps: []diagnosis.Step{exists, addresses,
				step(diagnosis.CheckTraffic, diagnosis.Warning, "not all", "", "192.0.2.1 is of AddressPool edge"),
				step(diagnosis.CheckConflicts, diagnosis.Warning, "somebody else has 30080", "choose another", "and one more"),
				step(diagnosis.CheckReadiness, diagnosis.Problem, "none of the 2 pods is ready", "see the log", "web-a: crashes", "web-b: crashes, too", "none of the 2 pods is ready"),
				step(diagnosis.CheckNetworkPolicies, diagnosis.Unknown, "NetworkPolicies could not be read: you may not read them", ""),
			},
			Verdict: diagnosis.Verdict{State: diagnosis.Problem, Check: diagnosis.CheckReadiness, Sentence: "Service shop/web does not answer: none of the 2 pods is ready; see the log."},
			Unseen:  []string{"NetworkPolicies (you may not read them): whether one of them keeps connections away is not known"},
		}},
		"answers": {service: service, Client: &diagnosis.Client{Pod: pod("pay", "client", "n2", "10.1.1.9")}, Report: &diagnosis.Report{Service: diagnosis.Name(key("shop", "web")),
			Steps: []diagnosis.Step{exists, addresses}, Verdict: diagnosis.Verdict{State: diagnosis.OK, Sentence: "Service shop/web answers."}}},
		"missing": {Report: &diagnosis.Report{Service: diagnosis.Name(key("shop", "wep")),
			Steps:   []diagnosis.Step{step(diagnosis.CheckService, diagnosis.Problem, "there is no Service wep in namespace shop", "the namespace has web")},
			Verdict: diagnosis.Verdict{State: diagnosis.Problem, Check: diagnosis.CheckService, Sentence: "There is no Service wep in namespace shop; the namespace has web."}}},
		"external": {service: external, Report: &diagnosis.Report{Service: diagnosis.Name(key("shop", "web")),
			Steps: []diagnosis.Step{exists}, Verdict: diagnosis.Verdict{State: diagnosis.OK, Sentence: "Service shop/web answers."}}},
	}
}

func TestPrint(t *testing.T) {
	for name, answer := range answers() {
		for _, wide := range []bool{false, true} {
			file := filepath.Join("testdata", name+".txt")
			if wide {
				file = filepath.Join("testdata", name+"-wide.txt")
			}
			var text strings.Builder
			if err := answer.Print(&text, wide); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text.String()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", file, diff)
			}
		}
	}
}

func TestEndpointsKnown(t *testing.T) {
	for check, want := range map[diagnosis.Check]bool{diagnosis.CheckSelector: false, diagnosis.CheckSlices: false, diagnosis.CheckConflicts: true, diagnosis.CheckNetworkPolicies: true} {
		answer := Answer{Report: &diagnosis.Report{Steps: []diagnosis.Step{{Check: check, State: diagnosis.Unknown}}}}
		if got := answer.EndpointsKnown(); got != want {
			t.Errorf("%s: %t", check, got)
		}
		answer.Steps[0].State = diagnosis.OK
		if !answer.EndpointsKnown() {
			t.Errorf("%s is ok, and not known", check)
		}
	}
}
