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
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"switchyard.dev/switchyard/internal/bugreport"
	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// addLocal adds what only the machine of a local cluster has: the logs of its
// processes, and the tables of its nodes.
func addLocal(ctx context.Context, contents *bugreport.Contents, dir state.Dir) {
	for _, name := range localcluster.LogNames(dir) {
		if !strings.HasPrefix(name, "switchyard-") && name != "supervisor" {
			continue // the control plane's are Kubernetes' own
		}
		text, err := tailOf(dir.Log(name), mostOfLog)
		if err != nil {
			contents.Miss("log of "+name, "%v", err)
			continue
		}
		contents.Add("logs/local/"+name+".log", "log of a process of the local cluster", text)
	}
	local, err := localcluster.Status(ctx, dir)
	if err != nil {
		contents.Miss("tables of nodes", "%v", err)
		return
	}
	for _, node := range local.Nodes[:min(len(local.Nodes), mostAgentsAsk)] {
		for _, family := range []string{"ip", "ip6"} {
			text, err := tableOf(ctx, dir, node.Name, family)
			if err != nil {
				contents.Miss("table "+family+" of "+node.Name, "%v", err)
				continue
			}
			contents.Add("nodes/"+node.Name+"/nft-"+family+".txt", "the node's table", text)
		}
	}
}

// tableOf asks nft in the node's network.
func tableOf(ctx context.Context, dir state.Dir, node, family string) ([]byte, error) {
	network, err := localcluster.OfNode(dir, node)
	if err != nil {
		return nil, err
	}
	command, err := network.Command(ctx, "nft", "list", "table", family, "switchyard")
	if err != nil {
		return nil, err
	}
	// Where Debian leaves out what administrators use.
	path := strings.Join([]string{os.Getenv("PATH"), "/usr/sbin", "/sbin"}, string(filepath.ListSeparator))
	command.Env = append(os.Environ(), "PATH="+path)
	text, err := command.Output()
	return text, explainNft(err)
}

// explainNft says why nft has failed, as it says itself.
func explainNft(err error) error {
	exit, is := errors.AsType[*exec.ExitError](err)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("there is no program nft on this machine: install nftables")
	case is && len(bytes.TrimSpace(exit.Stderr)) > 0:
		// Of the first line: what follows points into the command.
		reason, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return fmt.Errorf("nft: %s (%w): `switchyard exec NODE -- nft list ruleset` asks it again", reason, err)
	case err != nil:
		return fmt.Errorf("nft: %w", err)
	}
	return nil
}
