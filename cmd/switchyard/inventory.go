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
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/inventory"
)

// exitFound is the exit code of who and audit for something that is wrong.
const exitFound = 1

// inventoryOptions are what who, pools and audit have in common.
type inventoryOptions struct {
	clusterFlags
	system    string
	nodePorts string
	output    string
}

func (o *inventoryOptions) addFlags(c *cobra.Command) {
	o.addTo(c)
	flags := c.Flags()
	flags.StringVar(&o.system, "manager-namespace", "switchyard-system", "Namespace of switchyard-manager, where claims and placeholders are.")
	flags.StringVar(&o.nodePorts, "service-node-port-range", "", "`Range` of NodePorts; without it that of the API server's flags or the manager's.")
	flags.DurationVar(&o.timeout, "timeout", cmp.Or(o.timeout, whole), "How long the API server may take for all answers together.")
	addOutputFlag(c, &o.output)
	_ = c.RegisterFlagCompletionFunc("manager-namespace", o.completeNamespaces)
	_ = c.RegisterFlagCompletionFunc("service-node-port-range", cobra.NoFileCompletions)
}

// trouble is the error of a question that could not be answered.
func trouble(err error) error {
	if _, is := errors.AsType[*exitError](err); err == nil || is {
		return err
	}
	return &exitError{code: exitTrouble, err: err}
}

// arguments makes the error of wrong arguments one of trouble.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return trouble(check(c, args)) }
}

// validate settles what depends on the flags alone.
func (o *inventoryOptions) validate() error {
	if err := validOutput(o.output); err != nil {
		return err
	}
	if err := positive("timeout", o.timeout); err != nil {
		return err
	}
	if o.nodePorts == "" {
		return nil
	}
	if _, err := allocator.ParsePortSpan(o.nodePorts); err != nil {
		return fmt.Errorf("--service-node-port-range: %w", err)
	}
	return nil
}

func positive(flag string, value time.Duration) error {
	if value <= 0 {
		return fmt.Errorf("--%s %v: the time must be positive", flag, value)
	}
	return nil
}

// learning is how long it may take to learn the range of NodePorts, which can be
// assumed as well.
const learning = 5 * time.Second

// look returns a function that reads the cluster as it is then.
func (o *inventoryOptions) look(ctx context.Context, scope inventory.Scope) (func() (*inventory.Index, error), error) {
	c, config, err := o.client()
	if err != nil {
		return nil, err
	}
	if err := answers(ctx, config); err != nil {
		return nil, readingError(err, config.Host)
	}
	nodePorts := inventory.NodePorts{From: inventory.FromFlag}
	if o.nodePorts == "" {
		brief, cancel := context.WithTimeout(ctx, learning)
		defer cancel()
		nodePorts = inventory.LearnNodePorts(brief, inventory.Flagz(config), c, o.system)
	} else if nodePorts.Span, err = allocator.ParsePortSpan(o.nodePorts); err != nil {
		return nil, err
	}
	return func() (*inventory.Index, error) {
		inv, err := scope.Read(ctx, c, o.system, nodePorts)
		if err != nil {
			return nil, readingError(err, config.Host)
		}
		return inv.Index(), nil
	}, nil
}

// answers tells whether the API server answers at all, be it with a refusal. What is
// read afterwards can lack this and that, and would wait for each.
func answers(ctx context.Context, config *rest.Config) error {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = clients.RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if _, is := errors.AsType[*apierrors.StatusError](err); is {
		return nil
	}
	return err
}

// absentError tells of something asked about that is not there: the API server is
// up, and has answered.
type absentError struct{ error }

func absent(format string, words ...any) error { return &absentError{fmt.Errorf(format, words...)} }

// readingError is the error of a cluster that could not be read, with what to do
// about it.
func readingError(err error, host string) error {
	if _, is := errors.AsType[*absentError](err); is {
		return err
	}
	return fmt.Errorf("reading the cluster: %w%s", err, advice(err, host))
}

// advice is what to do about an error of reading.
func advice(err error, host string) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "" // by who asked
	case apierrors.IsUnauthorized(err):
		return ": the credentials of the kubeconfig do not count there, or any more; log in again"
	case apierrors.IsForbidden(err):
		return "" // It says whose rights lack, and for what.
	case apierrors.IsResourceExpired(err):
		return ": the cluster changes faster than it can be read; try again"
	case apierrors.ReasonForError(err) == metav1.StatusReasonUnknown:
		return fmt.Sprintf(": is the API server of %s up? --kubeconfig and --context choose another", host)
	}
	return ""
}

// write is for machines, or as table says.
func (o *inventoryOptions) write(out io.Writer, value any, table func(wide bool) error) error {
	return writeAs(o.output, out, value, table)
}
