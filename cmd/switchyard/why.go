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
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/why"
)

// agentHealthPort is where what programs a node serves its health, as kube-proxy
// does.
const agentHealthPort = "10256"

type whyOptions struct {
	namespaceOptions
	from   string
	domain string
}

func whyCommand() *cobra.Command {
	var o whyOptions
	c := &cobra.Command{
		Use:   "why {SERVICE | NAMESPACE/SERVICE | svc/SERVICE}",
		Short: "Say why a Service does not answer, and what to change",
		Long: `Look at all that a connection to a Service depends on: that it exists, its
addresses and whether others have them, the pods that its selector matches and
why they are not ready, target ports, address families, EndpointSlices, traffic
policies, source ranges, what programs the nodes, and NetworkPolicies. The last
line says what is wrong and what to change, or that the Service answers.

With --from the answer is for one client: a pod, a node, or an address
outside. Nothing is changed, and no connection is made: see trace --live for that.

It works with any cluster. What you may not read is named, with what is not known
therefore; the Service itself has to be readable.

Exit codes: 0 it answers, as far as can be seen; 1 something is wrong; 2 the
question could not be answered.`,
		Example: `  switchyard why shop/web
  switchyard why -n shop web --from client-7d4b9c
  switchyard why web.shop.svc.cluster.local --from 203.0.113.7
  switchyard why svc/web -o json | jq -r .verdict.reason`,
		Args: arguments(exactly("SERVICE or NAMESPACE/SERVICE")),
	}
	o.addFlags(c)
	o.addNamespace(c, "Namespace of a Service or pod that is given by its name alone.")
	c.Flags().StringVar(&o.from, "from", "", "Client: `POD`, NAMESPACE/POD, node/NODE or an IP address; without it anybody.")
	c.Flags().StringVar(&o.domain, "cluster-domain", diagnosis.DefaultZone, "The cluster's DNS domain.")
	c.ValidArgsFunction = o.completeService
	_ = c.RegisterFlagCompletionFunc("from", o.completeFrom)
	c.RunE = func(c *cobra.Command, args []string) error { return trouble(o.run(c, args[0])) }
	return c
}

func (o *whyOptions) run(c *cobra.Command, service string) error {
	if err := o.validate(); err != nil {
		return err
	}
	cluster, err := o.reach()
	if err != nil {
		return err
	}
	question, err := why.Parse(service, o.from, o.namespace, cluster.namespace)
	if err != nil {
		return err
	}
	asker, host, err := o.asker(cluster)
	if err != nil {
		return err
	}
	answer, err := asker.Ask(c.Context(), question)
	if _, is := errors.AsType[*why.NoClientError](err); is {
		return err // the API server is up, and has answered
	}
	if err != nil {
		return readingError(err, host)
	}
	err = writeAs(o.output, c.OutOrStdout(), answer.Report, func(wide bool) error { return answer.Print(c.OutOrStdout(), wide) })
	if err != nil {
		return err
	}
	return whyCode(answer)
}

// whyCode is the exit code of an answer.
func whyCode(answer *why.Answer) error {
	switch answer.Verdict.State {
	case diagnosis.Problem, diagnosis.Warning:
		return &exitError{code: exitFound}
	case diagnosis.Unknown:
		switch client := answer.Report.Client; {
		case !answer.EndpointsKnown() && answer.Verdict.Reason == diagnosis.ChangedJustNow:
			return &exitError{code: exitTrouble, err: errors.New("whether it answers can not be said yet: ask again in a minute")}
		case !answer.EndpointsKnown():
			return &exitError{code: exitTrouble, err: errors.New("whether it answers can not be said: too little could be read")}
		case client != nil && client.Unseen != "":
			return &exitError{code: exitTrouble, err: errors.New("whether it answers that client can not be said")}
		}
	}
	return nil
}

