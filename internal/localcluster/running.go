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

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/software"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

const (
	// patience is how long a cluster may take to end by itself before it is killed.
	patience = 5 * time.Second
	// busy is how long a machine may take that has other work: for an answer of the
	// supervisor or the API server, and to be rid of the processes of a cluster that
	// was killed.
	busy = time.Minute
)

// ErrNone means that no cluster runs.
var ErrNone = errors.New("no local cluster is running: `switchyard up` starts one")

// RunningError means that a cluster runs where one was to be started.
type RunningError struct {
	// Record is empty while the cluster is at its very beginning or end.
	Record state.Record
	// Ready is false while it starts.
	Ready      bool
	Kubeconfig string
}

// Error names the cluster and what to do.
func (e *RunningError) Error() string {
	if !e.Ready {
		return "a local cluster is starting or ending right now: wait for it, or end it with `switchyard down`"
	}
	return fmt.Sprintf("a local cluster of %d nodes is running already (pid %d, KUBECONFIG=%s): end it with `switchyard down`",
		e.Record.Nodes, e.Record.PID, e.Kubeconfig)
}

// Fits reports whether the running cluster has that many nodes in those zones,
// and runs what was chosen.
func (e *RunningError) Fits(nodes int, zones []string, chosen software.Choice) bool {
	return e.Ready && e.Record.Nodes == nodes && slices.Equal(e.Record.Zones, zones) && e.Record.Software == chosen
}

func describeRunning(ctx context.Context, dir state.Dir) error {
	running := &RunningError{Kubeconfig: dir.Kubeconfig()}
	record, err := dir.Record()
	if err != nil {
		return running // it has not come far enough
	}
	running.Record = record
	ctx, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	status, err := control.NewClient(dir.Socket()).Status(ctx)
	running.Ready = err == nil && status.Ready
	return running
}

// Running returns the record of the cluster that runs, or ErrNone. It takes no
// lock: a look must not be in the way of an `up` at the same time.
func Running(dir state.Dir) (state.Record, error) {
	record, err := dir.Record()
	if errors.Is(err, os.ErrNotExist) || (err == nil && !record.Alive()) {
		return state.Record{}, ErrNone
	}
	return record, err
}
