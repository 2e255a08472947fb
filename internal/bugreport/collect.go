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

package bugreport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/internal/status"
)

// Collector reads a cluster into Contents. What it can not read it notes there.
type Collector struct {
	*Contents
	Config *rest.Config
	// System is the namespace of the manager and the agents, Namespace that whose
	// Services are wanted; all if empty.
	System, Namespace string
	Tunnels           status.Tunnels
	// MostObjects bounds those of a kind, MostAgents those whose pages are got, and
	// MostOfLog the bytes of one log.
	MostObjects, MostAgents, MostOfLog int
}

// parallel is how much is read at a time.
const parallel = 8

// Objects reads objects of the API.
func (c *Collector) Objects(ctx context.Context) {
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		c.Miss("objects", "%v", err)
		return
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, l := range c.lists() {
		group.Go(func() error { c.read(ctx, client, l); return nil })
	}
	_ = group.Wait()
}

// Logs reads the logs of our pods, and of their containers' lives before.
func (c *Collector) Logs(ctx context.Context) {
	clients, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		c.Miss("logs", "%v", err)
		return
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for namespace, labels := range map[string]string{c.System: "", metav1.NamespaceSystem: ours} {
		pods, err := c.worst(ctx, clients, namespace, labels)
		if err != nil {
			c.Miss("logs of pods of "+namespace, "%s", reason(ctx, err))
		}
		if pods.left > 0 {
			c.Miss("logs of pods of "+namespace, "those of %d more pods were left out, %d of which are in trouble", pods.left, pods.leftBad)
		}
		for _, pod := range append(pods.bad, pods.good...) {
			group.Go(func() error { c.podLogs(ctx, clients, pod); return nil })
		}
	}
	_ = group.Wait()
}

// pods are some of those of a namespace, and how many more there are.
type pods struct {
	bad, good     []*corev1.Pod
	left, leftBad int
}

// worst reads all pods and keeps MostAgents of them, those in trouble first. What has
// come before an error counts.
func (c *Collector) worst(ctx context.Context, clients kubernetes.Interface, namespace, labels string) (p pods, err error) {
	for next := ""; ; {
		page, err := clients.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels, Limit: pageSize, Continue: next})
		if err != nil {
			return p, err
		}
		for i := range page.Items {
			p.add(&page.Items[i], c.MostAgents)
		}
		if next = page.Continue; next == "" {
			return p, nil
		}
	}
}

func (p *pods) add(pod *corev1.Pod, most int) {
	bad := inTrouble(pod)
	switch {
	case bad && len(p.bad) < most:
		p.bad = append(p.bad, pod.DeepCopy()) // so that the page can go
	case bad:
		p.leftBad++
		p.left++
	case len(p.bad)+len(p.good) < most:
		p.good = append(p.good, pod.DeepCopy())
	default:
		p.left++
	}
	if over := len(p.bad) + len(p.good) - most; over > 0 && len(p.good) > 0 {
		p.good = p.good[:len(p.good)-over]
		p.left += over
	}
}

// inTrouble tells that it is not ready, or was started anew.
func inTrouble(pod *corev1.Pod) bool {
	ready := false
	for _, c := range pod.Status.Conditions {
		ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}
	return !ready || slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.RestartCount > 0 })
}

func (c *Collector) podLogs(ctx context.Context, clients kubernetes.Interface, pod *corev1.Pod) {
	restarted := map[string]bool{}
	for _, s := range append(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses...) {
		restarted[s.Name] = s.RestartCount > 0
	}
	for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		name := fmt.Sprintf("logs/%s/%s/%s", pod.Namespace, pod.Name, container.Name)
		c.log(ctx, clients, pod, container.Name, false, name+".log")
		if restarted[container.Name] {
			c.log(ctx, clients, pod, container.Name, true, name+".previous.log")
		}
	}
}

func (c *Collector) log(ctx context.Context, clients kubernetes.Interface, pod *corev1.Pod, container string, previous bool, name string) {
	lines := int64(c.MostOfLog / 100)
	stream, err := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, Timestamps: true,
	}).Stream(ctx)
	if err != nil {
		c.Miss(name, "%s", reason(ctx, err))
		return
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(io.LimitReader(stream, int64(c.MostOfLog)*longLines))
	if err != nil {
		c.Miss(name, "%s", reason(ctx, err))
	}
	if len(text) > 0 || err == nil {
		c.Add(name, "log of "+pod.Name, Tail(text, c.MostOfLog))
	}
}

// longLines is by how much the lines of a log may be longer than they usually are,
// for its newest to be in the report.
const longLines = 10

// Agents gets the pages of agents.
func (c *Collector) Agents(ctx context.Context, agents []status.Instance) {
	if left := len(agents) - c.MostAgents; left > 0 {
		c.Miss("pages of agents", "those of %d more nodes were left out: --nodes names some", left)
		agents = agents[:c.MostAgents]
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	had := map[string]bool{}
	for _, agent := range agents {
		where := agent.Node
		if had[where] { // one takes the place of another
			where += "/" + agent.Name
		}
		had[where] = true
		group.Go(func() error { c.agent(ctx, agent, where); return nil })
	}
	_ = group.Wait()
}

func (c *Collector) agent(ctx context.Context, agent status.Instance, where string) {
	ctx, cancel := context.WithTimeoutCause(ctx, agentPatience, fmt.Errorf("no answer within %v", agentPatience))
	defer cancel()
	what := "pages of the agent of " + where
	tunnel, err := c.Tunnels.Open(ctx, agent)
	if err != nil {
		c.Miss(what, "%s", reason(ctx, err))
		return
	}
	defer func() { _ = tunnel.Close() }()
	servers := agent.Ports.Servers()
	if len(servers) == 0 {
		c.Miss(what, "it serves them on no port of its loopback")
	}
	for _, server := range servers {
		c.pagesOf(ctx, tunnel, where, server)
	}
	if ctx.Err() != nil {
		c.Miss(what, "%s", reason(ctx, ctx.Err()))
	}
}

// pagesOf gets those of one port as long as there is time, unless another program has
// it.
func (c *Collector) pagesOf(ctx context.Context, tunnel status.Tunnel, node string, server status.Server) {
	get := func(path string) (status.Page, error) { return status.Get(ctx, tunnel, server.Port, path) }
	proof, err := status.Own(server.Proof, get)
	if errors.Is(err, status.ErrAnother) {
		c.Miss("pages of the agent of "+node, "port %d: %v", server.Port, err)
		return
	}
	c.addPage(ctx, node, server.Proof, proof, err)
	for _, path := range server.Pages {
		page, err := get(path)
		c.addPage(ctx, node, path, page, err)
	}
}

func (c *Collector) addPage(ctx context.Context, node, path string, page status.Page, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		c.Miss("pages of the agent of "+node, "%s: %v", path, err)
	case page.Code != http.StatusOK:
		c.Add("agents/"+node+path+".txt", fmt.Sprintf("what its agent says, with the code %d", page.Code), page.Body)
	default:
		c.Add("agents/"+node+path+".txt", "what its agent says", page.Body)
	}
}

// agentPatience is how long one agent may take.
const agentPatience = 10 * time.Second
