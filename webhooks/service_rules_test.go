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
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// wantVerdict is a verdict in words: each string must occur in the error or
// warning at its place, and nothing else may be said.
type wantVerdict struct{ errors, warnings []string }

func expectVerdict(t *testing.T, got Verdict, want wantVerdict) {
	t.Helper()
	var errors []string
	for _, err := range got.Errors {
		errors = append(errors, err.Error())
	}
	expectTexts(t, "errors", errors, want.errors)
	expectTexts(t, "warnings", got.Warnings, want.warnings)
}

func expectTexts(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s differ (-want +got):\n%s", what, cmp.Diff(want, got))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("%s[%d] = %q, want it to say %q", what, i, got[i], want[i])
		}
		if len(got[i]) > 256 && what == "warnings" {
			t.Errorf("%s[%d] has %d characters; the API server cuts it at 256", what, i, len(got[i]))
		}
	}
}

func TestServiceRulesAboutAddresses(t *testing.T) {
	world := &memory{
		services: []*corev1.Service{
			service("holder", external("203.0.113.7"), clusterIP("10.96.0.50", "fd00:96::50")),
			service("balanced", ingress("198.51.100.1"), port(443, corev1.ProtocolTCP)),
			service("ignored", external("203.0.113.200"), clusterIP(corev1.ClusterIPNone)),
			service("old-range", clusterIP("172.30.0.9")),
		},
		cidrs:   []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}, {"kubernetes", netip.MustParsePrefix("fd00:96::/112")}},
		servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")},
	}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		want     wantVerdict
	}{
		"an address nobody has is fine": {new: service("web", external("203.0.113.8"))},
		"X1: an external IP and port of another Service": {
			new:  service("web", external("203.0.113.9", "203.0.113.7")),
			want: wantVerdict{errors: []string{`spec.externalIPs[1]: Invalid value: "203.0.113.7": default/holder already serves port 80/TCP`}}},
		"X1: the same number written as IPv6": {
			new:  service("web", external("::ffff:203.0.113.7")),
			want: wantVerdict{errors: []string{"default/holder"}}},
		"X1: a load-balancer address counts as well": {
			new:  service("web", external("198.51.100.1"), port(443, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{"default/balanced already serves port 443/TCP"}}},
		"one address may be shared by ports":      {new: service("web", external("203.0.113.7"), port(81, corev1.ProtocolTCP))},
		"one address may be shared by protocols":  {new: service("web", external("203.0.113.7"), port(80, corev1.ProtocolUDP))},
		"a headless Service holds no external IP": {new: service("web", external("203.0.113.200"))},
		"and asks for none":                       {new: service("web", external("203.0.113.7"), clusterIP(corev1.ClusterIPNone))},
		"a Service does not collide with itself":  {new: service("holder", external("203.0.113.7"))},
		"what was there before may stay": {
			old: service("web", external("203.0.113.7")),
			new: service("web", external("203.0.113.7"), func(svc *corev1.Service) { svc.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })},
		"X1: an update that brings the port to the address": {
			old:  service("web", external("203.0.113.7"), port(81, corev1.ProtocolTCP)),
			new:  service("web", external("203.0.113.7")),
			want: wantVerdict{errors: []string{"default/holder"}}},
		"an update that only removes is fine": {
			old: service("web", external("203.0.113.7", "10.96.1.1")),
			new: service("web", external("203.0.113.7"))},
		"X2: an address given to two Services": {
			old:  service("web", ingress(), port(443, corev1.ProtocolTCP)),
			new:  service("web", ingress("198.51.100.1"), port(443, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{`status.loadBalancer.ingress[0].ip: Invalid value: "198.51.100.1": default/balanced already serves port 443/TCP`}}},
		"X2: an address asked for that another Service has": {
			new:  service("web", requests("198.51.100.1"), port(443, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{"spec.loadBalancerIP"}}},
		"X2: a new port at an address that is shared": {
			old:  service("web", ingress("198.51.100.1")),
			new:  service("web", ingress("198.51.100.1"), port(443, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{"default/balanced"}}},
		"X3: a ClusterIP": {
			new:  service("web", external("10.96.0.50"), port(81, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{"this is the ClusterIP of default/holder"}}},
		"X3: a ClusterIP of a range that is no more": {
			new:  service("web", external("172.30.0.9")),
			want: wantVerdict{errors: []string{"this is the ClusterIP of default/old-range"}}},
		"X3: an address inside a ServiceCIDR, IPv6": {
			new:  service("web", external("fd00:96::99")),
			want: wantVerdict{errors: []string{"inside fd00:96::/112 of ServiceCIDR kubernetes"}}},
		"X3: a load-balancer address inside a ServiceCIDR": {
			old:  service("web", ingress()),
			new:  service("web", ingress("10.96.200.1")),
			want: wantVerdict{errors: []string{"status.loadBalancer.ingress[0].ip"}}},
		"a load balancer may say the Service's own ClusterIP, as minikube tunnel does": {
			old: service("web", ingress()), new: service("web", ingress("10.96.7.7"))},
		"X3: one may not make it an external IP": {
			old:  service("web", ingress("10.96.7.7")),
			new:  service("web", ingress("10.96.7.7"), external("10.96.7.7")),
			want: wantVerdict{errors: []string{"spec.externalIPs[0]"}}},
		"X3: a load balancer may not say another's ClusterIP": {
			old:  service("web", ingress()),
			new:  service("web", ingress("10.96.7.7", "10.96.0.50"), port(81, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{"status.loadBalancer.ingress[1].ip"}}},
		"X3: a wish of a ClusterIP does not make it an external IP": {
			old:  service("web", requests("10.96.200.1")),
			new:  service("web", requests("10.96.200.1"), external("10.96.200.1")),
			want: wantVerdict{errors: []string{"spec.externalIPs[0]"}}},
		"X3: the API server's address and port": {
			new:  service("web", external("192.0.2.1"), port(6443, corev1.ProtocolTCP)),
			want: wantVerdict{errors: []string{"the Kubernetes API server answers at port 6443"}}},
		"another port of the API server's node is fine": {new: service("web", external("192.0.2.1"))},
		"X3: a port is added at an address that was wrong before": {
			old: service("web", external("10.96.200.1")),
			new: service("web", external("10.96.200.1"), port(8000, corev1.ProtocolTCP))},
		"ExternalName Services answer nowhere": {
			new: service("web", external("203.0.113.7", "10.96.0.50"), func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeExternalName })},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateService(t.Context(), world, nil, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

// counted counts the reads that go to the API server each time.
type counted struct {
	*memory
	reads int
}

func (c *counted) APIServers(ctx context.Context) ([]netip.AddrPort, error) {
	c.reads++
	return c.memory.APIServers(ctx)
}

func TestTheAPIServersAreReadOncePerChangeAndOnlyIfNeeded(t *testing.T) {
	twoPorts := func(svc *corev1.Service) {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: 81, Protocol: corev1.ProtocolTCP})
	}
	for name, tc := range map[string]struct {
		svc  *corev1.Service
		want int
	}{
		"many addresses and ports": {service("web", external("192.0.2.1", "192.0.2.2", "192.0.2.3"), twoPorts), 1},
		"no address":               {service("web", twoPorts), 0},
	} {
		world := &counted{memory: &memory{}}
		if _, err := ValidateService(t.Context(), world, nil, ServiceChange{New: tc.svc}); err != nil {
			t.Fatal(err)
		}
		if world.reads != tc.want {
			t.Errorf("%s: %d reads, want %d", name, world.reads, tc.want)
		}
	}
}

func TestSelectorRules(t *testing.T) {
	tcp, udp := corev1.ProtocolTCP, corev1.ProtocolUDP
	sidecar := pod("sidecar")
	sidecar.Spec.InitContainers = []corev1.Container{{Ports: []corev1.ContainerPort{named("http", tcp)}, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}}
	initOnly := pod("init")
	initOnly.Spec.InitContainers = []corev1.Container{{Ports: []corev1.ContainerPort{named("http", tcp)}}}
	finished := pod("finished")
	finished.Status.Phase = corev1.PodSucceeded
	elsewhere := pod("elsewhere")
	elsewhere.Namespace = "other"
	web := []func(*corev1.Service){selecting("app", "web"), target("http", tcp)}

	for name, tc := range map[string]struct {
		pods       []*corev1.Pod
		services   []*corev1.Service
		old, new   *corev1.Service
		severities Severities
		stranger   bool
		want       wantVerdict
	}{
		"X11: one who may not read the pods is not told of them": {
			pods: []*corev1.Pod{pod("a", named("http", tcp)), pod("b")}, new: service("web", web...), stranger: true,
			want: wantVerdict{warnings: []string{"spec.ports[0].targetPort: some matching pods declare no TCP port of this name and get no traffic"}}},
		"X11: nor how many there are": {
			pods: []*corev1.Pod{pod("a")}, new: service("web", web...), stranger: true,
			want: wantVerdict{warnings: []string{"spec.ports[0].targetPort: no matching pod declares a TCP port of this name"}}},
		"no pod matches yet: nothing to say": {new: service("web", web...)},
		"every pod declares the port":        {pods: []*corev1.Pod{pod("a", named("http", tcp)), sidecar}, new: service("web", web...)},
		"X11: no pod declares it": {
			pods: []*corev1.Pod{pod("a", named("web", tcp)), initOnly},
			new:  service("web", web...),
			want: wantVerdict{warnings: []string{"spec.ports[0].targetPort: none of the 2 matching pods declares a TCP port of this name (pod default/a declares web/TCP)"}}},
		"X11: denied where configured so": {
			pods:       []*corev1.Pod{pod("a")},
			new:        service("web", web...),
			severities: Severities{"X11": Deny},
			want:       wantVerdict{errors: []string{`spec.ports[0].targetPort: Invalid value: "http": none of the 1 matching pods declares`}}},
		"X11: some pods miss it: a warning, even where it is denied": {
			pods:       []*corev1.Pod{pod("a", named("http", tcp)), pod("b")},
			new:        service("web", web...),
			severities: Severities{"X11": Deny},
			want:       wantVerdict{warnings: []string{"1 of 2 matching pods, one of them pod default/b, declare no TCP port"}}},
		"X11: declared with another protocol": {
			pods: []*corev1.Pod{pod("a", named("http", udp))},
			new:  service("web", web...),
			want: wantVerdict{warnings: []string{"pod default/a declares http/UDP"}}},
		"X11: off": {pods: []*corev1.Pod{pod("a")}, new: service("web", web...), severities: Severities{"X11": Off}},
		"finished pods and those of other namespaces do not count": {pods: []*corev1.Pod{finished, elsewhere}, new: service("web", web...)},
		"a numbered target needs no declaration": {
			pods: []*corev1.Pod{pod("a")}, new: service("web", selecting("app", "web"))},
		"an update that leaves ports and selector alone is not judged": {
			pods: []*corev1.Pod{pod("a")}, old: service("web", web...), new: service("web", append(web, external("203.0.113.1"))...)},
		"X11: an update that changes the name": {
			pods: []*corev1.Pod{pod("a")}, old: service("web", web...), new: service("web", selecting("app", "web"), target("https", tcp)),
			want: wantVerdict{warnings: []string{"declares a TCP port"}}},
		"X12: another Service has the selector": {
			services: []*corev1.Service{service("twin", selecting("app", "web"))},
			new:      service("web", selecting("app", "web")),
			want:     wantVerdict{warnings: []string{"spec.selector: default/twin selects the same pods"}}},
		"X12: not by an update of something else": {
			services: []*corev1.Service{service("twin", selecting("app", "web"))},
			old:      service("web", selecting("app", "web")), new: service("web", selecting("app", "web"), external("203.0.113.1"))},
		"X12: not when so many have it that it is meant": {
			services: []*corev1.Service{service("a", selecting("app", "web")), service("b", selecting("app", "web")), service("c", selecting("app", "web"))},
			new:      service("web", selecting("app", "web"))},
		"a public Service beside an internal one is a usual pair": {
			services: []*corev1.Service{service("twin", selecting("app", "web"), ingress())},
			new:      service("web", selecting("app", "web"))},
		"a headless Service beside it is the usual pair": {
			services: []*corev1.Service{service("twin", selecting("app", "web"), clusterIP(corev1.ClusterIPNone))},
			new:      service("web", selecting("app", "web"))},
		"Services without a selector have none in common": {services: []*corev1.Service{service("twin")}, new: service("web")},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{services: tc.services, pods: tc.pods, stranger: tc.stranger}
			got, err := ValidateService(t.Context(), world, tc.severities, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}
