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

package control

import (
	"net/netip"
	"time"
)

// Status is what a cluster looks like now.
type Status struct {
	// Ready is true from the moment `up` was done.
	Ready   bool   `json:"ready"`
	Server  string `json:"server"`
	Version string `json:"version"`
	// PID is the cluster's init.
	PID        int         `json:"pid"`
	Kubeconfig string      `json:"kubeconfig"`
	Nodes      []Node      `json:"nodes"`
	Processes  []Component `json:"processes"`
}

// Node is one node of the cluster.
type Node struct {
	Name     string         `json:"name"`
	Zone     string         `json:"zone,omitempty"`
	IPs      []netip.Addr   `json:"ips"`
	PodCIDRs []netip.Prefix `json:"podCIDRs"`
}

// Component is a supervised process.
type Component struct {
	Name string `json:"name"`
	// Node is where it runs.
	Node string `json:"node,omitempty"`
	// PID is 0 while the process is down. The supervisor knows it as the
	// cluster numbers processes, the command line shows it as the machine does.
	PID      int       `json:"pid"`
	Restarts int       `json:"restarts"`
	Since    time.Time `json:"since"`
	Log      string    `json:"log"`
	// LastExit tells how the process ended last, if it ever did.
	LastExit string `json:"lastExit,omitempty"`
}
