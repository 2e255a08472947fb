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
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchyard.dev/switchyard/test/testenv"
)

// size is how many Services there are, and how many endpoints each has.
type size struct {
	Services  int `json:"services"`
	Endpoints int `json:"endpoints"`
}

func (s size) String() string { return fmt.Sprintf("%dx%d", s.Services, s.Endpoints) }

// sizes is a flag: a list such as 1000x10,5000x10.
type sizes []size

func (s *sizes) String() string {
	var words []string
	for _, one := range *s {
		words = append(words, one.String())
	}
	return strings.Join(words, ",")
}

func (s *sizes) Set(text string) error {
	*s = nil
	for word := range strings.SplitSeq(text, ",") {
		if word == "" {
			continue
		}
		services, endpoints, _ := strings.Cut(word, "x")
		n, err := strconv.Atoi(services)
		m, err2 := strconv.Atoi(endpoints)
		if err != nil || err2 != nil || n < 1 || n > maxServices || m < 1 || m > maxEndpoints {
			return fmt.Errorf("%q: give SERVICESxENDPOINTS, at most %dx%d", word, maxServices, maxEndpoints)
		}
		*s = append(*s, size{n, m})
	}
	return nil
}

// options are the flags.
type options struct {
	sizes, alone sizes
	only         string
	quick        bool
	// switches and churn are for Switchyard; kube-proxy gets fewer switches, as
	// each has to wait for its sync period.
	switches, peerSwitches int
	churn, burst, traffic  time.Duration
	// tracked are the connections that a busy node tracks.
	tracked           int
	output            string
	markdown, goBench string
	profile, logs     string
	node, peer        string
	manager           string
	// admission is how many Services there are while webhooks are measured, 0 to
	// leave that out, and requests how many are made in each way.
	admission, requests int
	loads               loads
	// endpoints is how many Services there are while endpoint controllers are
	// measured, 0 to leave that out, large how many pods one more has, and changes
	// how long pods change at each rate.
	endpoints, large int
	changes          time.Duration
	// dns is how many Services there are while DNS servers are measured, 0 to leave
	// that out, dnsTurns how often each is started in each way, and queries how long it
	// is asked then.
	dns, dnsTurns      int
	queries            time.Duration
	dnsServer, coreDNS string
	// given are the flags that were, but for paths, which say nothing elsewhere.
	given string
}

func parse(args []string) (options, error) {
	o := options{sizes: sizes{{1000, 10}, {5000, 10}, {10000, 10}}, alone: sizes{{50000, 2}}, loads: loads{{1, 0}, {8, 0}, {32, 0}, {8, 25}}}
	bin := filepath.Join(testenv.Root(), "bin")
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "1000x10 only and everything shorter: six minutes")
	flags.Var(&o.sizes, "sizes", "`SERVICESxENDPOINTS,...` to measure both proxies with, in growing order")
	flags.Var(&o.alone, "alone", "`SERVICESxENDPOINTS,...` to measure Switchyard alone with, after the others")
	flags.StringVar(&o.only, "only", "", "measure this only: switchyard, kube-proxy, webhooks, endpoints or dns")
	flags.IntVar(&o.admission, "admission", 10_000, "how many Services there are while the webhooks are measured; 0 leaves them out")
	flags.Var(&o.loads, "loads", "`CLIENTS[@PERSECOND],...` to make them, of so many clients without a pause or so often in a second altogether")
	flags.IntVar(&o.requests, "requests", 480, "how many requests to make in each way while the webhooks are measured")
	flags.IntVar(&o.endpoints, "endpoints", endpointsSize, "how many Services there are while endpoint controllers are measured; 0 leaves them out")
	flags.IntVar(&o.large, "large", endpointsSize, "how many pods one more Service has meanwhile")
	flags.DurationVar(&o.changes, "changes", 8*time.Second, "how long to change pods at each rate meanwhile")
	flags.IntVar(&o.dns, "dns", dnsSize, "how many Services there are while DNS servers are measured, in tens; 0 leaves them out")
	flags.IntVar(&o.dnsTurns, "dns-turns", 3, "how often to start each of them, with and without cache")
	flags.DurationVar(&o.queries, "queries", 3*time.Second, "how long to ask DNS servers in each way and turn")
	flags.IntVar(&o.switches, "switches", 300, "how often to measure slice write -> new endpoint with Switchyard, and new answer with DNS servers")
	flags.IntVar(&o.peerSwitches, "peer-switches", 30, "the same with kube-proxy, at most one a second")
	flags.DurationVar(&o.churn, "churn", 20*time.Second, "how long to write 50 slices a second")
	flags.DurationVar(&o.burst, "burst", 12*time.Second, "how long to write 500 slices a second")
	flags.DurationVar(&o.traffic, "traffic", 4*time.Second, "how long to open connections of each kind of destination")
	flags.IntVar(&o.tracked, "tracked", 100_000, "how many connections a busy node tracks")
	flags.StringVar(&o.output, "o", "table", "what to print: table or json")
	flags.StringVar(&o.markdown, "markdown", "", "also write the page of the documentation to this `file`")
	flags.StringVar(&o.goBench, "go-bench", "", "`file` with the output of go test -bench, to include in that page")
	flags.StringVar(&o.profile, "profile", "", "`directory` for CPU and heap profiles of both proxies (takes some of their CPU time)")
	flags.StringVar(&o.logs, "logs", "", "`directory` for the logs of both proxies")
	flags.StringVar(&o.node, "node", filepath.Join(bin, "switchyard-node"), "switchyard-node to measure")
	flags.StringVar(&o.manager, "manager", filepath.Join(bin, "switchyard-manager"), "switchyard-manager to measure")
	flags.StringVar(&o.dnsServer, "dns-server", filepath.Join(bin, "switchyard-dns"), "switchyard-dns to measure")
	flags.StringVar(&o.coreDNS, "coredns", filepath.Join(bin, "coredns"), "CoreDNS to measure")
	flags.StringVar(&o.peer, "peer", filepath.Join(bin, "k8s", "kube-proxy"), "kube-proxy to measure")
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
		}
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) {
		given[f.Name] = true
		if !slices.Contains([]string{"node", "peer", "manager", "dns-server", "coredns", "go-bench", "markdown", "profile", "logs", "o"}, f.Name) {
			o.given += fmt.Sprintf(" -%s=%s", f.Name, f.Value)
		}
	})
	if o.quick {
		o.shorten(given)
	}
	return o, o.validate(flags.Args())
}

