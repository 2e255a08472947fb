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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// crowded is a world in which much of what can be asked for is somebody's.
func crowded() *memory {
	world := &memory{
		services: []*corev1.Service{
			service("holder", external("203.0.113.7"), selecting("app", "web")), service("cloud", ingress("198.51.100.1")),
			service("alias", alias("web.default.svc.cluster.local")), service("shared", sharing("a", "k", "default")),
		},
		pods:    []*corev1.Pod{pod("a", named("http", corev1.ProtocolTCP)), at(pod("db"), "shop", "10.244.1.5"), hostPod("proxy", corev1.ContainerPort{HostPort: 30080})},
		nodes:   []*corev1.Node{node("node-1", "192.0.2.1", "10.244.1.0/24")},
		cidrs:   []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}},
		servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")},
		pools: NewPools([]allocator.PortPool{portPool("blue", 31000, 31099, "blue")},
			[]allocator.AddrPool{addrPool("blue", v1alpha1.UseExternalIP, "203.0.113.0", "203.0.113.15", "blue")}),
		namespaces: map[string]labels.Set{"default": {"team": "blue"}},
	}
	return world
}

// asked is what the API server sends.
func asked(operation admissionv1.Operation, before, after string) []byte {
	request := &admissionv1.AdmissionRequest{UID: "u", Operation: operation, Namespace: "default", Name: "web", Object: runtime.RawExtension{Raw: []byte(after)}}
	if before != "" {
		request.OldObject.Raw = []byte(before)
	}
	review := admissionv1.AdmissionReview{Request: request}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	body, err := json.Marshal(review)
	if err != nil {
		return nil // What is no JSON can not be in a review.
	}
	return body
}

// put sends a body to a webhook and reads its answer, which is always one.
func put(t *testing.T, handler http.Handler, body []byte) admissionv1.AdmissionResponse {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || review.Response == nil {
		t.Fatalf("no answer: %v %q", err, recorder.Body.String())
	}
	if len(review.Response.Warnings) > len(Table())*maxFindings+2 {
		t.Fatalf("%d warnings", len(review.Response.Warnings))
	}
	return *review.Response
}

// validators are the validating webhooks by the kind they judge.
func validators(world World) map[string]http.Handler {
	v := Validation{World: world, Exempt: Exemptions{Namespace: "switchyard-system"}}
	return map[string]http.Handler{
		"Service":       admission.WithValidator(scheme.Scheme, &ServiceValidator{v}),
		"Endpoints":     admission.WithValidator(scheme.Scheme, EndpointsValidator(v)),
		"EndpointSlice": admission.WithValidator(scheme.Scheme, EndpointSliceValidator(v)),
	}
}

// mutator is the allocating webhook of a cluster without anything in it.
func mutator(t testing.TB) http.Handler {
	client := fake.NewClientBuilder().WithScheme(scheme.Scheme).Build()
	index := allocator.NewServices(allocator.DefaultNodePorts)
	index.SetReady()
	return &admission.Webhook{Handler: &ServiceAllocation{
		Mode: allocator.Authoritative, Index: index, Namespace: "switchyard-system", Client: client, Reader: client,
	}}
}

// text is a part of a hostile object, repeated.
func text(count int, part func(i int) string) string {
	var parts strings.Builder
	for i := range count {
		if i > 0 {
			parts.WriteByte(',')
		}
		parts.WriteString(part(i))
	}
	return parts.String()
}

func manyIPs(count int) string {
	return text(count, func(i int) string { return fmt.Sprintf(`"203.%d.%d.%d"`, i>>16&255, i>>8&255, i&255) })
}

func manyPorts(count int) string {
	return text(count, func(i int) string {
		return fmt.Sprintf(`{"name":"p%d","port":%d,"nodePort":%d,"targetPort":"t%d"}`, i, i%65535+1, i%65535+1, i)
	})
}

const emptyService = `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}`

// hostileServices are Services that somebody may send to make a webhook fall or
// stall.
func hostileServices() map[string]string {
	spec := func(fields string) string {
		return `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web"},"spec":{` + fields + `}}`
	}
	return map[string]string{
		"nothing":                          `{}`,
		"not an object":                    `[]`,
		"null":                             `null`,
		"another kind":                     `{"kind":"Pod","apiVersion":"v1"}`,
		"wrong types":                      spec(`"ports":"http","externalIPs":{"a":1}`),
		"numbers out of range":             spec(`"type":"NodePort","ports":[{"port":-1,"nodePort":-1},{"port":2147483647,"nodePort":99999}],"healthCheckNodePort":-5`),
		"addresses that are none":          spec(`"externalIPs":["","::","999.1.1.1","fe80::1%eth0","010.096.000.001"],"loadBalancerIP":"x","clusterIPs":["","None"],"ports":[{}]`),
		"deep nesting":                     spec(`"selector":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat(`}`, 9000)),
		"10,000 ports":                     spec(`"type":"NodePort","selector":{"app":"web"},"ports":[` + manyPorts(10_000) + `]`),
		"10,000 addresses":                 spec(`"externalIPs":[` + manyIPs(10_000) + `],"ports":[{"port":80}]`),
		"1,000 addresses and 10,000 ports": spec(`"externalIPs":[` + manyIPs(1000) + `],"ports":[` + manyPorts(10_000) + `]`),
		"one address 10,000 times":         spec(`"externalIPs":[` + text(10_000, func(int) string { return `"203.0.113.7"` }) + `],"ports":[` + manyPorts(1000) + `]`),
		"3 MiB of labels":                  `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web","labels":{"a":"` + strings.Repeat("x", 3<<20) + `"}},"spec":{"ports":[{"port":80}]}}`,
	}
}

