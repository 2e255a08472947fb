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

package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// policiesSay returns the warnings of policies, which are not those of rules.
func policiesSay(do func() error) ([]string, error) {
	warnings.mu.Lock()
	warnings.text = nil
	warnings.mu.Unlock()
	err := do()
	warnings.mu.Lock()
	defer warnings.mu.Unlock()
	var said []string
	for _, text := range warnings.text {
		if strings.Contains(text, "ValidatingAdmissionPolicy") {
			said = append(said, text)
		}
	}
	return said, err
}

// setNamespaceLabel sets a label of a namespace, or with nil takes it away.
func setNamespaceLabel(name, key string, value any) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{key: value}}})
	Expect(err).NotTo(HaveOccurred())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(api.Patch(context.Background(), namespace, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
}

// clientOf is a client of somebody with every right.
func clientOf(user string) client.Client {
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// No manager runs here: policies are the API server's own.
var _ = Describe("The policies", Ordered, func() {
	var namespace string

	BeforeEach(func() { namespace = newNamespace(nil) })

	beDenied := func(policy, words string) OmegaMatcher {
		return And(HaveOccurred(), MatchError(ContainSubstring("ValidatingAdmissionPolicy 'switchyard-"+policy+"'")), MatchError(ContainSubstring(words)))
	}
	wish := func(name, ip string) *corev1.Service {
		svc := makeService(namespace, name).balanced().Service
		svc.Spec.LoadBalancerIP = ip
		return svc
	}
	withPort := func(name string, port int32) *discoveryv1.EndpointSlice {
		slice := makeSlice(namespace, name, "192.0.2.1")
		slice.Ports = []discoveryv1.EndpointPort{{Port: new(port)}}
		return slice
	}

	It("S1 refuses a loadBalancerIP that is no address", func() {
		Eventually(dryRun).WithArguments(wish("web", "tomorrow")).Should(beDenied("load-balancer-ip", "spec.loadBalancerIP: tomorrow is no IP address"))
		Expect(dryRun(wish("web", "192.0.2.256"))).To(beDenied("load-balancer-ip", "policy S1"))
		for _, good := range []string{"", "192.0.2.1", "2001:db8::1"} {
			Expect(dryRun(wish("web", good))).To(Succeed())
		}
	})

	It("S1 leaves editable what was wrong before", func() {
		off := newNamespace(map[string]string{"rule.switchyard.dev/S1": "off"})
		old := wish("old", "tomorrow")
		old.Namespace = off
		Eventually(create).WithArguments(old).Should(Succeed())
		setNamespaceLabel(off, "rule.switchyard.dev/S1", nil)
		bad := wish("new", "tomorrow")
		bad.Namespace = off
		Eventually(dryRun).WithArguments(bad).Should(beDenied("load-balancer-ip", "policy S1"))
		old.Spec.Ports[0].Port = 81
		Expect(api.Update(context.Background(), old)).To(Succeed())
		old.Spec.LoadBalancerIP = "yesterday"
		Expect(api.Update(context.Background(), old)).To(beDenied("load-balancer-ip", "yesterday"))
	})

	It("S2 refuses port numbers that are none in an EndpointSlice", func() {
		for _, bad := range []int32{0, -1, 65536} {
			Eventually(dryRun).WithArguments(withPort("web-1", bad)).Should(beDenied("endpointslice-ports", "between 1 and 65535"))
		}
		every := withPort("web-1", 80)
		every.Ports[0].Port = nil
		none := withPort("web-1", 80)
		none.Ports = nil
		for _, good := range []*discoveryv1.EndpointSlice{withPort("web-1", 1), withPort("web-1", 65535), every, none} {
			Expect(dryRun(good)).To(Succeed())
		}
	})

	It("S2 leaves editable what was wrong before, and stops no controller", func() {
		controller := clientOf("system:serviceaccount:kube-system:endpointslice-controller")
		slice := withPort("web-1", 0)
		Eventually(dryRun).WithArguments(slice).Should(HaveOccurred())
		Expect(controller.Create(context.Background(), slice)).To(Succeed())
		slice.Labels = map[string]string{"a": "b"}
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.2"}})
		Expect(api.Update(context.Background(), slice)).To(Succeed())
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: new("b"), Port: ptr.To[int32](80)})
		Expect(api.Update(context.Background(), slice)).To(Succeed())
		slice.Ports[1].Port = ptr.To[int32](70000)
		Expect(api.Update(context.Background(), slice)).To(beDenied("endpointslice-ports", "policy S2"))
	})

	It("S3 refuses a nodePort of an ExternalName, and warns of a selector", func() {
		named := makeService(namespace, "web").alias("example.org").Service
		named.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: 30033}}
		Eventually(dryRun).WithArguments(named).Should(beDenied("external-name-node-port", "policy S3"))
		named.Spec.Ports[0].NodePort = 0
		Expect(policiesSay(func() error { return dryRun(named) })).To(BeEmpty())
		named.Spec.Selector = map[string]string{"app": "web"}
		Eventually(policiesSay).WithArguments(func() error { return dryRun(named) }).Should(
			ConsistOf(ContainSubstring("spec.selector: an ExternalName selects no pods")))

		By("letting one that had it be changed")
		Expect(create(named)).To(Succeed())
		named.Labels = map[string]string{"a": "b"}
		Expect(policiesSay(func() error { return api.Update(context.Background(), named) })).To(BeEmpty())
	})

	It("S3 leaves editable a nodePort of before", func() {
		off := newNamespace(map[string]string{"rule.switchyard.dev/S3": "off"})
		old := makeService(off, "old").alias("example.org").Service
		old.Spec.Ports = []corev1.ServicePort{{Name: "a", Port: 80, NodePort: 30034}, {Name: "b", Port: 81}}
		Eventually(create).WithArguments(old).Should(Succeed())
		setNamespaceLabel(off, "rule.switchyard.dev/S3", nil)
		bad := makeService(off, "new").alias("example.org").Service
		bad.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: 30035}}
		Eventually(dryRun).WithArguments(bad).Should(beDenied("external-name-node-port", "policy S3"))
		old.Spec.ExternalName = "example.com"
		Expect(api.Update(context.Background(), old)).To(Succeed())
		old.Spec.Ports[1].NodePort = 30035
		Expect(api.Update(context.Background(), old)).To(beDenied("external-name-node-port", "policy S3"))
	})

	It("S4 warns of what is listed twice", func() {
		twice := makeService(namespace, "web").external("2001:db8::1", "203.0.113.40", "2001:db8:0::1").Service
		Eventually(policiesSay).WithArguments(func() error { return dryRun(twice) }).Should(ConsistOf(ContainSubstring("spec.externalIPs: an address is listed twice")))
		ranges := makeService(namespace, "ranges").balanced().Service
		ranges.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24", " 192.0.2.0/24"}
		Eventually(policiesSay).WithArguments(func() error { return dryRun(ranges) }).Should(ConsistOf(ContainSubstring("spec.loadBalancerSourceRanges: a range is listed twice")))
		Expect(policiesSay(func() error {
			return dryRun(makeService(namespace, "web").external("203.0.113.41", "203.0.113.42").Service)
		})).To(BeEmpty())

		By("not comparing a thousand with each other")
		long := []string{"203.0.113.43", "203.0.113.43"}
		for i := range 99 {
			long = append(long, fmt.Sprintf("198.18.0.%d", i))
		}
		Expect(policiesSay(func() error { return dryRun(makeService(namespace, "web").external(long...).Service) })).To(BeEmpty())
		Expect(policiesSay(func() error { return dryRun(makeService(namespace, "web").external(long[:100]...).Service) })).To(HaveLen(1))

		By("letting one that had it be changed")
		Expect(create(twice)).To(Succeed())
		twice.Labels = map[string]string{"a": "b"}
		Expect(policiesSay(func() error { return api.Update(context.Background(), twice) })).To(BeEmpty())
	})

	It("S5 warns of fields that do nothing for a headless Service", func() {
		headless := makeService(namespace, "web").Service
		headless.Spec.ClusterIP = corev1.ClusterIPNone
		Expect(policiesSay(func() error { return dryRun(headless) })).To(BeEmpty())
		headless.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		headless.Spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyLocal)
		headless.Spec.TrafficDistribution = new("PreferSameZone")
		Eventually(policiesSay).WithArguments(func() error { return dryRun(headless) }).Should(ConsistOf(
			ContainSubstring("spec.sessionAffinity"), ContainSubstring("spec.internalTrafficPolicy"), ContainSubstring("spec.trafficDistribution")))
		proxied := headless.DeepCopy()
		proxied.Spec.ClusterIP = ""
		Expect(policiesSay(func() error { return dryRun(proxied) })).To(BeEmpty())

		By("letting one that had them be changed")
		Expect(create(headless)).To(Succeed())
		headless.Labels = map[string]string{"a": "b"}
		Expect(policiesSay(func() error { return api.Update(context.Background(), headless) })).To(BeEmpty())
	})

	It("S6 refuses what is too large to be judged", func() {
		ports := func(count int) *corev1.Service {
			svc := makeService(namespace, "web").Service
			svc.Spec.Ports = nil
			for i := range count {
				svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", i), Port: int32(i + 1)})
			}
			return svc
		}
		Eventually(dryRun).WithArguments(ports(1001)).Should(beDenied("service-size", "at most 1000 ports"))
		Expect(dryRun(ports(1000))).To(Succeed())

		var ips []string
		many := makeEndpoints(namespace, "many", "203.0.113.1")
		for i := range 10_000 {
			address := fmt.Sprintf("203.1.%d.%d", i>>8, i&255)
			ips = append(ips, address)
			many.Subsets[0].NotReadyAddresses = append(many.Subsets[0].NotReadyAddresses, corev1.EndpointAddress{IP: address})
		}
		Expect(dryRun(makeService(namespace, "web").external(ips[:1001]...).Service)).To(beDenied("service-size", "at most 1000 external IPs"))
		Eventually(dryRun).WithArguments(many).Should(beDenied("endpoints-size", "at most 10000 addresses"))
		many.Subsets[0].Addresses = nil
		Expect(dryRun(many)).To(Succeed())

		By("counting ports and owners, which take three times as much in JSON as in the storage")
		open := makeEndpoints(namespace, "open", "203.0.113.1")
		slice := makeSlice(namespace, "open", "203.0.113.1")
		open.Subsets[0].Ports, slice.Ports = nil, nil
		for i := range 10_000 {
			open.Subsets[0].Ports = append(open.Subsets[0].Ports, corev1.EndpointPort{Name: fmt.Sprintf("p%d", i), Port: 80})
		}
		for i := range 1000 {
			slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: new(fmt.Sprintf("p%d", i)), Port: ptr.To[int32](80)})
		}
		Expect(dryRun(open)).To(Succeed())
		Expect(dryRun(slice)).To(Succeed())
		open.Subsets[0].Ports = append(open.Subsets[0].Ports, corev1.EndpointPort{Name: "more", Port: 80})
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: new("more"), Port: ptr.To[int32](80)})
		Expect(dryRun(open)).To(beDenied("endpoints-size", "at most 10000 ports"))
		Expect(dryRun(slice)).To(beDenied("endpointslice-size", "at most 1000 ports"))
		var owners []metav1.OwnerReference
		for i := range 101 {
			owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "web", UID: types.UID(fmt.Sprint(i))})
		}
		for policy, object := range map[string]client.Object{
			"service-size":       makeService(namespace, "owned").Service,
			"endpoints-size":     makeEndpoints(namespace, "owned", "203.0.113.1"),
			"endpointslice-size": makeSlice(namespace, "owned", "203.0.113.1"),
		} {
			object.SetOwnerReferences(owners)
			Expect(dryRun(object)).To(beDenied(policy, "at most 100 owners"))
			object.SetOwnerReferences(owners[1:])
			Expect(dryRun(object)).To(Succeed())
		}

		By("letting one that was larger before be changed")
		off := newNamespace(map[string]string{"rule.switchyard.dev/S6": "off"})
		large := ports(1002)
		large.Namespace = off
		Eventually(create).WithArguments(large).Should(Succeed())
		crowd := many.DeepCopy()
		crowd.Namespace = off
		crowd.Subsets[0].Addresses = []corev1.EndpointAddress{{IP: "203.0.113.1"}, {IP: "203.0.113.2"}}
		Eventually(create).WithArguments(crowd).Should(Succeed())
		setNamespaceLabel(off, "rule.switchyard.dev/S6", nil)
		another := ports(1002)
		another.Namespace, another.Name = off, "another"
		Eventually(dryRun).WithArguments(another).Should(beDenied("service-size", "policy S6"))
		large.Spec.Ports = large.Spec.Ports[:1001]
		Expect(api.Update(context.Background(), large)).To(Succeed())
		more := crowd.DeepCopy()
		more.Subsets[0].Addresses = append(more.Subsets[0].Addresses, corev1.EndpointAddress{IP: "203.0.113.3"})
		Eventually(func() error { return api.Update(context.Background(), more.DeepCopy(), client.DryRunAll) }).Should(
			beDenied("endpoints-size", "at most 10000 addresses"))
		crowd.Subsets[0].Addresses = crowd.Subsets[0].Addresses[1:]
		Expect(api.Update(context.Background(), crowd)).To(Succeed())
	})

	It("warn of labels of a namespace that change no rule", func() {
		label := func(key, value string) func() error {
			return func() error {
				return dryRun(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "labelled", Labels: map[string]string{key: value}}})
			}
		}
		for _, bad := range [][2]string{{"rule.switchyard.dev/X99", "off"}, {"rule.switchyard.dev/X12", "never"}, {"rule.switchyard.dev/S1", "warn"}} {
			Eventually(policiesSay).WithArguments(label(bad[0], bad[1])).Should(HaveLen(1), "%v", bad)
		}
		for _, good := range [][2]string{{"rule.switchyard.dev/X12", "off"}, {"rule.switchyard.dev/S5", "off"}, {"team", "blue"}} {
			Expect(policiesSay(label(good[0], good[1]))).To(BeEmpty(), "%v", good)
		}
	})
})
