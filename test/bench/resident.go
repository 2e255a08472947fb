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

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	pacing "golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// answers are how long requests took, as the clients saw it.
type answers struct {
	mu      sync.Mutex
	took    map[string][]time.Duration // by what was asked for
	refused int
	reasons map[string]int
}

func newAnswers() *answers {
	return &answers{took: map[string][]time.Duration{}, reasons: map[string]int{}}
}

// ask times one request. One that is refused is one that was answered.
func (a *answers) ask(what string, request func() error) (granted bool, err error) {
	began := time.Now()
	err = request()
	took := time.Since(began)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.took[what] = append(a.took[what], took)
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsConflict(err) {
		a.refused++
		a.reasons[err.Error()]++
		return false, nil
	}
	return err == nil, err
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := 0
	for _, took := range a.took {
		sum += len(took)
	}
	return sum
}

// resident creates, changes and deletes Services of every kind, one after the other.
type resident struct {
	client *kubernetes.Clientset
	number int
	name   string
	random *rand.Rand
	pace   *pacing.Limiter
	made   int
}

// crowd is so many clients at a time.
type crowd []*resident

func (t *town) crowd(load load) crowd {
	pace := pacing.NewLimiter(pacing.Inf, 1)
	if load.perSecond > 0 {
		pace = pacing.NewLimiter(pacing.Limit(load.perSecond), 1)
	}
	t.crowds++ // a Service that has its name from before would have its claims, too
	var all crowd
	for n := range load.clients {
		all = append(all, &resident{
			client: t.client, number: n, name: fmt.Sprintf("new-%d-%d", t.crowds, n), random: rand.New(rand.NewPCG(uint64(n), 11)), pace: pace,
		})
	}
	return all
}

// live has each make so many Services.
func (c crowd) live(ctx context.Context, rounds int, into *answers) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range c {
		group.Go(func() error {
			for range rounds {
				if err := r.round(ctx, into); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// ask makes one request in its turn.
func (r *resident) ask(ctx context.Context, a *answers, what string, request func() error) (bool, error) {
	if err := r.pace.Wait(ctx); err != nil {
		return false, err
	}
	return a.ask(what, request)
}

// round is one life of a Service: three requests.
func (r *resident) round(ctx context.Context, a *answers) error {
	r.made++
	services := r.client.CoreV1().Services(tenant(r.random.IntN(tenants)))
	service := r.service()
	granted, err := r.ask(ctx, a, "create", func() (err error) {
		service, err = services.Create(ctx, service, metav1.CreateOptions{})
		return err
	})
	if err != nil || !granted {
		return err
	}
	change(service)
	if _, err := r.ask(ctx, a, "update", func() error {
		_, err := services.Update(ctx, service, metav1.UpdateOptions{})
		return err
	}); err != nil {
		return err
	}
	_, err = r.ask(ctx, a, "delete", func() error { return services.Delete(ctx, service.Name, metav1.DeleteOptions{}) })
	return err
}

// service is of one kind after the other. Clients begin with different ones: all
// at the same would measure one kind with few requests of each, and the lock that
// the API server has around all ports.
func (r *resident) service() *corev1.Service {
	name := fmt.Sprintf("%s-%d", r.name, r.made)
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": serviceName(podEvery * r.random.IntN(1000))},
			Ports:    []corev1.ServicePort{{Name: portName, Port: servicePort}},
		},
	}
	switch (r.made + r.number) % 8 {
	case 0:
		s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyPreferDualStack)
	case 1:
		s.Spec.Type = corev1.ServiceTypeNodePort
	case 2:
		s.Spec.Type = corev1.ServiceTypeNodePort
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "fixed", Port: 8443, NodePort: r.fixedPort()})
	case 3:
		s.Spec.ClusterIP = corev1.ClusterIPNone
	case 4:
		s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "www.example.com"}
	case 5:
		s.Spec.ExternalIPs = []string{nth(externalCIDR, 1<<15+r.number<<8+r.made%256).String()}
	case 6:
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
	}
	return s
}

// fixedPort is not asked for again before seconds have passed: whoever wants a
// number that somebody has just given up may have to wait, which is another matter.
func (r *resident) fixedPort() int32 {
	const each = 20
	return int32(firstFixedPort + r.number*each + r.made/8%each)
}

// change gives every kind something new to be judged.
func change(s *corev1.Service) {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		s.Spec.ExternalName = "mail.example.com"
		return
	}
	s.Spec.Selector["tier"] = "front"
	s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "more", Port: 8080})
}