func TestHostileReviewsAreAnswered(t *testing.T) {
	ports := func(count int) string {
		return text(count, func(i int) string { return fmt.Sprintf(`{"name":"p%d","port":%d}`, i, i%65535+1) })
	}
	slices := map[string]string{
		"10,000 addresses and 10,000 ports": `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"s","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","endpoints":[{"addresses":[` +
			manyIPs(10_000) + `]}],"ports":[` + ports(10_000) + `]}`,
		"100,000 addresses": `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"labels":{"kubernetes.io/service-name":"web"}},"endpoints":[{"addresses":[` + manyIPs(100_000) + `]}]}`,
	}
	endpoints := map[string]string{
		"10,000 addresses and 10,000 ports": `{"kind":"Endpoints","apiVersion":"v1","subsets":[{"addresses":[` +
			text(10_000, func(i int) string { return fmt.Sprintf(`{"ip":"203.0.%d.%d"}`, i>>8, i&255) }) + `],"ports":[` + ports(10_000) + `]}]}`,
		"2,000 subsets of one address": `{"kind":"Endpoints","apiVersion":"v1","subsets":[` +
			text(2000, func(int) string { return `{"addresses":[{"ip":"203.0.113.7"}],"ports":[{"port":80},{"port":81}]}` }) + `]}`,
	}
	world := &tally{memory: crowded()}
	handlers := validators(world)
	handlers["the allocation of a Service"] = mutator(t)
	for kind, objects := range map[string]map[string]string{
		"Service": hostileServices(), "the allocation of a Service": hostileServices(), "EndpointSlice": slices, "Endpoints": endpoints,
	} {
		for name, object := range objects {
			t.Run(kind+" of "+name, func(t *testing.T) {
				world.looks = 0
				created := put(t, handlers[kind], asked(admissionv1.Create, "", object))
				if limit := 3 * maxNewBackends; world.looks > limit {
					t.Errorf("%d look-ups, want at most %d", world.looks, limit)
				}
				if judged := kind != "the allocation of a Service"; judged && strings.Contains(name, ",000") && created.Allowed {
					t.Error("it passed")
				}
				put(t, handlers[kind], asked(admissionv1.Update, emptyService, object))
				if updated := put(t, handlers[kind], asked(admissionv1.Update, object, object)); created.Result.Code == http.StatusUnprocessableEntity && !updated.Allowed {
					t.Errorf("what was there before may not stay: %s", updated.Result.Message)
				}
			})
		}
	}
}

// tally counts the look-ups that there may be one of for each address and port.
type tally struct {
	*memory
	looks int
}

func (w *tally) ServicesByVIP(ctx context.Context, addr netip.Addr, serves func(*corev1.Service) bool) ([]*corev1.Service, error) {
	w.looks++
	return w.memory.ServicesByVIP(ctx, addr, serves)
}

func (w *tally) ServicesByClusterIP(ctx context.Context, addr netip.Addr) ([]*corev1.Service, error) {
	w.looks++
	return w.memory.ServicesByClusterIP(ctx, addr)
}

func (w *tally) ServiceCIDRs(ctx context.Context) ([]ServiceCIDR, error) {
	w.looks++
	return w.memory.ServiceCIDRs(ctx)
}

func (w *tally) Pools(ctx context.Context) (*Pools, error) {
	w.looks++
	return w.memory.Pools(ctx)
}

func (w *tally) ReservationOf(ctx context.Context, number allocator.Number) (*allocator.Reservation, error) {
	w.looks++
	return w.memory.ReservationOf(ctx, number)
}

func (w *tally) PodsByIP(ctx context.Context, addr netip.Addr) ([]*corev1.Pod, error) {
	w.looks++
	return w.memory.PodsByIP(ctx, addr)
}

func (w *tally) PodsByHostPort(ctx context.Context, port PortKey) ([]*corev1.Pod, error) {
	w.looks++
	return w.memory.PodsByHostPort(ctx, port)
}

func (w *tally) NodesByPodAddress(ctx context.Context, addr netip.Addr) ([]*corev1.Node, error) {
	w.looks++
	return w.memory.NodesByPodAddress(ctx, addr)
}

