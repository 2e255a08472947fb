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

package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"switchyard.dev/switchyard/internal/demo"
)

// agent is the process of the agent of a node: the one in the network of that
// node, as several clusters of this machine may have a node of that name.
func (c *cluster) agent(ctx context.Context, node string) (int, error) {
	link := "ns/net"
	cmd, err := c.Command(ctx, demo.Place{Node: node}, "readlink", "/proc/self/"+link)
	if err != nil {
		return 0, err
	}
	network, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("asking for the network of %s: %w", node, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, process := range processes {
		if of, err := os.Readlink(filepath.Join(process, link)); err != nil || of != strings.TrimSpace(string(network)) {
			continue
		}
		if arguments, _ := os.ReadFile(filepath.Join(process, "cmdline")); strings.HasPrefix(string(arguments), "/switchyard-node\x00") {
			return strconv.Atoi(filepath.Base(process))
		}
	}
	return 0, fmt.Errorf("there is no agent on %s", node)
}
