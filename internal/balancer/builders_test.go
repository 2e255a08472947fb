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

package balancer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// clock makes each Service a second younger than the one built before it.
var clock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type edit func(*Service)

// svc is NAME or NAMESPACE/NAME, of IPv4, with port 80.
func svc(name string, edits ...edit) Service {
	namespace, rest, found := strings.Cut(name, "/")
	if !found {
		namespace, rest = "default", name
	}
	clock = clock.Add(time.Second)
	s := Service{
		Key: types.NamespacedName{Namespace: namespace, Name: rest}, UID: types.UID(name), Created: clock, Served: true,
		NamespaceLabels: labels.Set{corev1.LabelMetadataName: namespace}, Labels: labels.Set{"name": rest},
		Families: []corev1.IPFamily{corev1.IPv4Protocol}, Policy: corev1.IPFamilyPolicySingleStack, Ports: []Port{{corev1.ProtocolTCP, 80}},
		Selector: map[string]string{"app": rest},
	}
	return with(s, edits...)
}

func with(s Service, edits ...edit) Service {
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

func dual(policy corev1.IPFamilyPolicy) edit {
	return func(s *Service) {
		s.Families, s.Policy = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}, policy
	}
}

var (
	prefer  = dual(corev1.IPFamilyPolicyPreferDualStack)
	require = dual(corev1.IPFamilyPolicyRequireDualStack)
)

func ipv6(s *Service)     { s.Families = []corev1.IPFamily{corev1.IPv6Protocol} }
func local(s *Service)    { s.Local = true }
func deleting(s *Service) { s.Deleting = true }
func unserved(s *Service) { s.Served = false }

func wish(addrs ...string) edit { return func(s *Service) { s.Wish.Addrs = addrsOf(addrs) } }
func from(pool string) edit     { return func(s *Service) { s.Wish.Pool = pool } }
func status(addrs ...string) edit {
	return func(s *Service) { s.Status = addrsOf(addrs) }
}

func labelled(key, value string) edit {
	return func(s *Service) { s.Labels = labels.Set{key: value} }
}

func selecting(app string) edit {
	return func(s *Service) { s.Selector = map[string]string{"app": app} }
}

// sharing has a key, a TCP port, and the namespaces it consents to.
func sharing(key string, port int32, namespaces ...string) edit {
	return func(s *Service) {
		s.SharingKey, s.Ports, s.SharesWith = key, []Port{{corev1.ProtocolTCP, port}}, namespaces
	}
}

func addrsOf(texts []string) (addrs []netip.Addr) {
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs
}

// pool has ranges as they are written in an AddressPool, with spaces between.
func pool(name, ranges string, edits ...func(*v1alpha1.AddressPool)) allocator.AddrPool {
	object := v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer}}
	object.Spec.Addresses = rangesOf(ranges)
	for _, edit := range edits {
		edit(&object)
	}
	read, err := allocator.AddrPoolOf(&object)
	if err != nil {
		panic(err)
	}
	return read
}

func rangesOf(joined string) (ranges []v1alpha1.AddressRange) {
	for text := range strings.FieldsSeq(joined) {
		ranges = append(ranges, v1alpha1.AddressRange(text))
	}
	return ranges
}

func priority(p int32) func(*v1alpha1.AddressPool) {
	return func(o *v1alpha1.AddressPool) { o.Spec.Priority = p }
}

func forNamespace(name string) func(*v1alpha1.AddressPool) {
	return func(o *v1alpha1.AddressPool) {
		o.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}}
	}
}

func forServices(key, value string) func(*v1alpha1.AddressPool) {
	return func(o *v1alpha1.AddressPool) {
		o.Spec.ServiceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
}

func byValue(o *v1alpha1.AddressPool)  { o.Spec.AutoAssign = new(false) }
func disabled(o *v1alpha1.AddressPool) { o.Spec.Disabled = true }
func avoiding(o *v1alpha1.AddressPool) { o.Spec.AvoidBuggyIPs = true }
func letting(sharing v1alpha1.AddressSharing) func(*v1alpha1.AddressPool) {
	return func(o *v1alpha1.AddressPool) { o.Spec.Sharing = sharing }
}
func keeping(ranges string) func(*v1alpha1.AddressPool) {
	return func(o *v1alpha1.AddressPool) { o.Spec.Reserved = rangesOf(ranges) }
}

// reserved is for NAMESPACE/NAME, or with "" for nobody.
func reserved(addr, service string) allocator.Reservation {
	namespace, name, _ := strings.Cut(service, "/")
	return allocator.Reservation{Number: allocator.AddrNumber(netip.MustParseAddr(addr)), Service: types.NamespacedName{Namespace: namespace, Name: name}}
}

// claim is of Services by name, whose terms are not told.
func claim(addr string, services ...Service) Claim {
	c := Claim{Addr: netip.MustParseAddr(addr)}
	for i := range services {
		h := Holder{Service: services[i].Key, UID: services[i].UID}
		if len(services) > 1 {
			h.Terms = services[i].terms()
		}
		c.Holders = append(c.Holders, h)
	}
	return c
}

// has is NAME=ADDR+ADDR or NAME=REASON of all Services, by name.
func has(b *Book) string {
	var lines []string
	for key := range b.services {
		d, _ := b.Decision(key)
		texts := []string{}
		for _, addr := range d.Addrs {
			texts = append(texts, addr.String())
		}
		if d.Reason != ReasonAssigned || !d.Satisfied {
			texts = append(texts, string(d.Reason))
		}
		name := key.Name
		if key.Namespace != "default" {
			name = key.String()
		}
		lines = append(lines, name+"="+strings.Join(texts, "+"))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// losses are NAME-ADDR:REASON.
func losses(o Outcome) string {
	var lines []string
	for _, d := range o.Decisions {
		for _, loss := range d.Lost {
			lines = append(lines, fmt.Sprintf("%s-%s:%s", d.Service.Name, loss.Addr, loss.Reason))
		}
	}
	return strings.Join(lines, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got: %s\nwant: %s", what, got, want)
	}
}
