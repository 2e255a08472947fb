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
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/discovery"
	"switchyard.dev/switchyard/internal/records"
	"switchyard.dev/switchyard/internal/why"
)

type recordsOptions struct {
	whyOptions
	podNames bool
}

func recordsCommand() *cobra.Command {
	var o recordsOptions
	c := &cobra.Command{
		Use:   "records {SERVICE | NAMESPACE/SERVICE | svc/SERVICE}",
		Short: "Print every DNS record of a Service",
		Long: `Print every record that the cluster's DNS has of a Service and its endpoints, as
it is now: A and AAAA, SRV, PTR and CNAME, as Kubernetes' specification of
DNS-based service discovery has them. They come from the Service and its
EndpointSlices; no DNS server is asked.

The records go to standard output, in the form of a zone file; what has no
record, and why, to standard error.

Exit codes: 0 the Service has records; 1 it has none, so that its name does not
exist; 2 the question could not be answered.`,
		Example: `  switchyard records shop/web
  switchyard records -n shop db --zone example.internal
  switchyard records db.shop.svc.cluster.local -o json`,
		Args: arguments(exactly("SERVICE or NAMESPACE/SERVICE")),
	}
	o.addTo(c)
	o.addNamespace(c, "Namespace of a Service that is given by its name alone.")
	c.Flags().StringVar(&o.domain, "zone", diagnosis.DefaultZone, "The cluster's DNS domain.")
	c.Flags().BoolVar(&o.podNames, "endpoint-pod-names", false, "Name endpoints without hostname after their pods, as the option of the DNS server does.")
	addOutputFlag(c, &o.output)
	_ = c.RegisterFlagCompletionFunc("zone", cobra.NoFileCompletions)
	c.ValidArgsFunction = o.completeService
	c.RunE = func(c *cobra.Command, args []string) error { return trouble(o.run(c, args[0])) }
	return c
}

func (o *recordsOptions) run(c *cobra.Command, service string) error {
	if err := validOutput(o.output); err != nil {
		return err
	}
	zone := strings.ToLower(strings.TrimSuffix(o.domain, "."))
	if len(validation.IsDNS1123Subdomain(zone)) > 0 {
		return fmt.Errorf("--zone %q is no domain: give that of the cluster, usually %s", o.domain, diagnosis.DefaultZone)
	}
	cluster, err := o.reach()
	if err != nil {
		return err
	}
	question, err := why.Parse(service, "", o.namespace, cluster.namespace)
	if err != nil {
		return err
	}
	reader, config, err := o.client()
	if err != nil {
		return err
	}
	answer, err := records.Read(c.Context(), reader, question.Service,
		discovery.Options{Zone: zone + ".", TTL: discovery.DefaultTTL, EndpointPodNames: o.podNames})
	if err != nil {
		return fmt.Errorf("reading the cluster: %w%s", err, advice(err, config.Host))
	}
	err = writeAs(o.output, c.OutOrStdout(), answer, func(bool) error { return printRecords(answer, c.OutOrStdout(), c.ErrOrStderr()) })
	if err == nil && len(answer.Records) == 0 && len(answer.NotRead) == 0 {
		err = &exitError{code: exitFound}
	}
	return err
}

func printRecords(a *records.Answer, out, notes io.Writer) error {
	// tabwriter keeps errors until it is flushed.
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range a.Records {
		_, _ = fmt.Fprintf(table, "%s\t%d\tIN\t%s\t%s\n", r.Name, r.TTL, r.Type, r.Data)
	}
	err := table.Flush()
	remarks := tabwriter.NewWriter(notes, 0, 0, 2, ' ', 0)
	for _, h := range a.Hints {
		_, _ = fmt.Fprintf(remarks, "note\t%s\n", h.Message)
		if h.Remedy != "" {
			_, _ = fmt.Fprintf(remarks, "\t-> %s\n", h.Remedy)
		}
	}
	for _, note := range a.NotRead {
		_, _ = fmt.Fprintf(remarks, "not read\t%s\n", note)
	}
	return errors.Join(err, remarks.Flush())
}
