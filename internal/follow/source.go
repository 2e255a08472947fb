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

package follow

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Lister is a client's part for one resource.
type Lister[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// Source is one resource to follow.
type Source struct {
	// Name is for logs.
	Name string
	// Run follows the resource until ctx ends. It goes on through failures.
	Run func(ctx context.Context)
	// Full is true when everything of the first list has been passed on.
	Full func() bool
}

// pause is how long to wait after a watch or list has failed; the jitter keeps
// the nodes of a cluster from coming back all at once.
var pause = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 5, Cap: 10 * time.Second}

// New makes a Source of the objects that match the selectors of filter. It
// passes each on to set as it is now, and the names of those that are gone to
// remove; one call at a time. An object may be changed by who gets it.
func New[T any, L runtime.Object](client kubernetes.Interface, name string, lister Lister[L], filter metav1.ListOptions,
	set func(*T), remove func(namespace, name string),
) Source {
	to := newSink(set, remove)
	filtered := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector, o.LabelSelector = filter.FieldSelector, filter.LabelSelector
		return o
	}
	listWatch := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return lister.List(ctx, filtered(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return lister.Watch(ctx, filtered(o))
		},
	}, client)
	return Source{Name: name, Full: to.full.Load, Run: func(ctx context.Context) {
		pause := pause
		options := cache.ReflectorOptions{Name: name, Backoff: &pause}
		cache.NewReflectorWithOptions(listWatch, new(T), to, options).RunWithContext(ctx)
	}}
}
