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

package why

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// Page gets a page of what programs a node: /livez, /healthz or /readyz of its
// health address. The error says why it could not be asked.
type Page func(ctx context.Context, node, path string) (code int, err error)

// ErrDown is the error of a Page where there is certainly nobody who answers.
var ErrDown = errors.New("nothing answers at its health address")

const (
	// maxAsked is how many nodes are asked, and maxTogether how many at a time.
	maxAsked    = 50
	maxTogether = 10
	// youth is how long something new is given.
	youth = time.Minute
)

// askNodes asks those that nothing is known of, or nothing certain. Once one must
// not be asked, no others are. The error is that of the first.
func (r *reading) askNodes(ctx context.Context, known map[string]diagnosis.Agent, weak map[string]bool) error {
	nodes := r.toAsk(known, weak)
	if r.Page == nil || len(nodes) == 0 {
		return nil
	}
	var mu sync.Mutex
	ask := func(node string) error {
		agent, err := r.ask(ctx, node)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		agent.Name = known[node].Name
		if r.Local {
			agent.Name = "switchyard-node"
		}
		known[node] = agent
		return nil
	}
	first := ask(nodes[0])
	if apierrors.IsForbidden(first) {
		return first
	}
	group := errgroup.Group{}
	group.SetLimit(maxTogether)
	for _, node := range nodes[1:] {
		group.Go(func() error { _ = ask(node); return nil }) // who can not be asked is not known
	}
	_ = group.Wait() // none returns an error
	return first
}

// toAsk begins with the nodes that the Service depends on.
func (r *reading) toAsk(known map[string]diagnosis.Agent, weak map[string]bool) []string {
	matters := map[string]bool{}
	for _, slice := range r.facts.Slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.NodeName != nil {
				matters[*endpoint.NodeName] = true
			}
		}
	}
	client := ""
	if c := r.facts.Client; c != nil && c.Pod != nil {
		client = c.Pod.Spec.NodeName
	}
	rank := func(node string) int {
		switch {
		case node == client:
			return 0
		case matters[node]:
			return 1
		}
		return 2
	}
	var nodes []string
	for _, node := range r.facts.Nodes {
		_, seen := known[node.Name]
		if (!seen || weak[node.Name]) && (ordinary(node) || r.Local) {
			nodes = append(nodes, node.Name)
		}
	}
	slices.SortStableFunc(nodes, func(a, b string) int { return rank(a) - rank(b) })
	return nodes[:min(len(nodes), maxAsked)]
}

// ask is whether what programs a node keeps up, and has begun to. kube-proxy has
// no /readyz, and before 1.28 no /livez.
func (r *reading) ask(ctx context.Context, node string) (diagnosis.Agent, error) {
	agent := diagnosis.Agent{Asked: true}
	path := "/livez"
	code, err := r.Page(ctx, node, path)
	if err == nil && code == http.StatusNotFound {
		path = "/healthz"
		code, err = r.Page(ctx, node, path)
	}
	switch {
	case errors.Is(err, ErrDown):
		agent.Problem = ErrDown.Error()
		return agent, nil
	case err != nil:
		return agent, err
	case code != http.StatusOK && code != http.StatusServiceUnavailable:
		return agent, fmt.Errorf("%s of node %s answers %d", path, node, code)
	case code != http.StatusOK:
		agent.Problem = fmt.Sprintf("its page %s answers %d", path, code)
		return agent, nil
	}
	agent.Healthy, agent.Synced = true, true
	if code, err := r.Page(ctx, node, "/readyz"); err == nil && code == http.StatusServiceUnavailable {
		agent.Synced, agent.Problem = false, "its page /readyz says that the first sync is not done"
	}
	return agent, nil
}
