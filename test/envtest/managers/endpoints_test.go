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
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/test/testenv/managers"
)

const (
	// townServices have the pods of the town together, and one more has them all.
	townServices = 20
	// townWriters is who changes pods at a time.
	townWriters = 8
)

var townPods = flag.Int("pods", 400, "pods of a large update")

// TestLeadersDieInTheMiddleOfALargeUpdate ends the leader with SIGKILL while
// hundreds of pods change, and that which takes over while they change back. Each Service
// has ready pods all the time, so none may ever be without a ready endpoint.
func TestLeadersDieInTheMiddleOfALargeUpdate(t *testing.T) {
	t.Parallel() // it mostly waits for a lease to run out
	s := newServer(t, "--endpoints=all", "--webhooks=off", "--allocation=off")
	town := newTown(s)
	s.awaitReady(s.start())
	s.awaitReady(s.start())
	s.within("slices and Endpoints are not those of the pods", town.follows)
	watch := town.watch()

	for round, half := range []int{1, 0} {
		leader := s.leader()
		// Those of one half become ready before those of the other cease to be.
		pods := append(town.half(half), town.half(1-half)...)
		dies := len(pods)/3 + rand.IntN(len(pods)/3)
		died, behind := 0, 0
		var dying sync.Mutex // and dead: nobody unlocks it then
		town.change(pods, func(i int, pod *corev1.Pod) {
			if i >= dies && dying.TryLock() {
				if behind = town.killBehind(leader); behind > 0 {
					died = i
				} else {
					dying.Unlock()
				}
			}
			town.set(pod, i < len(pods)/2)
		})
		if behind == 0 {
			t.Error("the leader was done whenever it was to die: this has not tested what it is for")
		}
		s.awaitReady(s.start())
		s.within("slices and Endpoints are not those of the pods", town.follows)
		t.Logf("round %d: the leader died at change %d of %d, %d endpoints behind; %d versions of slices so far", round+1, died, len(pods), behind, watch.versions())
	}
	for _, empty := range watch.stop() {
		t.Error(empty)
	}
}

// killBehind kills the leader if there is something left for it to do, and tells how
// much. It is held meanwhile: else it could be done by the time that it dies.
func (w *town) killBehind(leader *managers.Manager) (behind int) {
	leader.Signal(syscall.SIGSTOP)
	if behind = w.behind(); behind == 0 {
		leader.Signal(syscall.SIGCONT)
		return 0
	}
	leader.Kill()
	return behind
}

// leader is the one of the managers.
func (s *scene) leader() (leader *managers.Manager) {
	s.Helper()
	s.within("nobody leads", func() error {
		for _, m := range s.running {
			if m.Alive() == nil && s.leads(m) {
				leader = m
				return nil
			}
		}
		return errors.New("no manager says that it does")
	})
	return leader
}

// town is the Services and pods of the test.
type town struct {
	*scene
	pods []*corev1.Pod
	mu   sync.Mutex
	// ready are the pods that are, by address.
	ready map[string]bool
}

func townService(i int) string { return fmt.Sprint("street-", i) }

const townAll = "town"

func newTown(s *scene) *town {
	s.Helper()
	w := &town{scene: s, ready: map[string]bool{}}
	s.must(s.api.Create(s.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}))
	for i := range townServices {
		s.must(s.api.Create(s.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: townService(i)},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"street": townService(i)}, Ports: []corev1.ServicePort{{Port: 80}}}}))
	}
	s.must(s.api.Create(s.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: townAll},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"town": "all"}, Ports: []corev1.ServicePort{{Port: 80}}}}))
	for i := range *townPods {
		address := fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250)
		w.pods = append(w.pods, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprint("pod-", i),
				Labels: map[string]string{"town": "all", "street": townService(i % townServices)}},
			Spec:   corev1.PodSpec{NodeName: "node-a", Containers: []corev1.Container{{Name: "main", Image: "web:1"}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}},
		})
	}
	w.change(w.pods, func(i int, pod *corev1.Pod) {
		status := pod.Status
		if err := s.api.Create(s.Context(), pod); err != nil {
			s.Error(err)
			return
		}
		pod.Status = status
		w.set(pod, i/townServices%2 == 0)
	})
	return w
}

// half are the pods whose number in their Service is even, or odd.
func (w *town) half(of int) (pods []*corev1.Pod) {
	for i, pod := range w.pods {
		if i/townServices%2 == of {
			pods = append(pods, pod)
		}
	}
	return pods
}

// change does something to all pods, some at a time and nearly in order.
func (w *town) change(pods []*corev1.Pod, do func(int, *corev1.Pod)) {
	var busy sync.WaitGroup
	next := make(chan int)
	for range townWriters {
		busy.Go(func() {
			for i := range next {
				do(i, pods[i])
			}
		})
	}
	for i := range pods {
		next <- i
	}
	close(next)
	busy.Wait()
}

// set makes a pod ready or not.
func (w *town) set(pod *corev1.Pod, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.Now()}}
	if err := w.api.Status().Update(w.Context(), pod); client.IgnoreNotFound(err) != nil {
		w.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ready[pod.Status.PodIP] = ready
}
