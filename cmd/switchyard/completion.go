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

package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/inventory"
)

// completionPatience is how long a shell may wait for names of the cluster's.
const completionPatience = 2 * time.Second

// completionPage is how many Services are looked at for names: a shell that
// shows more than that helps nobody.
const completionPage = 500

// completeWho offers the Services of the namespace of the flag, else namespaces
// until there is a slash, then their Services.
func (o *whoOptions) completeWho(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespace, _, found := strings.Cut(typed, "/")
	if !found && o.namespace != "" {
		names, directive := o.completeWho(c, args, o.namespace+"/"+typed)
		for i := range names {
			names[i] = strings.TrimPrefix(names[i], o.namespace+"/")
		}
		return names, directive
	}
	if !found {
		names, directive := o.completeNamespaces(c, args, typed)
		for i := range names {
			names[i] += "/"
		}
		return names, directive | cobra.ShellCompDirectiveNoSpace
	}
	var list corev1.ServiceList
	if !o.listForCompletion(&list, client.InNamespace(namespace)) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		if name := inventory.KeyOf(&list.Items[i]).String(); strings.HasPrefix(name, typed) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (f *clusterFlags) completeNamespaces(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var list corev1.NamespaceList
	if !f.listForCompletion(&list) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range list.Items {
		if strings.HasPrefix(list.Items[i].Name, typed) {
			names = append(names, list.Items[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// listForCompletion is false where there is no answer; a shell shows no errors.
func (f *clusterFlags) listForCompletion(list client.ObjectList, options ...client.ListOption) bool {
	c, _, err := f.client()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	return c.List(ctx, list, append(options, client.Limit(completionPage))...) == nil
}

func completeContexts(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath, _ = c.Flags().GetString("kubeconfig")
	config, err := rules.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for name := range config.Contexts {
		if strings.HasPrefix(name, typed) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}
