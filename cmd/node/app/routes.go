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

package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/routes"
	"switchyard.dev/switchyard/internal/routes/feed"
)

// RoutesOptions are how addresses are announced by routes.
type RoutesOptions struct {
	// Daemon, File and Command are those of routes.Options.
	Daemon  string `json:"daemon,omitempty"`
	File    string `json:"file,omitempty"`
	Command string `json:"command,omitempty"`
	// ClusterIPs announces the ranges of ClusterIPs as well.
	ClusterIPs bool `json:"clusterIPs,omitempty"`
}

func (o *RoutesOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Daemon, "routes-daemon", o.Daemon, "with --announce=routes: the routing daemon of this node, bird (2.0 and newer) or frr")
	fs.StringVar(&o.File, "routes-file", o.File,
		"with --announce=routes: the file for the daemon, "+routes.DefaultFile(routes.BIRD)+" or "+routes.DefaultFile(routes.FRR)+" when not given")
	fs.StringVar(&o.Command, "routes-command", o.Command,
		"with --announce=routes: the program that talks to the daemon, with arguments between blanks; birdc or vtysh when not given")
	fs.BoolVar(&o.ClusterIPs, "routes-cluster-ips", o.ClusterIPs, "with --announce=routes: announce the ranges of ClusterIPs, too")
}

func (o *RoutesOptions) daemon() routes.Options {
	return routes.Options{Daemon: o.Daemon, File: o.File, Command: o.Command}
}

func (o *OwnOptions) validateRoutes() error {
	switch {
	case o.announces(announceRoutes) && o.Routes.Daemon == "":
		return fmt.Errorf("--announce=routes needs the routing daemon of this node: give --routes-daemon=%s or --routes-daemon=%s", routes.BIRD, routes.FRR)
	case o.announces(announceRoutes):
		return o.Routes.daemon().Validate()
	case o.Routes != RoutesOptions{}:
		return errors.New("--routes-daemon, --routes-file, --routes-command and --routes-cluster-ips mean nothing without --announce=routes: " +
			"add that or leave them out")
	}
	return nil
}

// reasonNotAnnounced is the reason of Events about a routing daemon that does not
// announce what it should.
const reasonNotAnnounced = "RoutesNotAnnounced"

// mostSaid bounds the message of an Event (1,024 bytes) with what a daemon said.
const mostSaid = 1000

// announceByRoutes has one function for each goroutine.
func announceByRoutes(
	o *OwnOptions, book *claims.Book, programmer *agent.Agent, state *health.State, metrics *health.Metrics, warnings nodeWarnings,
) []func(context.Context) {
	announcer := routes.New(o.Routes.daemon(), metrics.ServeRoutes(), func(err error) {
		text := err.Error()
		warnings.say(reasonNotAnnounced, strings.ToValidUTF8(text[:min(len(text), mostSaid)], ""))
	})
	config := feed.Config{
		Node: warnings.node.Name, Client: warnings.client, Namespace: o.announceNamespace(), Book: book,
		Ready: state.Ready, Healthy: state.Healthy, Announce: announcer.Announce,
	}
	if o.Routes.ClusterIPs {
		config.Ranges = programmer.ServiceCIDRs
	}
	return []func(context.Context){announcer.Run, feed.New(config).Run}
}
