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

package why

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pageSize is how many objects one answer of the API server has.
const pageSize = 500

// everything is no bound to what is listed.
const everything = 0

// collect lists everything, or until it has the most that is wanted. Of a list that
// fails there is nothing: its first pages would be taken for the whole, and what is
// on the others for something that does not exist.
func collect[T any, L client.ObjectList](
	ctx context.Context, reader client.Reader, list L, items func(L) []T, most int, options ...client.ListOption,
) ([]*T, error) {
	var all []*T
	err := pages(ctx, reader, list, func(page L) bool {
		for i := range items(page) {
			all = append(all, &items(page)[i])
		}
		return most == everything || len(all) < most
	}, options...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

func podsOf(list *corev1.PodList) []corev1.Pod { return list.Items }

// withoutOwners drops what is a good part of an object and says who has written
// which field: that is asked of the Service alone.
func withoutOwners(object runtime.Object) error {
	accessor, err := meta.Accessor(object)
	if err == nil {
		accessor.SetManagedFields(nil)
	}
	return err
}

// pages lists page by page until keep has enough.
func pages[L client.ObjectList](ctx context.Context, reader client.Reader, list L, keep func(L) bool, options ...client.ListOption) error {
	for next := ""; ; {
		page, _ := list.DeepCopyObject().(L) // a copy is of the same type
		if err := reader.List(ctx, page, append(options, client.Limit(pageSize), client.Continue(next))...); err != nil {
			return err
		}
		if err := meta.EachListItem(page, withoutOwners); err != nil {
			return err
		}
		if next = page.GetContinue(); !keep(page) || next == "" {
			return nil
		}
	}
}

// serviceNames lists no more than the metadata.
func serviceNames(ctx context.Context, reader client.Reader, options ...client.ListOption) ([]types.NamespacedName, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceList"))
	var names []types.NamespacedName
	err := pages(ctx, reader, list, func(page *metav1.PartialObjectMetadataList) bool {
		for i := range page.Items {
			names = append(names, types.NamespacedName{Namespace: page.Items[i].Namespace, Name: page.Items[i].Name})
		}
		return true
	}, options...)
	if err != nil {
		return nil, err
	}
	return names, nil
}
