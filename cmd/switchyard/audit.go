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
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
)

// settle is the time between two looks at what seems wrong.
const settle = time.Second

func auditCommand() *cobra.Command {
	var o namespaceOptions
	c := &cobra.Command{
		Use:   "audit",
		Short: "Say what is wrong with the numbers of Services, and change nothing",
		Long: `Look at all ClusterIPs, NodePorts, external IPs and load-balancer addresses, and
say what is wrong with them: numbers that two Services hold, that lie out of
range or in the pool or reservation of others, IPAddresses that are missing or
name somebody else, claims and placeholders for nothing, reservations that are
not held, pools that conflict or are full. And endpoints that are pods of other
namespaces. Each with its severity, the objects
and what to do. Nothing is changed.

Who may not list the Services of all namespaces is told what is wrong with those
of one, and what could not be looked at.

What seems wrong is looked at again after a second, as a cluster that is at work
has half-made things.

Exit codes: 0 nothing is wrong; 1 there are findings; 2 there are none, but you
may not read all that it takes to know, or the cluster could not be read.`,
		Example: `  switchyard audit
  switchyard audit -o json | jq '.findings[] | select(.severity == "error")'`,
		Args:              arguments(nothing),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.addFlags(c)
	o.addNamespace(c, "Namespace whose Services are looked at where those of all may not be listed.")
	c.RunE = func(c *cobra.Command, _ []string) error { return trouble(o.audit(c)) }
	return c
}

func (o *namespaceOptions) audit(c *cobra.Command) error {
	if err := o.validate(); err != nil {
		return err
	}
	look, err := o.look(c.Context(), inventory.Scope{Namespace: o.ownNamespace(), Endpoints: true})
	if err != nil {
		return err
	}
	first, err := look()
	if err != nil {
		return elsewhere(err)
	}
	report := audit.Run(first, time.Now())
	if len(report.Findings) > 0 {
		select {
		case <-c.Context().Done():
			return c.Context().Err()
		case <-time.After(settle):
		}
		second, err := look()
		if err != nil {
			return err
		}
		report = report.Confirm(audit.Run(second, time.Now()))
	}
	err = o.write(c.OutOrStdout(), report, func(wide bool) error { return report.Print(c.OutOrStdout(), wide) })
	if err != nil {
		return err
	}
	return verdict(report)
}

// verdict is the exit code of a report.
func verdict(report audit.Report) error {
	switch {
	case len(report.Findings) > 0:
		return &exitError{code: exitFound}
	case report.Partial():
		// What a role lacks must not look like a cluster in order.
		return &exitError{code: exitTrouble, err: errors.New("not all could be checked")}
	}
	return nil
}
