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
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// namespaceOptions are of who and audit, which can answer from the Services of
// one namespace.
type namespaceOptions struct {
	inventoryOptions
	namespace string
}

func (o *namespaceOptions) addNamespace(c *cobra.Command, usage string) {
	c.Flags().StringVarP(&o.namespace, "namespace", "n", "", usage)
	_ = c.RegisterFlagCompletionFunc("namespace", o.completeNamespaces)
}

// ownNamespace is that of -n, else that of the context.
func (o *namespaceOptions) ownNamespace() string {
	// A kubeconfig that can not be read is the next step's to tell of.
	cluster, _ := o.reach()
	return cmp.Or(o.namespace, cluster.namespace)
}

// elsewhere adds to what the user may not read where perhaps he may.
func elsewhere(err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%w; or name with -n a namespace whose Services you may list", err)
	}
	return err
}
