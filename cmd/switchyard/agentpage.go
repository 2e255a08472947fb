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
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/cmd/node/app"
	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/status"
	"switchyard.dev/switchyard/internal/trace"
)

// agentURL is where an agent serves its metrics and pages by default, on its
// own node.
const agentURL = "http://127.0.0.1:10249"

// pagePatience bounds a request to an agent.
const pagePatience = 3 * time.Second

// agentOn is the agent whose settings are wanted.
type agentOn struct {
	cluster reach
	client  kubernetes.Interface
	objects trace.Objects
	node    string
	// url is where to ask it from here, if it was said.
	url string
}

// settings asks the agent how it is set, and says what had to be assumed if it
// can not be asked. Flags win over what it says.
func (a agentOn) settings(ctx context.Context, flags *pflag.FlagSet) (trace.Settings, error) {
	page, pageErr := a.configPage(ctx)
	view, err := app.ReadView(page, flags)
	if err != nil {
		return trace.Settings{}, err
	}
	s := trace.Settings{Node: view.Node, Features: view.Features, Store: view.Store, WithoutExternalIPs: view.WithoutExternalIPs}
	s.Known = a.known(page != nil, givenFlags(flags))
	switch {
	case errors.Is(pageErr, status.ErrAnother):
		s.Assumed = append(s.Assumed, fmt.Sprintf("that an agent programs %s, and is set so: %v", a.node, pageErr))
	case page == nil:
		s.Assumed = append(s.Assumed, fmt.Sprintf("that the agent on %s is set so: it could not be asked (%v)", a.node, pageErr))
	}
	if local := view.Node.DetectLocal; page == nil && !local.FromNode && len(local.ClusterCIDRs) == 0 && view.Features.LocalInterface == "" {
		s.Assumed = append(s.Assumed, "that it was told of no pod ranges (--cluster-cidr), so that no client of a ClusterIP counts as foreign")
	}
	if !view.Node.NodePorts.Primary || len(view.Node.NodePorts.CIDRs) > 0 {
		s.Assumed = append(s.Assumed, "that "+a.node+" has the addresses of its Node object, and no others")
	}
	return s, nil
}

// known says where settings are from.
func (a agentOn) known(asked bool, flags string) string {
	switch {
	case asked && flags == "":
		return "of the agent on " + a.node
	case asked:
		return "of the agent on " + a.node + ", but for " + flags
	case flags == "":
		return "the agent's defaults"
	}
	return flags + ", else the agent's defaults"
}

// givenFlags names the agent's flags that were set.
func givenFlags(flags *pflag.FlagSet) string {
	agents := pflag.NewFlagSet("", pflag.ContinueOnError)
	app.AddViewFlags(agents)
	var names []string
	flags.Visit(func(f *pflag.Flag) {
		if agents.Lookup(f.Name) != nil {
			names = append(names, "--"+f.Name+"="+f.Value.String())
		}
	})
	return strings.Join(names, " ")
}

// configPage is what the agent says of itself.
func (a agentOn) configPage(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pagePatience)
	defer cancel()
	ask := func(path string) (page status.Page, err error) {
		page.Code = http.StatusOK // any other is an error
		page.Body, err = a.page(ctx, path)
		return page, err
	}
	if _, err := status.Own(status.ProofOfMetrics, ask); err != nil {
		return nil, err
	}
	return a.page(ctx, "/configz")
}

// page gets one of the agent's pages, from where it can be had.
func (a agentOn) page(ctx context.Context, path string) ([]byte, error) {
	switch {
	case a.url != "":
		return get(ctx, strings.TrimSuffix(a.url, "/")+path)
	case a.cluster.local != nil:
		return getOnNode(ctx, *a.cluster.local, a.node, agentURL+path)
	case isHere(a.objects, a.node):
		return get(ctx, agentURL+path)
	}
	// The API server reaches only agents that serve more than their loopback.
	stream, err := a.client.CoreV1().RESTClient().Get().Resource("nodes").Name(a.node + ":10249").SubResource("proxy").Suffix(path).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("through the API server: %w", err)
	}
	defer func() { _ = stream.Close() }()
	return status.ReadPage(stream, path)
}

// getOnNode gets a page from within the network of a local cluster's node.
func getOnNode(ctx context.Context, dir state.Dir, node, url string) ([]byte, error) {
	network, err := localcluster.OfNode(dir, node)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the switchyard program: %w", err)
	}
	command, err := network.Command(ctx, self, getPage, url)
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	page, err := command.Output()
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(strings.TrimSpace(stderr.String()), "switchyard: "))
	}
	return page, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return status.ReadPage(response.Body, url)
}

// getPage is the hidden command that gets a page from the network that it is
// started in.
const getPage = "get-page"

func getCommand() *cobra.Command {
	return &cobra.Command{
		Use:    getPage,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), pagePatience)
			defer cancel()
			page, err := get(ctx, args[0])
			if err == nil {
				_, err = c.OutOrStdout().Write(page)
			}
			return err
		},
	}
}