// busyChurn is how long to write slices on a busy node: half as long, as only
// the CPU time of an update is taken there.
func (o *options) busyChurn() time.Duration { return o.churn / 2 }

// shorten keeps what was given on the command line.
func (o *options) shorten(given map[string]bool) {
	if !given["sizes"] {
		o.sizes = sizes{{1000, 10}}
	}
	if !given["alone"] {
		o.alone = nil
	}
	for name, set := range map[string]func(){
		"requests":      func() { o.requests = 120 },
		"admission":     func() { o.admission = 1000 },
		"endpoints":     func() { o.endpoints = 500 },
		"large":         func() { o.large = 500 },
		"changes":       func() { o.changes = 5 * time.Second },
		"dns":           func() { o.dns = 1000 },
		"queries":       func() { o.queries = time.Second },
		"switches":      func() { o.switches = 100 },
		"peer-switches": func() { o.peerSwitches = 10 },
		"churn":         func() { o.churn = 6 * time.Second },
		"burst":         func() { o.burst = 6 * time.Second },
		"traffic":       func() { o.traffic = 2 * time.Second },
	} {
		if !given[name] {
			set()
		}
	}
}

func (o *options) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q: there are only flags", rest[0])
	case o.output != "table" && o.output != "json":
		return fmt.Errorf("-o=%s: give table or json", o.output)
	case !slices.Contains(append([]string{"", switchyardName, kubeProxyName}, parts...), o.only):
		return fmt.Errorf("-only=%s: give %s, %s or %s", o.only, switchyardName, kubeProxyName, strings.Join(parts, ", "))
	case o.switches < 1 || o.peerSwitches < 1:
		return fmt.Errorf("-switches and -peer-switches: give at least 1")
	case o.tracked < 0:
		return fmt.Errorf("-tracked=%d: give 0 or more", o.tracked)
	case o.churn < time.Second || o.burst < 3*time.Second || o.traffic < time.Second:
		return fmt.Errorf("-churn, -burst, -traffic: give at least 1s, 3s, 1s")
	}
	return o.validateParts()
}

func (o *options) validateParts() error {
	switch {
	case o.admission < 0 || o.admission > maxServices || o.requests < 1:
		return fmt.Errorf("-admission and -requests: give 0 to %d Services and at least 1 request", maxServices)
	case o.endpoints < 0 || o.endpoints > maxServices || o.large < 1 || o.changes < time.Second:
		return fmt.Errorf("-endpoints, -large and -changes: give 0 to %d Services, at least 1 pod and 1s", maxServices)
	case o.dns < 0 || o.dns%headlessEach != 0 || o.dns > maxServices || o.dnsTurns < 1 || o.queries < shortestQueries:
		return fmt.Errorf("-dns, -dns-turns and -queries: give 0 to %d Services, a multiple of %d, at least 1 turn, %v", maxServices, headlessEach, shortestQueries)
	}
	return nil
}
