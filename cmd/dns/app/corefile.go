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
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"text/template"

	"github.com/spf13/pflag"
)

// options are what the command line says.
type options struct {
	config  string
	version bool
	print   bool

	Zone         string
	ReverseZones []string
	Listen       []string
	Port         uint16
	Forward      []string
	Kubeconfig   string
	Pods         string
	Metrics      string
	Health       string
	Ready        string
	Profiling    bool
}

func (o *options) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&o.config, "config", "", "`Corefile` to use; all flags below but --version are for who has none.")
	flags.BoolVar(&o.version, "version", false, "Print the version and exit.")
	flags.BoolVar(&o.print, "print-config", false, "Print the Corefile that the flags stand for, and exit.")
	flags.StringVar(&o.Zone, "zone", "cluster.local", "The cluster's domain.")
	flags.StringSliceVar(&o.ReverseZones, "reverse-zones", []string{"in-addr.arpa", "ip6.arpa"},
		"Zones or CIDRs to answer PTR queries in; addresses that no Service has are forwarded.")
	flags.StringSliceVar(&o.Listen, "listen", []string{"127.0.0.1", "::1"},
		"Addresses to listen on; 0.0.0.0 and :: are all, which serves whoever can reach this machine.")
	flags.Uint16Var(&o.Port, "port", 53, "Port to listen on, UDP and TCP.")
	flags.StringSliceVar(&o.Forward, "forward", []string{"/etc/resolv.conf"}, "Servers for all other names, or a file that lists them; none if empty.")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "Kubeconfig; without it this is a pod of the cluster.")
	flags.StringVar(&o.Pods, "pods", "disabled", "Names made of pods' addresses: disabled, insecure (any address) or verified (watches all pods).")
	flags.StringVar(&o.Metrics, "metrics-bind-address", "127.0.0.1:9153", "Address of /metrics; none if empty.")
	flags.StringVar(&o.Health, "health-probe-bind-address", "127.0.0.1:8080", "Address of /health; none if empty.")
	flags.StringVar(&o.Ready, "ready-probe-bind-address", "127.0.0.1:8181", "Address of /ready; none if empty.")
	flags.BoolVar(&o.Profiling, "profiling", false, "Serve /debug/pprof at 127.0.0.1:6053.")
}

// corefile is the configuration: the file, or what the flags stand for.
func (o *options) corefile() ([]byte, error) {
	if o.config != "" {
		content, err := os.ReadFile(o.config)
		if err != nil {
			return nil, fmt.Errorf("--config: %w: give the path of a Corefile that this user can read", err)
		}
		return content, refuseOpenProfiles(o.config, content)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	var b strings.Builder
	err := page.Execute(&b, o)
	return []byte(b.String()), err
}

func (o *options) validate() error {
	var errs []error
	if o.Zone == "" {
		errs = append(errs, errors.New("--zone is empty: name the cluster's domain, usually cluster.local"))
	}
	if len(o.Listen) == 0 {
		errs = append(errs, errors.New("--listen is empty: name the addresses to listen on"))
	}
	for _, address := range o.Listen {
		if _, err := netip.ParseAddr(address); err != nil {
			errs = append(errs, fmt.Errorf("--listen=%s: %w: give addresses without ports", address, err))
		}
	}
	// A word of the Corefile ends at a space, and a block at a brace.
	for name, values := range map[string][]string{
		"zone": {o.Zone}, "reverse-zones": o.ReverseZones, "forward": o.Forward, "kubeconfig": {o.Kubeconfig}, "pods": {o.Pods},
		"metrics-bind-address": {o.Metrics}, "health-probe-bind-address": {o.Health}, "ready-probe-bind-address": {o.Ready},
	} {
		if strings.ContainsAny(strings.Join(values, ""), " \t\r\n{}\"#\\") {
			errs = append(errs, fmt.Errorf("--%s: %q has a character that a Corefile gives a meaning: use --config", name, values))
		}
	}
	return errors.Join(errs...)
}

// page is a Corefile. The cache keeps answers of the resolvers alone (see
// directives).
var page = template.Must(template.New("Corefile").Funcs(template.FuncMap{"join": strings.Join}).Parse(`.:{{.Port}} {
    bind {{join .Listen " "}}
    errors
    {{- with .Health}}
    health {{.}} {
        lameduck 5s
    }
    {{- end}}
    {{- with .Ready}}
    ready {{.}}
    {{- end}}
    {{- if .Profiling}}
    pprof 127.0.0.1:6053
    {{- end}}
    {{- with .Metrics}}
    prometheus {{.}}
    {{- end}}
    switchyard {{.Zone}} {{join .ReverseZones " "}} {
        {{- with .Kubeconfig}}
        kubeconfig {{.}}
        {{- end}}
        pods {{.Pods}}
        {{- with .ReverseZones}}
        fallthrough {{join . " "}}
        {{- end}}
    }
    {{- with .Forward}}
    forward . {{join . " "}} {
        max_concurrent 1000
    }
    {{- end}}
    cache 30
    loop
    reload
    loadbalance
}
`))
