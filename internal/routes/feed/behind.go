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

package feed

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/follow"
)

// A node whose rules are behind is the last resort, as at layer 2. What others
// think of themselves is not in their Nodes, and rules that no kernel takes make all
// nodes step back at once: so each says so in a Lease, which there is for no other
// reason, and steps back only when it has had time to see that of the others.
const (
	label        = "switchyard.dev/announcer"
	byRoutes     = "routes"
	recordPrefix = "router-"

	// settle is how long a node that has said that its rules are behind waits for
	// others to say so as well.
	settle = 5 * time.Second
	// pulse is how often a node looks at itself.
	pulse = time.Second
	// patience bounds a write.
	patience = 2 * time.Second
)

// followBehind follows the Leases of nodes whose rules are behind.
func (f *Feed) followBehind() follow.Source {
	return follow.New(f.Client, "nodes whose rules are behind", f.Client.CoordinationV1().Leases(f.Namespace),
		metav1.ListOptions{LabelSelector: label + "=" + byRoutes},
		func(lease *coordinationv1.Lease) { f.setBehind(lease.Name, lease.Spec.HolderIdentity != nil) },
		func(_, name string) { f.setBehind(name, false) })
}

// setBehind takes what a Lease says of a node.
func (f *Feed) setBehind(lease string, behind bool) {
	node, ok := strings.CutPrefix(lease, recordPrefix)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, was := f.behind[node]; was == behind {
		return
	}
	if behind {
		f.behind[node] = time.Now()
	} else {
		delete(f.behind, node)
	}
	f.awaken()
}

// watchSelf keeps this node's Lease as the node is, until ctx ends.
func (f *Feed) watchSelf(ctx context.Context) {
	ticker := time.NewTicker(f.pulse)
	defer ticker.Stop()
	for {
		f.judgeSelf(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (f *Feed) judgeSelf(ctx context.Context, now time.Time) {
	healthy := f.Healthy()
	f.mu.Lock()
	since, said := f.behind[f.Node]
	back := !healthy && said && now.Sub(since) >= f.settle
	if back != f.back {
		f.back = back
		f.awaken()
	}
	f.mu.Unlock()
	if said != healthy {
		return // it says what is true
	}
	if err := f.saySelf(ctx, !healthy); err != nil {
		log.FromContext(ctx).V(2).Info("Could not say whether this node's rules are behind, will try again", "reason", err.Error())
	}
}

// saySelf writes this node's Lease.
func (f *Feed) saySelf(ctx context.Context, behind bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	spec := map[string]any{"holderIdentity": nil, "renewTime": metav1.NowMicro()}
	if behind {
		spec["holderIdentity"] = f.Node
	}
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	api := f.Client.CoordinationV1().Leases(f.Namespace)
	_, err = api.Patch(ctx, recordPrefix+f.Node, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) || !behind {
		return client.IgnoreNotFound(err)
	}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: recordPrefix + f.Node, Labels: map[string]string{label: byRoutes}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &f.Node, RenewTime: new(metav1.NowMicro())},
	}
	f.mu.Lock()
	if f.uid != "" {
		lease.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: f.Node, UID: f.uid}}
	}
	f.mu.Unlock()
	_, err = api.Create(ctx, lease, metav1.CreateOptions{})
	return err
}
