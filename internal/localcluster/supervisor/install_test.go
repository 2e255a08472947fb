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

package supervisor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/manifests"
	"switchyard.dev/switchyard/internal/localcluster/runner"
)

func TestWebhooksAreKeptApartAndTheRestInOrder(t *testing.T) {
	parsed, err := parseManifests(`
apiVersion: v1
kind: Namespace
---
# only a comment
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
---
apiVersion: v1
kind: Service
`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Namespace", "Service"}, kinds(parsed.objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ValidatingWebhookConfiguration"}, kinds(parsed.webhooks)); diff != "" {
		t.Errorf("webhooks (-want +got):\n%s", diff)
	}
}

func TestBrokenManifestsAreNoCluster(t *testing.T) {
	if _, err := parseManifests("kind: [\n"); err == nil {
		t.Error("broken YAML was read")
	}
}

// The supervisor relies on these, by name.
func TestTheInstallManifestsHoldWhatIsStarted(t *testing.T) {
	parsed, err := parseManifests(manifests.Install)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, object := range append(parsed.objects, parsed.webhooks...) {
		has[strings.Join([]string{object.GetKind(), object.GetNamespace(), object.GetName()}, "/")] = true
	}
	for _, want := range []string{
		"Namespace//" + suiteNamespace,
		"ServiceAccount/" + suiteNamespace + "/" + managerName,
		"ServiceAccount/" + suiteNamespace + "/" + agentName,
		"Service/" + suiteNamespace + "/" + webhookService,
		"Service/" + dnsNamespace + "/" + dnsService,
		"DaemonSet/" + dnsNamespace + "/" + dnsProgram,
	} {
		if !has[want] {
			t.Errorf("%s is missing", want)
		}
	}
	if len(parsed.webhooks) == 0 {
		t.Error("there are no webhooks")
	}
}

// The Service's addresses are those that every pod's resolv.conf names.
func TestTheInstallManifestsHaveTheAddressesOfResolvConf(t *testing.T) {
	parsed, err := parseManifests(manifests.Install)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range parsed.objects {
		if object.GetKind() == "Service" && object.GetName() == dnsService {
			got, _, _ = unstructured.NestedStringSlice(object.Object, "spec", "clusterIPs")
		}
	}
	var want []string
	for _, addr := range layout.DNSAddrs() {
		want = append(want, addr.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clusterIPs of %s (-want +got):\n%s", dnsService, diff)
	}
}

func TestADaemonSetRunsTheProgramOfThisMachine(t *testing.T) {
	parsed, err := parseManifests(manifests.Install)
	if err != nil {
		t.Fatal(err)
	}
	if err := runProgram(parsed.objects, dnsProgram, "/there/switchyard-dns"); err != nil {
		t.Fatal(err)
	}
	for _, object := range parsed.objects {
		if object.GetKind() != "DaemonSet" {
			continue
		}
		var set appsv1.DaemonSet
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &set); err != nil {
			t.Fatal(err)
		}
		pod := set.Spec.Template
		if diff := cmp.Diff([]string{"/there/switchyard-dns"}, pod.Spec.Containers[0].Command); diff != "" {
			t.Errorf("command (-want +got):\n%s", diff)
		}
		if pod.Annotations[runner.RunLocal] != "true" {
			t.Errorf("annotations %v: its command would be an echo server", pod.Annotations)
		}
	}
	if err := runProgram(parsed.objects, "another", "/there/another"); err == nil {
		t.Error("a DaemonSet that is not there was changed")
	}
}

func TestASliceLeadsEveryPortOfAServiceToItsTarget(t *testing.T) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
			{Name: "voice", Protocol: corev1.ProtocolUDP, Port: 80, TargetPort: intstr.FromInt32(9080)},
			{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(9080)},
		}},
	}
	got := sliceFor(service, "node-1", netip.MustParseAddr("fd00:172:30::11"))
	want := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web-ipv6",
			Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: sliceManager},
		},
		AddressType: discoveryv1.AddressTypeIPv6,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"fd00:172:30::11"}, NodeName: new("node-1"),
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		}},
		Ports: []discoveryv1.EndpointPort{
			{Name: new("voice"), Protocol: new(corev1.ProtocolUDP), Port: new(int32(9080))},
			{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(9080))},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("slice (-want +got):\n%s", diff)
	}
}

func kinds(objects []*unstructured.Unstructured) []string {
	var out []string
	for _, object := range objects {
		out = append(out, object.GetKind())
	}
	return out
}
