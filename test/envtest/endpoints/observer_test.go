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

package endpoints

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// observer watches the slices of a Service, or its Endpoints, as proxies do.
type observer struct {
	what  string
	list  func(context.Context) (runtime.Object, error)
	watch func(ctx context.Context, from string) (watch.Interface, error)
	// have are the ready addresses of each object.
	have map[string][]string
	// steady are the addresses that may be missing at no time.
	steady []string
	faults []string
}

// observe begins when all is well. At the end of the spec nothing may have gone amiss.
func (s scene) observe(service string, steady ...string) {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(restConfig)
	Expect(err).NotTo(HaveOccurred())
	endpointSlices, labelled := clientset.DiscoveryV1().EndpointSlices(s.namespace), discoveryv1.LabelServiceName+"="+service
	(&observer{
		what: "slices of " + service, steady: steady,
		list: func(ctx context.Context) (runtime.Object, error) {
			return endpointSlices.List(ctx, metav1.ListOptions{LabelSelector: labelled})
		},
		watch: func(ctx context.Context, from string) (watch.Interface, error) {
			return endpointSlices.Watch(ctx, metav1.ListOptions{LabelSelector: labelled, ResourceVersion: from})
		},
	}).run()
	endpoints, named := clientset.CoreV1().Endpoints(s.namespace), fields.OneTermEqualSelector(metav1.ObjectNameField, service).String()
	(&observer{
		what: "Endpoints " + service, steady: firstFamily(steady),
		list: func(ctx context.Context) (runtime.Object, error) {
			return endpoints.List(ctx, metav1.ListOptions{FieldSelector: named})
		},
		watch: func(ctx context.Context, from string) (watch.Interface, error) {
			return endpoints.Watch(ctx, metav1.ListOptions{FieldSelector: named, ResourceVersion: from})
		},
	}).run()
}

// firstFamily is what Endpoints of pods hold; the specs have IPv4 first.
func firstFamily(addresses []string) []string {
	return slices.DeleteFunc(slices.Clone(addresses), func(address string) bool { return strings.Contains(address, ":") })
}

func (o *observer) run() {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	from, err := o.look(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(o.faults).To(BeEmpty(), "at the beginning")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if events, err := o.watch(ctx, from); err == nil {
				for event := range events.ResultChan() {
					o.see(event)
				}
			}
			// The API server is away, or was: what there is now is looked at as soon as
			// it answers.
			for from, err = o.look(ctx); err != nil && ctx.Err() == nil; from, err = o.look(ctx) {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}()
	DeferCleanup(func() {
		cancel()
		<-done
		Expect(o.faults).To(BeEmpty())
	})
}

// look takes in all there is.
func (o *observer) look(ctx context.Context) (version string, err error) {
	list, err := o.list(ctx)
	if err != nil {
		return "", err
	}
	o.have = map[string][]string{}
	if err := meta.EachListItem(list, func(object runtime.Object) error { return o.take(object) }); err != nil {
		return "", err
	}
	o.check("a list")
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return "", err
	}
	return accessor.GetResourceVersion(), nil
}

func (o *observer) see(event watch.Event) {
	accessor, err := meta.Accessor(event.Object)
	if err != nil {
		return // an error, after which the watch ends
	}
	if event.Type == watch.Deleted {
		delete(o.have, accessor.GetName())
	} else if err := o.take(event.Object); err != nil {
		return
	}
	o.check(fmt.Sprint(event.Type, " of ", accessor.GetName()))
}

func (o *observer) take(object runtime.Object) error {
	var ready []string
	var name string
	switch object := object.(type) {
	case *discoveryv1.EndpointSlice:
		name = object.Name
		for _, e := range object.Endpoints {
			if ptr.Deref(e.Conditions.Ready, false) {
				ready = append(ready, e.Addresses[0])
			}
		}
		if len(object.Endpoints) == 0 {
			o.faults = append(o.faults, "slice "+name+" is empty")
		}
	case *corev1.Endpoints:
		name = object.Name
		for _, subset := range object.Subsets {
			for _, address := range subset.Addresses {
				ready = append(ready, address.IP)
			}
		}
	default:
		return fmt.Errorf("%T", object)
	}
	o.have[name] = ready
	return nil
}

func (o *observer) check(after string) {
	missing := map[string]bool{}
	for _, address := range o.steady {
		missing[address] = true
	}
	for _, addresses := range o.have {
		for _, address := range addresses {
			delete(missing, address)
		}
	}
	if len(missing) > 0 {
		o.faults = append(o.faults, fmt.Sprintf("%s: after %s %d of %d are not ready: %v",
			o.what, after, len(missing), len(o.steady), slices.Sorted(maps.Keys(missing))))
	}
}
