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

package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
)

// Runner plays kubelet for one node.
type Runner struct {
	config    Config
	log       logr.Logger
	client    kubernetes.Interface
	addresses *addresses
	services  corelisters.ServiceLister
	watches   watches
	recorder  record.EventRecorder

	mu      sync.Mutex
	workers map[types.UID]*worker
	byKey   map[string]*worker   // the newest of each namespace_name
	kept    map[types.UID]uint32 // addresses of Pods that have no worker yet
}

// New returns a runner; Run checks its Config.
func New(config Config) *Runner {
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &Runner{
		config: config, log: config.Log.WithValues("node", config.NodeName),
		addresses: newAddresses(config.PodCIDRs),
		workers:   map[types.UID]*worker{}, byKey: map[string]*worker{},
	}
}

// Run registers the node and runs its Pods until ctx ends; then it takes down
// what it made. An API server that does not answer is waited for.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.config.validate(); err != nil {
		return err
	}
	rest := rest.CopyConfig(r.config.REST)
	rest.QPS, rest.Burst = 200, 400 // a kubelet's 50 and 100, for Deployments scaled in one go
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return fmt.Errorf("node %s: %w", r.config.NodeName, err)
	}
	r.client, r.watches.client = client, client
	if err := r.cleanLeftovers(); err != nil {
		return fmt.Errorf("node %s: removing what an earlier run left: %w", r.config.NodeName, err)
	}
	if err := prepareNode(r.config.Namespace); err != nil {
		return fmt.Errorf("node %s: %w", r.config.NodeName, err)
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	r.recorder = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: r.config.NodeName})

	group, ctx := errgroup.WithContext(ctx)
	if err := r.serveKubelet(ctx, group); err != nil {
		return fmt.Errorf("node %s: %w", r.config.NodeName, err)
	}
	group.Go(func() error { return r.keepNode(ctx) })
	group.Go(func() error { return r.runPods(ctx) })
	return group.Wait()
}

// runPods watches and works until ctx ends.
func (r *Runner) runPods(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(r.client, 0)
	r.services = factory.Core().V1().Services().Lister()
	servicesSynced := factory.Core().V1().Services().Informer().HasSynced
	ours := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", r.config.NodeName).String()
	}
	pods := informers.NewSharedInformerFactoryWithOptions(r.client, 0, informers.WithTweakListOptions(ours))
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	// A container's environment is made once, so all Services come first.
	if !cache.WaitForCacheSync(ctx.Done(), servicesSynced) {
		return nil
	}
	err := r.retry(ctx, "list the node's Pods", func() error {
		options := metav1.ListOptions{}
		ours(&options)
		list, err := r.client.CoreV1().Pods("").List(ctx, options)
		if err == nil {
			r.keepAddresses(list.Items)
		}
		return err
	})
	if err != nil {
		return nil //nolint:nilerr // ctx ended
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	informer := pods.Core().V1().Pods().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { r.offer(ctx, &workers, o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { r.offer(ctx, &workers, o.(*corev1.Pod)) },
		DeleteFunc: func(o any) { r.forget(o) },
	})
	if err != nil {
		return err
	}
	pods.Start(ctx.Done())
	defer pods.Shutdown()
	<-ctx.Done()
	return nil
}

// offer gives a Pod to its worker. A new worker waits for an earlier Pod's of
// the same name, whose namespace has that name.
func (r *Runner) offer(ctx context.Context, workers *sync.WaitGroup, pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.workers[pod.UID]; w != nil {
		w.offer(pod)
		return
	}
	if ctx.Err() != nil {
		return
	}
	var after <-chan struct{}
	if earlier := r.byKey[podKey(pod)]; earlier != nil {
		earlier.leave()
		after = earlier.done
	}
	w := newWorker(r, pod, after)
	r.workers[pod.UID], r.byKey[podKey(pod)] = w, w
	workers.Go(func() {
		w.work(ctx)
		r.drop(pod, w)
	})
}

func (r *Runner) forget(o any) {
	if tombstone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = tombstone.Obj
	}
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.workers[pod.UID]; w != nil {
		w.leave()
	}
}

func (r *Runner) drop(pod *corev1.Pod, w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.workers, pod.UID)
	if r.byKey[podKey(pod)] == w {
		delete(r.byKey, podKey(pod))
	}
}

func (r *Runner) event(pod *corev1.Pod, kind, reason, message string) {
	r.recorder.Event(pod, kind, reason, message)
}

func (r *Runner) serviceList() ([]*corev1.Service, error) {
	return r.services.List(labels.Everything())
}

func (r *Runner) removeLogs(pod *corev1.Pod) {
	_ = os.RemoveAll(filepath.Join(r.config.StateDir, "logs", podKey(pod)+"_"+string(pod.UID)))
}

// retry calls f until it succeeds or ctx ends, telling why it waits.
func (r *Runner) retry(ctx context.Context, what string, f func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := f()
		if err == nil {
			return nil
		}
		r.log.Info("Waiting for the API server", "to", what, "reason", err.Error())
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}
