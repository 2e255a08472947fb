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

package discovery

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// seedVariable and servicesVariable vary the Services, and how many there are.
	seedVariable     = "SWITCHYARD_DIFFERENTIAL_SEED"
	servicesVariable = "SWITCHYARD_DIFFERENTIAL_SERVICES"
	defaultSeed      = 1
	defaultServices  = 32

	// patience is for a machine that has other work.
	patience = 2 * time.Minute
)

func TestAnswersAreThoseOfTheKubernetesPlugin(t *testing.T) {
	c := startCluster(t)
	seed, count := setting(t, seedVariable, defaultSeed), setting(t, servicesVariable, defaultServices)
	t.Logf("%s=%d, %d Services", seedVariable, seed, count)
	g := newGenerator(seed)
	populate(t, c, g, count)
	sentinels := 0
	for _, tc := range []struct{ name, options string }{ // in this order: the seed goes on from one to the next
		{"by default", ""},
		{"pods insecure, pod names", "pods insecure\n endpoint_pod_names\n ttl 30"},
		{"some namespaces, empty ones ignored", "namespaces shop svc\n ignore empty_service"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			peer, ours := startServer(t, c, "kubernetes", tc.options), startServer(t, c, "switchyard", tc.options)
			seen := map[string]int{}
			for range 2 {
				sentinels++
				awaitSentinel(t, c, peer, ours, fmt.Sprint("sentinel-", sentinels))
				compareAll(t, services(t, c), peer, ours, seen)
				change(t, c, g, count)
			}
			for _, d := range differences {
				if seen[d.name] == 0 && !strings.Contains(d.rare, tc.name) {
					t.Errorf("the difference %q was not seen", d.name)
				}
			}
			t.Logf("%d answers are the same; differences: %v", seen["same"], seen)
		})
	}
}

func setting(t *testing.T, variable string, value uint64) uint64 {
	t.Helper()
	if text := os.Getenv(variable); text != "" {
		var err error
		if value, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
	}
	return value
}

func compareAll(t *testing.T, services []*corev1.Service, peer, ours *server, seen map[string]int) {
	t.Helper()
	bad := 0
	for _, name := range names(services) {
		for _, kind := range types {
			theirs, mine := peer.ask(t, name, kind), ours.ask(t, name, kind)
			if cmp.Equal(theirs, mine) {
				seen["same"]++
				continue
			}
			q := question{name, kind, peer.ask(t, name, dns.TypeA), theirs, mine, func(name string, kind uint16) reply { return peer.ask(t, name, kind) }}
			if at := slices.IndexFunc(differences, func(d difference) bool { return d.is(q) }); at >= 0 {
				seen[differences[at].name]++
				continue
			}
			t.Errorf("%s %s (-kubernetes +switchyard):\n%s", name, dns.Type(kind), cmp.Diff(theirs, mine))
			if bad++; bad > 20 {
				t.Fatal("and so on")
			}
		}
	}
}

func services(t *testing.T, c cluster) []*corev1.Service {
	t.Helper()
	list, err := c.client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all []*corev1.Service
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	return all
}

// populate fills the cluster.
func populate(t *testing.T, c cluster, g generator, count uint64) {
	t.Helper()
	for _, name := range append(namespaces, "empty") {
		_, err := c.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
	}
	var jobs []func(context.Context) error
	for i := range int(count) {
		if i%20 != 7 { // some slices have no Service
			svc := g.service(i)
			jobs = append(jobs, func(ctx context.Context) error {
				_, err := c.client.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{})
				return err
			})
		}
		for n := range g.IntN(4) {
			eps := g.slice(i, n)
			jobs = append(jobs, func(ctx context.Context) error {
				_, err := c.client.DiscoveryV1().EndpointSlices(eps.Namespace).Create(ctx, eps, metav1.CreateOptions{})
				return err
			})
		}
	}
	do(t, jobs)
}

// change replaces half of the objects, so that each round asks for other ones.
func change(t *testing.T, c cluster, g generator, count uint64) {
	t.Helper()
	var jobs []func(context.Context) error
	for i := range int(count) {
		namespace := namespaces[i%len(namespaces)]
		if g.chance(50) {
			svc := g.service(i)
			jobs = append(jobs, func(ctx context.Context) error {
				_ = c.client.CoreV1().Services(namespace).Delete(ctx, svc.Name, metav1.DeleteOptions{})
				_, err := c.client.CoreV1().Services(namespace).Create(ctx, svc, metav1.CreateOptions{})
				return err
			})
		}
		if g.chance(50) {
			eps := g.slice(i, 0)
			jobs = append(jobs, func(ctx context.Context) error {
				_ = c.client.DiscoveryV1().EndpointSlices(namespace).Delete(ctx, eps.Name, metav1.DeleteOptions{})
				_, err := c.client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, eps, metav1.CreateOptions{})
				return err
			})
		}
	}
	do(t, jobs)
}

// do runs jobs, a few at a time.
func do(t *testing.T, jobs []func(context.Context) error) {
	t.Helper()
	var wait sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, job := range jobs {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := job(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// awaitSentinel makes a Service and a slice of a new name last, and waits for both
// servers to have seen both: what came before, they have seen as well, as each
// resource arrives in order.
func awaitSentinel(t *testing.T, c cluster, peer, ours *server, name string) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}}
	_, err := c.client.CoreV1().Services("shop").Create(t.Context(), &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: "None"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.client.DiscoveryV1().EndpointSlices("shop").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.9.9.9"}}}}, metav1.CreateOptions{})
	must(t, err)
	for _, s := range []*server{peer, ours} {
		s.awaitAddress(t, name+".shop.svc."+zone)
	}
}

func (s *server) awaitAddress(t *testing.T, name string) {
	t.Helper()
	for late := time.After(patience); len(s.ask(t, name, dns.TypeA).Answer) == 0; {
		select {
		case <-late:
			t.Fatalf("%s has no address after %s", name, patience)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
