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

package managers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/test/testenv/managers"
)

const clients = 6

func TestEitherOfTwoManagersMayDie(t *testing.T) {
	for _, mode := range []allocator.Mode{allocator.Advisory, allocator.Authoritative} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel() // they mostly wait for a lease to run out
			survive(t, mode)
		})
	}
}

func survive(t *testing.T, mode allocator.Mode) {
	s := newScene(t, mode)
	first, second := s.running[0], s.running[1]
	s.within("not exactly one leads", func() error {
		if s.leads(first) == s.leads(second) {
			return errors.New("both or none")
		}
		return nil
	})
	leader, other := first, second
	if s.leads(second) {
		leader, other = second, first
	}
	served := s.certificate(leader)
	if !served.Equal(s.certificate(other)) {
		t.Error("the managers have different certificates")
	}

	told, stop := s.populate()
	s.bothAnswer(leader, other)
	s.answersAlone(other, leader)

	// The one that does not lead dies, and comes back.
	s.kill(other)
	s.answers(leader)
	other = s.replace()
	if !served.Equal(s.certificate(other)) {
		t.Error("a manager that comes back has another certificate")
	}
	s.bothAnswer(leader, other)

	// The leader dies.
	left := s.claimed()
	s.kill(leader)
	died := time.Now()
	s.answers(other)
	s.must(s.api.Create(t.Context(), reservation()))
	third := s.replace()
	s.within("the reservation is not held", s.held)
	tookOver := time.Since(died)
	s.within("claims that the dead leader has left are there", func() error { return s.collected(left) })
	s.bothAnswer(other, third)
	if s.leads(other) == s.leads(third) {
		t.Error("both managers lead, or none")
	}

	stop()
	var services corev1.ServiceList
	s.must(s.api.List(t.Context(), &services, client.InNamespace(metav1.NamespaceDefault)))
	for _, wrong := range told.differences(services.Items) {
		t.Error(wrong)
	}
	t.Logf("%s: reservations were held again %.0f s after the leader had died, and %d claims that it had left collected; of %d managers two were killed\n%s",
		mode, tookOver.Seconds(), len(left), s.started, told)
	s.everyPortCanBeHad()
}

// populate has clients make requests until they are stopped.
func (s *scene) populate() (told *books, stop func()) {
	told = newBooks()
	ctx, cancel := context.WithCancel(s.Context())
	var busy sync.WaitGroup
	for n := range clients {
		c := &tenant{
			api: s.api, books: told, ports: allocator.PortSpan{First: reservedPort + 1, Last: ports.Last},
			random: rand.New(rand.NewPCG(uint64(n), 5)), name: fmt.Sprintf("client-%d", n),
		}
		busy.Go(func() { c.live(ctx) })
	}
	stop = func() {
		cancel()
		busy.Wait()
	}
	s.Cleanup(stop)
	return told, stop
}

// answers waits until a manager has been asked once more.
func (s *scene) answers(m *managers.Manager) {
	s.Helper()
	before := s.judged(m)
	s.within("a manager is not asked", func() error {
		if now := s.judged(m); now <= before {
			return fmt.Errorf("%v requests", now)
		}
		return nil
	})
}

// bothAnswer cuts the API server's connections, as it keeps to those that it has.
func (s *scene) bothAnswer(all ...*managers.Manager) {
	s.Helper()
	for _, m := range all {
		before := s.judged(m)
		s.within("one of two managers is not asked", func() error {
			if s.judged(m) > before {
				return nil
			}
			for _, each := range all {
				s.front.Remove(each.Webhooks())
				s.front.Add(each.Webhooks())
			}
			return errors.New("not yet")
		})
	}
}

// answersAlone shows that a manager names the holder of a port while no other is
// there to do so.
func (s *scene) answersAlone(alone, absent *managers.Manager) {
	s.Helper()
	s.front.Remove(absent.Webhooks())
	defer s.front.Add(absent.Webhooks())
	holder := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: managers.Namespace, Name: "holder"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	s.must(s.api.Create(s.Context(), holder))
	s.within("the holder is not named", func() error {
		service := holder.DeepCopy()
		service.ObjectMeta = metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "late"}
		service.Spec.ClusterIP, service.Spec.ClusterIPs = "", nil
		err := s.api.Create(s.Context(), service, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "held by Service "+managers.Namespace+"/holder") {
			return fmt.Errorf("answered: %w", err)
		}
		return nil
	})
	s.must(s.api.Delete(s.Context(), holder))
}

// reservedPort is none that the clients ask for by number, and in the band that
// automatic choices leave for those who do (KEP-3668).
const reservedPort = 30000

func reservation() *v1alpha1.PortReservation {
	return &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(reservedPort)}, Spec: v1alpha1.PortReservationSpec{
		ServiceRef: &v1alpha1.ServiceReference{Namespace: metav1.NamespaceDefault, Name: "rightful"},
	}}
}

// held is nil when a leader has had the API server itself refuse the port.
func (s *scene) held() error {
	now := reservation()
	if err := s.api.Get(s.Context(), client.ObjectKeyFromObject(now), now); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionHeld) {
		return fmt.Errorf("its conditions are %v", now.Status.Conditions)
	}
	return nil
}

// claimed makes a Service whose numbers are claimed in both modes, as one is
// automatic beside an explicit one, and returns the claims. Only a leader collects
// them, and not before they are ten seconds old.
func (s *scene) claimed() (claims []coordinationv1.Lease) {
	s.Helper()
	s.within("no Service whose numbers are claimed", func() error {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, GenerateName: "steady-"},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{
				{Name: "a", Port: 80}, {Name: "b", Port: 81, NodePort: reservedPort + 1 + rand.Int32N(ports.Last-reservedPort)},
			}},
		}
		if err := s.api.Create(s.Context(), service); err != nil {
			return err // somebody has that port
		}
		var leases coordinationv1.LeaseList
		if err := s.api.List(s.Context(), &leases, client.InNamespace(managers.Namespace), client.HasLabels{allocator.ClaimLabel}); err != nil {
			return err
		}
		for _, lease := range leases.Items {
			claim, err := allocator.ClaimOfLease(&lease)
			if err == nil && claim.Number.IsPort() && slices.Contains(portsOf(service), claim.Number.Port) {
				claims = append(claims, lease)
			}
		}
		if len(claims) == 0 {
			return errors.New("the webhook has claimed nothing")
		}
		return nil
	})
	return claims
}

func (s *scene) collected(claims []coordinationv1.Lease) error {
	for i := range claims {
		now := claims[i].DeepCopy()
		err := s.api.Get(s.Context(), client.ObjectKeyFromObject(now), now)
		if err == nil && now.UID == claims[i].UID {
			return fmt.Errorf("Lease %s, made at %s", now.Name, now.CreationTimestamp)
		}
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// everyPortCanBeHad deletes every Service and takes each port by number, the
// reserved one by its rightful Service.
func (s *scene) everyPortCanBeHad() {
	s.Helper()
	for _, namespace := range []string{metav1.NamespaceDefault, metav1.NamespacePublic} {
		s.must(s.api.DeleteAllOf(s.Context(), &corev1.Service{}, client.InNamespace(namespace)))
	}
	var takers sync.WaitGroup
	for n := range int32(clients) {
		takers.Go(func() {
			for port := ports.First + n; port <= ports.Last; port += clients {
				service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("last-%d", port)},
					Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}}}
				if port == reservedPort {
					service.Name = "rightful"
				}
				if err := s.api.Create(s.Context(), service); err != nil {
					s.Errorf("port %d is lost: %v", port, err)
				}
			}
		})
	}
	takers.Wait()
}
