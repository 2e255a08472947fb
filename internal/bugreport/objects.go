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

package bugreport

import (
	"context"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// list is objects of one kind to read.
type list struct {
	schema.GroupVersionResource
	namespace, labels string
	what              string
	// file is its name in the archive, if that of the resource is not enough.
	file string
	// keep leaves out what is of others.
	keep func(map[string]any) bool
	// wanted are names that are read whatever their labels are, as far as there are such.
	wanted map[string]bool
}

const ours = "app.kubernetes.io/name=switchyard"

func resource(group, version, name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: name}
}

// lists are all that is read. There are no Secrets among them, and of ConfigMaps only
// those that we install, or tell to make.
func (c *Collector) lists() []list {
	own := func(what, group, version, name string) list {
		return list{GroupVersionResource: resource(group, version, name), what: what}
	}
	in := func(l list, namespace, labels string) list { l.namespace, l.labels = namespace, labels; return l }
	leads := func(o map[string]any) bool { return leadsTo(o, c.System) }
	webhooks := own("webhooks that lead to us", "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
	webhooks.keep = leads
	mutating := own("webhooks that lead to us", "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
	mutating.keep = leads
	policies := own("our policies", "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
	policies.keep = func(o map[string]any) bool {
		name, _, _ := unstructured.NestedString(o, "metadata", "name")
		return strings.HasPrefix(name, "switchyard-")
	}
	dns := func(l list) list {
		l.namespace, l.labels, l.file = metav1.NamespaceSystem, ours, "kube-system-"+l.Resource
		return l
	}
	config := own("our configuration", "", "v1", "configmaps")
	agents := in(config, c.System, ours)
	// Users make these as docs/install.md says, without labels.
	agents.wanted = map[string]bool{"switchyard-node": true, "switchyard-apiserver": true}
	pods := own("pods of our namespace", "", "v1", "pods")
	all := []list{
		own("pools", "switchyard.dev", "v1alpha1", "portpools"), own("pools", "switchyard.dev", "v1alpha1", "addresspools"),
		own("reservations", "switchyard.dev", "v1alpha1", "portreservations"), own("reservations", "switchyard.dev", "v1alpha1", "addressreservations"),
		webhooks, mutating,
		policies,
		in(own("our Deployments", "apps", "v1", "deployments"), c.System, ""), in(own("our DaemonSets", "apps", "v1", "daemonsets"), c.System, ""),
		in(pods, c.System, ""), in(own("Events of our namespace", "", "v1", "events"), c.System, ""),
		in(own("claims, the leader and announcements", "coordination.k8s.io", "v1", "leases"), c.System, ""),
		agents, dns(config), dns(pods), dns(own("our DNS", "apps", "v1", "daemonsets")),
		own("the API server's ranges", "networking.k8s.io", "v1", "servicecidrs"),
		own("nodes", "", "v1", "nodes"),
		in(own("Services", "", "v1", "services"), c.Namespace, ""), in(own("Endpoints", "", "v1", "endpoints"), c.Namespace, ""),
		in(own("EndpointSlices", "discovery.k8s.io", "v1", "endpointslices"), c.Namespace, ""),
	}
	return all
}

// leadsTo tells of a webhook configuration whether a webhook of it is served there.
func leadsTo(object map[string]any, namespace string) bool {
	webhooks, _, _ := unstructured.NestedSlice(object, "webhooks")
	for _, w := range webhooks {
		if webhook, is := w.(map[string]any); is {
			if of, _, _ := unstructured.NestedString(webhook, "clientConfig", "service", "namespace"); of == namespace {
				return true
			}
		}
	}
	return false
}

// pageSize is how many objects one answer of the API server has.
const pageSize = 250

// read reads one kind. What has come before an error counts.
func (c *Collector) read(ctx context.Context, client dynamic.Interface, l list) {
	where := l.Resource
	if l.namespace != "" {
		where += " of namespace " + l.namespace
	}
	name := l.file
	if name == "" {
		name = l.Resource
	}
	e := Entry{Name: "objects/" + name + ".json", What: l.what, list: true}
	err := c.pages(ctx, client, l, &e)
	if err != nil {
		c.Miss(where, "%s", reason(ctx, err))
	}
	for _, one := range slices.Sorted(maps.Keys(l.wanted)) {
		if err := c.one(ctx, client, l, one, &e); err != nil {
			c.Miss(one+" of "+where, "%s", reason(ctx, err))
		}
	}
	if e.Cut {
		c.Miss(where, "only the first %d are in it; --namespace narrows it down", len(e.items))
	}
	if err == nil || len(e.items) > 0 {
		c.add(e)
	}
}

// pages reads objects until there are no more, or there is no more room for them:
// never more than a page is held besides.
func (c *Collector) pages(ctx context.Context, client dynamic.Interface, l list, e *Entry) error {
	for next := ""; ; {
		page, err := client.Resource(l.GroupVersionResource).Namespace(l.namespace).List(ctx,
			metav1.ListOptions{LabelSelector: l.labels, Limit: pageSize, Continue: next})
		if err != nil {
			return err
		}
		for i := range page.Items {
			if l.keep != nil && !l.keep(page.Items[i].Object) {
				continue
			}
			delete(l.wanted, page.Items[i].GetName())
			if err := c.put(&page.Items[i], e); err != nil {
				return err
			}
		}
		next = page.GetContinue()
		if next != "" && (e.Cut || len(e.items) >= c.MostObjects) {
			// The API server does not always know how many more there are.
			rest := page.GetRemainingItemCount()
			e.more = rest == nil || l.keep != nil
			if rest != nil && l.keep == nil {
				e.leave(int(*rest))
			}
			e.Cut = true
			return nil
		}
		if next == "" {
			return nil
		}
	}
}

// one reads an object by its name, if there is one: who may not list may know names.
func (c *Collector) one(ctx context.Context, client dynamic.Interface, l list, name string, e *Entry) error {
	object, err := client.Resource(l.GroupVersionResource).Namespace(l.namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return c.put(object, e)
}

// put adds an object to a list, if there is room for it.
func (c *Collector) put(object *unstructured.Unstructured, e *Entry) error {
	c.name(object)
	if e.Cut || len(e.items) >= c.MostObjects {
		e.leave(1)
		return nil
	}
	Clean(object.Object)
	_, err := e.addItem(object.Object, c.MostOfOne)
	return err
}

// name notes the names of an object's that are to be replaced.
func (c *Collector) name(object *unstructured.Unstructured) {
	if c.Contents.Names == nil || strings.HasSuffix(object.GetAPIVersion(), "k8s.io/v1") && object.GetKind() != "EndpointSlice" {
		return
	}
	c.Contents.Names.Add(object.GetName())
	c.Contents.Names.Add(object.GetNamespace())
	// A reservation may be for a Service that is not there yet.
	for _, field := range []string{"name", "namespace"} {
		of, _, _ := unstructured.NestedString(object.Object, "spec", "serviceRef", field)
		c.Contents.Names.Add(of)
	}
	if object.GetKind() != "EndpointSlice" {
		return
	}
	endpoints, _, _ := unstructured.NestedSlice(object.Object, "endpoints")
	for _, e := range endpoints {
		if endpoint, is := e.(map[string]any); is {
			pod, _, _ := unstructured.NestedString(endpoint, "targetRef", "name")
			c.Contents.Names.Add(pod)
		}
	}
}

func reason(ctx context.Context, err error) string {
	switch cause := context.Cause(ctx); {
	case cause != nil && cause != ctx.Err(): // of a part that has a time of its own
		return cause.Error()
	case cause != nil:
		return "there was no time left"
	case apierrors.IsForbidden(err):
		return "you may not read them"
	case apierrors.IsNotFound(err):
		return "the API server does not serve them"
	}
	return err.Error()
}
