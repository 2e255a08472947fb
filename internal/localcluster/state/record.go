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

package state

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"switchyard.dev/switchyard/internal/localcluster/software"
)

// Record says who runs the cluster and what it looks like.
type Record struct {
	// PID is the cluster's init, as the machine numbers it.
	PID int `json:"pid"`
	// StartTime is when it started, in clock ticks since boot: together with
	// PID it names one process for all time.
	StartTime uint64   `json:"startTime"`
	Nodes     int      `json:"nodes"`
	Zones     []string `json:"zones,omitempty"`
	// Port is where the API server answers on the machine's 127.0.0.1.
	Port    int    `json:"port"`
	Version string `json:"version"`
	// Software is what was chosen to run in it.
	Software software.Choice `json:"software"`
}

// WriteRecord replaces the record, in one step for readers.
func (d Dir) WriteRecord(r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the cluster's record: %w", err)
	}
	return writeFile(d.record(), append(data, '\n'))
}

// Record reads the record of the cluster.
func (d Dir) Record() (Record, error) {
	data, err := os.ReadFile(d.record())
	if err != nil {
		return Record{}, notOurs(fmt.Errorf("reading the cluster's record: %w", err))
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("reading the cluster's record %s: %w", d.record(), err)
	}
	return r, nil
}

// Alive reports whether the cluster's init still runs: the process that was
// recorded, and neither a later one with its number nor what is left of it
// until its parent has noticed.
func (r Record) Alive() bool {
	status, err := readProcess(r.PID)
	return err == nil && status.started == r.StartTime && status.state != "Z"
}

// WriteKubeconfig writes the administrator's kubeconfig.
func (d Dir) WriteKubeconfig(data []byte) error { return writeFile(d.Kubeconfig(), data) }

func writeFile(path string, data []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// StartTime is when process pid started, in clock ticks since boot.
func StartTime(pid int) (uint64, error) {
	status, err := readProcess(pid)
	return status.started, err
}

// processStatus is the part of /proc/PID/stat that is of use here, as
// described in proc(5).
type processStatus struct {
	state   string // field 3
	started uint64 // field 22, in clock ticks since boot
}

func readProcess(pid int) (processStatus, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStatus{}, err
	}
	return parseStat(string(data))
}

func parseStat(stat string) (processStatus, error) {
	// The program's name, in parentheses, may hold spaces and parentheses.
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	const first = 3 // the number of the field after the name
	if end < 0 || len(fields) <= 22-first {
		return processStatus{}, fmt.Errorf("unreadable process status %q", stat)
	}
	started, err := strconv.ParseUint(fields[22-first], 10, 64)
	return processStatus{state: fields[0], started: started}, err
}
