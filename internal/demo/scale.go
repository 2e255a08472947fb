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

package demo

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var scaleChecks = []Check{
	{"scaled up to 3: the new pod gets its share", scaleTo(3)},
	{"scaled down to 1: only that pod is asked", scaleTo(1)},
	{"scaled back to 2", scaleTo(2)},
}

func scaleTo(replicas int32) func(context.Context, *Bed) (string, error) {
	return func(ctx context.Context, b *Bed) (string, error) {
		var d appsv1.Deployment
		if err := b.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "back"}, &d); err != nil {
			return "", err
		}
		before := d.DeepCopy()
		d.Spec.Replicas = &replicas
		if err := b.Client.Patch(ctx, &d, client.MergeFrom(before)); err != nil {
			return "", err
		}
		front, err := b.readyPods(ctx, "front", 1)
		if err != nil {
			return "", err
		}
		return b.spread(ctx, Place{Pod: front[0]}, "back", 19, false, int(replicas))
	}
}
