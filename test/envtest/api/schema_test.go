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

package api

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/test/testenv"
)

// good are objects as users write them, bad ones break one rule each, and the
// answer has to name it.
var good = []string{
	`{kind: PortPool, metadata: {name: one}, spec: {ranges: ["31000-31199", "31500"]}}`,
	`{kind: PortPool, metadata: {name: all}, spec: {ranges: ["1-65535"], reserved: ["30000-30085"], priority: 1000, autoAssign: false,
		namespaceSelector: {matchLabels: {team: a}}, allocateLoadBalancerNodePorts: false}}`,
	`{kind: AddressPool, metadata: {name: four}, spec: {use: ClusterIP, addresses: [10.96.128.0/20, 10.97.0.10-10.97.0.20, 10.98.0.1]}}`,
	`{kind: AddressPool, metadata: {name: six}, spec: {use: LoadBalancer, addresses: ["2001:db8::/120", "2001:db8:1::1-2001:db8:1::ff"], sharing: Cluster, avoidBuggyIPs: true, disabled: true}}`,
	`{kind: AddressPool, metadata: {name: out}, spec: {use: ExternalIP, addresses: [192.0.2.0/24], reserved: [192.0.2.1],
		serviceSelector: {matchExpressions: [{key: tier, operator: In, values: [edge]}]}}}`,
	`{kind: PortReservation, metadata: {name: "30080"}}`,
	`{kind: PortReservation, metadata: {name: "65535"}, spec: {serviceRef: {namespace: a, name: web}, portNames: [http, ""], retain: 24h}}`,
	`{kind: PortReservation, metadata: {name: "31000"}, spec: {serviceRef: {namespace: a, name: web}, healthCheck: true, retain: Retain}}`,
	`{kind: AddressReservation, metadata: {name: 10.96.0.7}, spec: {address: 10.96.0.7, serviceRef: {namespace: a, name: web}, retain: 1h30m}}`,
	`{kind: AddressReservation, metadata: {name: fd00-0010-0096-0000-0000-0000-0000-0007}, spec: {address: "fd00:10:96::7"}}`,
}

var bad = map[string]string{
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: []}}`:                                                                   "spec.ranges",
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: ["0"]}}`:                                                                "spec.ranges[0]",
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: ["30000-70000"]}}`:                                                      "ports are 1 to 65535",
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: ["31100-31000"]}}`:                                                      "the smaller port first",
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: ["31000", "31000"]}}`:                                                   "Duplicate value",
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: ["31000"], priority: 1001}}`:                                            "spec.priority",
	`{kind: PortPool, metadata: {name: a}, spec: {ranges: ["31000"], reserved: ["x"]}}`:                                           "spec.reserved[0]",
	`{kind: PortPool, metadata: {name: a}}`:                                                                                       "spec: Required value",
	`{kind: AddressPool, metadata: {name: a}, spec: {addresses: [10.0.0.0/8]}}`:                                                   "spec.use: Required value",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: Pod, addresses: [10.0.0.0/8]}}`:                                         "spec.use: Unsupported value",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: [10.0.0.1/8]}}`:                                   "write a CIDR without host bits",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: [pool]}}`:                                         "write a CIDR without host bits",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: [10.0.0.1-10.0.0.2-10.0.0.3]}}`:                   "write a CIDR without host bits",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: ["10.0.0.1-fd00::1"]}}`:                           "of one family",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: ["FD00::1"]}}`:                                    "canonical form",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: [10.0.0.0/8], sharing: Namespace}}`:               "leave sharing out",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: ClusterIP, addresses: [10.0.0.0/8], disabled: true}}`:                   "leave disabled out",
	`{kind: AddressPool, metadata: {name: a}, spec: {use: LoadBalancer, addresses: [10.0.0.0/8], sharing: Always}}`:               "spec.sharing",
	`{kind: PortReservation, metadata: {name: web}}`:                                                                              "1 to 65535",
	`{kind: PortReservation, metadata: {name: "65536"}}`:                                                                          "1 to 65535",
	`{kind: PortReservation, metadata: {name: "080"}}`:                                                                            "1 to 65535",
	`{kind: PortReservation, metadata: {name: "80"}, spec: {retain: Forever}}`:                                                    "use Delete, Retain or a duration",
	`{kind: PortReservation, metadata: {name: "80"}, spec: {retain: 0s}}`:                                                         "use Delete, Retain or a duration",
	`{kind: PortReservation, metadata: {name: "80"}, spec: {healthCheck: true, portNames: [http]}}`:                               "leave one of healthCheck and portNames out",
	`{kind: PortReservation, metadata: {name: "80"}, spec: {serviceRef: {name: web}}}`:                                            "namespace",
	`{kind: AddressReservation, metadata: {name: 10.96.0.8}, spec: {address: 10.96.0.7}}`:                                         "the name of an AddressReservation is its address",
	`{kind: AddressReservation, metadata: {name: fd00--7}, spec: {address: "fd00::7"}}`:                                           "in eight groups of four digits",
	`{kind: AddressReservation, metadata: {name: fd00-0000-0000-0000-0000-0000-0000-0008}, spec: {address: "fd00::7"}}`:           "in eight groups of four digits",
	`{kind: AddressReservation, metadata: {name: fd00-0000-0000-0000-0000-0000-0000-0007}, spec: {address: "fd00:0:0::7"}}`:       "canonical form",
	`{kind: AddressReservation, metadata: {name: 10.96.0.7}, spec: {address: web}}`:                                               "canonical form",
	`{kind: AddressReservation, metadata: {name: 10.96.0.7}, spec: {serviceRef: {namespace: a, name: web}}}`:                      "spec.address: Required value",
	`{kind: AddressReservation, metadata: {name: 10.96.0.7}, spec: {address: 10.96.0.7, serviceRef: {namespace: "", name: web}}}`: "spec.serviceRef.namespace",
}

func TestSchemas(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	environment, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range good {
		object := parse(t, text)
		if err := api.Create(t.Context(), object); err != nil {
			t.Errorf("%s\n\t%v", text, err)
			continue
		}
		typed, err := scheme.New(object.GroupVersionKind())
		if err == nil {
			err = api.Get(t.Context(), client.ObjectKeyFromObject(object), typed.(client.Object))
		}
		if err != nil {
			t.Errorf("%s: reading it as a type: %v", text, err)
		}
	}
	for text, want := range bad {
		err := api.Create(t.Context(), parse(t, text), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n\tgot  %v\n\twant %s", text, err, want)
		}
	}
	t.Run("the use of a pool stays", func(t *testing.T) {
		pool := &v1alpha1.AddressPool{}
		if err := api.Get(t.Context(), client.ObjectKey{Name: "four"}, pool); err != nil {
			t.Fatal(err)
		}
		if pool.Spec.AutoAssign == nil || !*pool.Spec.AutoAssign {
			t.Error("autoAssign is not true by default")
		}
		pool.Spec.Use = v1alpha1.UseExternalIP
		if err := api.Update(t.Context(), pool); err == nil || !strings.Contains(err.Error(), "make another pool") {
			t.Errorf("got %v", err)
		}
	})
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	object.SetAPIVersion(v1alpha1.GroupVersion.String())
	return object
}
