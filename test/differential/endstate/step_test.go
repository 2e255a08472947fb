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

package endstate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type verb string

const (
	create    verb = "create"
	put       verb = "put" // create or replace
	change    verb = "patch"
	remove    verb = "delete"
	removeAll verb = "delete all"
	await     verb = "await" // an object of that name, or so many slices
)

// step is one request of a user, a kubelet or a scheduler.
type step struct {
	verb        verb
	object      client.Object
	subresource string
	operations  []operation
	labels      map[string]string
	// grace is the period in seconds.
	grace int64
	// lenient steps may find nothing.
	lenient bool
	// count is how many with the labels are awaited.
	count int
}

// operation of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// replace sets a value whether there was one or not.
func replace(path string, value any) operation { return operation{"add", path, value} }

func patch(object client.Object, name, subresource string, operations ...operation) step {
	return step{verb: change, object: named(object, name), subresource: subresource, operations: operations}
}

func named[T client.Object](object T, name string) T {
	object.SetName(name)
	return object
}

func (s step) String() string {
	what, err := json.Marshal(s.object)
	if s.verb == change {
		what, err = json.Marshal(s.operations)
	}
	if err != nil {
		what = []byte(err.Error())
	}
	return fmt.Sprintf("%s %T %s %s grace %d %v %s", s.verb, s.object, s.object.GetName(), s.subresource, s.grace, s.labels, what)
}

// play does the step in a namespace.
func (s step) play(ctx context.Context, api client.Client, namespace string) error {
	object := s.object.DeepCopyObject().(client.Object)
	object.SetNamespace(namespace)
	err := s.request(ctx, api, object)
	if s.lenient && (apierrors.IsNotFound(err) || apierrors.IsInvalid(err)) {
		return nil
	}
	return err
}

func (s step) request(ctx context.Context, api client.Client, object client.Object) error {
	switch s.verb {
	case create:
		return api.Create(ctx, object)
	case put:
		_, err := putObject(ctx, api, object)
		return err
	case remove:
		return api.Delete(ctx, object, client.GracePeriodSeconds(s.grace))
	case await:
		if object.GetName() != "" {
			return awaitObject(ctx, api, object)
		}
		return awaitSlices(ctx, api, object.GetNamespace(), s.labels, s.count)
	case removeAll:
		return api.DeleteAllOf(ctx, object, client.InNamespace(object.GetNamespace()), client.MatchingLabels(s.labels))
	}
	text, err := json.Marshal(s.operations)
	if err != nil {
		return err
	}
	if s.subresource != "" {
		return api.SubResource(s.subresource).Patch(ctx, object, client.RawPatch(types.JSONPatchType, text))
	}
	return api.Patch(ctx, object, client.RawPatch(types.JSONPatchType, text))
}

func awaitSlices(ctx context.Context, api client.Client, namespace string, labels client.MatchingLabels, count int) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var made discoveryv1.EndpointSliceList
		err := api.List(ctx, &made, client.InNamespace(namespace), labels)
		return len(made.Items) == count, err
	})
}

func awaitObject(ctx context.Context, api client.Client, object client.Object) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(object), object)
		return err == nil, client.IgnoreNotFound(err)
	})
}

// putObject is what `kubectl replace --force=false` or `create` does, and tells
// whether there was something to do.
func putObject(ctx context.Context, api client.Client, object client.Object) (written bool, err error) {
	again := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	err = retry.OnError(retry.DefaultBackoff, again, func() error {
		held := object.DeepCopyObject().(client.Object)
		err := api.Get(ctx, client.ObjectKeyFromObject(object), held)
		if apierrors.IsNotFound(err) {
			written = true
			return api.Create(ctx, object.DeepCopyObject().(client.Object))
		}
		if err != nil {
			return err
		}
		version := held.GetResourceVersion()
		held.SetLabels(object.GetLabels())
		held.SetAnnotations(object.GetAnnotations())
		switch held := held.(type) {
		case *corev1.Endpoints:
			held.Subsets = object.(*corev1.Endpoints).DeepCopy().Subsets
		case *discoveryv1.EndpointSlice:
			held.Endpoints = object.(*discoveryv1.EndpointSlice).DeepCopy().Endpoints
		}
		err = api.Update(ctx, held)
		written = written || held.GetResourceVersion() != version
		return err
	})
	return written, err
}
