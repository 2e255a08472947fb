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
	"encoding/json"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// going is an object that is being deleted, with the finalizers that it waits for.
func going[T client.Object](object T, finalizers ...string) T {
	at := metav1.NewTime(time.Unix(1_700_000_000, 0))
	object.SetDeletionTimestamp(&at)
	object.SetFinalizers(finalizers)
	return object
}

func sliceOf(addresses ...string) *discoveryv1.EndpointSlice {
	s := slice(80, addresses...)
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	return s
}

func TestWhatIsBeingDeletedGainsNothing(t *testing.T) {
	world := crowded()
	v := Validation{World: world, Exempt: Exemptions{Namespace: "switchyard-system"}}
	services, endpoints, slices := &ServiceValidator{v}, EndpointsValidator(v), EndpointSliceValidator(v)
	subsets := func(ip string) *corev1.Endpoints {
		return &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: ip}}}}}
	}
	for name, update := range map[string]func() error{
		"an external IP": func() error {
			_, err := services.ValidateUpdate(t.Context(), going(service("web"), "mine"), going(service("web", external("10.96.0.1")), "mine"))
			return err
		},
		"an external IP with the last finalizer": func() error {
			_, err := services.ValidateUpdate(t.Context(), going(service("web"), "mine"), going(service("web", external("10.96.0.1"))))
			return err
		},
		"a load balancer's address": func() error {
			_, err := services.ValidateUpdate(t.Context(), going(service("web", ingress())), going(service("web", ingress("198.51.100.1"))))
			return err
		},
		"a load balancer's address that it asks for": func() error {
			_, err := services.ValidateUpdate(t.Context(), going(service("web", ingress())), going(service("web", requests("10.96.0.1"))))
			return err
		},
		"a load balancer's address that an annotation asks for": func() error {
			_, err := services.ValidateUpdate(t.Context(), going(service("web", ingress())), going(service("web", wishing("metallb.io/loadBalancerIPs", "10.96.0.1"))))
			return err
		},
		"a node port": func() error {
			_, err := services.ValidateUpdate(t.Context(), going(service("web")), going(service("web", onNodePort(30080, corev1.ProtocolTCP))))
			return err
		},
		"a pod of another namespace in Endpoints": func() error {
			_, err := endpoints.ValidateUpdate(t.Context(), going(subsets("192.0.2.50")), going(subsets("10.244.1.5")))
			return err
		},
		"a pod of another namespace in a slice": func() error {
			_, err := slices.ValidateUpdate(t.Context(), going(sliceOf("192.0.2.50")), going(sliceOf("10.244.1.5")))
			return err
		},
		"pods in a pool": func() error {
			_, err := AddressPoolValidator(v).ValidateUpdate(t.Context(), going(addressPool("p", v1alpha1.UseExternalIP)),
				going(addressPool("p", v1alpha1.UseExternalIP, "10.244.1.0/24")))
			return err
		},
		"nothing before it was there": func() error {
			_, err := services.ValidateCreate(t.Context(), going(service("web", external("10.96.0.1"))))
			return err
		},
	} {
		if err := update(); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

// A finalizer can be removed whatever else is wrong, and when nothing can be read.
func TestFinalizersAreLetGoOf(t *testing.T) {
	v := Validation{World: &memory{broken: true}, FailClosed: true, Exempt: Exemptions{Namespace: "switchyard-system"}}
	bad := service("web", external("10.96.0.1"), onNodePort(30080, corev1.ProtocolTCP))
	endpoints := &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.244.1.5"}}}}}
	for name, update := range map[string]func() error{
		"Service": func() error {
			_, err := (&ServiceValidator{v}).ValidateUpdate(t.Context(), going(bad.DeepCopy(), "mine"), going(bad.DeepCopy()))
			return err
		},
		"Endpoints": func() error {
			_, err := EndpointsValidator(v).ValidateUpdate(t.Context(), going(endpoints.DeepCopy(), "mine"), going(endpoints.DeepCopy()))
			return err
		},
		"EndpointSlice": func() error {
			_, err := EndpointSliceValidator(v).ValidateUpdate(t.Context(), going(sliceOf("10.244.1.5"), "mine"), going(sliceOf("10.244.1.5")))
			return err
		},
		"AddressPool": func() error {
			_, err := AddressPoolValidator(v).ValidateUpdate(t.Context(), going(addressPool("p", v1alpha1.UseExternalIP, "10.244.1.0/24"), "mine"),
				going(addressPool("p", v1alpha1.UseExternalIP, "10.244.1.0/24")))
			return err
		},
		"PortPool": func() error {
			_, err := PortPoolValidator(v).ValidateUpdate(t.Context(), going(portPoolObject("p", "30000"), "mine"), going(portPoolObject("p", "30000")))
			return err
		},
		"ServiceCIDR": func() error {
			_, err := ServiceCIDRValidator(v).ValidateUpdate(t.Context(), going(cidrs("10.244.0.0/16"), "mine"), going(cidrs("10.244.0.0/16")))
			return err
		},
		"a deletion": func() error {
			_, err := (&ServiceValidator{v}).ValidateDelete(t.Context(), bad)
			return err
		},
	} {
		if err := update(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(contentsOf(&networkingv1.IPAddress{})) == 0 {
		t.Error("a kind that nobody thought of has no contents")
	}
}

func TestTheAllocationJudgesWhatIsBeingDeleted(t *testing.T) {
	holder := service("holder", onNodePort(30500, corev1.ProtocolTCP), clusterIP("10.96.7.8"))
	server := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(holder).Build()
	index := allocator.NewServices(allocator.DefaultNodePorts)
	index.Observe(holder)
	index.SetReady()
	handler := &ServiceAllocation{Mode: allocator.Advisory, Index: index, Namespace: "switchyard-system",
		Client: server, Reader: server, Cached: server, Now: time.Now}
	update := func(before, after *corev1.Service) admission.Response {
		request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Update, Namespace: "default", Name: "web"}}
		request.OldObject, request.Object = rawOf(t, before), rawOf(t, after)
		return handler.Handle(t.Context(), request)
	}
	taken := going(service("web", onNodePort(30500, corev1.ProtocolTCP)), "mine")
	if got := update(going(service("web"), "mine"), taken); got.Allowed || !strings.Contains(got.Result.Message, "held by") {
		t.Errorf("the port of another: got %+v", got)
	}
	if got := update(taken, going(taken.DeepCopy())); !got.Allowed {
		t.Errorf("a finalizer: got %+v", got)
	}
}

func rawOf(t *testing.T, svc *corev1.Service) runtime.RawExtension {
	t.Helper()
	svc = svc.DeepCopy()
	svc.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	raw, err := json.Marshal(svc)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: raw}
}
