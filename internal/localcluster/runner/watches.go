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
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// watches are of the objects that the volumes of all Pods are made of. Each is
// watched once, by its name, which is all that a kubelet may see.
type watches struct {
	client kubernetes.Interface

	mu  sync.Mutex
	all map[watched]*watch
}

// watched is a ConfigMap or a Secret.
type watched struct{ kind, namespace, name string }

type watch struct {
	informer  cache.SharedIndexInformer
	stop      context.CancelFunc
	followers int
}

// follow calls the function whenever the object changes, until ctx ends.
func (w *watches) follow(ctx context.Context, object watched, changed func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.all[object]
	if one == nil {
		one = w.begin(object)
	}
	handler, err := one.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() }, UpdateFunc: func(_, _ any) { changed() }, DeleteFunc: func(any) { changed() },
	})
	if err != nil {
		return fmt.Errorf("watching %s %s/%s: %w", object.kind, object.namespace, object.name, err)
	}
	one.followers++
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		_ = one.informer.RemoveEventHandler(handler)
		if one.followers--; one.followers == 0 {
			one.stop()
			delete(w.all, object)
		}
	})
	return nil
}

func (w *watches) begin(object watched) *watch {
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, 0, informers.WithNamespace(object.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, object.name).String()
		}))
	informer := factory.Core().V1().ConfigMaps().Informer
	if object.kind == "Secret" {
		informer = factory.Core().V1().Secrets().Informer
	}
	ctx, stop := context.WithCancel(context.Background())
	one := &watch{informer: informer(), stop: stop}
	factory.Start(ctx.Done())
	if w.all == nil {
		w.all = map[watched]*watch{}
	}
	w.all[object] = one
	return one
}