// What an honest Service of many addresses costs: a few look-ups for each of them,
// and none that is the same for all.
func TestLookUpsGrowWithTheAddresses(t *testing.T) {
	looks := func(addresses int) int {
		world := &tally{memory: &memory{}}
		svc := service("web")
		for i := range addresses {
			svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, fmt.Sprintf("203.0.113.%d", i))
		}
		if got, err := ValidateService(t.Context(), world, nil, ServiceChange{New: svc}); err != nil || len(got.Errors) > 0 {
			t.Fatalf("%d addresses: got %v and %v", addresses, got.Errors, err)
		}
		return world.looks
	}
	if got := looks(100) - looks(50); got > 50*5 {
		t.Errorf("50 more addresses cost %d look-ups, want at most 5 for each", got)
	}
}

// A rule can not be escaped by adding more addresses than are judged.
func TestMoreAddressesThanAreJudgedAreRefused(t *testing.T) {
	svc := service("web", external())
	for i := range maxNewAddresses + 1 {
		svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, fmt.Sprintf("203.0.%d.%d", i>>8, i&255))
	}
	got, err := ValidateService(t.Context(), &memory{}, nil, ServiceChange{New: svc})
	if err != nil || len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Error(), "add at most 100 at a time") {
		t.Errorf("a Service: got %v and %v", got.Errors, err)
	}
	if got, err = ValidateService(t.Context(), &memory{}, nil, ServiceChange{Old: svc, New: svc}); err != nil || len(got.Errors) > 0 {
		t.Errorf("what was there before: got %v and %v", got.Errors, err)
	}
	ports := service("web", onNodePort(1, corev1.ProtocolTCP))
	for i := range maxNewNodePorts {
		ports.Spec.Ports = append(ports.Spec.Ports, corev1.ServicePort{Port: int32(i + 1), NodePort: int32(i + 2)})
	}
	got, err = ValidateService(t.Context(), &memory{}, nil, ServiceChange{New: ports})
	if err != nil || len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Error(), "adds 1001 node ports is not judged; add at most 1000 at a time") {
		t.Errorf("a Service of node ports: got %v and %v", got.Errors, err)
	}
	s := sliceFor("web", "")
	for i := range maxNewBackends + 1 {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("203.%d.%d.%d", i>>16, i>>8&255, i&255)}})
	}
	got, err = ValidateBackends(t.Context(), &memory{}, nil, sliceChange(nil, s))
	if err != nil || len(got.Errors) != 1 || !strings.Contains(got.Errors[0].Error(), "add at most 1000 at a time") {
		t.Errorf("an EndpointSlice: got %v and %v", got.Errors, err)
	}
}

// The indexes of a stored Service grow with its addresses, not with the product
// of its addresses and ports.
func TestIndexKeysDoNotMultiply(t *testing.T) {
	svc := service("web")
	for i := range 5000 {
		svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, fmt.Sprintf("203.0.%d.%d", i>>8, i&255))
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: int32(i + 1)})
	}
	if got := len(vipKeys(svc)); got != 5000 {
		t.Errorf("%d keys, want 5000", got)
	}
}

func FuzzValidatingWebhooks(f *testing.F) {
	for _, object := range hostileServices() {
		if len(object) < 4096 {
			f.Add("Service", "", object)
			f.Add("Service", emptyService, object)
		}
	}
	f.Add("Service", emptyService, `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web"},"spec":{"type":"LoadBalancer","loadBalancerIP":"198.51.100.1",`+
		`"externalIPs":["203.0.113.7","10.244.1.5"],"selector":{"app":"web"},"ports":[{"port":80,"nodePort":30080,"targetPort":"http"}]}}`)
	f.Add("Endpoints", "", `{"kind":"Endpoints","apiVersion":"v1","subsets":[{"addresses":[{"ip":"10.244.1.5"},{"ip":"10.96.0.1"}],"ports":[{"port":80}]}]}`)
	f.Add("EndpointSlice", "", `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"labels":{"kubernetes.io/service-name":"holder"}},`+
		`"addressType":"IPv4","endpoints":[{"addresses":["10.244.1.5"]}],"ports":[{"port":80},{"port":null}]}`)
	handlers := validators(crowded())
	f.Fuzz(func(t *testing.T, kind, before, after string) {
		handler, ok := handlers[kind]
		if !ok {
			return // no such webhook
		}
		operation := admissionv1.Create
		if before != "" {
			operation = admissionv1.Update
		}
		body := asked(operation, before, after)
		if body == nil {
			body = []byte(after) // not even a review
		}
		put(t, handler, body)
	})
}

func FuzzAllocationWebhook(f *testing.F) {
	for _, object := range hostileServices() {
		if len(object) < 4096 {
			f.Add("", object)
			f.Add(emptyService, object)
		}
	}
	f.Add("", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30080},{"name":"b","port":81}]}}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		operation := admissionv1.Create
		if before != "" {
			operation = admissionv1.Update
		}
		body := asked(operation, before, after)
		if body == nil {
			body = []byte(after)
		}
		put(t, mutator(t), body)
	})
}
