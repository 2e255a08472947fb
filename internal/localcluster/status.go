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
	"os"
	"strconv"
	"strings"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// Status is the state of the cluster that runs, or ErrNone. Process ids are
// the machine's.
func Status(ctx context.Context, dir state.Dir) (control.Status, error) {
	record, err := Running(dir)
	if err != nil {
		return control.Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	status, err := control.NewClient(dir.Socket()).Status(ctx)
	if err != nil {
		return control.Status{}, err
	}
	status.PID = record.PID
	outer := machinePIDs("/proc", record.PID)
	for i, c := range status.Processes {
		status.Processes[i].PID = outer[c.PID]
	}
	return status, nil
}

// machinePIDs maps process ids as the cluster numbers them to those of the
// machine, where init is the cluster's. proc is where the machine's proc(5) is
// mounted. Processes that end meanwhile are left out.
func machinePIDs(proc string, init int) map[int]int {
	cluster, err := os.Readlink(proc + "/" + strconv.Itoa(init) + "/ns/pid")
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	pids := map[int]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := proc + "/" + entry.Name()
		if namespace, err := os.Readlink(dir + "/ns/pid"); err != nil || namespace != cluster {
			continue
		}
		if status, err := os.ReadFile(dir + "/status"); err == nil {
			pids[innermostPID(string(status))] = pid
		}
	}
	delete(pids, 0)
	return pids
}

// innermostPID reads a process's id in its own PID namespace, the last of the
// NSpid line of proc(5); 0 if there is none.
func innermostPID(status string) int {
	for line := range strings.Lines(status) {
		if list, found := strings.CutPrefix(line, "NSpid:"); found {
			fields := strings.Fields(list)
			if len(fields) == 0 {
				return 0
			}
			pid, _ := strconv.Atoi(fields[len(fields)-1])
			return pid
		}
	}
	return 0
}
