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

package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/probe"
)

// Place is where in the cluster a program runs: in a pod, on a node, or
// outside.
type Place struct {
	Pod, Node string
	// Namespace is the pod's; the demo's if it is empty.
	Namespace string
}

// Outside is the network that the nodes are in, none of them itself.
var Outside = Place{}

// String is how the place is called in the table.
func (p Place) String() string {
	switch {
	case p.Pod != "":
		return "pod " + p.Pod
	case p.Node != "":
		return p.Node
	}
	return "outside"
}

// Bed is the cluster that the checks run on.
type Bed struct {
	Client    client.Client
	Clientset kubernetes.Interface
	// Command is a program of this machine in a place of the cluster.
	Command func(ctx context.Context, place Place, argv ...string) (*exec.Cmd, error)
	// Status is what the cluster says of its programs.
	Status func(ctx context.Context) (control.Status, error)
	// Agent is the process of a node's agent; nil looks for it in Status.
	Agent func(ctx context.Context, node string) (pid int, err error)
	// Switchyard is the path of the CLI, which holds the probe.
	Switchyard string
	// Patience bounds the wait for a state; 0 is 2 min.
	Patience time.Duration
}

// answerTime is more than a busy machine takes for an answer.
const answerTime = 5 * time.Second

// ask makes connections from a place, all of which have to be answered.
func (b *Bed) ask(ctx context.Context, from Place, r probe.Request) ([]probe.Answer, error) {
	r.Timeout = cmp.Or(r.Timeout, answerTime)
	answers, err := b.try(ctx, from, r)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		if a.Outcome != probe.Answered {
			return nil, fmt.Errorf("from %s to %s %s: %s: %s", from, r.Protocol, r.Address, a.Outcome, a.Error)
		}
	}
	return answers, nil
}

// try makes connections from a place, whatever becomes of them.
func (b *Bed) try(ctx context.Context, from Place, r probe.Request) ([]probe.Answer, error) {
	if r.Count == 0 {
		r.Count = 1
	}
	cmd, err := b.Command(ctx, from, b.Switchyard, "probe", "--protocol", r.Protocol, "--timeout", r.Timeout.String(),
		"--count", strconv.Itoa(r.Count), "--path", r.Path, "--text", r.Text, "-o", "json", r.Address)
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("probing %s from %s: %w%s", r.Address, from, err, stderrOf(err))
	}
	var answers []probe.Answer
	if err := json.Unmarshal(out, &answers); err != nil {
		return nil, fmt.Errorf("probing %s from %s: reading %q: %w", r.Address, from, out, err)
	}
	return answers, nil
}

// eventually repeats until it succeeds, and gives the last error when the
// bed's patience is at its end.
func (b *Bed) eventually(ctx context.Context, attempt func() error) error {
	patience := b.Patience
	if patience == 0 {
		patience = 2 * time.Minute
	}
	deadline := time.Now().Add(patience)
	for {
		err := attempt()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return ": " + string(bytes.TrimSpace(exit.Stderr))
	}
	return ""
}
