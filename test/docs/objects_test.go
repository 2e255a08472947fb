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

package docs

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// objects knows which ones a fresh cluster has.
type objects struct {
	clientset  *kubernetes.Clientset
	dynamic    *dynamic.DynamicClient
	namespaced []schema.GroupVersionResource
	wide       []schema.GroupVersionResource
	ours       map[string]bool
}

// passed over are kinds that the cluster makes and removes by itself.
var passedOver = []string{"events", "leases", "endpoints", "endpointslices", "controllerrevisions", "nodes", "namespaces", "ipaddresses",
	"csinodes", "apiservices", "certificatesigningrequests", "flowschemas", "prioritylevelconfigurations"}

func newObjects(t *testing.T, kubeconfig string) *objects {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 500, 1000
	o := &objects{ours: map[string]bool{}}
	if o.clientset, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if o.dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	o.discover(t)
	for _, name := range o.names(t) {
		o.ours[name.String()] = true
	}
	return o
}

// discover finds the kinds that can be listed and deleted.
func (o *objects) discover(t *testing.T) {
	t.Helper()
	lists, err := o.clientset.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	lists = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists)
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			switch {
			case slices.Contains(passedOver, r.Name):
			case r.Namespaced:
				o.namespaced = append(o.namespaced, version.WithResource(r.Name))
			default:
				o.wide = append(o.wide, version.WithResource(r.Name))
			}
		}
	}
}

// A name is that of an object.
type name struct {
	kind            schema.GroupVersionResource
	namespace, name string
	owned           bool
}

func (n name) String() string { return n.kind.String() + " " + n.namespace + "/" + n.name }

// isTheClusters tells of what controllers of the cluster make when they need it.
func (n name) isTheClusters() bool {
	system := strings.HasPrefix(n.namespace, "kube-")
	return n.kind.Resource == "configmaps" && n.name == "kube-root-ca.crt" || system && (n.owned || n.kind.Resource == "serviceaccounts")
}

// names are those of all objects.
func (o *objects) names(t *testing.T) []name {
	t.Helper()
	var all []name
	for _, kind := range slices.Concat(o.namespaced, o.wide) {
		list, err := o.dynamic.Resource(kind).List(t.Context(), metav1.ListOptions{})
		if err != nil && !errors.IsNotFound(err) {
			t.Fatalf("listing %v: %v", kind, err)
		}
		if err == nil {
			for _, item := range list.Items {
				all = append(all, name{kind, item.GetNamespace(), item.GetName(), len(item.GetOwnerReferences()) > 0})
			}
		}
	}
	return all
}

// reset removes what a page has left behind. Namespaces are marked first, so that
// nothing comes after; their controller would wait for seconds with the rest.
func (c *cluster) reset(t *testing.T) {
	t.Helper()
	o := c.objects
	gone := o.mark(t)
	now := int64(0)
	background := metav1.DeletePropagationBackground
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second / 10) {
		left := 0
		for _, n := range o.names(t) {
			if o.ours[n.String()] || n.isTheClusters() {
				continue
			}
			left++
			err := o.dynamic.Resource(n.kind).Namespace(n.namespace).Delete(t.Context(), n.name,
				metav1.DeleteOptions{GracePeriodSeconds: &now, PropagationPolicy: &background})
			if err != nil && !errors.IsNotFound(err) {
				t.Logf("deleting %v: %v", n, err)
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d objects do not go", left)
		}
	}
	for _, namespace := range gone {
		o.finalize(t.Context(), t, namespace)
	}
}

// mark deletes the pages' namespaces.
func (o *objects) mark(t *testing.T) []string {
	t.Helper()
	namespaces, err := o.clientset.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, n := range namespaces.Items {
		if n.Name == "default" || n.Name == "switchyard-system" || strings.HasPrefix(n.Name, "kube-") {
			continue
		}
		gone = append(gone, n.Name)
		if err := o.clientset.CoreV1().Namespaces().Delete(t.Context(), n.Name, metav1.DeleteOptions{}); err != nil && !errors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	return gone
}

// finalize lets a namespace go that has nothing in it.
func (o *objects) finalize(ctx context.Context, t *testing.T, namespace string) {
	t.Helper()
	_, err := o.clientset.CoreV1().Namespaces().Finalize(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.UpdateOptions{})
	if err != nil && !errors.IsNotFound(err) {
		t.Fatalf("ending namespace %s: %v", namespace, err)
	}
}
