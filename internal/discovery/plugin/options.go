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

package plugin

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"
	coreplugin "github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnsutil"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/internal/discovery"
)

// options are what the directive says.
type options struct {
	discovery.Options
	// zones are those to answer for; the first that is not a reverse zone is
	// the one that PTR records name.
	zones []string
	fall  fall.F

	// namespaces are the only ones to answer for, if there are any.
	namespaces     map[string]bool
	labels         string
	namespaceLabel string
	withoutSlices  bool

	connection     connection
	startupTimeout time.Duration
}

// startupTimeout is how long the server waits for the API server before it
// answers anyway.
const startupTimeout = 5 * time.Second

// maxTTL is the longest that may be asked for, in seconds.
const maxTTL = 3600

func parse(c *caddy.Controller) (*options, error) {
	var o *options
	for c.Next() {
		if o != nil {
			return nil, coreplugin.ErrOnce
		}
		var err error
		if o, err = parseStanza(c); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func parseStanza(c *caddy.Controller) (*options, error) {
	o := &options{
		Options:        discovery.Options{TTL: discovery.DefaultTTL, Pods: discovery.PodsDisabled},
		zones:          coreplugin.OriginsFromArgsOrServerBlock(c.RemainingArgs(), c.ServerBlockKeys),
		startupTimeout: startupTimeout,
	}
	for _, zone := range o.zones {
		if o.Zone == "" && dnsutil.IsReverse(zone) == 0 && !isReverse(zone) {
			o.Zone = zone
		}
	}
	if o.Zone == "" {
		return nil, errors.New("there are only reverse zones: name the cluster's domain, too, usually cluster.local")
	}
	for c.NextBlock() {
		name, args := c.Val(), c.RemainingArgs()
		set, known := properties[name]
		if reason := unsupported[name]; reason != "" {
			return nil, c.Errf("%s is not supported: %s", name, reason)
		}
		if !known {
			return nil, c.Errf("unknown property %q", name)
		}
		if err := set(o, args); err != nil {
			return nil, c.Errf("%s: %v", name, err)
		}
	}
	if len(o.namespaces) > 0 && o.namespaceLabel != "" {
		return nil, c.Err("namespaces and namespace_labels can not both be set")
	}
	return o, nil
}

// unsupported are CoreDNS's properties that would silently do nothing here.
var unsupported = map[string]string{
	"multicluster": "ServiceImports are not followed; keep CoreDNS's kubernetes plugin for clusterset zones",
	"zonal":        "names of zones (zone.pin._zone.service) are not answered; use trafficDistribution, or keep CoreDNS's kubernetes plugin",
}

var errArguments = errors.New("wrong number of arguments")

// properties are those of CoreDNS's kubernetes plugin.
var properties = map[string]func(o *options, args []string) error{
	"endpoint_pod_names": flag(func(o *options) { o.EndpointPodNames = true }),
	"noendpoints":        flag(func(o *options) { o.withoutSlices = true }),
	"pods": one(func(o *options, mode string) error {
		o.Pods = discovery.PodMode(mode)
		switch o.Pods {
		case discovery.PodsDisabled, discovery.PodsInsecure, discovery.PodsVerified:
			return nil
		}
		return fmt.Errorf("%q is not one of disabled, verified and insecure", mode)
	}),
	"ignore": one(func(o *options, what string) error {
		if what != "empty_service" {
			return fmt.Errorf("%q is not empty_service", what)
		}
		o.IgnoreEmpty = true
		return nil
	}),
	"ttl": one(func(o *options, text string) error {
		ttl, err := strconv.ParseUint(text, 10, 32)
		if err != nil || ttl > maxTTL {
			return fmt.Errorf("%q is not a number of seconds from 0 to %d", text, maxTTL)
		}
		o.TTL = uint32(ttl)
		return nil
	}),
	"startup_timeout": one(func(o *options, text string) (err error) {
		o.startupTimeout, err = time.ParseDuration(text)
		return err
	}),
	"namespaces": some(func(o *options, names []string) error {
		o.namespaces = map[string]bool{}
		for _, name := range names {
			o.namespaces[name] = true
		}
		return nil
	}),
	"labels":           some(func(o *options, words []string) error { return selector(&o.labels, words) }),
	"namespace_labels": some(func(o *options, words []string) error { return selector(&o.namespaceLabel, words) }),
	"fallthrough": func(o *options, zones []string) error {
		o.fall.SetZonesFromArgs(zones)
		return nil
	},
	"kubeconfig": some(func(o *options, args []string) error {
		if len(args) > 2 {
			return errArguments
		}
		o.connection.kubeconfig = args[0]
		if len(args) == 2 {
			o.connection.context = args[1]
		}
		return nil
	}),
	// CoreDNS takes several and uses the first.
	"endpoint": some(func(o *options, urls []string) error {
		o.connection.server = urls[0]
		return nil
	}),
	"tls": func(o *options, args []string) error {
		if len(args) != 3 {
			return errArguments
		}
		o.connection.certificate, o.connection.key, o.connection.authority = args[0], args[1], args[2]
		return nil
	},
	"apiserver_qps": one(func(o *options, text string) error {
		qps, err := strconv.ParseFloat(text, 32)
		if err != nil || !(qps >= 0) {
			return fmt.Errorf("%q is not a number of queries per second", text)
		}
		o.connection.qps = float32(qps)
		return nil
	}),
	"apiserver_burst":        one(func(o *options, text string) error { return count(&o.connection.burst, text) }),
	"apiserver_max_inflight": one(func(o *options, text string) error { return count(new(int), text) }), // there are four watches, and no more
}

func flag(set func(*options)) func(*options, []string) error {
	return func(o *options, args []string) error {
		if len(args) != 0 {
			return errArguments
		}
		set(o)
		return nil
	}
}

func one(set func(*options, string) error) func(*options, []string) error {
	return func(o *options, args []string) error {
		if len(args) != 1 {
			return errArguments
		}
		return set(o, args[0])
	}
}

func some(set func(*options, []string) error) func(*options, []string) error {
	return func(o *options, args []string) error {
		if len(args) == 0 {
			return errArguments
		}
		return set(o, args)
	}
}

func selector(to *string, words []string) error {
	parsed, err := labels.Parse(strings.Join(words, " "))
	if err == nil {
		*to = parsed.String()
	}
	return err
}

func count(to *int, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a number", text)
	}
	*to = n
	return nil
}

// isReverse is true for the tops of the reverse trees, too.
func isReverse(zone string) bool { return zone == "in-addr.arpa." || zone == "ip6.arpa." }