func (o *whyOptions) asker(cluster reach) (a why.Asker, host string, err error) {
	var clock serverClock
	cluster.config.Wrap(clock.watch)
	reader, config, err := o.clientOf(cluster)
	if err != nil {
		return a, "", err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return a, "", err
	}
	a = why.Asker{Reader: reader, System: o.system, Zone: o.domain, Now: clock.now, Local: cluster.local != nil, Page: throughAPIServer(clients), Settle: settle}
	if cluster.local != nil {
		a.Page = func(ctx context.Context, node, path string) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, pagePatience)
			defer cancel()
			_, err := getOnNode(ctx, *cluster.local, node, "http://127.0.0.1:"+agentHealthPort+path)
			return pageCode(err)
		}
	}
	a.NodePorts = func(ctx context.Context) inventory.NodePorts {
		if span, err := allocator.ParsePortSpan(o.nodePorts); err == nil {
			return inventory.NodePorts{Span: span, From: inventory.FromFlag}
		}
		return inventory.LearnNodePorts(ctx, inventory.Flagz(config), reader, o.system)
	}
	return a, config.Host, nil
}

// answered is how getOnNode tells of an answer that is not 200.
var answered = regexp.MustCompile(`: (\d{3}) [A-Z][A-Za-z ]*$`)

// pageCode reads the error of getOnNode, which comes from another process.
func pageCode(err error) (int, error) {
	if err == nil {
		return http.StatusOK, nil
	}
	if found := answered.FindStringSubmatch(err.Error()); found != nil {
		return strconv.Atoi(found[1])
	}
	if strings.Contains(err.Error(), "connection refused") {
		return 0, why.ErrDown
	}
	return 0, err
}

// throughAPIServer asks by the proxy of nodes, for those who may use it. That a
// node could not be reached says nothing: a firewall, or another address.
func throughAPIServer(clients kubernetes.Interface) why.Page {
	return func(ctx context.Context, node, path string) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, pagePatience)
		defer cancel()
		code := 0
		result := clients.CoreV1().RESTClient().Get().Resource("nodes").Name(node + ":" + agentHealthPort).SubResource("proxy").Suffix(path).Do(ctx)
		body, err := result.StatusCode(&code).Raw()
		switch {
		case code == http.StatusOK:
			return code, nil
		case code == http.StatusServiceUnavailable && !strings.Contains(string(body), "error trying to reach service"), code == http.StatusNotFound:
			return code, nil
		}
		return code, err
	}
}

// completeService offers the Services of -n or of the context's namespace, or those
// after NAMESPACE/.
func (o *whyOptions) completeService(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespace, rest, found := strings.Cut(typed, "/")
	prefix := ""
	switch {
	case found && (namespace == "svc" || namespace == "service" || namespace == "services"):
		prefix, namespace, typed = namespace+"/", o.ownNamespace(), rest
	case found:
		prefix, typed = namespace+"/", rest
	default:
		namespace = o.ownNamespace()
	}
	var list corev1.ServiceList
	var names []string
	if o.listForCompletion(&list, client.InNamespace(namespace)) {
		for i := range list.Items {
			if name := list.Items[i].Name; strings.HasPrefix(name, typed) {
				names = append(names, prefix+name)
			}
		}
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	if prefix == "" && o.namespace == "" {
		others, _ := o.completeNamespaces(c, args, typed)
		for _, other := range others {
			names, directive = append(names, other+"/"), directive|cobra.ShellCompDirectiveNoSpace
		}
	}
	return names, directive
}

// completeFrom offers the pods of the Service's namespace, or those after NAMESPACE/.
func (o *whyOptions) completeFrom(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	namespace, name, found := strings.Cut(typed, "/")
	prefix := namespace + "/"
	if !found {
		prefix, name = "", typed
		namespace = o.ownNamespace()
		if len(args) == 1 {
			if question, err := why.Parse(args[0], "", o.namespace, namespace); err == nil && o.namespace == "" {
				namespace = question.Service.Namespace
			}
		}
	}
	var list corev1.PodList
	if !o.listForCompletion(&list, client.InNamespace(namespace)) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range list.Items {
		if strings.HasPrefix(list.Items[i].Name, name) {
			names = append(names, prefix+list.Items[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
