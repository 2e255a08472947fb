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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
)

// named are the kinds whose names are replaced wherever they stand. Status, audit,
// logs and agents tell of all namespaces, whichever the report is about.
var named = []string{"namespaces", "nodes", "services", "pods"}

// Bounds of what is listed for names alone.
const (
	pageOfNames = 1000
	mostNames   = 200_000
)

// Learn lists the names of all that is to be replaced, and notes what it could not
// list.
func (c *Collector) Learn(ctx context.Context) {
	if c.Contents.Names == nil {
		return
	}
	client, err := metadata.NewForConfig(c.Config)
	if err != nil {
		c.MayBeLeft("all", err.Error())
		return
	}
	for _, kind := range named {
		c.learn(ctx, client, kind)
	}
}

func (c *Collector) learn(ctx context.Context, client metadata.Interface, kind string) {
	read := 0
	for next := ""; ; {
		page, err := client.Resource(resource("", "v1", kind)).List(ctx, metav1.ListOptions{Limit: pageOfNames, Continue: next})
		if err != nil {
			c.MayBeLeft(kind, reason(ctx, err))
			return
		}
		for i := range page.Items {
			c.Contents.Names.Add(page.Items[i].Name)
			c.Contents.Names.Add(page.Items[i].Namespace)
		}
		read += len(page.Items)
		if next = page.Continue; next == "" {
			return
		}
		if read >= mostNames {
			c.MayBeLeft(kind, "there are too many to list")
			return
		}
	}
}

// MayBeLeft notes whose names may be left, and why.
func (c *Contents) MayBeLeft(kind, why string) {
	c.Miss("names may be left: those of "+kind, "%s", why)
}
