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
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/inventory"
)

// clusterFlags say which cluster is asked, as kubectl's do.
type clusterFlags struct {
	kubeconfig, context string
	// patience and timeout are those of below unless set.
	patience, timeout time.Duration
	// until is when nothing is waited for any more, since the first client was made.
	until time.Time
}

// kubeconfigHelp says what reach does.
const kubeconfigHelp = "Kubeconfig; without it that of $KUBECONFIG, else the local cluster if one is running, else as kubectl chooses."

func (f *clusterFlags) addTo(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", kubeconfigHelp)
	c.Flags().StringVar(&f.context, "context", "", "Context of the kubeconfig, if not its current one.")
	_ = c.RegisterFlagCompletionFunc("context", completeContexts)
}

// patience is how long one answer of the API server may take, and whole how long all
// may together: of a server that hangs half-way one kind after the other is late.
const (
	patience = 15 * time.Second
	whole    = 30 * time.Second
)

// start has the time begin that all answers have.
func (f *clusterFlags) start() {
	if f.until.IsZero() {
		f.until = time.Now().Add(cmp.Or(f.timeout, whole))
	}
}

// client also returns whom it asks.
func (f *clusterFlags) client() (c client.Client, config *rest.Config, err error) {
	cluster, err := f.reach()
	if err != nil {
		return nil, nil, err
	}
	return f.clientOf(cluster)
}

// clientOf is client of a cluster that is known.
func (f *clusterFlags) clientOf(cluster reach) (c client.Client, config *rest.Config, err error) {
	scheme, err := inventory.Scheme()
	if err != nil {
		return nil, nil, err
	}
	f.start()
	config = rest.CopyConfig(cluster.config)
	config.Timeout, config.WarningHandler = cmp.Or(f.patience, patience), rest.NoWarnings{}
	config.Wrap(answeringBy(f.until, cmp.Or(f.timeout, whole)))
	c, err = client.New(config, client.Options{Scheme: scheme})
	return c, config, err
}
