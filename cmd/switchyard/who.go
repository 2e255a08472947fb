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
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/who"
)

// whoOptions are what `switchyard who` can be told beside the cluster.
type whoOptions struct{ namespaceOptions }

func whoCommand() *cobra.Command {
	var o whoOptions
	c := &cobra.Command{
		Use:   "who {PORT | IP | NAMESPACE/NAME | NAME}",
		Short: "Say whose a port or address is, or what a Service holds",
		Long: `Say who holds a NodePort, a ClusterIP, an external IP or a load-balancer address:
the Service, its field and port, since when, the pool and the reservation of the
number, requests that have claimed it, what is wrong with it, and what is free
beside it. Of a Service it says all numbers that it holds, and those that are
reserved for it. A Service without a namespace is looked for where kubectl would.

Who may not list the Services of all namespaces is answered from those of one: of
a number that none of them has, that is no answer.

Exit codes: 0 it is held by one, or free; 1 something is wrong with it; 2 the
question could not be answered.`,
		Example: `  switchyard who 30080
  switchyard who fd00:10:96::a -o yaml
  switchyard who shop/web
  switchyard who -n shop web`,
		Args: arguments(exactly("PORT, IP or NAMESPACE/NAME")),
	}
	o.addFlags(c)
	o.addNamespace(c, "Namespace of a Service that is given by its name alone, and whose Services are asked where those of all may not be listed.")
	c.ValidArgsFunction = o.completeWho
	c.RunE = func(c *cobra.Command, args []string) error { return trouble(o.who(c, args[0])) }
	return c
}

func (o *whoOptions) who(c *cobra.Command, text string) error {
	if err := o.validate(); err != nil {
		return err
	}
	namespace := o.ownNamespace()
	question, err := who.Parse(text, namespace)
	if err != nil {
		return err
	}
	look, err := o.look(c.Context(), inventory.Scope{Namespace: cmp.Or(question.Service.Namespace, namespace)})
	if err != nil {
		return err
	}
	now, err := look()
	if err != nil && question.Service.Name == "" {
		return elsewhere(err)
	}
	if err != nil {
		return err
	}
	return o.answer(c.OutOrStdout(), now, question, time.Now())
}

func (o *inventoryOptions) answer(out io.Writer, x *inventory.Index, question who.Question, now time.Time) error {
	asker := who.New(x, audit.Run(x, now))
	if question.Service.Name != "" {
		answer, err := asker.ServiceNumbers(question.Service)
		if err == nil {
			err = o.write(out, answer, func(wide bool) error { return answer.Print(out, now, wide) })
		}
		if err == nil && answer.Conflict() {
			err = &exitError{code: exitFound}
		}
		return err
	}
	answer := asker.Number(question.Number)
	err := o.write(out, answer, func(wide bool) error { return answer.Print(out, now, wide) })
	switch {
	case err != nil:
		return err
	case answer.State == who.Conflict:
		return &exitError{code: exitFound}
	case answer.State == who.Unknown:
		return &exitError{code: exitTrouble, err: errors.New("who has it in other namespaces could not be read")}
	}
	return nil
}
