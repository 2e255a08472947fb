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
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/serviceenv"
)

type envOptions struct {
	clusterFlags
	pod    string
	output string
}

func envCommand() *cobra.Command {
	var o envOptions
	c := &cobra.Command{
		Use:   "env NAMESPACE",
		Short: "Print the variables that a new pod gets of Services",
		Long: `Print the environment variables that a pod which starts now in the namespace gets
of Services: of those in the namespace, and of default/kubernetes. With --pod, for
that pod's settings, and what the containers that run in it do not have yet.

The variables go to standard output, one NAME=VALUE a line; what is wrong with
them to standard error: variables that two Services give (a pod gets one of
them by chance), names that no shell accepts, more than a program can be started
with.

Exit codes: 0 nothing is wrong; 1 something is; 2 the question could not be
answered.`,
		Example: `  switchyard env shop
  switchyard env shop --pod web-7d4b9c
  switchyard env shop -o wide`,
		Args:              arguments(exactly("NAMESPACE")),
		ValidArgsFunction: o.completeNamespace,
	}
	o.addTo(c)
	c.Flags().StringVar(&o.pod, "pod", "", "Name of a `pod` of the namespace.")
	addOutputFlag(c, &o.output)
	_ = c.RegisterFlagCompletionFunc("pod", o.completePods)
	c.RunE = func(c *cobra.Command, args []string) error { return trouble(o.run(c, args[0])) }
	return c
}

// environment is the answer for machines.
type environment struct {
	Namespace string                `json:"namespace"`
	Pod       string                `json:"pod,omitempty"`
	Variables []environmentVariable `json:"variables"`
	Findings  []serviceenv.Finding  `json:"findings"`
	// NotRead says what could not be read, and what is missing therefore.
	NotRead []string `json:"notRead,omitempty"`
}

type environmentVariable struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Service string `json:"service"`
}

func (o *envOptions) run(c *cobra.Command, namespace string) error {
	if err := validOutput(o.output); err != nil {
		return err
	}
	reader, config, err := o.client()
	if err != nil {
		return err
	}
	answer, err := o.read(c.Context(), reader, namespace)
	if err != nil {
		return readingError(err, config.Host)
	}
	err = writeAs(o.output, c.OutOrStdout(), answer, func(wide bool) error { return answer.print(c.OutOrStdout(), c.ErrOrStderr(), wide) })
	if err == nil && slices.ContainsFunc(answer.Findings, serviceenv.Finding.Wrong) {
		err = &exitError{code: exitFound}
	}
	return err
}

func (o *envOptions) read(ctx context.Context, reader client.Reader, namespace string) (*environment, error) {
	answer := &environment{Namespace: namespace, Pod: o.pod, Variables: []environmentVariable{}, Findings: []serviceenv.Finding{}}
	services, err := o.services(ctx, reader, answer)
	if err != nil {
		return nil, err
	}
	variables := serviceenv.For(services, namespace, true)
	findings := serviceenv.Check(variables)
	if o.pod != "" {
		var pod corev1.Pod
		switch err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: o.pod}, &pod); {
		case apierrors.IsNotFound(err):
			return nil, absent("there is no pod %s/%s", namespace, o.pod)
		case err != nil:
			return nil, err
		}
		variables, findings = serviceenv.ForPod(services, &pod)
	}
	for _, v := range variables {
		answer.Variables = append(answer.Variables, environmentVariable{v.Name, v.Value, v.Service.String()})
	}
	slices.SortStableFunc(answer.Variables, func(a, b environmentVariable) int { return strings.Compare(a.Name, b.Name) })
	answer.Findings = append(answer.Findings, findings...)
	return answer, nil
}

// services are those of the namespace and default/kubernetes, which a user of
// one namespace may not be allowed to read.
func (o *envOptions) services(ctx context.Context, reader client.Reader, answer *environment) ([]*corev1.Service, error) {
	var list corev1.ServiceList
	if err := reader.List(ctx, &list, client.InNamespace(answer.Namespace)); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		err := reader.Get(ctx, client.ObjectKey{Name: answer.Namespace}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return nil, absent("there is no namespace %s", answer.Namespace)
		}
	}
	services := make([]*corev1.Service, 0, len(list.Items)+1)
	for i := range list.Items {
		services = append(services, &list.Items[i])
	}
	if answer.Namespace == serviceenv.Kubernetes.Namespace {
		return services, nil
	}
	var kubernetes corev1.Service
	if err := reader.Get(ctx, serviceenv.Kubernetes, &kubernetes); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		answer.NotRead = append(answer.NotRead, withoutKubernetes(err))
		return services, nil
	}
	return append(services, &kubernetes), nil
}

// withoutKubernetes says why the variables that every pod has are not shown. The
// API server makes its Service anew if it is deleted.
func withoutKubernetes(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("you may not read Service %s, so its variables, which every pod has, are not shown", serviceenv.Kubernetes)
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("there is no Service %s now, whose variables every pod has", serviceenv.Kubernetes)
	}
	return fmt.Sprintf("Service %s could not be read, so its variables, which every pod has, are not shown: %v", serviceenv.Kubernetes, err)
}

func (e *environment) print(out, notes io.Writer, wide bool) error {
	// tabwriter keeps errors until it is flushed.
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if wide {
		_, _ = fmt.Fprintln(table, "NAME\tVALUE\tSERVICE")
	}
	for _, v := range e.Variables {
		if wide {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, v.Value, v.Service)
		} else {
			_, _ = fmt.Fprintf(table, "%s=%s\n", v.Name, v.Value)
		}
	}
	err := table.Flush()
	remarks := tabwriter.NewWriter(notes, 0, 0, 2, ' ', 0)
	for _, f := range e.Findings {
		severity := "note"
		if f.Wrong() {
			severity = "warning"
		}
		_, _ = fmt.Fprintf(remarks, "%s\t%s: %s\n\t-> %s\n", severity, f.Kind, f.Message, f.Remedy)
	}
	for _, note := range e.NotRead {
		_, _ = fmt.Fprintf(remarks, "not read\t%s\n", note)
	}
	return errors.Join(err, remarks.Flush())
}

// completeNamespace offers namespaces for the only argument.
func (o *envOptions) completeNamespace(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.completeNamespaces(c, args, typed)
}

// completePods offers the pods of the namespace that was given.
func (o *envOptions) completePods(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	var list corev1.PodList
	if len(args) != 1 || !o.listForCompletion(&list, client.InNamespace(args[0])) {
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
